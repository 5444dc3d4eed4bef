//! Snapshots of real tables, written by deltalake.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

#[path = "../helper/counting.rs"]
mod counting;
mod ingested;
mod snapshots;
