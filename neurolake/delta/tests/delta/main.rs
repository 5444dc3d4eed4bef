//! Snapshots of real tables, written by deltalake.

#[path = "../helper/counting.rs"]
mod counting;
mod snapshots;
