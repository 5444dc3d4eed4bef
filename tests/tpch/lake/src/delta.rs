//! TPC-H as Delta tables.

use neurolake::prelude::*;

/// The five regions.
#[table(delta = "s3://tpch/delta/region")]
pub struct Region {
    /// Key.
    pub r_regionkey: i64,
    /// Name.
    pub r_name: String,
    /// Text.
    pub r_comment: String,
}

/// Nations of the regions.
#[table(delta = "s3://tpch/delta/nation")]
pub struct Nation {
    /// Key.
    pub n_nationkey: i64,
    /// Name.
    pub n_name: String,
    /// Region it lies in.
    pub n_regionkey: i64,
    /// Text.
    pub n_comment: String,
}

/// Who delivers parts.
#[table(delta = "s3://tpch/delta/supplier")]
pub struct Supplier {
    /// Key.
    pub s_suppkey: i64,
    /// Name.
    pub s_name: String,
    /// Address.
    pub s_address: String,
    /// Nation.
    pub s_nationkey: i64,
    /// Telephone.
    pub s_phone: String,
    /// Balance of the account.
    pub s_acctbal: Decimal<15, 2>,
    /// Text.
    pub s_comment: String,
}

/// Who orders.
#[table(delta = "s3://tpch/delta/customer")]
pub struct Customer {
    /// Key.
    pub c_custkey: i64,
    /// Name.
    pub c_name: String,
    /// Address.
    pub c_address: String,
    /// Nation.
    pub c_nationkey: i64,
    /// Telephone.
    pub c_phone: String,
    /// Balance of the account.
    pub c_acctbal: Decimal<15, 2>,
    /// Segment of the market.
    pub c_mktsegment: String,
    /// Text.
    pub c_comment: String,
}

/// What is sold.
#[table(delta = "s3://tpch/delta/part")]
pub struct Part {
    /// Key.
    pub p_partkey: i64,
    /// Name.
    pub p_name: String,
    /// Manufacturer.
    pub p_mfgr: String,
    /// Brand.
    pub p_brand: String,
    /// Kind.
    pub p_type: String,
    /// Size.
    pub p_size: i32,
    /// Container.
    pub p_container: String,
    /// Price.
    pub p_retailprice: Decimal<15, 2>,
    /// Text.
    pub p_comment: String,
}

/// Which supplier has which part.
#[table(delta = "s3://tpch/delta/partsupp")]
pub struct Partsupp {
    /// Part.
    pub ps_partkey: i64,
    /// Supplier.
    pub ps_suppkey: i64,
    /// How many are there.
    pub ps_availqty: i32,
    /// Price of purchase.
    pub ps_supplycost: Decimal<15, 2>,
    /// Text.
    pub ps_comment: String,
}

/// Orders of customers.
#[table(delta = "s3://tpch/delta/orders")]
pub struct Orders {
    /// Key.
    pub o_orderkey: i64,
    /// Customer.
    pub o_custkey: i64,
    /// `F`, `O` or `P`.
    pub o_orderstatus: String,
    /// Sum.
    pub o_totalprice: Decimal<15, 2>,
    /// Day of the order.
    pub o_orderdate: Date,
    /// Priority.
    pub o_orderpriority: String,
    /// Who took it.
    pub o_clerk: String,
    /// Priority of shipping.
    pub o_shippriority: i32,
    /// Text.
    pub o_comment: String,
}

/// Positions of orders.
#[table(delta = "s3://tpch/delta/lineitem")]
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
}
