//! The tables of the TPC-H benchmark, twice, and the largest one in partitions.

pub mod delta;
pub mod parquet;
pub mod partitioned;
