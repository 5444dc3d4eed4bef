//! The engine over catalogs that need no files.

mod functions;
mod lazy;
mod limits;
mod policy;
mod support;
mod views;
