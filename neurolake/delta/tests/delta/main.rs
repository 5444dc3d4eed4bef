//! Snapshots of real tables, written by deltalake; leases and maintenance of them; logs, written by
//! ourselves and read by deltalake.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod atomicity;
mod compact;
#[path = "../helper/counting.rs"]
mod counting;
#[path = "../helper/faulty.rs"]
mod faulty;
#[path = "../helper/hooked.rs"]
mod hooked;
mod ingested;
mod lease;
mod lock;
mod log;
mod maintenance;
#[path = "../helper/ministack.rs"]
mod ministack;
mod proxy;
#[path = "../helper/simulated.rs"]
mod simulated;
mod snapshots;
#[path = "../helper/tables.rs"]
mod tables;
mod traps;
mod vacuum;
