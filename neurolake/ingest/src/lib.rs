//! Events to Delta tables, each exactly once: accepted at a door, kept in a queue, readable at
//! once, committed a moment later.
//!
//! This room knows HTTP, the queue and when to commit. How a commit is made is the business of
//! [`neurolake_delta`]; this room refuses to plan queries.
//!
//! Read in this order: [`mod@ingest`] (the handle), [`door`] (HTTP), [`validate`] (what clients send,
//! as rows), [`queue`] (what keeps events), [`entry`] (what stands in a record), [`tail`] (rows on
//! their way), [`expose`] (the same for other processes), [`writer`] (rows to their table),
//! [`dead_letters`] (rows that don't fit), [`openapi`] (the door, described), [`metrics`].

pub mod dead_letters;
pub mod door;
pub mod entry;
pub mod expose;
pub mod ingest;
pub mod metrics;
pub mod openapi;
pub mod queue;
pub mod tail;
pub mod validate;
pub mod writer;

pub use ingest::{Ingest, Locate, Settings, Status};
pub use writer::Flush;
