//! The declaration language, through both of its front ends and the command that people run.

mod cases;
mod documents;
mod secrets;
mod workspaces;
