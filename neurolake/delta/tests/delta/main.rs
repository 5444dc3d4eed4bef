//! Snapshots of real tables, written by deltalake; logs, written by ourselves and read by deltalake.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

#[path = "../helper/counting.rs"]
mod counting;
#[path = "../helper/faulty.rs"]
mod faulty;
mod log;
#[path = "../helper/simulated.rs"]
mod simulated;
mod snapshots;
