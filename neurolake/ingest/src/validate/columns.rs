//! Values of a declared type, one behind the other, until they are an array.
//!
//! A column takes exactly one value for each JSON text it is given. For one that doesn't fit it
//! notes why and takes a placeholder, so that all columns stay equally long and every fault of a
//! row is found; rows with faults are filtered out in the end.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, BooleanBufferBuilder, ListArray,
    MapArray, NullBufferBuilder, PrimitiveArray, StringArray, StructArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowNativeTypeOp, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow::error::ArrowError;
use neurolake_model::Type;

use super::faults::{Faults, element, field, key};
use super::json::{Halt, each_element, each_field};
use super::scalars::{self, Misfit, PLAIN};
use super::shape::{Fields, Kind, Shape};

/// What is kept while a body is read.
pub(super) struct Reading {
    pub(super) faults: Faults,
    /// Bytes that may still be taken.
    pub(super) room: usize,
}

impl Reading {
    /// Takes some of the room.
    pub(super) fn charge(&mut self, bytes: usize) -> Result<(), Halt> {
        self.room = self.room.checked_sub(bytes).ok_or(Halt::TooLarge)?;
        Ok(())
    }
}

/// Values of one shape.
pub(super) struct Column<'s> {
    shape: &'s Shape,
    nulls: NullBufferBuilder,
    values: Box<dyn Values + 's>,
}

/// Values without their nulls.
trait Values {
    /// Takes one value; if it doesn't fit, a placeholder, and says why.
    fn take(&mut self, raw: &str, shape: &Shape, reading: &mut Reading) -> Result<(), Halt>;
    /// Takes a placeholder.
    fn blank(&mut self);
    fn finish(&mut self, shape: &Shape, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError>;
    /// The order of two values; only keys of maps are asked.
    fn compare(&self, _left: usize, _right: usize) -> Ordering {
        Ordering::Less
    }
}

impl<'s> Column<'s> {
    pub(super) fn new(shape: &'s Shape) -> Self {
        Self {
            shape,
            nulls: NullBufferBuilder::new(0),
            values: values(shape),
        }
    }

    /// Takes one value, however it looks.
    pub(super) fn take(&mut self, raw: &str, reading: &mut Reading) -> Result<(), Halt> {
        if raw != "null" {
            self.nulls.append_non_null();
            return self.values.take(raw, self.shape, reading);
        }
        if !self.shape.nullable {
            misfit(reading, self.shape, raw, &PLAIN);
        }
        self.nothing();
        Ok(())
    }

    /// Takes a null, or a placeholder where there are no nulls.
    pub(super) fn nothing(&mut self) {
        self.nulls.append(!self.shape.nullable);
        self.values.blank();
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let nulls = self.nulls.finish();
        self.values.finish(self.shape, nulls)
    }

    fn len(&self) -> usize {
        self.nulls.len()
    }
}

fn misfit(reading: &mut Reading, shape: &Shape, raw: &str, why: &Misfit) {
    reading.faults.note(|| {
        let (expected, found) = (shape.expected(), scalars::found(raw));
        format!("expected {expected}, found {found}{why}")
    });
}

fn values(shape: &Shape) -> Box<dyn Values + '_> {
    match (&shape.kind, &shape.declared) {
        (Kind::List(item), _) => Box::new(Lists {
            offsets: vec![0],
            item: Column::new(item),
        }),
        (Kind::Map { key, value }, _) => Box::new(Maps {
            offsets: vec![0],
            key: Column::new(key),
            value: Column::new(value),
            order: Vec::new(),
        }),
        (Kind::Struct(fields), _) => Box::new(Structs {
            fields,
            columns: fields.list.iter().map(|f| Column::new(&f.shape)).collect(),
            seen: vec![false; fields.list.len()],
            length: 0,
        }),
        (Kind::Scalar, declared) => scalar(declared),
    }
}

fn scalar(declared: &Type) -> Box<dyn Values + '_> {
    let range = scalars::range(declared);
    match declared {
        Type::Bool => Box::new(Bools(BooleanBufferBuilder::new(0))),
        Type::Int8 => primitive::<Int8Type>(move |raw| scalars::whole(raw, range)),
        Type::Int16 => primitive::<Int16Type>(move |raw| scalars::whole(raw, range)),
        Type::Int32 => primitive::<Int32Type>(move |raw| scalars::whole(raw, range)),
        Type::Int64 => primitive::<Int64Type>(move |raw| scalars::long(raw, range)),
        Type::UInt8 => primitive::<UInt8Type>(move |raw| scalars::whole(raw, range)),
        Type::UInt16 => primitive::<UInt16Type>(move |raw| scalars::whole(raw, range)),
        Type::UInt32 => primitive::<UInt32Type>(move |raw| scalars::whole(raw, range)),
        Type::UInt64 => primitive::<UInt64Type>(move |raw| scalars::long(raw, range)),
        Type::Float32 => primitive::<Float32Type>(scalars::float),
        Type::Float64 => primitive::<Float64Type>(scalars::float),
        Type::Date => primitive::<Date32Type>(scalars::date),
        Type::Timestamp => primitive::<TimestampMicrosecondType>(scalars::timestamp),
        Type::Decimal { precision, scale } => {
            primitive::<Decimal128Type>(|raw| scalars::decimal(raw, *precision, *scale))
        }
        Type::Binary => Box::new(Texts::new(true)),
        // Nested types have another kind.
        _ => Box::new(Texts::new(false)),
    }
}

struct Bools(BooleanBufferBuilder);

impl Values for Bools {
    fn take(&mut self, raw: &str, shape: &Shape, reading: &mut Reading) -> Result<(), Halt> {
        let value = scalars::boolean(raw);
        if let Err(why) = &value {
            misfit(reading, shape, raw, why);
        }
        self.0.append(value.unwrap_or_default());
        Ok(())
    }

    fn blank(&mut self) {
        self.0.append(false);
    }

    fn finish(&mut self, _: &Shape, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
        Ok(Arc::new(BooleanArray::new(self.0.finish(), nulls)))
    }

    fn compare(&self, left: usize, right: usize) -> Ordering {
        self.0.get_bit(left).cmp(&self.0.get_bit(right))
    }
}

struct Primitives<T: ArrowPrimitiveType, F> {
    values: Vec<T::Native>,
    read: F,
    data_type: PhantomData<T>,
}

fn primitive<'s, T: ArrowPrimitiveType>(
    read: impl Fn(&str) -> Result<T::Native, Misfit> + 's,
) -> Box<dyn Values + 's> {
    Box::new(Primitives::<T, _> {
        values: Vec::new(),
        read,
        data_type: PhantomData,
    })
}

impl<T, F> Values for Primitives<T, F>
where
    T: ArrowPrimitiveType,
    F: Fn(&str) -> Result<T::Native, Misfit>,
{
    fn take(&mut self, raw: &str, shape: &Shape, reading: &mut Reading) -> Result<(), Halt> {
        let value = (self.read)(raw);
        if let Err(why) = &value {
            misfit(reading, shape, raw, why);
        }
        self.values.push(value.unwrap_or_default());
        Ok(())
    }

    fn blank(&mut self) {
        self.values.push(T::Native::default());
    }

    fn finish(&mut self, shape: &Shape, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
        let values = ScalarBuffer::from(std::mem::take(&mut self.values));
        let array = PrimitiveArray::<T>::try_new(values, nulls)?;
        // The zone of timestamps, the digits of decimals.
        Ok(Arc::new(array.with_data_type(shape.data_type.clone())))
    }

    fn compare(&self, left: usize, right: usize) -> Ordering {
        self.values[left].compare(self.values[right])
    }
}

/// Strings, or bytes that are sent as base64.
struct Texts {
    offsets: Vec<i32>,
    bytes: Vec<u8>,
    is_base64: bool,
}

impl Texts {
    fn new(is_base64: bool) -> Self {
        Self {
            offsets: vec![0],
            bytes: Vec::new(),
            is_base64,
        }
    }

    fn get(&self, index: usize) -> &[u8] {
        &self.bytes[self.offsets[index] as usize..self.offsets[index + 1] as usize]
    }
}

impl Values for Texts {
    fn take(&mut self, raw: &str, shape: &Shape, reading: &mut Reading) -> Result<(), Halt> {
        let taken = if self.is_base64 {
            scalars::binary(raw, &mut self.bytes)
        } else {
            scalars::text(raw).map(|text| self.bytes.extend_from_slice(text.as_bytes()))
        };
        if let Err(why) = &taken {
            misfit(reading, shape, raw, why);
        }
        self.blank();
        Ok(())
    }

    fn blank(&mut self) {
        self.offsets.push(self.bytes.len() as i32);
    }

    fn finish(&mut self, _: &Shape, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
        let offsets = offsets(&mut self.offsets);
        let bytes = Buffer::from_vec(std::mem::take(&mut self.bytes));
        Ok(if self.is_base64 {
            Arc::new(BinaryArray::try_new(offsets, bytes, nulls)?)
        } else {
            Arc::new(StringArray::try_new(offsets, bytes, nulls)?)
        })
    }

    fn compare(&self, left: usize, right: usize) -> Ordering {
        self.get(left).cmp(self.get(right))
    }
}

fn offsets(offsets: &mut Vec<i32>) -> OffsetBuffer<i32> {
    OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(offsets, vec![0])))
}

struct Lists<'s> {
    offsets: Vec<i32>,
    item: Column<'s>,
}

impl Values for Lists<'_> {
    fn take(&mut self, raw: &str, shape: &Shape, reading: &mut Reading) -> Result<(), Halt> {
        if raw.starts_with('[') {
            let mut index = 0;
            each_element(raw, |raw| {
                reading.charge(self.item.shape.slot_bytes)?;
                let mark = reading.faults.mark();
                self.item.take(raw, reading)?;
                reading.faults.within(mark, || element(index));
                index += 1;
                Ok(())
            })?;
        } else {
            misfit(reading, shape, raw, &PLAIN);
        }
        self.blank();
        Ok(())
    }

    fn blank(&mut self) {
        self.offsets.push(self.item.len() as i32);
    }

    fn finish(&mut self, shape: &Shape, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
        let DataType::List(field) = &shape.data_type else {
            return Err(ArrowError::SchemaError("not a list".into()));
        };
        let offsets = offsets(&mut self.offsets);
        let list = ListArray::try_new(Arc::clone(field), offsets, self.item.finish()?, nulls)?;
        Ok(Arc::new(list))
    }
}

struct Maps<'s> {
    offsets: Vec<i32>,
    key: Column<'s>,
    value: Column<'s>,
    order: Vec<usize>,
}

impl Maps<'_> {
    fn charge(&self, reading: &mut Reading) -> Result<(), Halt> {
        reading.charge(self.key.shape.slot_bytes + self.value.shape.slot_bytes)
    }

    /// `{"k": 1}`
    fn take_object(&mut self, raw: &str, reading: &mut Reading) -> Result<(), Halt> {
        each_field(raw, |raw_key, raw| {
            self.charge(reading)?;
            let name = || scalars::unquoted(raw_key).unwrap_or(Cow::Borrowed(raw_key));
            let mark = reading.faults.mark();
            self.take_key(raw_key, reading)?;
            reading.faults.within(mark, || key(&name()));
            let mark = reading.faults.mark();
            self.value.take(raw, reading)?;
            reading.faults.within(mark, || key(&name()));
            Ok(())
        })
    }

    /// In JSON a key is a string, whatever its type.
    fn take_key(&mut self, raw: &str, reading: &mut Reading) -> Result<(), Halt> {
        let is_text = matches!(self.key.shape.declared, Type::String | Type::Binary);
        let bare = |text: &str| scalars::is_number(text) || matches!(text, "true" | "false");
        match scalars::unquoted(raw) {
            Some(text) if !is_text && bare(&text) => self.key.take(&text, reading),
            _ => self.key.take(raw, reading),
        }
    }

    /// `[{"key": "k", "value": 1}]`
    fn take_entries(&mut self, raw: &str, reading: &mut Reading) -> Result<(), Halt> {
        let mut index = 0;
        each_element(raw, |raw| {
            let mark = reading.faults.mark();
            self.take_entry(raw, reading)?;
            reading.faults.within(mark, || element(index));
            index += 1;
            Ok(())
        })
    }

    fn take_entry(&mut self, raw: &str, reading: &mut Reading) -> Result<(), Halt> {
        self.charge(reading)?;
        let (mut has_key, mut has_value) = (false, false);
        if raw.starts_with('{') {
            each_field(raw, |raw_key, raw| {
                let mark = reading.faults.mark();
                let (column, has, name) = match raw_key {
                    "\"key\"" => (&mut self.key, &mut has_key, "key"),
                    "\"value\"" => (&mut self.value, &mut has_value, "value"),
                    other => {
                        let other = scalars::unquoted(other).unwrap_or_default();
                        let message = "unknown field; known are `key`, `value`";
                        reading.faults.note_at(|| field(&other), || message.into());
                        return Ok(());
                    }
                };
                if *has {
                    reading.faults.note(|| TWICE.into());
                } else {
                    *has = true;
                    column.take(raw, reading)?;
                }
                reading.faults.within(mark, || field(name));
                Ok(())
            })?;
        } else {
            reading.faults.note(|| {
                let found = scalars::found(raw);
                format!("expected an object with `key` and `value`, found {found}")
            });
        }
        let is_object = raw.starts_with('{');
        for (column, has, name) in [
            (&mut self.key, has_key, "key"),
            (&mut self.value, has_value, "value"),
        ] {
            if !has {
                column.missing(name, is_object, reading);
            }
        }
        Ok(())
    }

    /// A key that stands twice would hide one of its values.
    fn check_keys(&mut self, from: usize, reading: &mut Reading) {
        self.order.clear();
        self.order.extend(from..self.key.len());
        let keys = &self.key.values;
        self.order
            .sort_by(|left, right| keys.compare(*left, *right));
        for pair in self.order.windows(2) {
            if keys.compare(pair[0], pair[1]).is_eq() {
                let place = pair[0].max(pair[1]) - from;
                let path = || element(place);
                reading
                    .faults
                    .note_at(path, || "this key stands twice".into());
            }
        }
    }
}

impl Values for Maps<'_> {
    fn take(&mut self, raw: &str, shape: &Shape, reading: &mut Reading) -> Result<(), Halt> {
        let (from, mark) = (self.key.len(), reading.faults.mark());
        match raw.as_bytes().first() {
            Some(b'{') => self.take_object(raw, reading)?,
            Some(b'[') => self.take_entries(raw, reading)?,
            _ => misfit(reading, shape, raw, &PLAIN),
        }
        // Placeholders of faulty keys are equal.
        if reading.faults.mark() == mark {
            self.check_keys(from, reading);
        }
        self.blank();
        Ok(())
    }

    fn blank(&mut self) {
        self.offsets.push(self.key.len() as i32);
    }

    fn finish(&mut self, shape: &Shape, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
        let DataType::Map(entries, _) = &shape.data_type else {
            return Err(ArrowError::SchemaError("not a map".into()));
        };
        let DataType::Struct(fields) = entries.data_type() else {
            return Err(ArrowError::SchemaError("not the entries of a map".into()));
        };
        let columns = vec![self.key.finish()?, self.value.finish()?];
        Ok(Arc::new(MapArray::try_new(
            Arc::clone(entries),
            offsets(&mut self.offsets),
            StructArray::try_new(fields.clone(), columns, None)?,
            nulls,
            false,
        )?))
    }
}

const TWICE: &str = "the field stands twice";

impl Column<'_> {
    /// Takes the place of a field that wasn't sent.
    fn missing(&mut self, name: &str, is_told: bool, reading: &mut Reading) {
        if is_told && !self.shape.nullable {
            let expected = || format!("is missing; expected {}", self.shape.expected());
            reading.faults.note_at(|| field(name), expected);
        }
        self.nothing();
    }
}

struct Structs<'s> {
    fields: &'s Fields,
    columns: Vec<Column<'s>>,
    /// Which fields of the object at hand were there.
    seen: Vec<bool>,
    length: usize,
}

impl Structs<'_> {
    fn take_fields(&mut self, raw: &str, reading: &mut Reading) -> Result<(), Halt> {
        self.seen.fill(false);
        let mut next = 0;
        each_field(raw, |raw_key, raw| {
            let Some(name) = scalars::unquoted(raw_key) else {
                reading
                    .faults
                    .note(|| format!("the name {raw_key} has half of a surrogate pair"));
                return Ok(());
            };
            let Some(number) = self.fields.find(&name, next) else {
                let unknown = || self.fields.unknown(&name);
                reading.faults.note_at(|| field(&name), unknown);
                return Ok(());
            };
            next = number + 1;
            let mark = reading.faults.mark();
            if self.seen[number] {
                reading.faults.note(|| TWICE.into());
            } else {
                self.seen[number] = true;
                self.columns[number].take(raw, reading)?;
            }
            reading.faults.within(mark, || field(&name));
            Ok(())
        })?;
        let columns = self.columns.iter_mut().zip(&self.seen);
        for ((column, seen), declared) in columns.zip(&self.fields.list) {
            if !seen {
                column.missing(&declared.name, true, reading);
            }
        }
        self.length += 1;
        Ok(())
    }
}

impl Values for Structs<'_> {
    fn take(&mut self, raw: &str, shape: &Shape, reading: &mut Reading) -> Result<(), Halt> {
        if raw.starts_with('{') {
            return self.take_fields(raw, reading);
        }
        misfit(reading, shape, raw, &PLAIN);
        self.blank();
        Ok(())
    }

    fn blank(&mut self) {
        for column in &mut self.columns {
            column.nothing();
        }
        self.length += 1;
    }

    fn finish(&mut self, shape: &Shape, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
        let DataType::Struct(fields) = &shape.data_type else {
            return Err(ArrowError::SchemaError("not a struct".into()));
        };
        let columns: Result<Vec<_>, _> = self.columns.iter_mut().map(Column::finish).collect();
        let length = std::mem::take(&mut self.length);
        let rows = StructArray::try_new_with_length(fields.clone(), columns?, nulls, length)?;
        Ok(Arc::new(rows))
    }
}
