//! Events to Delta tables, each exactly once: accepted at a door, kept in a queue, readable at
//! once, committed a moment later.
//!
//! This room knows HTTP, the queue and when to commit. How a commit is made is the business of
//! [`neurolake_delta`]; this room refuses to plan queries.
//!
//! Read in this order: [`queue`] (what keeps events), [`entry`] (what stands in it), [`validate`]
//! (what clients send, as rows), [`door`] (HTTP), [`openapi`] (the door, described), [`metrics`].

pub mod door;
pub mod entry;
pub mod metrics;
pub mod openapi;
pub mod queue;
pub mod validate;

/// The application of the transactions that say how far a table has taken its stream.
pub use neurolake_delta::INGESTED;
