//! Events to Delta tables, each exactly once: accepted at a door, kept in a queue, readable at
//! once, committed a moment later.
//!
//! This room knows HTTP, the queue and when to commit. How a commit is made is the business of
//! [`neurolake_delta`]; this room refuses to plan queries.
//!
//! Read in this order: [`mod@ingest`] (the handle), [`queue`] (what keeps events), [`entry`] (what stands in
//! a record), [`tail`] (rows on their way), [`writer`] (rows to their table), [`expose`] (rows on their way, for
//! other processes), [`dead_letters`] (rows that
//! don't fit).

pub mod dead_letters;
pub mod entry;
pub mod expose;
pub mod ingest;
pub mod queue;
pub mod tail;
pub mod writer;

pub use ingest::{Ingest, Locate, Settings, Status};
pub use writer::Flush;
