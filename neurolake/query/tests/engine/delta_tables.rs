//! Delta tables of many shapes, made through deltalake's own writer.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Int64Array, ListArray, MapArray, RecordBatch, StringArray,
    StructArray, TimestampMicrosecondArray,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field, Fields, Float32Type, Schema, SchemaRef};
use datafusion::prelude::{col, lit};
use deltalake::DeltaTable;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::{StructField, StructType};
use deltalake::operations::write::SchemaMode;
use deltalake::protocol::{SaveMode, checkpoints};
use neurolake_delta::Location;
use object_store::ObjectStoreExt;
use object_store::path::Path;

/// A small generator of chance; the seed decides everything.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    fn between(&mut self, low: i64, high: i64) -> i64 {
        low + i64::try_from(self.next() % u64::try_from(high - low).unwrap()).unwrap()
    }

    /// Values with nulls in between.
    fn some<T>(&mut self, rows: usize, mut make: impl FnMut(&mut Self) -> T) -> Vec<Option<T>> {
        let one = |chance: &mut Self| (chance.below(7) > 0).then(|| make(chance));
        std::iter::repeat_with(|| ())
            .take(rows)
            .map({
                let mut one = one;
                let chance = self;
                move |()| one(chance)
            })
            .collect()
    }
}

const WORDS: &[&str] = &[
    "",
    "a",
    "a b",
    "a/b",
    "x=y",
    "100%",
    "a%20b",
    "grün",
    "日本",
    "it's \"quoted\"",
    "semi;colon,comma",
    "q?#&+:",
    "the same forty characters at the beginning, then one",
    "the same forty characters at the beginning, then two",
    "\u{10FFFF}end",
];

fn utc(field: &str) -> Field {
    let utc = DataType::Timestamp(
        datafusion::arrow::datatypes::TimeUnit::Microsecond,
        Some("UTC".into()),
    );
    Field::new(field, utc, true)
}

fn local(field: &str) -> Field {
    let local = DataType::Timestamp(datafusion::arrow::datatypes::TimeUnit::Microsecond, None);
    Field::new(field, local, true)
}

/// One column of each type. Values lie around `center`, so that files differ.
pub(crate) fn everything(chance: &mut Chance, rows: usize, center: i64) -> RecordBatch {
    let around = move |chance: &mut Chance| center + chance.between(-20, 20);
    let small = move |chance: &mut Chance| i8::try_from(around(chance).clamp(-127, 127)).unwrap();
    let strange = [
        f64::NAN,
        -f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        0.0,
        -0.0,
    ];
    let float = move |chance: &mut Chance| match chance.below(6) {
        0 => *chance.pick(&strange),
        _ => around(chance) as f64 / 4.0,
    };
    let moment =
        move |chance: &mut Chance| around(chance) * 86_400_000_000 + chance.between(-3000, 3000);
    let mut columns: Vec<(Field, ArrayRef)> = Vec::new();
    let mut add = |field: Field, array: ArrayRef| columns.push((field, array));
    let plain = |name: &str, data_type| Field::new(name, data_type, true);

    let ids = (0..rows).map(|row| center * 1000 + row as i64);
    add(
        Field::new("id", DataType::Int64, false),
        Arc::new(Int64Array::from_iter_values(ids)),
    );
    add(
        plain("flag", DataType::Boolean),
        Arc::new(BooleanArray::from(chance.some(rows, |c| c.below(2) == 0))),
    );
    add(
        plain("tiny", DataType::Int8),
        Arc::new(Int8Array::from(chance.some(rows, small))),
    );
    add(
        plain("short", DataType::Int16),
        Arc::new(Int16Array::from(
            chance.some(rows, |c| i16::from(small(c)) * 100),
        )),
    );
    add(
        plain("int", DataType::Int32),
        Arc::new(Int32Array::from(
            chance.some(rows, |c| i32::from(small(c)) * 1000),
        )),
    );
    add(
        plain("long", DataType::Int64),
        Arc::new(Int64Array::from(chance.some(rows, |c| match c.below(9) {
            0 => i64::MIN,
            1 => i64::MAX,
            _ => around(c),
        }))),
    );
    add(
        plain("single", DataType::Float32),
        Arc::new(Float32Array::from(chance.some(rows, |c| float(c) as f32))),
    );
    add(
        plain("double", DataType::Float64),
        Arc::new(Float64Array::from(chance.some(rows, float))),
    );
    add(
        plain("text", DataType::Utf8),
        Arc::new(StringArray::from(chance.some(rows, |c| *c.pick(WORDS)))),
    );
    add(
        plain("name", DataType::Utf8),
        Arc::new(StringArray::from(
            chance.some(rows, |c| format!("name {}", around(c))),
        )),
    );
    add(
        plain("bytes", DataType::Binary),
        Arc::new(BinaryArray::from_iter(
            chance.some(rows, |c| vec![u8::try_from(c.below(256)).unwrap(); 3]),
        )),
    );
    add(
        plain("day", DataType::Date32),
        Arc::new(Date32Array::from(
            chance.some(rows, |c| i32::try_from(around(c)).unwrap()),
        )),
    );
    add(
        utc("at"),
        Arc::new(TimestampMicrosecondArray::from(chance.some(rows, moment)).with_timezone("UTC")),
    );
    add(
        local("clock"),
        Arc::new(TimestampMicrosecondArray::from(chance.some(rows, moment))),
    );
    let price = chance.some(rows, |c| {
        i128::from(around(c)) * 100 + i128::from(c.between(0, 100))
    });
    add(
        plain("price", DataType::Decimal128(10, 2)),
        Arc::new(
            Decimal128Array::from(price)
                .with_precision_and_scale(10, 2)
                .unwrap(),
        ),
    );
    let huge = chance.some(rows, |c| {
        i128::from(around(c)) * 1_000_000_000_000_000_000_000_000
            + i128::from(c.between(0, 1_000_000_000))
    });
    add(
        plain("huge", DataType::Decimal128(38, 10)),
        Arc::new(
            Decimal128Array::from(huge)
                .with_precision_and_scale(38, 10)
                .unwrap(),
        ),
    );
    let whole = chance.some(rows, |c| {
        i128::from(around(c)) * 1_000_000_000_000_000_000_000_000_007
    });
    add(
        plain("whole", DataType::Decimal128(38, 0)),
        Arc::new(
            Decimal128Array::from(whole)
                .with_precision_and_scale(38, 0)
                .unwrap(),
        ),
    );

    add(
        plain("ratio", DataType::Float64),
        Arc::new(Float64Array::from(
            chance.some(rows, |c| around(c) as f64 / 8.0),
        )),
    );
    let element = Arc::new(Field::new("element", DataType::Float32, true));
    let powers = chance.some(rows, |c| {
        (0..c.below(4))
            .map(|_| Some(c.below(10) as f32))
            .collect::<Vec<_>>()
    });
    let powers = ListArray::from_iter_primitive::<Float32Type, _, _>(powers);
    let (_, offsets, values, nulls) = powers.into_parts();
    let powers = ListArray::new(Arc::clone(&element), offsets, values, nulls);
    add(plain("powers", DataType::List(element)), Arc::new(powers));

    let inner = Fields::from(vec![
        plain("x", DataType::Int32),
        plain("label", DataType::Utf8),
    ]);
    let x: ArrayRef = Arc::new(Int32Array::from(chance.some(rows, |c| i32::from(small(c)))));
    let label: ArrayRef = Arc::new(StringArray::from(chance.some(rows, |c| *c.pick(WORDS))));
    let valid: Vec<bool> = (0..rows).map(|_| chance.below(5) > 0).collect();
    let nested = StructArray::new(inner.clone(), vec![x, label], Some(valid.into()));
    add(plain("nested", DataType::Struct(inner)), Arc::new(nested));

    let entries = Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Int64, true),
    ]);
    let lengths: Vec<usize> = (0..rows).map(|_| chance.below(3)).collect();
    let total: usize = lengths.iter().sum();
    let keys: ArrayRef = Arc::new(StringArray::from_iter_values(
        (0..total).map(|key| format!("key {key}")),
    ));
    let values: ArrayRef = Arc::new(Int64Array::from(chance.some(total, around)));
    let entry = Arc::new(Field::new(
        "key_value",
        DataType::Struct(entries.clone()),
        false,
    ));
    let map = MapArray::new(
        Arc::clone(&entry),
        OffsetBuffer::from_lengths(lengths),
        StructArray::new(entries, vec![keys, values], None),
        None,
        false,
    );
    add(plain("tags", DataType::Map(entry, false)), Arc::new(map));

    // For partitioning: few distinct values.
    add(
        plain("place", DataType::Utf8),
        Arc::new(StringArray::from(
            chance.some(rows, |c| *c.pick(&WORDS[1..9])),
        )),
    );
    add(
        plain("implant", DataType::Int32),
        Arc::new(Int32Array::from(
            chance.some(rows, |c| i32::try_from(c.below(3)).unwrap()),
        )),
    );
    add(
        plain("session", DataType::Date32),
        Arc::new(Date32Array::from(
            chance.some(rows, |c| 20_000 + i32::try_from(c.below(3)).unwrap()),
        )),
    );
    add(
        utc("started"),
        Arc::new(
            TimestampMicrosecondArray::from(chance.some(rows, |c| {
                1_700_000_000_123_456 + c.between(0, 2) * 1_000_001
            }))
            .with_timezone("UTC"),
        ),
    );
    let rate = chance.some(rows, |c| i128::from(c.between(0, 3)) * 125);
    add(
        plain("rate", DataType::Decimal128(6, 3)),
        Arc::new(
            Decimal128Array::from(rate)
                .with_precision_and_scale(6, 3)
                .unwrap(),
        ),
    );

    let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

/// The columns that stay of [`everything`].
fn without(batch: &RecordBatch, dropped: &[&str]) -> RecordBatch {
    let schema = batch.schema();
    let fields = schema.fields().iter().enumerate();
    let kept: Vec<_> = fields
        .filter(|(_, field)| !dropped.contains(&field.name().as_str()))
        .map(|(position, _)| position)
        .collect();
    batch.project(&kept).unwrap()
}

pub(crate) fn kernel(schema: &SchemaRef) -> Vec<StructField> {
    let schema: StructType = schema.as_ref().try_into_kernel().unwrap();
    schema.fields().cloned().collect()
}

/// The shapes of tables that are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Plain,
    OnePartition,
    TwoPartitions,
    ManyPartitions,
    TimePartition,
    FlagPartition,
    AddedColumn,
    Rewritten,
    Checkpointed,
    Overwritten,
    Empty,
    WithoutStatistics,
    FewStatistics,
    Optimized,
}

impl Shape {
    pub(crate) const ALL: &'static [Self] = &[
        Self::Plain,
        Self::OnePartition,
        Self::TwoPartitions,
        Self::ManyPartitions,
        Self::TimePartition,
        Self::FlagPartition,
        Self::AddedColumn,
        Self::Rewritten,
        Self::Checkpointed,
        Self::Overwritten,
        Self::Empty,
        Self::WithoutStatistics,
        Self::FewStatistics,
        Self::Optimized,
    ];

    fn partitions(self) -> &'static [&'static str] {
        match self {
            Self::OnePartition | Self::Checkpointed | Self::Optimized => &["place"],
            Self::TwoPartitions | Self::Rewritten => &["session", "implant"],
            Self::ManyPartitions => &["place", "implant", "session", "rate"],
            Self::TimePartition => &["started"],
            Self::FlagPartition => &["flag"],
            _ => &[],
        }
    }

    /// Makes a table of this shape.
    pub(crate) async fn make(self, location: &Location, chance: &mut Chance) -> DeltaTable {
        let rows = 30;
        let mut table = self.create(location, chance).await;
        if self == Self::Empty {
            return table;
        }
        for (number, center) in [-60, -5, 0, 40, 90].into_iter().enumerate() {
            let mut batch = everything(chance, rows, center);
            let is_new = self == Self::AddedColumn && number < 2;
            if is_new {
                batch = without(&batch, &["name", "nested"]);
            }
            table = table
                .write([batch])
                .with_schema_mode(SchemaMode::Merge)
                .await
                .unwrap();
            if self == Self::Checkpointed && number == 2 {
                checkpoints::create_checkpoint(&table, None).await.unwrap();
            }
        }
        self.finish(table, chance).await
    }

    async fn create(self, location: &Location, chance: &mut Chance) -> DeltaTable {
        let mut batch = everything(chance, 1, 0);
        if self == Self::AddedColumn {
            batch = without(&batch, &["name", "nested"]);
        }
        let indexed = match self {
            Self::WithoutStatistics => Some("0"),
            Self::FewStatistics => Some("4"),
            _ => None,
        };
        let table = DeltaTable::new(location.log_store());
        let create = table
            .create()
            .with_columns(kernel(&batch.schema()))
            .with_partition_columns(self.partitions().iter().copied());
        let create = match indexed {
            Some(columns) => create.with_configuration([(
                "delta.dataSkippingNumIndexedCols".to_owned(),
                Some(columns.to_owned()),
            )]),
            None => create,
        };
        create.await.unwrap()
    }

    async fn finish(self, table: DeltaTable, chance: &mut Chance) -> DeltaTable {
        match self {
            Self::Rewritten => {
                let (table, _) = table
                    .delete()
                    .with_predicate(col("tiny").lt(lit(-50_i8)))
                    .await
                    .unwrap();
                let updated = table
                    .update()
                    .with_predicate(col("long").gt(lit(80_i64)))
                    .with_update("name", "'updated'");
                let (table, _) = updated.await.unwrap();
                let (table, _) = table
                    .delete()
                    .with_predicate(col("implant").eq(lit(1)))
                    .await
                    .unwrap();
                table
            }
            Self::Overwritten => {
                let batch = everything(chance, 25, 7);
                table
                    .write([batch])
                    .with_save_mode(SaveMode::Overwrite)
                    .await
                    .unwrap()
            }
            Self::Optimized => table.optimize().await.unwrap().0,
            _ => table,
        }
    }
}

/// Puts a commit by hand behind the newest one.
pub(crate) async fn commit(location: &Location, version: u64, actions: &[serde_json::Value]) {
    let lines: Vec<String> = actions.iter().map(ToString::to_string).collect();
    put_commit(location, version, &lines.join("\n")).await;
}

pub(crate) async fn put_commit(location: &Location, version: u64, text: &str) {
    let path = location
        .path()
        .join("_delta_log")
        .join(format!("{version:020}.json"));
    location
        .store
        .put(&path, text.to_owned().into())
        .await
        .unwrap();
}

/// The actions of a commit.
pub(crate) async fn actions(location: &Location, version: u64) -> Vec<serde_json::Value> {
    let path: Path = location
        .path()
        .join("_delta_log")
        .join(format!("{version:020}.json"));
    let bytes = location
        .store
        .get(&path)
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
