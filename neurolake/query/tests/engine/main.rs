<<<<<<< HEAD
//! The engine over real files, servers and stores.

mod doctor;
mod files;
mod parquet;
mod schema;
mod stores;
=======
//! The engine over catalogs that need no files.

mod functions;
mod lazy;
mod limits;
mod policy;
mod support;
mod views;
>>>>>>> e-core
