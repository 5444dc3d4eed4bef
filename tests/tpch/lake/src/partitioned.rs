//! The largest table of TPC-H in 84 partitions.

use neurolake::prelude::*;

/// Positions of orders, a folder per month of shipping.
#[table(
    delta = "s3://tpch/partitioned/lineitem",
    partition_by(l_shipmonth),
    sort_by(l_shipdate)
)]
pub struct Lineitem {
    /// Order.
    pub l_orderkey: i64,
    /// Part.
    pub l_partkey: i64,
    /// Supplier.
    pub l_suppkey: i64,
    /// Position.
    pub l_linenumber: i32,
    /// How many.
    pub l_quantity: Decimal<15, 2>,
    /// Price of all of them.
    pub l_extendedprice: Decimal<15, 2>,
    /// Share taken off.
    pub l_discount: Decimal<15, 2>,
    /// Share put on.
    pub l_tax: Decimal<15, 2>,
    /// `R`, `A` or `N`.
    pub l_returnflag: String,
    /// `O` or `F`.
    pub l_linestatus: String,
    /// Day it left.
    pub l_shipdate: Date,
    /// Day it was promised for.
    pub l_commitdate: Date,
    /// Day it arrived.
    pub l_receiptdate: Date,
    /// Instruction.
    pub l_shipinstruct: String,
    /// How it went.
    pub l_shipmode: String,
    /// Text.
    pub l_comment: String,
    /// Month of shipping, such as `1995-03`.
    pub l_shipmonth: String,
}
