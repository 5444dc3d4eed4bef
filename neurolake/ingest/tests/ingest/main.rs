//! The room of ingestion, from outside.

mod queue;

