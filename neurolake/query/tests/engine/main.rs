//! The engine over real files, servers and stores.

mod postgres;
mod sheets;
mod support;
