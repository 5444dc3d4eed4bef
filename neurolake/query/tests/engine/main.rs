//! The engine over real files, servers and stores.

mod doctor;
mod files;
mod functions;
mod lazy;
mod limits;
mod parquet;
mod policy;
mod schema;
mod stores;
mod support;
mod views;
