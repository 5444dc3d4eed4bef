//! Column types: one vocabulary for every source.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The type of a column's values. In `catalog.json` a plain type is a string (`"int32"`), a nested
/// one an object with a single key (`{"list": {...}}`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    /// `bool`
    Bool,
    /// `i8`
    Int8,
    /// `i16`
    Int16,
    /// `i32`
    Int32,
    /// `i64`
    Int64,
    /// `u8`; not in Delta tables, like all unsigned integers
    #[serde(rename = "uint8")]
    UInt8,
    /// `u16`
    #[serde(rename = "uint16")]
    UInt16,
    /// `u32`
    #[serde(rename = "uint32")]
    UInt32,
    /// `u64`
    #[serde(rename = "uint64")]
    UInt64,
    /// `f32`
    Float32,
    /// `f64`
    Float64,
    /// `String`: UTF-8 text
    String,
    /// `Vec<u8>`: bytes
    Binary,
    /// `Date`: calendar day
    Date,
    /// `Timestamp`: instant, microseconds since 1970-01-01 UTC
    Timestamp,
    /// `Decimal<P, S>`: exact decimal number
    Decimal {
        /// Number of digits, 1 to 38.
        precision: u8,
        /// Digits behind the point, at most `precision`.
        scale: u8,
    },
    /// `Blob`: reference to an image, a video or a file (`uri`, `media_type`, `bytes`)
    Blob,
    /// `Vec<T>`
    List {
        /// Type of the elements.
        item: Box<Type>,
        /// Whether elements may be null.
        nullable: bool,
    },
    /// `BTreeMap<K, V>`, `HashMap<K, V>`
    Map {
        /// Type of the keys, which are never null.
        key: Box<Type>,
        /// Type of the values.
        value: Box<Type>,
        /// Whether values may be null.
        nullable: bool,
    },
    /// A struct that derives `Columns`.
    Struct {
        /// In the order of declaration.
        fields: Vec<Field>,
    },
}

/// A nested column: same facts as a column, without history.
pub type Field = crate::catalog::Column;

impl Type {
    /// Fields of a struct, also through lists and map values; empty for everything else.
    pub fn fields(&self) -> &[Field] {
        match self {
            Self::Struct { fields } => fields,
            Self::List { item, .. } => item.fields(),
            Self::Map { value, .. } => value.fields(),
            _ => &[],
        }
    }

    /// Whether values are single scalars.
    pub fn is_scalar(&self) -> bool {
        !matches!(
            self,
            Self::List { .. } | Self::Map { .. } | Self::Struct { .. } | Self::Blob
        )
    }

    /// Whether values are integers of any width.
    pub fn is_integer(&self) -> bool {
        matches!(
            self,
            Self::Int8
                | Self::Int16
                | Self::Int32
                | Self::Int64
                | Self::UInt8
                | Self::UInt16
                | Self::UInt32
                | Self::UInt64
        )
    }
}

/// The short form that people read: `int32`, `decimal(10, 2)`, `list<float32>`,
/// `map<string, int64>`, `struct`. Fields of structs are left to a tree.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Bool => "bool",
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::UInt8 => "uint8",
            Self::UInt16 => "uint16",
            Self::UInt32 => "uint32",
            Self::UInt64 => "uint64",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::String => "string",
            Self::Binary => "binary",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::Decimal { precision, scale } => {
                return write!(f, "decimal({precision}, {scale})");
            }
            Self::Blob => "blob",
            Self::List { item, .. } => return write!(f, "list<{item}>"),
            Self::Map { key, value, .. } => return write!(f, "map<{key}, {value}>"),
            Self::Struct { .. } => "struct",
        };
        f.write_str(name)
    }
}
