//! Delta Lake tables: the only room that imports deltalake.
//!
//! It knows snapshots, their files and statistics. It refuses to plan a query.
//!
//! Read in this order: [`location`] (where a table lies), [`snapshots`] (one cached snapshot per
//! table, shared by all sessions), [`write`] (small tables for demos and tests), [`error`].

pub mod error;
pub mod location;
pub mod snapshots;
pub mod write;

pub use error::{Error, Result};
pub use location::{At, Location};
pub use snapshots::{Snapshot, Snapshots};
pub use write::Writer;
