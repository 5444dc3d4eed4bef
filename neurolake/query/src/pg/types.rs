//! Names of types, as `information_schema` and `pg_typeof` say them.

use datafusion::arrow::datatypes::{DataType, TimeUnit};

/// A type in PostgreSQL's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    /// Standard name, such as `timestamp with time zone`.
    pub(super) name: &'static str,
    /// Name in `pg_type`, such as `timestamptz`.
    pub(super) short: &'static str,
    /// Digits or bits, and their base.
    pub(super) precision: Option<(i32, i32)>,
    /// Digits behind the point.
    pub(super) scale: Option<i32>,
    /// Digits of a fraction of a second.
    pub(super) seconds: Option<i32>,
}

const fn plain(name: &'static str, short: &'static str) -> Named {
    Named {
        name,
        short,
        precision: None,
        scale: None,
        seconds: None,
    }
}

const fn number(
    name: &'static str,
    short: &'static str,
    precision: (i32, i32),
    scale: Option<i32>,
) -> Named {
    Named {
        precision: Some(precision),
        scale,
        ..plain(name, short)
    }
}

/// Standard name of a type.
pub fn type_name(data_type: &DataType) -> &'static str {
    named(data_type).name
}

pub(super) fn named(data_type: &DataType) -> Named {
    match data_type {
        DataType::Boolean => plain("boolean", "bool"),
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => {
            number("smallint", "int2", (16, 2), Some(0))
        }
        DataType::Int32 | DataType::UInt16 => number("integer", "int4", (32, 2), Some(0)),
        DataType::Int64 | DataType::UInt32 => number("bigint", "int8", (64, 2), Some(0)),
        DataType::UInt64 => number("numeric", "numeric", (20, 10), Some(0)),
        DataType::Float16 | DataType::Float32 => number("real", "float4", (24, 2), None),
        DataType::Float64 => number("double precision", "float8", (53, 2), None),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => number(
            "numeric",
            "numeric",
            (i32::from(*precision), 10),
            Some(i32::from(*scale)),
        ),
        DataType::Date32 | DataType::Date64 => plain("date", "date"),
        DataType::Time32(_) | DataType::Time64(_) => Named {
            seconds: Some(6),
            ..plain("time without time zone", "time")
        },
        DataType::Timestamp(unit, zone) => timestamp(*unit, zone.is_some()),
        DataType::Interval(_) | DataType::Duration(_) => plain("interval", "interval"),
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => plain("bytea", "bytea"),
        DataType::Struct(_) | DataType::Map(_, _) | DataType::Union(_, _) => plain("json", "json"),
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::ListView(field)
        | DataType::LargeListView(field) => list(field.data_type()),
        DataType::Dictionary(_, values) => named(values),
        DataType::RunEndEncoded(_, values) => named(values.data_type()),
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            plain("text", "text")
        }
    }
}

fn timestamp(unit: TimeUnit, has_zone: bool) -> Named {
    let seconds = match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond | TimeUnit::Nanosecond => 6,
    };
    let (name, short) = if has_zone {
        ("timestamp with time zone", "timestamptz")
    } else {
        ("timestamp without time zone", "timestamp")
    };
    Named {
        seconds: Some(seconds),
        ..plain(name, short)
    }
}

/// Lists of what is not a value by itself are sent as JSON.
fn list(values: &DataType) -> Named {
    let short = match named(values).short {
        "bool" => "_bool",
        "int2" => "_int2",
        "int4" => "_int4",
        "int8" => "_int8",
        "numeric" => "_numeric",
        "float4" => "_float4",
        "float8" => "_float8",
        "date" => "_date",
        "time" => "_time",
        "timestamp" => "_timestamp",
        "timestamptz" => "_timestamptz",
        "interval" => "_interval",
        "bytea" => "_bytea",
        "text" => "_text",
        _ => return plain("json", "json"),
    };
    plain("ARRAY", short)
}

/// Types by their name in `pg_type`, with their number there and in standard SQL.
const TYPES: [(&str, i32, &str); 29] = [
    ("bool", 16, "boolean"),
    ("bytea", 17, "bytea"),
    ("int8", 20, "bigint"),
    ("int2", 21, "smallint"),
    ("int4", 23, "integer"),
    ("text", 25, "text"),
    ("json", 114, "json"),
    ("float4", 700, "real"),
    ("float8", 701, "double precision"),
    ("_bool", 1000, "boolean[]"),
    ("_bytea", 1001, "bytea[]"),
    ("_int2", 1005, "smallint[]"),
    ("_int4", 1007, "integer[]"),
    ("_text", 1009, "text[]"),
    ("_int8", 1016, "bigint[]"),
    ("_float4", 1021, "real[]"),
    ("_float8", 1022, "double precision[]"),
    ("varchar", 1043, "character varying"),
    ("date", 1082, "date"),
    ("time", 1083, "time without time zone"),
    ("timestamp", 1114, "timestamp without time zone"),
    ("_timestamp", 1115, "timestamp without time zone[]"),
    ("_date", 1182, "date[]"),
    ("timestamptz", 1184, "timestamp with time zone"),
    ("_timestamptz", 1185, "timestamp with time zone[]"),
    ("interval", 1186, "interval"),
    ("_numeric", 1231, "numeric[]"),
    ("numeric", 1700, "numeric"),
    ("uuid", 2950, "uuid"),
];

/// Number of a type that a client names.
pub(super) fn oid_of(name: &str) -> Option<i32> {
    let name = name.trim().to_ascii_lowercase();
    let mut types = TYPES.iter();
    let found = types.find(|(short, _, standard)| *short == name || *standard == name);
    found.map(|(_, number, _)| *number)
}

/// Number in `pg_type`; what is not known there is text.
pub(super) fn oid(named: &Named) -> i32 {
    oid_of(named.short).unwrap_or(25)
}

/// `pg_type.typlen`: bytes of a value, or -1.
pub(super) fn size(named: &Named) -> i16 {
    match named.short {
        "bool" => 1,
        "int2" => 2,
        "int4" | "float4" | "date" => 4,
        "int8" | "float8" | "time" | "timestamp" | "timestamptz" => 8,
        "interval" => 16,
        _ => -1,
    }
}

/// `pg_attribute.atttypmod`: digits of a number, or -1.
pub fn modifier(data_type: &DataType) -> i32 {
    match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => {
            ((i32::from(*precision) << 16) | i32::from(*scale)) + 4
        }
        _ => -1,
    }
}
