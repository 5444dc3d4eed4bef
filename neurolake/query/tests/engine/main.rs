//! The engine over real files, servers and stores.

mod doctor;
mod files;
mod parquet;
mod schema;
mod stores;
