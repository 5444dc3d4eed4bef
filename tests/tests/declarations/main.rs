//! The declaration language, through both of its front ends and the command that people run.

mod cases;
mod documents;
mod foreign;
mod mutations;
mod secrets;
mod workspaces;
