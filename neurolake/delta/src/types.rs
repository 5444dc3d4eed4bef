//! The catalog's types as Arrow types: the one table that says what each means in storage.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use neurolake_model::{Column, Type};

/// The Arrow type that stores values of a declared type. Names of list elements and map entries
/// are Delta's: `element`, `key_value`, `key`, `value`.
///
/// # Panics
/// Never: a declared scale is at most 38.
pub fn arrow_type(declared: &Type) -> DataType {
    match declared {
        Type::Bool => DataType::Boolean,
        Type::Int8 => DataType::Int8,
        Type::Int16 => DataType::Int16,
        Type::Int32 => DataType::Int32,
        Type::Int64 => DataType::Int64,
        Type::UInt8 => DataType::UInt8,
        Type::UInt16 => DataType::UInt16,
        Type::UInt32 => DataType::UInt32,
        Type::UInt64 => DataType::UInt64,
        Type::Float32 => DataType::Float32,
        Type::Float64 => DataType::Float64,
        Type::String => DataType::Utf8,
        Type::Binary => DataType::Binary,
        Type::Date => DataType::Date32,
        Type::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Type::Decimal { precision, scale } => DataType::Decimal128(
            *precision,
            i8::try_from(*scale).expect("a scale is at most 38"),
        ),
        Type::Blob => DataType::Struct(Fields::from(vec![
            Field::new("uri", DataType::Utf8, false),
            Field::new("media_type", DataType::Utf8, false),
            Field::new("bytes", DataType::Int64, false),
        ])),
        Type::List { item, nullable } => {
            DataType::List(Arc::new(Field::new("element", arrow_type(item), *nullable)))
        }
        Type::Map {
            key,
            value,
            nullable,
        } => DataType::Map(
            Arc::new(Field::new(
                "key_value",
                DataType::Struct(Fields::from(vec![
                    Field::new("key", arrow_type(key), false),
                    Field::new("value", arrow_type(value), *nullable),
                ])),
                false,
            )),
            false,
        ),
        Type::Struct { fields } => DataType::Struct(fields.iter().map(arrow_field).collect()),
    }
}

/// A declared column as an Arrow field.
pub fn arrow_field(column: &Column) -> Field {
    Field::new(&column.name, arrow_type(&column.data_type), column.nullable)
}

/// Declared columns as an Arrow schema.
pub fn arrow_schema(columns: &[Column]) -> SchemaRef {
    Arc::new(Schema::new(
        columns.iter().map(arrow_field).collect::<Vec<_>>(),
    ))
}
