//! The engine over real files, servers and stores.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]
#![expect(clippy::needless_pass_by_value, reason = "helpers take literals")]

mod catalogs;
#[path = "../../../delta/tests/helper/counting.rs"]
mod counting;
mod delta;
mod delta_tables;
mod doctor;
mod files;
mod functions;
mod lazy;
mod limits;
#[path = "../../../delta/tests/helper/ministack.rs"]
mod ministack;
mod parquet;
mod plans;
mod policy;
mod postgres;
mod pruning;
mod schema;
mod sheets;
mod stores;
mod support;
mod tail_remote;
mod tails;
mod views;
