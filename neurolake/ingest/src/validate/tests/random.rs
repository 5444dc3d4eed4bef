//! Random rows of random declarations come back as they were sent, in every form.

use std::collections::BTreeSet;
use std::sync::Arc;

use ::arrow::array::cast::AsArray;
use ::arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array,
    Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, ListArray, MapArray, RecordBatch,
    StringArray, StructArray, TimestampMicrosecondArray, UInt8Array, UInt16Array, UInt32Array,
    UInt64Array, new_empty_array,
};
use ::arrow::buffer::{NullBuffer, OffsetBuffer};
use ::arrow::compute::{cast, concat, take};
use ::arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;
use neurolake_delta::types::{arrow_schema, arrow_type};
use neurolake_model::{Column, Type};

use super::arrow::stream;
use super::{MEMORY, column, list, map, rows};
use crate::validate::{Form, Invalid, Validator};

/// SplitMix64.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn one_of<T: Clone>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())].clone()
    }
}

fn scalar_type(random: &mut Random) -> Type {
    let precision = 1 + random.below(38) as u8;
    let scale = random.below(usize::from(precision) + 1) as u8;
    let decimal = Type::Decimal { precision, scale };
    random.one_of(&[
        Type::Bool,
        Type::Int8,
        Type::Int16,
        Type::Int32,
        Type::Int64,
        Type::UInt8,
        Type::UInt16,
        Type::UInt32,
        Type::UInt64,
        Type::Float32,
        Type::Float64,
        Type::String,
        Type::Binary,
        Type::Date,
        Type::Timestamp,
        decimal,
    ])
}

fn any_type(random: &mut Random, depth: usize) -> Type {
    if depth == 0 || random.chance(60) {
        return scalar_type(random);
    }
    match random.below(4) {
        0 => Type::Blob,
        1 => {
            let item = any_type(random, depth - 1);
            list(item, random.chance(50))
        }
        2 => {
            let key = loop {
                // Floats are no keys.
                match scalar_type(random) {
                    Type::Float32 | Type::Float64 => {}
                    key => break key,
                }
            };
            let value = any_type(random, depth - 1);
            map(key, value, random.chance(50))
        }
        _ => Type::Struct {
            fields: columns(random, depth - 1),
        },
    }
}

pub(super) fn columns(random: &mut Random, depth: usize) -> Vec<Column> {
    let count = 1 + random.below(5);
    (0..count)
        .map(|number| {
            let data_type = any_type(random, depth);
            // Some names need quotes in a path.
            let name = random.one_of(&["a", "Spike rate", "größe", "x.y"]);
            column(&format!("{name}{number}"), data_type, random.chance(50))
        })
        .collect()
}

fn text(random: &mut Random) -> String {
    let length = random.one_of(&[0, 1, 3, 12, 13, 40]);
    let characters = [
        'a', 'Z', '"', '\\', '\n', '\0', '\u{7f}', 'é', '🧠', '\u{2028}', '/',
    ];
    (0..length).map(|_| random.one_of(&characters)).collect()
}

fn scalars(random: &mut Random, declared: &Type, length: usize) -> ArrayRef {
    macro_rules! integers {
        ($array:ident, $native:ty) => {
            Arc::new($array::from_iter_values((0..length).map(
                |_| match random.below(4) {
                    0 => <$native>::MIN,
                    1 => <$native>::MAX,
                    _ => random.next() as $native,
                },
            )))
        };
    }
    macro_rules! floats {
        ($array:ident, $native:ident, $bits:ty) => {
            Arc::new($array::from_iter_values((0..length).map(
                |_| match random.below(10) {
                    0 => $native::NAN,
                    1 => $native::INFINITY,
                    2 => $native::NEG_INFINITY,
                    3 => -0.0,
                    4 => $native::MAX,
                    5 => $native::from_bits(1),
                    _ => match $native::from_bits(random.next() as $bits) {
                        value if value.is_nan() => 0.1,
                        value => value,
                    },
                },
            )))
        };
    }
    match declared {
        Type::Bool => Arc::new(
            (0..length)
                .map(|_| Some(random.chance(50)))
                .collect::<BooleanArray>(),
        ),
        Type::Int8 => integers!(Int8Array, i8),
        Type::Int16 => integers!(Int16Array, i16),
        Type::Int32 => integers!(Int32Array, i32),
        Type::Int64 => integers!(Int64Array, i64),
        Type::UInt8 => integers!(UInt8Array, u8),
        Type::UInt16 => integers!(UInt16Array, u16),
        Type::UInt32 => integers!(UInt32Array, u32),
        Type::UInt64 => integers!(UInt64Array, u64),
        Type::Float32 => floats!(Float32Array, f32, u32),
        Type::Float64 => floats!(Float64Array, f64, u64),
        Type::Binary => {
            let texts: Vec<String> = (0..length).map(|_| text(random)).collect();
            Arc::new(BinaryArray::from_iter_values(texts))
        }
        Type::Date => {
            let (first, last) = (-719_162_i64, 2_932_896_i64);
            let days = (0..length).map(|_| match random.below(4) {
                0 => first,
                1 => last,
                _ => first + random.below((last - first) as usize) as i64,
            });
            Arc::new(Date32Array::from_iter_values(days.map(|day| day as i32)))
        }
        Type::Timestamp => {
            let (first, last) = (-62_135_596_800_000_000_i64, 253_402_300_799_999_999_i64);
            let times = (0..length).map(|_| match random.below(4) {
                0 => first,
                1 => last,
                _ => first + (random.next() % (last - first) as u64) as i64,
            });
            Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))
        }
        Type::Decimal { precision, scale } => {
            let limit = 10_u128.pow((*precision).into());
            let values = (0..length).map(|_| {
                let value = (u128::from(random.next()) << 64) | u128::from(random.next());
                let value = match random.below(4) {
                    0 => limit - 1,
                    _ => value % limit,
                } as i128;
                if random.chance(50) { -value } else { value }
            });
            let array = Decimal128Array::from_iter_values(values);
            Arc::new(
                array
                    .with_precision_and_scale(*precision, *scale as i8)
                    .unwrap(),
            )
        }
        _ => {
            let texts: Vec<String> = (0..length).map(|_| text(random)).collect();
            Arc::new(StringArray::from(texts))
        }
    }
}

fn nulls(random: &mut Random, nullable: bool, length: usize) -> Option<NullBuffer> {
    nullable.then(|| {
        (0..length)
            .map(|_| !random.chance(25))
            .collect::<Vec<_>>()
            .into()
    })
}

/// Values of a declared type.
pub(super) fn array(
    random: &mut Random,
    declared: &Type,
    nullable: bool,
    length: usize,
) -> ArrayRef {
    let nulls = nulls(random, nullable, length);
    let data_type = arrow_type(declared);
    match (declared, &data_type) {
        (Type::List { item, nullable }, DataType::List(field)) => {
            let offsets = lengths(random, length);
            let values = array(
                random,
                item,
                *nullable,
                offsets.last().copied().unwrap() as usize,
            );
            Arc::new(ListArray::new(Arc::clone(field), offsets, values, nulls))
        }
        (
            Type::Map {
                key,
                value,
                nullable,
            },
            DataType::Map(field, _),
        ) => {
            let DataType::Struct(parts) = field.data_type() else {
                panic!("{field}");
            };
            let (keys, offsets) = keys(random, key, length);
            let values = array(random, value, *nullable, keys.len());
            let entries = StructArray::new(parts.clone(), vec![keys, values], None);
            Arc::new(MapArray::new(
                Arc::clone(field),
                offsets,
                entries,
                nulls,
                false,
            ))
        }
        (_, DataType::Struct(parts)) => {
            let fields = match declared {
                Type::Struct { fields } => fields.clone(),
                _ => crate::validate::blob(),
            };
            let columns = fields
                .iter()
                .map(|field| array(random, &field.data_type, field.nullable, length))
                .collect();
            Arc::new(StructArray::new(parts.clone(), columns, nulls))
        }
        _ => {
            let values = scalars(random, declared, length);
            let data = values.to_data().into_builder().nulls(nulls);
            ::arrow::array::make_array(data.build().unwrap())
        }
    }
}

fn lengths(random: &mut Random, length: usize) -> OffsetBuffer<i32> {
    OffsetBuffer::from_lengths((0..length).map(|_| random.below(4)))
}

/// Keys that differ within each map.
fn keys(random: &mut Random, key: &Type, length: usize) -> (ArrayRef, OffsetBuffer<i32>) {
    let mut parts = Vec::new();
    let mut counts = Vec::new();
    for _ in 0..length {
        let wanted = random.below(4);
        let drawn = scalars(random, key, wanted);
        let mut seen = BTreeSet::new();
        let distinct = (0..drawn.len())
            .filter(|index| seen.insert(crate::validate::render::text(drawn.as_ref(), *index)));
        let distinct = UInt32Array::from_iter_values(distinct.map(|index| index as u32));
        counts.push(distinct.len());
        parts.push(take(&drawn, &distinct, None).unwrap());
    }
    let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
    let keys = if parts.is_empty() {
        new_empty_array(&arrow_type(key))
    } else {
        concat(&parts).unwrap()
    };
    (keys, OffsetBuffer::from_lengths(counts))
}

pub(super) fn batch(random: &mut Random, columns: &[Column], length: usize) -> RecordBatch {
    let arrays = columns
        .iter()
        .map(|column| array(random, &column.data_type, column.nullable, length))
        .collect();
    RecordBatch::try_new(arrow_schema(columns), arrays).unwrap()
}

/// The same rows in types that must be cast back, where there are such.
pub(super) fn disguised(random: &mut Random, batch: &RecordBatch) -> RecordBatch {
    let columns: Vec<ArrayRef> = batch
        .columns()
        .iter()
        .map(|array| {
            let to = match array.data_type() {
                DataType::Utf8 => random.one_of(&[
                    DataType::LargeUtf8,
                    DataType::Utf8View,
                    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
                ]),
                DataType::Binary => random.one_of(&[DataType::LargeBinary, DataType::BinaryView]),
                DataType::List(field) => DataType::LargeList(Arc::clone(field)),
                other => other.clone(),
            };
            cast(array, &to).unwrap()
        })
        .collect();
    let fields: Vec<Field> = batch
        .schema()
        .fields()
        .iter()
        .zip(&columns)
        .map(|(field, array)| Field::new(field.name(), array.data_type().clone(), true))
        .collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

#[test]
fn rows_come_back_as_they_were_sent() {
    for seed in 0..300 {
        let random = &mut Random(seed);
        let columns = columns(random, 3);
        let length = random.below(20);
        let sent = batch(random, &columns, length);
        let validator = Validator::new(&columns);
        let lines = rows(&sent);
        let slice = length / 3;
        let parts = [sent.slice(0, slice), sent.slice(slice, length - slice)];
        for (form, body) in [
            (Form::Json, format!("[{}]", lines.join(",\n")).into_bytes()),
            (Form::Lines, lines.join("\n").into_bytes()),
            (Form::Arrow, stream(&parts)),
            (Form::Arrow, stream(&[disguised(random, &sent)])),
        ] {
            let read = validator.read(form, &Bytes::from(body), Invalid::Reject, MEMORY);
            let read = read.unwrap_or_else(|error| panic!("seed {seed}, {form:?}: {error:?}"));
            assert_eq!(read.rows.schema(), sent.schema(), "seed {seed}, {form:?}");
            assert_eq!(rows(&read.rows), lines, "seed {seed}, {form:?}");
            assert_same(&read.rows, &sent, &format!("seed {seed}, {form:?}"));
        }
    }
}

/// Equal values, whatever stands below nulls.
fn assert_same(found: &RecordBatch, expected: &RecordBatch, context: &str) {
    for (found, expected) in found.columns().iter().zip(expected.columns()) {
        assert_eq!(found.null_count(), expected.null_count(), "{context}");
        if let (Some(found), Some(expected)) = (found.as_map_opt(), expected.as_map_opt()) {
            assert_eq!(
                found.value_offsets().len(),
                expected.value_offsets().len(),
                "{context}"
            );
        }
        assert_eq!(found, expected, "{context}");
    }
}
