//! The catalog as plain data. This room knows what a catalog, a database, a table, a column and a
//! type are, and how they are written to `catalog.json`. It refuses to know source code, files on
//! disk, Arrow or any client.
//!
//! Read in this order: [`catalog`] (the nouns), [`types`] (column types), [`value`] (example
//! values), [`document`] (`catalog.json`: versions, loading, saving), [`declaration`] (one
//! `#[table]` item before its names are resolved), [`dead_letters`] (the table beside a table).

pub mod catalog;
pub mod dead_letters;
pub mod declaration;
pub mod document;
pub mod types;
pub mod value;

pub use catalog::{
    Argument, Catalog, Column, Database, Deprecation, Endpoints, Input, Location, Notebook,
    Partition, Partitioning, Source, Table,
};
pub use document::{FORMAT_VERSION, LoadError};
pub use types::{Field, Type};
pub use value::Value;
