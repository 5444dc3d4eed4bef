//! Values before they become Arrow arrays.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, Float32Array, Float64Array, ListArray,
    MapArray, PrimitiveArray, StringArray, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::kernels::cast_utils::{Parser, parse_decimal};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, FieldRef, Fields, Int8Type,
    Int16Type, Int32Type, Int64Type, TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow::error::ArrowError;

/// One value. What it means is up to the column: a whole number is a day (since 1970-01-01) in a
/// date and microseconds in a timestamp; text is read where a date, a timestamp or a decimal is
/// expected.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// No value.
    Null,
    /// `bool`
    Bool(bool),
    /// All integers, dates, timestamps.
    Int(i64),
    /// `f32`, `f64`
    Float(f64),
    /// Text, and exact decimals.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<Cell>),
    /// A list of `f32`, when it is long.
    Floats(Vec<f32>),
    /// A map.
    Map(Vec<(Cell, Cell)>),
    /// A struct; fields that are missing are made up.
    Struct(Row),
    /// A struct with all of its fields in order.
    Fields(Vec<Cell>),
}

/// Values by the name of their column; columns that are missing are made up.
pub type Row = Vec<(&'static str, Cell)>;

macro_rules! from {
    ($($from:ty => $cell:expr;)*) => {
        $(impl From<$from> for Cell {
            fn from(value: $from) -> Self {
                $cell(value)
            }
        })*
    };
}
from! {
    bool => Cell::Bool;
    i64 => Cell::Int;
    f64 => Cell::Float;
    String => Cell::Text;
    Vec<u8> => Cell::Bytes;
    Vec<f32> => Cell::Floats;
    Vec<Cell> => Cell::List;
    Row => Cell::Struct;
    Vec<(Cell, Cell)> => Cell::Map;
}

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<i32> for Cell {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl Cell {
    /// How two values of one column are ordered; nulls come first.
    pub(crate) fn order(&self, other: &Self) -> std::cmp::Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (a, b) => (*b == Self::Null).cmp(&(*a == Self::Null)),
        }
    }
}

type Result<T, E = ArrowError> = std::result::Result<T, E>;

fn misfit<T>(cell: &Cell, expected: &DataType) -> Result<T> {
    let mut found = format!("{cell:?}");
    found.truncate(found.floor_char_boundary(60));
    Err(ArrowError::CastError(format!(
        "expected a value of type {expected}, got {found}"
    )))
}

/// Values as an array of this type.
pub(crate) fn array(kind: &DataType, cells: Vec<Cell>) -> Result<ArrayRef> {
    Ok(match kind {
        DataType::Boolean => Arc::new(BooleanArray::from(optional(cells, |cell| match cell {
            Cell::Bool(value) => Ok(value),
            other => misfit(&other, kind),
        })?)),
        DataType::Int8 => whole::<Int8Type>(cells, kind)?,
        DataType::Int16 => whole::<Int16Type>(cells, kind)?,
        DataType::Int32 => whole::<Int32Type>(cells, kind)?,
        DataType::Int64 => whole::<Int64Type>(cells, kind)?,
        DataType::UInt8 => whole::<UInt8Type>(cells, kind)?,
        DataType::UInt16 => whole::<UInt16Type>(cells, kind)?,
        DataType::UInt32 => whole::<UInt32Type>(cells, kind)?,
        DataType::UInt64 => whole::<UInt64Type>(cells, kind)?,
        DataType::Float32 => Arc::new(Float32Array::from(optional(cells, |cell| match cell {
            Cell::Float(value) => Ok(value as f32),
            other => misfit(&other, kind),
        })?)),
        DataType::Float64 => Arc::new(Float64Array::from(optional(cells, |cell| match cell {
            Cell::Float(value) => Ok(value),
            other => misfit(&other, kind),
        })?)),
        DataType::Utf8 => Arc::new(StringArray::from(optional(cells, |cell| match cell {
            Cell::Text(value) => Ok(value),
            other => misfit(&other, kind),
        })?)),
        DataType::Binary => {
            let bytes = optional(cells, |cell| match cell {
                Cell::Bytes(value) => Ok(value),
                other => misfit(&other, kind),
            })?;
            Arc::new(bytes.iter().map(Option::as_deref).collect::<BinaryArray>())
        }
        DataType::Date32 => parsed::<Date32Type>(cells, kind)?,
        DataType::Timestamp(..) => {
            let values = optional(cells, |cell| match cell {
                Cell::Int(value) => Ok(value),
                Cell::Text(text) => parse::<TimestampMicrosecondType>(&text, kind),
                other => misfit(&other, kind),
            })?;
            let array = PrimitiveArray::<TimestampMicrosecondType>::from_iter(values);
            Arc::new(array.with_data_type(kind.clone()))
        }
        DataType::Decimal128(precision, scale) => {
            let values = optional(cells, |cell| match cell {
                Cell::Text(text) => parse_decimal::<Decimal128Type>(&text, *precision, *scale),
                other => misfit(&other, kind),
            })?;
            Arc::new(
                Decimal128Array::from_iter(values).with_precision_and_scale(*precision, *scale)?,
            )
        }
        DataType::List(item) => list(item, cells, kind)?,
        DataType::Map(entry, _) => map(entry, cells, kind)?,
        DataType::Struct(fields) => structure(fields, cells, kind)?,
        other => {
            return Err(ArrowError::NotYetImplemented(format!(
                "values of type {other}"
            )));
        }
    })
}

fn optional<T>(cells: Vec<Cell>, convert: impl Fn(Cell) -> Result<T>) -> Result<Vec<Option<T>>> {
    cells
        .into_iter()
        .map(|cell| match cell {
            Cell::Null => Ok(None),
            cell => convert(cell).map(Some),
        })
        .collect()
}

fn whole<T: ArrowPrimitiveType>(cells: Vec<Cell>, kind: &DataType) -> Result<ArrayRef>
where
    T::Native: TryFrom<i64>,
{
    let values = optional(cells, |cell| match cell {
        Cell::Int(value) => T::Native::try_from(value).or_else(|_| misfit(&cell, kind)),
        ref other => misfit(other, kind),
    })?;
    Ok(Arc::new(PrimitiveArray::<T>::from_iter(values)))
}

fn parse<T: Parser>(text: &str, kind: &DataType) -> Result<T::Native> {
    T::parse(text).map_or_else(|| misfit(&Cell::from(text), kind), Ok)
}

fn parsed<T: Parser>(cells: Vec<Cell>, kind: &DataType) -> Result<ArrayRef>
where
    T::Native: TryFrom<i64>,
{
    let values = optional(cells, |cell| match cell {
        Cell::Int(value) => T::Native::try_from(value).or_else(|_| misfit(&cell, kind)),
        Cell::Text(text) => parse::<T>(&text, kind),
        other => misfit(&other, kind),
    })?;
    Ok(Arc::new(PrimitiveArray::<T>::from_iter(values)))
}

fn list(item: &FieldRef, cells: Vec<Cell>, kind: &DataType) -> Result<ArrayRef> {
    let valid: Vec<bool> = cells.iter().map(|cell| *cell != Cell::Null).collect();
    let mut lengths = Vec::with_capacity(cells.len());
    let floats = *item.data_type() == DataType::Float32
        && cells
            .iter()
            .all(|cell| matches!(cell, Cell::Floats(_) | Cell::Null));
    let values = if floats {
        let mut all = Vec::new();
        for cell in &cells {
            let values: &[f32] = match cell {
                Cell::Floats(values) => values,
                _ => &[],
            };
            lengths.push(values.len());
            all.extend_from_slice(values);
        }
        Arc::new(Float32Array::from(all))
    } else {
        let mut all = Vec::new();
        for cell in cells {
            let before = all.len();
            match cell {
                Cell::List(values) => all.extend(values),
                Cell::Floats(values) => {
                    all.extend(values.into_iter().map(|value| Cell::Float(value.into())));
                }
                Cell::Null => {}
                other => return misfit(&other, kind),
            }
            lengths.push(all.len() - before);
        }
        array(item.data_type(), all)?
    };
    Ok(Arc::new(ListArray::try_new(
        Arc::clone(item),
        OffsetBuffer::from_lengths(lengths),
        values,
        nulls(valid),
    )?))
}

fn map(entry: &FieldRef, cells: Vec<Cell>, kind: &DataType) -> Result<ArrayRef> {
    let DataType::Struct(fields) = entry.data_type() else {
        return misfit(&Cell::Null, kind);
    };
    let valid: Vec<bool> = cells.iter().map(|cell| *cell != Cell::Null).collect();
    let mut lengths = Vec::with_capacity(cells.len());
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    for cell in cells {
        let before = keys.len();
        match cell {
            Cell::Map(entries) => {
                for (key, value) in entries {
                    keys.push(key);
                    values.push(value);
                }
            }
            Cell::Null => {}
            other => return misfit(&other, kind),
        }
        lengths.push(keys.len() - before);
    }
    let entries = StructArray::try_new(
        fields.clone(),
        vec![
            array(fields[0].data_type(), keys)?,
            array(fields[1].data_type(), values)?,
        ],
        None,
    )?;
    Ok(Arc::new(MapArray::try_new(
        Arc::clone(entry),
        OffsetBuffer::from_lengths(lengths),
        entries,
        nulls(valid),
        false,
    )?))
}

fn structure(fields: &Fields, cells: Vec<Cell>, kind: &DataType) -> Result<ArrayRef> {
    let valid: Vec<bool> = cells.iter().map(|cell| *cell != Cell::Null).collect();
    let mut columns: Vec<Vec<Cell>> = vec![Vec::with_capacity(cells.len()); fields.len()];
    for cell in cells {
        match cell {
            Cell::Fields(values) if values.len() == fields.len() => {
                for (column, value) in columns.iter_mut().zip(values) {
                    column.push(value);
                }
            }
            // What stands under a null is never read, but it may not be null itself.
            Cell::Null => {
                for (column, field) in columns.iter_mut().zip(fields) {
                    column.push(if field.is_nullable() {
                        Cell::Null
                    } else {
                        zero(field.data_type())
                    });
                }
            }
            other => return misfit(&other, kind),
        }
    }
    let arrays = fields
        .iter()
        .zip(columns)
        .map(|(field, column)| array(field.data_type(), column))
        .collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(StructArray::try_new(
        fields.clone(),
        arrays,
        nulls(valid),
    )?))
}

fn zero(kind: &DataType) -> Cell {
    match kind {
        DataType::Boolean => Cell::Bool(false),
        DataType::Float32 | DataType::Float64 => Cell::Float(0.0),
        DataType::Utf8 => Cell::Text(String::new()),
        DataType::Decimal128(..) => Cell::Text("0".into()),
        DataType::Binary => Cell::Bytes(Vec::new()),
        DataType::List(_) => Cell::List(Vec::new()),
        DataType::Map(..) => Cell::Map(Vec::new()),
        DataType::Struct(fields) => {
            Cell::Fields(fields.iter().map(|field| zero(field.data_type())).collect())
        }
        _ => Cell::Int(0),
    }
}

fn nulls(valid: Vec<bool>) -> Option<NullBuffer> {
    valid.contains(&false).then(|| NullBuffer::from(valid))
}
