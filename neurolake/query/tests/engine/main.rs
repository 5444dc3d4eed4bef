//! The engine over real files, servers and stores.

#[path = "../../../delta/tests/helper/counting.rs"]
mod counting;
mod delta;
mod delta_tables;
mod doctor;
mod files;
mod parquet;
mod postgres;
mod pruning;
mod schema;
mod sheets;
mod stores;
mod support;
