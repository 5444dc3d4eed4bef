use std::fmt::Write as _;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::ScalarValue;
use datafusion::datasource::MemTable;
use datafusion::logical_expr::Operator;
use datafusion::logical_expr::expr::BinaryExpr;
use datafusion::physical_plan::displayable;
use datafusion::prelude::{DataFrame, Expr, SessionContext, ident, lit};
use deltalake::DeltaTable;
use neurolake_delta::Location;
use neurolake_query::{Error, Lake, Request, Stores};
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::json;
use url::Url;

use crate::counting::{self, Counting};
use crate::delta_tables::{self as tables, Chance, Shape};

/// Tables in one bucket that is in memory, at `s3://lake/NAME`.
pub(crate) struct World {
    store: Arc<dyn ObjectStore>,
    counting: Counting,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::over(Arc::new(InMemory::new()))
    }

    fn over(store: Arc<dyn ObjectStore>) -> Self {
        let counting = Counting::new(Arc::clone(&store));
        Self { store, counting }
    }

    pub(crate) fn location(&self, name: &str) -> Location {
        Location::new(
            Url::parse(&format!("s3://lake/{name}/")).unwrap(),
            Arc::clone(&self.store),
        )
    }

    pub(crate) fn lake(&self, names: &[&str]) -> Lake {
        let tables: Vec<_> = names
            .iter()
            .map(|name| {
                json!({
                    "name": name,
                    "source": {"kind": "delta", "uri": format!("s3://lake/{name}")},
                    "rust_path": format!("test::{name}"),
                    "location": {"file": "src/lib.rs", "line": 1},
                })
            })
            .collect();
        let catalog = json!({
            "format_version": 1,
            "name": "test",
            "databases": [{
                "name": "db",
                "location": {"file": "src/lib.rs", "line": 1},
                "tables": tables,
            }],
        });
        let counting = self.counting.clone();
        Lake::builder(serde_json::from_value(catalog).unwrap())
            .stores(Stores::default())
            .wrap_stores(Arc::new(move |_| Arc::new(counting.clone())))
            .build()
            .unwrap()
    }

    /// Rows of a query, and bytes and files of data that were read for it.
    async fn read(&self, lake: &Lake, sql: &str) -> (usize, u64, usize) {
        // Opening the table is not what is measured.
        let lake = lake.session();
        lake.table("db", "t").await.unwrap();
        self.counting.take();
        let batches = query(&lake, sql).await.unwrap();
        let (bytes, files) = counting::data(&self.counting.take());
        let rows = batches.iter().map(RecordBatch::num_rows).sum();
        println!("{bytes:>9} bytes of {files} files, {rows} rows: {sql}");
        (rows, bytes, files)
    }
}

pub(crate) async fn query(lake: &Lake, sql: &str) -> Result<Vec<RecordBatch>, Error> {
    let answer = lake.query(Request::new(sql)).await?;
    let collected = datafusion::physical_plan::common::collect(answer.stream).await;
    collected.map_err(Error::from)
}

/// The error with all its causes, as a program would print it.
pub(crate) fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        write!(text, ": {cause}").unwrap();
        source = cause.source();
    }
    text
}

/// Rows as sorted text: two scans may give them in any order.
pub(crate) fn rows(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            let values: Vec<_> = columns
                .iter()
                .map(|column| column.value(row).to_string())
                .collect();
            rows.push(values.join(" | "));
        }
    }
    rows.sort_unstable();
    rows
}

async fn collect(frame: DataFrame) -> Vec<RecordBatch> {
    frame.collect().await.unwrap()
}

/// A predicate made of values that are in the table, and others.
pub(crate) fn predicate(chance: &mut Chance, table: &RecordBatch, depth: usize) -> Expr {
    if depth > 0 && chance.below(3) > 0 {
        let left = predicate(chance, table, depth - 1);
        let right = predicate(chance, table, depth - 1);
        return match chance.below(4) {
            0 => left.or(right),
            1 => !left,
            _ => left.and(right),
        };
    }
    let position = chance.below(table.num_columns());
    let schema = table.schema();
    let field = schema.field(position);
    let column = ident(field.name());
    if field.data_type().is_nested() || chance.below(10) == 0 {
        return match chance.below(2) {
            0 => column.is_null(),
            _ => column.is_not_null(),
        };
    }
    let value = |chance: &mut Chance| match table.num_rows() {
        0 => lit(ScalarValue::new_default(field.data_type()).unwrap()),
        rows => {
            let row = chance.below(rows);
            match ScalarValue::try_from_array(table.column(position), row).unwrap() {
                ScalarValue::Float32(Some(value)) if value.is_nan() => lit(1_f32),
                ScalarValue::Float64(Some(value)) if value.is_nan() => lit(1_f64),
                value => lit(value),
            }
        }
    };
    if *field.data_type() == DataType::Utf8 && chance.below(5) == 0 {
        return column.like(lit(*chance.pick(&[
            "a%",
            "%b",
            "name 1%",
            "the same forty%",
            "_",
        ])));
    }
    // Row groups are judged by statistics that don't count NaN, by the engine's own reader: `<`,
    // `>` and `= NaN` lose NaN there, in deltalake's scan as well.
    let with_nan = ["single", "double"].contains(&field.name().as_str());
    match if with_nan { 2 } else { chance.below(8) } {
        0 => {
            let values = (0..3).map(|_| value(chance)).collect();
            column.in_list(values, chance.below(3) == 0)
        }
        1 => column.between(value(chance), value(chance)),
        operator => {
            let operators = [
                Operator::Eq,
                Operator::NotEq,
                Operator::Lt,
                Operator::LtEq,
                Operator::Gt,
                Operator::GtEq,
            ];
            let right = value(chance);
            Expr::BinaryExpr(BinaryExpr::new(
                Box::new(column),
                operators[operator - 2],
                Box::new(right),
            ))
        }
    }
}

/// The whole table as deltalake reads it, as plain arrays.
pub(crate) async fn by_deltalake(table: &DeltaTable, schema: &Arc<Schema>) -> RecordBatch {
    let context = SessionContext::new();
    let provider = table.table_provider().build().await.unwrap();
    let frame = context.read_table(Arc::new(provider)).unwrap();
    let batches = collect(frame).await;
    let cast = |batch: &RecordBatch| {
        let columns = schema.fields().iter().map(|field| {
            let column = batch.column_by_name(field.name()).unwrap();
            datafusion::arrow::compute::cast(column, field.data_type()).unwrap()
        });
        RecordBatch::try_new(Arc::clone(schema), columns.collect()).unwrap()
    };
    let batches: Vec<_> = batches.iter().map(cast).collect();
    datafusion::arrow::compute::concat_batches(schema, &batches).unwrap()
}

pub(crate) fn seed() -> u64 {
    let given = option_env!("NEUROLAKE_TEST_SEED").and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        u64::from(now.unwrap().subsec_nanos())
    })
}

/// All rows, then rows by random predicates and projections.
async fn compare(world: &World, name: &str, table: &DeltaTable, chance: &mut Chance, cases: usize) {
    let lake = world.lake(&[name]);
    let ours = lake.table("db", name).await.unwrap();
    let schema = Arc::new(ours.schema().as_arrow().clone());
    let expected = by_deltalake(table, &schema).await;
    assert_eq!(
        rows(&collect(ours.clone()).await),
        rows(std::slice::from_ref(&expected)),
        "{name}"
    );
    let count = ours.clone().count().await.unwrap();
    assert_eq!(count, expected.num_rows(), "{name}");

    let truth = SessionContext::new();
    let memory = MemTable::try_new(Arc::clone(&schema), vec![vec![expected.clone()]]).unwrap();
    let truth = truth.read_table(Arc::new(memory)).unwrap();
    for _ in 0..cases {
        let filter = predicate(chance, &expected, 2);
        let columns: Vec<&str> = schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        let some: Vec<&str> = (0..=chance.below(4))
            .map(|_| *chance.pick(&columns))
            .collect();
        let mut some: Vec<&str> = some;
        some.sort_unstable();
        some.dedup();
        let select = |frame: &DataFrame| {
            let frame = frame.clone().filter(filter.clone()).unwrap();
            frame.select_columns(&some).unwrap()
        };
        let (ours_rows, truth_rows) = (collect(select(&ours)).await, collect(select(&truth)).await);
        let (ours_rows, truth_rows) = (rows(&ours_rows), rows(&truth_rows));
        assert_eq!(ours_rows, truth_rows, "{name}: {filter}: {some:?}");
        let count = ours
            .clone()
            .filter(filter.clone())
            .unwrap()
            .count()
            .await
            .unwrap();
        assert_eq!(count, truth_rows.len(), "{name}: count where {filter}");
    }
    // Answers that may come from statistics alone.
    let context = lake.context();
    for field in schema.fields() {
        if field.data_type().is_nested() || *field.data_type() == DataType::Boolean {
            continue;
        }
        let one = |table: &str| {
            let column = field.name();
            format!("select min({column}), max({column}), count({column}), count(*) from {table}")
        };
        let ours = context.sql(&one(&format!("db.{name}"))).await.unwrap();
        let memory = SessionContext::new();
        memory.register_batch("t", expected.clone()).unwrap();
        let truth = memory.sql(&one("t")).await.unwrap();
        assert_eq!(
            rows(&collect(ours).await),
            rows(&collect(truth).await),
            "{name}: {field}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_those_of_deltalake_for_every_shape() {
    let seed = seed();
    println!("NEUROLAKE_TEST_SEED={seed}");
    let mut chance = Chance::new(seed);
    let world = World::new();
    for shape in Shape::ALL {
        let name = format!("{shape:?}").to_lowercase();
        let table = shape.make(&world.location(&name), &mut chance).await;
        compare(&world, &name, &table, &mut chance, 8).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_are_plain_parquet_scans() {
    let world = World::new();
    Shape::OnePartition
        .make(&world.location("t"), &mut Chance::new(1))
        .await;
    let lake = world.lake(&["t"]);
    let frame = lake
        .context()
        .sql("select id, place from db.t where int > 3")
        .await
        .unwrap();
    let plan = frame.create_physical_plan().await.unwrap();
    let text = displayable(plan.as_ref()).indent(true).to_string();
    assert!(
        text.contains("DataSourceExec") && text.contains("file_type=parquet"),
        "{text}"
    );
    assert!(!text.contains("Delta"), "{text}");
}

/// Eight days of readings: a partition for each day, sorted by time in each, in row groups.
async fn readings(location: &Location) {
    let schema = Arc::new(Schema::new(vec![
        Field::new("day", DataType::Int32, true),
        Field::new("time", DataType::Int64, true),
        Field::new("value", DataType::Float64, true),
        Field::new("other", DataType::Float64, true),
    ]));
    let mut chance = Chance::new(3);
    let mut noise = |rows: usize| -> ArrayRef {
        let values = (0..rows).map(|_| f64::from_bits(chance.next() >> 2));
        Arc::new(Float64Array::from_iter_values(values))
    };
    let per_day = 100_000;
    let properties = datafusion::parquet::file::properties::WriterProperties::builder()
        .set_max_row_group_row_count(Some(10_000))
        .set_compression(datafusion::parquet::basic::Compression::SNAPPY)
        .build();
    let table = DeltaTable::new(location.log_store());
    let mut table = table
        .create()
        .with_columns(tables::kernel(&schema))
        .with_partition_columns(["day"])
        .await
        .unwrap();
    for day in 0..8_i32 {
        let times = (0..per_day).map(|row| i64::from(day) * 1_000_000 + row as i64);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int32Array::from(vec![day; per_day])),
            Arc::new(Int64Array::from_iter_values(times)),
            noise(per_day),
            noise(per_day),
        ];
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
        table = table
            .write([batch])
            .with_writer_properties(properties.clone())
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_bytes_that_matter_are_read() {
    let world = World::new();
    readings(&world.location("t")).await;
    // A footer is read with so many bytes before it.
    let settings = "datafusion.execution.parquet.metadata_size_hint";
    let lake = world.lake(&["t"]);
    println!("{settings} stays as it is");
    let (_, everything, files) = world.read(&lake, "select * from db.t").await;
    assert_eq!(files, 8);
    let day = everything / 8;

    let (rows, bytes, files) = world.read(&lake, "select * from db.t where day = 3").await;
    assert_eq!((rows, files), (100_000, 1));
    assert!(bytes <= day * 11 / 10, "{bytes} of {day}");

    // Another process has no footers in memory.
    let fresh = world.lake(&["t"]);
    let hint = 512 * 1024;
    let sorted = "select value from db.t where time between 3000100 and 3000200";
    let (rows, bytes, files) = world.read(&fresh, sorted).await;
    assert_eq!((rows, files), (101, 1));
    // Two parts of the scan may come for the footer at the same time.
    assert!(bytes <= 2 * hint + day / 5, "{bytes} of {day}");
    let (_, again, _) = world.read(&fresh, sorted).await;
    assert!(again <= day / 8, "{again} of {day}");

    let (_, bytes, files) = world
        .read(&lake, "select value from db.t where day in (1, 2)")
        .await;
    assert_eq!(files, 2);
    assert!(
        bytes <= day * 11 / 10,
        "one of two columns of two days: {bytes} of {day}"
    );

    let (rows, bytes, files) = world.read(&lake, "select time from db.t limit 10").await;
    assert_eq!((rows, files), (10, 1));
    assert!(bytes <= day / 2, "{bytes} of {day}");

    for sql in [
        "select count(*) from db.t",
        "select count(time), min(time), max(time), min(day), max(day) from db.t",
        "select count(*) from db.t where day = 5",
        "select * from db.t where day = 99",
        "select * from db.t where time > 99000000",
        "select * from db.t where day is null",
    ] {
        let (_, bytes, _) = world.read(&lake, sql).await;
        assert_eq!(bytes, 0, "{sql}");
    }
    let newest = "select time from db.t order by time desc limit 5";
    let (rows, bytes, _) = world.read(&world.lake(&["t"]), newest).await;
    assert_eq!(rows, 5);
    assert!(bytes <= everything / 2, "{bytes} of {everything}");
}

fn two_columns(ids: std::ops::Range<i64>, first: &str, second: &str) -> RecordBatch {
    let names = ids.clone().map(|id| format!("name {id}"));
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(names));
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(ids));
    RecordBatch::try_from_iter_with_nullable([(first, ids, true), (second, names, true)]).unwrap()
}

async fn write(location: &Location, batch: RecordBatch) -> DeltaTable {
    let mut table = DeltaTable::new(location.log_store());
    let _ = table.load().await;
    table.write([batch]).await.unwrap()
}

/// Four rows as a deletion vector inside of the log.
fn deletion_vector(deleted: [u16; 4]) -> serde_json::Value {
    let mut bytes = Vec::new();
    bytes.extend(1_681_511_377_u32.to_le_bytes());
    // One bitmap of 32 bits for the upper half 0.
    bytes.extend(1_u64.to_le_bytes());
    bytes.extend(0_u32.to_le_bytes());
    // A roaring bitmap with one container, an array at offset 16.
    bytes.extend(12_346_u32.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(0_u16.to_le_bytes());
    bytes.extend(3_u16.to_le_bytes());
    bytes.extend(16_u32.to_le_bytes());
    for row in deleted {
        bytes.extend(row.to_le_bytes());
    }
    json!({
        "storageType": "i",
        "pathOrInlineDv": z85(&bytes),
        "sizeInBytes": bytes.len(),
        "cardinality": 4,
    })
}

fn with_deletion_vectors() -> serde_json::Value {
    let features = ["deletionVectors"];
    json!({"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": features})
}

/// Takes rows out of the only file of a version, in the next one.
pub(crate) async fn delete(location: &Location, version: u64, deleted: [u16; 4]) {
    let actions = tables::actions(location, version).await;
    let add = actions.iter().find_map(|action| action.get("add")).unwrap();
    let mut with_vector = add.clone();
    with_vector["deletionVector"] = deletion_vector(deleted);
    let remove = json!({"path": add["path"], "dataChange": true, "deletionTimestamp": 1});
    tables::commit(
        location,
        version + 1,
        &[
            json!({"protocol": with_deletion_vectors()}),
            json!({"remove": remove}),
            json!({"add": with_vector}),
        ],
    )
    .await;
}

fn z85(bytes: &[u8]) -> String {
    let digits =
        b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
    let mut text = String::new();
    for chunk in bytes.chunks_exact(4) {
        let number = u32::from_be_bytes(chunk.try_into().unwrap());
        for power in [85_u32.pow(4), 85_u32.pow(3), 85_u32.pow(2), 85, 1] {
            text.push(char::from(digits[(number / power % 85) as usize]));
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_vectors_are_read_by_deltalake() {
    let world = World::new();
    let location = world.location("t");
    write(&location, two_columns(0..20, "id", "name")).await;
    delete(&location, 0, [1, 3, 5, 19]).await;
    let lake = world.lake(&["t"]);
    let found = query(&lake, "select id from db.t where id < 7")
        .await
        .unwrap();
    assert_eq!(rows(&found), ["0", "2", "4", "6"]);
    let count = query(&lake, "select count(*) from db.t").await.unwrap();
    assert_eq!(rows(&count), ["16"]);
    let frame = lake.context().sql("select * from db.t").await.unwrap();
    let plan = frame.create_physical_plan().await.unwrap();
    let text = displayable(plan.as_ref()).indent(true).to_string();
    assert!(text.contains("Delta"), "{text}");
    // Before that commit there were none.
    let before = query(&lake, "select count(*) from db.\"t@0\"")
        .await
        .unwrap();
    assert_eq!(rows(&before), ["20"]);
    // The feature alone doesn't need deltalake.
    let empty = world.location("feature");
    write(&empty, two_columns(0..20, "id", "name")).await;
    let protocol = json!({"protocol": with_deletion_vectors()});
    tables::commit(&empty, 1, &[protocol]).await;
    let lake = world.lake(&["feature"]);
    let frame = lake
        .context()
        .sql("select * from db.feature")
        .await
        .unwrap();
    let plan = frame.create_physical_plan().await.unwrap();
    let text = displayable(plan.as_ref()).indent(true).to_string();
    assert!(!text.contains("Delta"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mapped_columns_are_read_by_deltalake() {
    let world = World::new();
    let location = world.location("t");
    write(&location, two_columns(0..20, "col-1", "col-2")).await;
    let actions = tables::actions(&location, 0).await;
    let metadata = actions
        .iter()
        .find_map(|action| action.get("metaData"))
        .unwrap();
    let field = |name: &str, kind: &str, number: i32| {
        json!({"name": name, "type": kind, "nullable": true, "metadata": {
            "delta.columnMapping.id": number,
            "delta.columnMapping.physicalName": format!("col-{number}"),
        }})
    };
    let schema =
        json!({"type": "struct", "fields": [field("id", "long", 1), field("name", "string", 2)]});
    let mut metadata = metadata.clone();
    metadata["schemaString"] = json!(schema.to_string());
    metadata["configuration"] = json!({
        "delta.columnMapping.mode": "name",
        "delta.columnMapping.maxColumnId": "2",
    });
    tables::commit(
        &location,
        1,
        &[
            json!({"protocol": {"minReaderVersion": 2, "minWriterVersion": 5}}),
            json!({"metaData": metadata}),
        ],
    )
    .await;
    let lake = world.lake(&["t"]);
    let found = query(&lake, "select name, id from db.t where id >= 18")
        .await
        .unwrap();
    assert_eq!(rows(&found), ["name 18 | 18", "name 19 | 19"]);
    assert_eq!(
        rows(&query(&lake, "select count(*) from db.t").await.unwrap()),
        ["20"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn widened_columns_are_cast() {
    let world = World::new();
    let location = world.location("t");
    let ids: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]));
    let batch = RecordBatch::try_from_iter_with_nullable([("id", ids, true)]).unwrap();
    write(&location, batch).await;
    let actions = tables::actions(&location, 0).await;
    let metadata = actions
        .iter()
        .find_map(|action| action.get("metaData"))
        .unwrap();
    let schema = json!({"type": "struct", "fields": [{"name": "id", "type": "long", "nullable": true, "metadata": {}}]});
    let mut metadata = metadata.clone();
    metadata["schemaString"] = json!(schema.to_string());
    let features = json!(["typeWidening"]);
    tables::commit(&location, 1, &[
        json!({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": features}}),
        json!({"metaData": metadata}),
    ])
    .await;
    let lake = world.lake(&["t"]);
    let found = query(&lake, "select id, arrow_typeof(id) from db.t where id > 1")
        .await
        .unwrap();
    assert_eq!(rows(&found), ["3 | Int64"]);
    let found = query(&lake, "select max(id), count(id) from db.t")
        .await
        .unwrap();
    assert_eq!(rows(&found), ["3 | 2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_feature_is_refused_with_its_name() {
    let world = World::new();
    let location = world.location("t");
    write(&location, two_columns(0..3, "id", "name")).await;
    let features = json!(["timeMachine"]);
    tables::commit(&location, 1, &[
        json!({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": features}}),
    ])
    .await;
    let lake = world.lake(&["t"]);
    let error = query(&lake, "select * from db.t").await.unwrap_err();
    let text = chain(&error);
    assert!(
        text.contains("db.t") && text.contains("s3://lake/t") && text.contains("timeMachine"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_that_are_cut_off_still_find_their_rows() {
    let world = World::new();
    let location = world.location("t");
    let at = |micros: Vec<i64>| -> ArrayRef {
        let array = datafusion::arrow::array::TimestampMicrosecondArray::from(micros);
        Arc::new(array.with_timezone("UTC"))
    };
    let names: ArrayRef = Arc::new(StringArray::from(vec!["prefix and more", "prefix and zzz"]));
    let times = at(vec![1_700_000_000_000_001, 1_700_000_000_123_999]);
    let batch =
        RecordBatch::try_from_iter_with_nullable([("name", names, true), ("at", times, true)])
            .unwrap();
    write(&location, batch).await;
    let mut actions = tables::actions(&location, 0).await;
    for action in &mut actions {
        if let Some(add) = action.get_mut("add") {
            add["stats"] = json!(
                json!({
                    "numRecords": 2,
                    "minValues": {"name": "pre", "at": "2023-11-14T22:13:20.000Z"},
                    "maxValues": {"name": "pre\u{fffd}", "at": "2023-11-14T22:13:20.123Z"},
                    "nullCount": {"name": 0, "at": 0},
                })
                .to_string()
            );
        }
    }
    tables::commit(&location, 0, &actions).await;
    let lake = world.lake(&["t"]);
    for (filter, expected) in [
        ("at > '2023-11-14T22:13:20.123Z'", 1),
        ("at = '2023-11-14T22:13:20.123999Z'", 1),
        ("name >= 'prefix and zzz'", 1),
        ("name = 'prefix and more'", 1),
        ("name > 'prf'", 0),
    ] {
        let found = query(&lake, &format!("select name from db.t where {filter}"))
            .await
            .unwrap();
        assert_eq!(rows(&found).len(), expected, "{filter}");
    }
    let found = query(&lake, "select min(name), max(name), max(at) from db.t")
        .await
        .unwrap();
    assert_eq!(
        rows(&found),
        ["prefix and more | prefix and zzz | 2023-11-14T22:13:20.123999Z"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_tables_say_which_and_where() {
    let world = World::new();
    let lake = world.lake(&["absent", "half", "footer", "gone", "fine"]);
    let fine = world.location("fine");
    write(&fine, two_columns(0..3, "id", "name")).await;

    let error = query(&lake, "select * from db.absent").await.unwrap_err();
    assert_eq!(
        chain(&error),
        "db.absent can't be read: there is no Delta table at s3://lake/absent/"
    );
    assert!(error.hint.is_some());

    let half = world.location("half");
    write(&half, two_columns(0..3, "id", "name")).await;
    tables::put_commit(&half, 1, r#"{"add":{"path":"part"#).await;
    let error = query(&lake, "select * from db.half").await.unwrap_err();
    assert!(
        chain(&error)
            .contains("db.half can't be read: the log of the Delta table at s3://lake/half/"),
        "{}",
        chain(&error)
    );

    for (name, bytes) in [
        ("footer", Some("PAR1 and then nothing good PAR0")),
        ("gone", None),
    ] {
        let location = world.location(name);
        let table = write(&location, two_columns(0..3, "id", "name")).await;
        let uri = table.get_file_uris().unwrap().next().unwrap();
        let file = location.path().join(uri.rsplit('/').next().unwrap());
        match bytes {
            Some(bytes) => drop(world.store.put(&file, bytes.into()).await.unwrap()),
            None => world.store.delete(&file).await.unwrap(),
        }
        let error = query(&lake, &format!("select id from db.{name}"))
            .await
            .unwrap_err();
        let text = chain(&error);
        println!("{text}");
        assert!(text.contains(&format!("db.{name}")), "{text}");
        assert!(text.contains(&format!("s3://lake/{name}/")), "{text}");
        assert_eq!(error.kind, neurolake_query::Kind::Broken, "{text}");
    }
    // A table that appears later, beside the broken ones.
    assert_eq!(
        rows(&query(&lake, "select count(*) from db.fine").await.unwrap()),
        ["3"]
    );
    write(&world.location("absent"), two_columns(0..2, "id", "name")).await;
    assert_eq!(
        rows(&query(&lake, "select id from db.absent").await.unwrap()),
        ["0", "1"]
    );

    let error = query(&lake, "select * from db.\"fine@7\"")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("db.fine can't be read: the Delta table at s3://lake/fine/ has no version 7; it has version 0 of"), "{error}");
    assert_eq!(error.kind, neurolake_query::Kind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_sees_one_version_and_the_next_one_the_newest() {
    let world = World::new();
    let location = world.location("t");
    write(&location, two_columns(0..3, "id", "name")).await;
    let lake = world.lake(&["t"]);
    let session = lake.session();
    let first = session.table("db", "t").await.unwrap();
    write(&location, two_columns(3..5, "id", "name")).await;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while rows(&query(&lake, "select count(*) from db.t").await.unwrap()) != ["5"] {
        assert!(
            std::time::Instant::now() < deadline,
            "the commit never became visible"
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let again = session.table("db", "t").await.unwrap();
    assert_eq!(first.count().await.unwrap(), 3);
    assert_eq!(again.count().await.unwrap(), 3);
    let old = query(&lake, "select count(*) from db.\"t@0\"")
        .await
        .unwrap();
    assert_eq!(rows(&old), ["3"]);
}

/// What few rows match is filtered inside the decoder; what many match, after it.
#[tokio::test(flavor = "multi_thread")]
async fn filters_that_leave_few_rows_run_inside_the_decoder() {
    let world = World::new();
    let location = world.location("t");
    for part in 0..3 {
        write(
            &location,
            two_columns(part * 1000..(part + 1) * 1000, "id", "name"),
        )
        .await;
    }
    let lake = world.lake(&["t"]);
    let many: Vec<_> = (0..500).map(|number| (number * 2).to_string()).collect();
    for (filter, inside, expected) in [
        ("id = 1234", true, 1),
        ("1234 = id", true, 1),
        ("id in (5, 1234, 2999, 7777)", true, 3),
        ("id = 1234 and name <> 'x'", true, 1),
        ("id = 1234 and name = 'name 1500'", true, 0),
        ("id > 1234", false, 1765),
        ("id not in (5, 6)", false, 2998),
        ("id = 5 or id = 6", true, 2),
        ("name = 'name 5'", false, 1),
        ("id % 1000 = 3", false, 3),
        // It might fail, which is not the file's fault.
        ("id = 1234 and 100 / id = 0", false, 1),
        // Of 1,000 values.
        (&format!("id in ({})", many.join(", ")), false, 500),
    ] {
        let sql = format!("select name from db.t where {filter}");
        let frame = lake.context().sql(&sql).await.unwrap();
        let plan = frame.create_physical_plan().await.unwrap();
        let text = displayable(plan.as_ref()).indent(true).to_string();
        assert_eq!(!text.contains("FilterExec"), inside, "{filter}\n{text}");
        let found = query(&lake, &sql).await.unwrap();
        assert_eq!(rows(&found).len(), expected, "{filter}");
    }
}
