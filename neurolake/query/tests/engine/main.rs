//! Sources over real data.

#[path = "../../../delta/tests/helper/counting.rs"]
mod counting;
mod delta;
mod delta_tables;
