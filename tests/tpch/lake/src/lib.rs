//! The tables of the TPC-H benchmark, twice.

pub mod delta;
pub mod parquet;
