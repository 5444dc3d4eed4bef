//! From source files to a [`Catalog`](neurolake_model::Catalog), without compiling.
//!
//! Read in this order: `workspace` (which packages, which files to start from), `settings`
//! (what `Cargo.toml` says), `scan` (one file: a pure function of its bytes), `cfg`,
//! `modules` (follow `mod` from file to file), `names` (Rust paths to items), `links` (links
//! in documentation), `assemble` (everything together), `read` (the door).

pub mod assemble;
pub mod cfg;
mod comments;
pub mod finding;
pub mod links;
pub mod modules;
pub mod names;
mod nesting;
pub mod read;
pub mod scan;
pub mod settings;
pub mod workspace;

pub use finding::{Finding, Place};
pub use read::{ReadOptions, Reader, Reading};
pub use settings::Settings;
pub use workspace::WorkspaceError;
