//! Ingestion as its users meet it.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod door;
mod queue;
