//! Rows in PostgreSQL's binary format to Arrow.

use std::error::Error as StdError;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder,
    Float64Builder, Int8Builder, Int16Builder, Int32Builder, Int64Builder, ListArray, RecordBatch,
    RecordBatchOptions, StringBuilder, TimestampMicrosecondBuilder, UInt8Builder, UInt16Builder,
    UInt32Builder,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::datatypes::{DataType, FieldRef, SchemaRef, TimeUnit};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use crate::error::{Error, Kind, Result};

/// What PostgreSQL must cast a value to, so that it can be read as this type. `None`: it can't.
pub(super) fn wire_type(data_type: &DataType) -> Option<String> {
    Some(
        match data_type {
            DataType::Boolean => "bool",
            DataType::Int8 | DataType::Int16 | DataType::UInt8 => "int2",
            DataType::Int32 | DataType::UInt16 => "int4",
            DataType::Int64 | DataType::UInt32 => "int8",
            DataType::Float32 => "float4",
            DataType::Float64 => "float8",
            DataType::Decimal128(..) => "numeric",
            DataType::Utf8 => "text",
            DataType::Binary => "bytea",
            DataType::Date32 => "date",
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if zone.as_ref() == "UTC" => {
                "timestamptz"
            }
            DataType::Timestamp(TimeUnit::Microsecond, None) => "timestamp",
            DataType::List(item) if !matches!(item.data_type(), DataType::List(_)) => {
                return Some(format!("{}[]", wire_type(item.data_type())?));
            }
            _ => return None,
        }
        .to_owned(),
    )
}

/// The bytes of a value, whatever its type.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Rows as a batch.
pub(super) fn batch(table: &str, rows: &[Row], schema: &SchemaRef) -> Result<RecordBatch> {
    let mut columns = Vec::with_capacity(schema.fields().len());
    for (index, field) in schema.fields().iter().enumerate() {
        let values = rows
            .iter()
            .map(|row| {
                row.try_get::<_, Option<Raw<'_>>>(index)
                    .map(|raw| raw.map(|raw| raw.0))
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| unreadable(table, field.name(), &error.to_string()))?;
        if !field.is_nullable() && values.iter().any(Option::is_none) {
            return Err(unreadable(
                table,
                field.name(),
                "it is declared without nulls, but holds one",
            )
            .with_hint("declare the column as `Option<...>`"));
        }
        let column = array(&values, field.data_type())
            .map_err(|why| unreadable(table, field.name(), &why))?;
        columns.push(column);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|error| Error::new(Kind::Internal, format!("{table}: {error}")))
}

fn unreadable(table: &str, column: &str, why: &str) -> Error {
    Error::new(
        Kind::Broken,
        format!("the column `{column}` of {table} can't be read: {why}"),
    )
}

type Values<'a> = [Option<&'a [u8]>];

fn array(values: &Values<'_>, data_type: &DataType) -> Result<ArrayRef, String> {
    macro_rules! build {
        ($builder:expr, $read:expr) => {{
            let mut builder = $builder;
            for value in values {
                match value {
                    Some(value) => builder.append_value($read(value)?),
                    None => builder.append_null(),
                }
            }
            Ok(Arc::new(builder.finish()) as ArrayRef)
        }};
    }
    match data_type {
        DataType::Boolean => build!(BooleanBuilder::new(), |v: &[u8]| Ok::<_, String>(
            v != [0].as_slice()
        )),
        DataType::Int8 => build!(Int8Builder::new(), narrow::<i8>),
        DataType::Int16 => build!(Int16Builder::new(), narrow::<i16>),
        DataType::Int32 => build!(Int32Builder::new(), narrow::<i32>),
        DataType::Int64 => build!(Int64Builder::new(), narrow::<i64>),
        DataType::UInt8 => build!(UInt8Builder::new(), narrow::<u8>),
        DataType::UInt16 => build!(UInt16Builder::new(), narrow::<u16>),
        DataType::UInt32 => build!(UInt32Builder::new(), narrow::<u32>),
        DataType::Float32 => build!(Float32Builder::new(), |v| fixed(v).map(f32::from_be_bytes)),
        DataType::Float64 => build!(Float64Builder::new(), |v| fixed(v).map(f64::from_be_bytes)),
        DataType::Utf8 => build!(StringBuilder::new(), text),
        DataType::Binary => build!(BinaryBuilder::new(), Ok::<&[u8], String>),
        DataType::Date32 => build!(Date32Builder::new(), date),
        DataType::Timestamp(TimeUnit::Microsecond, _) => build!(
            TimestampMicrosecondBuilder::new().with_data_type(data_type.clone()),
            timestamp
        ),
        DataType::Decimal128(precision, scale) => build!(
            Decimal128Builder::new().with_data_type(data_type.clone()),
            |v| decimal(v, *precision, *scale)
        ),
        DataType::List(item) => list(values, item),
        other => Err(format!("{other} is not supported")),
    }
}

fn fixed<const N: usize>(value: &[u8]) -> Result<[u8; N], String> {
    value
        .try_into()
        .map_err(|_| format!("{} bytes arrived in place of {N}", value.len()))
}

/// Integers arrive in 2, 4 or 8 bytes.
fn narrow<T: TryFrom<i64>>(value: &[u8]) -> Result<T, String> {
    let wide = match value.len() {
        2 => i64::from(i16::from_be_bytes(fixed(value)?)),
        4 => i64::from(i32::from_be_bytes(fixed(value)?)),
        _ => i64::from_be_bytes(fixed(value)?),
    };
    T::try_from(wide).map_err(|_| format!("{wide} is out of range"))
}

fn text(value: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(value).map_err(|_| "a text is not UTF-8".to_owned())
}

/// Days from 1970-01-01 to 2000-01-01, where PostgreSQL begins to count.
const EPOCH_DAYS: i32 = 10_957;

fn date(value: &[u8]) -> Result<i32, String> {
    let days = i32::from_be_bytes(fixed(value)?);
    if days == i32::MAX || days == i32::MIN {
        return Err("it holds the date `infinity`".to_owned());
    }
    days.checked_add(EPOCH_DAYS)
        .ok_or_else(|| "a date is out of range".to_owned())
}

fn timestamp(value: &[u8]) -> Result<i64, String> {
    let microseconds = i64::from_be_bytes(fixed(value)?);
    if microseconds == i64::MAX || microseconds == i64::MIN {
        return Err("it holds the timestamp `infinity`".to_owned());
    }
    microseconds
        .checked_add(i64::from(EPOCH_DAYS) * 86_400_000_000)
        .ok_or_else(|| "a timestamp is out of range".to_owned())
}

/// Base 10,000 digits with the weight of the first one.
fn decimal(value: &[u8], precision: u8, scale: i8) -> Result<i128, String> {
    let word = |index: usize| -> Result<i16, String> {
        let bytes = value.get(index * 2..index * 2 + 2).unwrap_or_default();
        fixed(bytes).map(i16::from_be_bytes)
    };
    let (count, weight, sign) = (word(0)?, i32::from(word(1)?), word(2)?.cast_unsigned());
    let negative = match sign {
        0x0000 => false,
        0x4000 => true,
        _ => return Err("it holds a number that is not finite".to_owned()),
    };
    let too_large = || format!("a number does not fit in decimal({precision}, {scale})");
    let mut result: i128 = 0;
    for index in 0..count {
        let digit = i128::from(word(4 + usize::try_from(index).unwrap_or_default())?);
        // The exponent of ten that the digit's last place has in the result.
        let exponent = (weight - i32::from(index)) * 4 + i32::from(scale);
        let part = if exponent >= 0 {
            let factor = 10_i128.checked_pow(exponent.unsigned_abs());
            if digit == 0 {
                Some(0)
            } else {
                factor.and_then(|factor| digit.checked_mul(factor))
            }
        } else if exponent > -4 {
            let divisor = 10_i128.pow(exponent.unsigned_abs());
            if digit % divisor != 0 {
                return Err(too_precise(scale));
            }
            Some(digit / divisor)
        } else if digit != 0 {
            return Err(too_precise(scale));
        } else {
            Some(0)
        };
        result = part
            .and_then(|part| result.checked_add(part))
            .ok_or_else(too_large)?;
    }
    let bound = 10_i128
        .checked_pow(u32::from(precision))
        .unwrap_or(i128::MAX);
    if result >= bound {
        return Err(too_large());
    }
    Ok(if negative { -result } else { result })
}

fn too_precise(scale: i8) -> String {
    format!("a number has more than the {scale} digits behind the point that are declared")
}

/// One-dimensional arrays: dimensions, flags, element type, length, lower bound, elements.
fn list(values: &Values<'_>, item: &FieldRef) -> Result<ArrayRef, String> {
    let cut = || "an array is cut off".to_owned();
    let number = |value: &[u8], at: usize| -> Result<i32, String> {
        fixed(value.get(at..at + 4).ok_or_else(cut)?).map(i32::from_be_bytes)
    };
    let mut elements: Vec<Option<&[u8]>> = Vec::new();
    let mut lengths = Vec::with_capacity(values.len());
    for value in values {
        let before = elements.len();
        if let Some(value) = value {
            let dimensions = number(value, 0)?;
            if dimensions > 1 {
                return Err("it holds an array of arrays".to_owned());
            }
            let count = if dimensions == 1 {
                number(value, 12)?
            } else {
                0
            };
            let mut at = 20;
            for _ in 0..count {
                let length = number(value, at)?;
                at += 4;
                // A negative length is a null.
                let Ok(length) = usize::try_from(length) else {
                    elements.push(None);
                    continue;
                };
                elements.push(Some(value.get(at..at + length).ok_or_else(cut)?));
                at += length;
            }
        }
        lengths.push(elements.len() - before);
    }
    if !item.is_nullable() && elements.iter().any(Option::is_none) {
        return Err("elements are declared without nulls, but one is null".to_owned());
    }
    let nulls = values.iter().map(Option::is_some).collect::<NullBuffer>();
    let array = ListArray::try_new(
        Arc::clone(item),
        OffsetBuffer::from_lengths(lengths),
        array(&elements, item.data_type())?,
        Some(nulls),
    );
    Ok(Arc::new(array.map_err(|error| error.to_string())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1234567.891 in PostgreSQL's format.
    fn number(sign: u16) -> Vec<u8> {
        let words = [3_u16, 1, sign, 3, 123, 4567, 8910];
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        assert_eq!(decimal(&number(0), 10, 3), Ok(1_234_567_891));
        assert_eq!(decimal(&number(0x4000), 12, 5), Ok(-123_456_789_100));
        assert!(decimal(&number(0), 10, 2).is_err());
        assert!(decimal(&number(0), 9, 3).is_err());
        assert!(decimal(&number(0xC000), 10, 3).is_err());
    }

    #[test]
    fn no_byte_sequence_panics() {
        let item = Arc::new(datafusion::arrow::datatypes::Field::new(
            "element",
            DataType::Utf8,
            true,
        ));
        for length in 0..40 {
            let bytes = vec![1_u8; length];
            let values = [Some(bytes.as_slice())];
            for data_type in [
                DataType::Int64,
                DataType::Date32,
                DataType::Decimal128(38, 10),
                DataType::List(Arc::clone(&item)),
            ] {
                let _result = array(&values, &data_type);
            }
        }
    }
}
