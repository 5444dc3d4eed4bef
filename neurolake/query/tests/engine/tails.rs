//! Rows on their way to a Delta table, joined with what is committed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch,
    StringArray, StructArray, new_null_array,
};
use datafusion::arrow::datatypes::{DataType, Field, Fields, Int64Type, Schema, SchemaRef};
use datafusion::datasource::MemTable;
use datafusion::physical_plan::displayable;
use datafusion::prelude::SessionContext;
use deltalake::DeltaTable;
use deltalake::kernel::Transaction;
use deltalake::kernel::transaction::CommitProperties;
use deltalake::operations::write::SchemaMode;
use futures::StreamExt;
use neurolake_delta::{Location, ingested_by};
use neurolake_query::doctor::{Checkup, Outcome};
use neurolake_query::{Error, Kind, Lake, Tail, TailError, Tails};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use serde_json::{Value, json};
use url::Url;

use crate::counting::{self, Counting};
use crate::delta::{chain, delete, query, rows, seed};
use crate::delta_tables::{self as tables, Chance};

/// A queue in memory.
#[derive(Debug, Default)]
struct Queue(Mutex<Records>);

impl Default for Records {
    fn default() -> Self {
        Self {
            application: ingested_by("first"),
            kept: BTreeMap::new(),
            last: 0,
            trimmed: 0,
            broken: None,
            asked: Vec::new(),
        }
    }
}

#[derive(Debug)]
struct Records {
    application: String,
    kept: BTreeMap<u64, RecordBatch>,
    last: u64,
    trimmed: u64,
    broken: Option<String>,
    asked: Vec<u64>,
}

impl Queue {
    fn append(&self, batch: RecordBatch) -> u64 {
        let mut records = self.0.lock().unwrap();
        records.last += 1;
        let offset = records.last;
        records.kept.insert(offset, batch);
        offset
    }

    fn trim(&self, until: u64) {
        let mut records = self.0.lock().unwrap();
        records.kept.retain(|offset, _| *offset > until);
        records.trimmed = records.trimmed.max(until);
    }

    fn between(&self, after: u64, until: u64) -> Vec<RecordBatch> {
        let records = self.0.lock().unwrap();
        let range = records.kept.range(after + 1..=until);
        range.map(|(_, batch)| batch.clone()).collect()
    }

    /// What queries asked for since the last call.
    fn asked(&self) -> Vec<u64> {
        std::mem::take(&mut self.0.lock().unwrap().asked)
    }

    fn application(&self) -> String {
        self.0.lock().unwrap().application.clone()
    }

    /// Everything that was not committed is lost.
    fn begin_anew(&self, name: &str) {
        *self.0.lock().unwrap() = Records {
            application: ingested_by(name),
            ..Records::default()
        };
    }

    fn break_off(&self, why: Option<&str>) {
        self.0.lock().unwrap().broken = why.map(str::to_owned);
    }
}

#[async_trait]
impl Tail for Queue {
    async fn application(&self) -> Result<String, TailError> {
        Ok(self.application())
    }

    async fn rows(&self, application: &str, after: u64) -> Result<Vec<RecordBatch>, TailError> {
        let mut records = self.0.lock().unwrap();
        if records.application != application {
            return Err(TailError::Anew);
        }
        records.asked.push(after);
        if let Some(why) = &records.broken {
            return Err(TailError::Unavailable(why.clone()));
        }
        if after < records.trimmed {
            return Err(TailError::Gone {
                trimmed: records.trimmed,
            });
        }
        let range = records.kept.range(after + 1..);
        Ok(range.map(|(_, batch)| batch.clone()).collect())
    }
}

struct One(Arc<dyn Tail>);

impl Tails for One {
    fn tail(&self, database: &str, table: &str) -> Option<Arc<dyn Tail>> {
        assert_eq!((database, table), ("db", "t"), "only this one takes events");
        Some(Arc::clone(&self.0))
    }
}

/// A table `db.t` that takes events, with its queue.
struct World {
    store: Arc<dyn ObjectStore>,
    counting: Counting,
    queue: Arc<Queue>,
    columns: Value,
    partition_by: Value,
}

impl World {
    fn new(columns: Value) -> Self {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        Self {
            counting: Counting::new(Arc::clone(&store)),
            store,
            queue: Arc::default(),
            columns,
            partition_by: json!([]),
        }
    }

    fn location(&self, name: &str) -> Location {
        Location::new(
            Url::parse(&format!("s3://lake/{name}/")).unwrap(),
            Arc::clone(&self.store),
        )
    }

    fn builder(&self) -> neurolake_query::LakeBuilder {
        let table = |name: &str, source: Value| {
            json!({
                "name": name, "source": source, "rust_path": name,
                "location": {"file": "src/lib.rs", "line": 1},
            })
        };
        let delta = |name: &str| {
            let mut table = table(
                name,
                json!({"kind": "delta", "uri": format!("s3://lake/{name}")}),
            );
            table["columns"] = self.columns.clone();
            table["partition_by"] = self.partition_by.clone();
            table
        };
        let mut ingested = delta("t");
        ingested["ingest"] = json!(true);
        let view = |name: &str, query: &str| table(name, json!({"kind": "sql", "query": query}));
        let catalog = json!({
            "format_version": 1,
            "name": "test",
            "databases": [{
                "name": "db",
                "location": {"file": "src/lib.rs", "line": 1},
                "tables": [
                    delta("other"),
                    ingested,
                    view("v", "select * from db.t where id >= 0"),
                    view("w", "select count(*) as n from db.v"),
                ],
            }],
        });
        let counting = self.counting.clone();
        Lake::builder(serde_json::from_value(catalog).unwrap())
            .wrap_stores(Arc::new(move |_| Arc::new(counting.clone())))
    }

    fn lake(&self) -> Lake {
        let tails = Arc::new(One(Arc::clone(&self.queue) as _));
        self.builder().tails(tails).build().unwrap()
    }

    async fn open(&self) -> DeltaTable {
        let mut table = DeltaTable::new(self.location("t").log_store());
        let _ = table.load().await;
        table
    }

    async fn create(&self, schema: &SchemaRef, partition_by: &[&str]) {
        let table = self.open().await;
        table
            .create()
            .with_columns(tables::kernel(schema))
            .with_partition_columns(partition_by.iter().copied())
            .await
            .unwrap();
    }

    /// Commits everything up to this offset, as the writer does.
    async fn commit(&self, after: u64, until: u64) {
        let batches = widened(self.queue.between(after, until));
        let transaction = Transaction::new(self.queue.application(), until.cast_signed());
        let properties = CommitProperties::default().with_application_transaction(transaction);
        let table = self.open().await;
        table
            .write(batches)
            .with_schema_mode(SchemaMode::Merge)
            .with_commit_properties(properties)
            .await
            .unwrap();
    }

    /// Bytes of data that a query reads.
    async fn bytes(&self, lake: &Lake, sql: &str) -> u64 {
        let session = lake.session();
        session.table("db", "t").await.unwrap();
        self.counting.take();
        query(&session, sql).await.unwrap();
        counting::data(&self.counting.take()).0
    }
}

/// With the columns of all of them, as deltalake's writer wants it.
fn widened(batches: Vec<RecordBatch>) -> Vec<RecordBatch> {
    let mut fields: Vec<Field> = Vec::new();
    for field in batches.iter().flat_map(|batch| batch.schema_ref().fields()) {
        if fields.iter().all(|known| known.name() != field.name()) {
            fields.push(field.as_ref().clone());
        }
    }
    let widen = |batch: &RecordBatch| {
        let columns = fields.iter().map(|field| {
            let column = batch.column_by_name(field.name()).cloned();
            column.unwrap_or_else(|| new_null_array(field.data_type(), batch.num_rows()))
        });
        let schema = Arc::new(Schema::new(fields.clone()));
        RecordBatch::try_new(schema, columns.collect()).unwrap()
    };
    batches.iter().map(widen).collect()
}

fn column(name: &str, data_type: Value, nullable: bool) -> Value {
    json!({"name": name, "type": data_type, "nullable": nullable})
}

fn simple() -> Value {
    json!([
        column("id", json!("int64"), false),
        column("site", json!("string"), true),
        column("value", json!("float64"), true),
        column("note", json!("string"), true),
    ])
}

fn simple_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("site", DataType::Utf8, true),
        Field::new("value", DataType::Float64, true),
        Field::new("note", DataType::Utf8, true),
    ]))
}

fn record(ids: std::ops::Range<i64>) -> RecordBatch {
    let some = |id: i64| (id % 5 != 0).then_some(id);
    let sites = ids.clone().map(|id| match id % 4 {
        0 => None,
        1 => Some("a"),
        2 => Some("b"),
        _ => Some("x=y/z"),
    });
    let quarters = ids.clone().map(|id| some(id).map(|id| id as f64 / 4.0));
    let notes = ids.clone();
    let notes = notes.map(|id| some(id + 2).map(|id| format!("note {}", id % 7)));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(ids)),
        Arc::new(sites.collect::<StringArray>()),
        Arc::new(quarters.collect::<Float64Array>()),
        Arc::new(notes.collect::<StringArray>()),
    ];
    RecordBatch::try_new(simple_schema(), columns).unwrap()
}

async fn ask(lake: &Lake, sql: &str) -> Vec<String> {
    let answer = query(lake, sql).await;
    rows(&answer.unwrap_or_else(|error| panic!("{sql}: {}", chain(&error))))
}

async fn plan(lake: &Lake, sql: &str) -> String {
    let frame = lake.session().sql(sql).await.unwrap();
    let plan = frame.create_physical_plan().await.unwrap();
    displayable(plan.as_ref()).indent(true).to_string()
}

/// The same rows in a table that is nothing but rows.
fn truth(batches: &[RecordBatch]) -> SessionContext {
    let context = SessionContext::new();
    let table = MemTable::try_new(simple_schema(), vec![batches.to_vec()]).unwrap();
    context.register_table("t", Arc::new(table)).unwrap();
    context
}

fn condition(chance: &mut Chance, depth: usize, last: i64) -> String {
    if depth > 0 && chance.below(3) > 0 {
        let left = condition(chance, depth - 1, last);
        let right = condition(chance, depth - 1, last);
        return match chance.below(4) {
            0 => format!("({left} or {right})"),
            1 => format!("not ({left})"),
            _ => format!("({left} and {right})"),
        };
    }
    let id = chance.below(usize::try_from(last).unwrap() + 2);
    let site = *chance.pick(&["a", "b", "x=y/z", "q"]);
    let conditions = [
        format!("site = '{site}'"),
        format!("site <> '{site}'"),
        format!("site in ('a', '{site}')"),
        "site is null".to_owned(),
        "site is not null".to_owned(),
        format!("id = {id}"),
        format!("id > {id}"),
        format!("id between {} and {id}", id / 2),
        format!("id % 3 = {}", id % 3),
        format!("value < {id} / 4.0"),
        "value is null".to_owned(),
        format!("note = 'note {}'", id % 7),
        "note like '%3'".to_owned(),
        "note is null".to_owned(),
        format!("site = 'a' and id < {id}"),
        format!("coalesce(site, 'a') = note or id <> {id}"),
    ];
    chance.pick(&conditions).clone()
}

/// Statements that have one right answer, whatever the order of rows.
fn statement(chance: &mut Chance, last: i64) -> String {
    let filter = match chance.below(5) {
        0 => String::new(),
        _ => format!("where {}", condition(chance, 2, last)),
    };
    let limit = chance.below(8);
    let columns = *chance.pick(&[
        "*",
        "id",
        "note",
        "site",
        "site, id",
        "value, note, id",
        "note, site, value, id",
    ]);
    match chance.below(9) {
        0 => format!("select count(*) from t {filter}"),
        1 => format!(
            "select count(note), min(id), max(id), sum(value), min(site), count(distinct site) from t {filter}"
        ),
        2 => format!("select site, count(*), max(note) from t {filter} group by site"),
        3 => format!("select * from t {filter} order by id desc limit {limit}"),
        4 => format!("select id, note from t {filter} order by value, id limit 5 offset {limit}"),
        5 => format!("select count(*) from (select {columns} from t {filter} limit {limit})"),
        6 => format!(
            "select a.id, b.note from t a join t b on a.id = b.id {}",
            filter.replace(
                "where",
                "where a.id >= 0 and b.id in (select id from t where"
            ) + if filter.is_empty() { "" } else { ")" }
        ),
        _ => format!("select {columns} from t {filter}"),
    }
}

/// One history: appends, commits, trims and queries in any order.
async fn history(seed: u64) {
    let mut chance = Chance::new(seed);
    let mut world = World::new(simple());
    let choices: [&[&str]; 2] = [&[], &["site"]];
    let partitions = *chance.pick(&choices);
    world.partition_by = partitions
        .iter()
        .map(|name| json!({"name": name}))
        .collect();
    let mut lakes = vec![world.lake()];
    let (mut accepted, mut last, mut offset): (Vec<RecordBatch>, i64, u64) = (vec![], 0, 0);
    let (mut committed, mut trimmed) = (0, 0);
    if chance.below(3) > 0 {
        world.create(&simple_schema(), partitions).await;
    }
    for step in 0..60 {
        match chance.below(10) {
            0..3 => {
                let more = i64::try_from(chance.below(5)).unwrap();
                let batch = record(last..last + more);
                last += more;
                offset = world.queue.append(batch.clone());
                accepted.push(batch);
            }
            3 if committed < offset => {
                if committed == 0 && world.open().await.version().is_none() {
                    world.create(&simple_schema(), partitions).await;
                }
                let until = committed + 1 + chance.next() % (offset - committed);
                world.commit(committed, until).await;
                committed = until;
            }
            4 if trimmed < committed => {
                trimmed += 1 + chance.next() % (committed - trimmed);
                world.queue.trim(trimmed);
            }
            5 if committed > 0 && chance.below(3) == 0 => {
                // Neither a transaction nor rows.
                world.open().await.optimize().await.unwrap();
            }
            // Another process, which has seen nothing yet.
            6 if lakes.len() < 3 => lakes.push(world.lake()),
            _ => {
                let sql = statement(&mut chance, last);
                let expected = truth(&accepted).sql(&sql).await.unwrap();
                let expected = expected.collect().await.unwrap();
                let lake = chance.pick(&lakes);
                let ours = sql.replace(" t ", " db.t ");
                let ours = ours
                    .strip_suffix(" t")
                    .map_or(ours.clone(), |ours| format!("{ours} db.t"));
                let found = query(lake, &ours).await;
                let found =
                    found.unwrap_or_else(|error| panic!("seed {seed}: {ours}: {}", chain(&error)));
                assert_eq!(
                    rows(&found),
                    rows(&expected),
                    "seed {seed}, step {step}: {ours}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_sees_exactly_what_was_accepted() {
    let seed = seed();
    println!("NEUROLAKE_TEST_SEED={seed}");
    let histories = option_env!("NEUROLAKE_TEST_HISTORIES").and_then(|count| count.parse().ok());
    let seeds = seed..seed + histories.unwrap_or(12);
    let mut running =
        futures::stream::iter(seeds.map(|seed| tokio::spawn(history(seed)))).buffer_unordered(4);
    while let Some(ended) = running.next().await {
        ended.unwrap();
    }
}

/// A writer commits and trims at once, as fast as it can, while others append and ask.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_while_all_run_at_once() {
    let world = Arc::new(World::new(simple()));
    world.create(&simple_schema(), &[]).await;
    let acknowledged = Arc::new(Mutex::new(0));
    let is_done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let producer = {
        let (world, acknowledged, is_done) = (
            Arc::clone(&world),
            Arc::clone(&acknowledged),
            Arc::clone(&is_done),
        );
        tokio::spawn(async move {
            let mut next = 0;
            while !is_done.load(Ordering::Relaxed) {
                world.queue.append(record(next..next + 3));
                next += 3;
                *acknowledged.lock().unwrap() = next;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
    };
    let writer = {
        let (world, is_done) = (Arc::clone(&world), Arc::clone(&is_done));
        tokio::spawn(async move {
            let mut committed = 0;
            while !is_done.load(Ordering::Relaxed) {
                let until = world.queue.0.lock().unwrap().last;
                if until > committed {
                    world.commit(committed, until).await;
                    committed = until;
                    world.queue.trim(until);
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            committed
        })
    };
    let lake = world.lake();
    let mut counts = Vec::new();
    for number in 0..60 {
        let before = *acknowledged.lock().unwrap();
        let sql = match number % 2 {
            0 => "select id from db.t",
            _ => "select a.id from db.t a join db.v b on a.id = b.id",
        };
        let found = query(&lake, sql)
            .await
            .unwrap_or_else(|error| panic!("{}", chain(&error)));
        let ids: Vec<i64> = found
            .iter()
            .flat_map(|batch| {
                batch
                    .column(0)
                    .as_primitive::<Int64Type>()
                    .values()
                    .to_vec()
            })
            .collect();
        let distinct: BTreeSet<i64> = ids.iter().copied().collect();
        assert_eq!(ids.len(), distinct.len(), "a row was doubled");
        // Without gaps, and from the beginning.
        assert_eq!(distinct.last().map_or(0, |last| last + 1), ids.len() as i64);
        assert!(ids.len() as i64 >= before, "{} of {before}", ids.len());
        counts.push(ids.len());
    }
    is_done.store(true, Ordering::Relaxed);
    producer.await.unwrap();
    let committed = writer.await.unwrap();
    assert!(committed > 0 && counts.last() > counts.first());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_rows_on_their_way_the_plan_is_as_before() {
    let world = World::new(simple());
    world.create(&simple_schema(), &["site"]).await;
    world.queue.append(record(0..40));
    world.commit(0, 1).await;
    world.queue.trim(1);
    let (with, without) = (world.lake(), world.builder().build().unwrap());
    let some = "select note, id from db.t where site = 'a' and value > 3 limit 2";
    for sql in [some, "select * from db.t", "select count(*) from db.t"] {
        assert_eq!(plan(&with, sql).await, plan(&without, sql).await, "{sql}");
    }
    world.queue.append(record(40..50));
    let text = plan(&with, "select * from db.t where id >= 0").await;
    assert!(text.contains("UnionExec"), "{text}");
    // Both are plain scans, which any machine can run.
    assert_eq!(text.matches("DataSourceExec").count(), 2, "{text}");
    // No row on its way matches; no file matches.
    let text = plan(&with, "select * from db.t where id < 3").await;
    assert!(!text.contains("UnionExec"), "{text}");
    let text = plan(&with, "select * from db.t where id > 45").await;
    assert!(
        !text.contains("UnionExec") && !text.contains("parquet"),
        "{text}"
    );
    // Enough rows are on their way.
    let text = plan(&with, "select id from db.t limit 10").await;
    assert!(!text.contains("parquet"), "{text}");
    assert_eq!(ask(&with, "select id from db.t limit 10").await.len(), 10);
    assert_eq!(ask(&with, "select id from db.t limit 11").await.len(), 11);
    assert_eq!(ask(&with, "select id from db.t limit 99").await.len(), 50);
    // What is read of the files is what was read before.
    for sql in [
        "select count(*) from db.t",
        "select count(*) from db.t where site = 'b'",
        "select count(note) from db.t",
    ] {
        assert_eq!(world.bytes(&with, sql).await, 0, "{sql}");
    }
    assert_eq!(
        ask(&with, "select count(*), count(note) from db.t").await,
        ["50 | 40"]
    );
    let sql = "select value from db.t where site = 'a' and id > 20";
    let (with, without) = (world.lake(), world.builder().build().unwrap());
    assert_eq!(
        world.bytes(&with, sql).await,
        world.bytes(&without, sql).await
    );
}

/// Each look finds a row more.
#[derive(Debug)]
struct Growing(Arc<Queue>, AtomicUsize);

#[async_trait]
impl Tail for Growing {
    async fn application(&self) -> Result<String, TailError> {
        Ok(self.0.application())
    }

    async fn rows(&self, application: &str, after: u64) -> Result<Vec<RecordBatch>, TailError> {
        let look = self.1.fetch_add(1, Ordering::Relaxed) as i64;
        self.0.append(record(100 + look..101 + look));
        self.0.rows(application, after).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_looks_once_however_often_it_names_the_table() {
    let world = World::new(simple());
    world.create(&simple_schema(), &[]).await;
    world.queue.append(record(0..3));
    let growing = Arc::new(Growing(Arc::clone(&world.queue), AtomicUsize::new(0)));
    let lake = world
        .builder()
        .tails(Arc::new(One(Arc::clone(&growing) as _)));
    let lake = lake.build().unwrap();
    let sql = "select (select count(*) from db.t) as a, (select count(*) from db.v) as b, \
               (select n from db.w) as c, \
               (select count(*) from db.v x join db.v y on x.id = y.id) as d";
    assert_eq!(ask(&lake, sql).await, ["4 | 4 | 4 | 4"]);
    assert_eq!(growing.1.load(Ordering::Relaxed), 1);
    assert_eq!(ask(&lake, sql).await, ["5 | 5 | 5 | 5"]);
    let session = lake.session();
    let first = session.table("db", "t").await.unwrap();
    session.table("db", "v").await.unwrap();
    assert_eq!(first.count().await.unwrap(), 6);
    assert_eq!(growing.1.load(Ordering::Relaxed), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_not_made_yet_is_what_is_on_its_way() {
    let mut world = World::new(simple());
    world.partition_by = json!([{"name": "site"}]);
    let lake = world.lake();
    assert_eq!(
        ask(&lake, "select count(*), max(id) from db.t").await,
        ["0 | NULL"]
    );
    assert_eq!(
        ask(&lake, "select * from db.t where site = 'a'").await,
        [""; 0]
    );
    world.queue.append(record(0..6));
    assert_eq!(
        ask(&lake, "select id, site from db.t where site = 'a'").await,
        ["1 | a", "5 | a"]
    );
    let types = "select distinct arrow_typeof(id), arrow_typeof(note) from db.t";
    assert_eq!(ask(&lake, types).await, ["Int64 | Utf8"]);
    let found: Vec<_> = lake.doctor(&only_t()).collect().await;
    assert!(matches!(found[0].outcome, Outcome::Ok(_)), "{:?}", found[0]);

    world.create(&simple_schema(), &["site"]).await;
    world.commit(0, 1).await;
    world.queue.trim(1);
    world.queue.append(record(6..8));
    assert_eq!(ask(&lake, "select count(*) from db.t").await, ["8"]);
    assert_eq!(ask(&lake, types).await, ["Int64 | Utf8"]);
    // One that takes no events must be there.
    let error = query(&lake, "select * from db.other").await.unwrap_err();
    assert!(chain(&error).contains("there is no Delta table"), "{error}");
}

fn only_t() -> Checkup {
    Checkup {
        tables: Some(vec![("db".into(), "t".into())]),
        ..Checkup::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn earlier_versions_have_nothing_on_its_way() {
    let world = World::new(simple());
    world.create(&simple_schema(), &[]).await;
    world.queue.append(record(0..3));
    world.commit(0, 1).await;
    world.queue.append(record(3..5));
    let lake = world.lake();
    assert_eq!(ask(&lake, "select count(*) from db.t").await, ["5"]);
    assert_eq!(ask(&lake, "select count(*) from db.\"t@1\"").await, ["3"]);
    assert_eq!(ask(&lake, "select count(*) from db.\"t@0\"").await, ["0"]);
    let later = "select count(*) from db.\"t@2100-01-01\"";
    assert_eq!(ask(&lake, later).await, ["3"]);
    world.queue.break_off(Some("it hangs"));
    assert_eq!(ask(&lake, later).await, ["3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_cannot_be_had_are_an_error_and_not_left_out() {
    let world = World::new(simple());
    let lake = world.lake();
    let fail = async |what: &str| -> Error {
        let failed = query(&lake, "select count(*) from db.t").await;
        failed.err().unwrap_or_else(|| panic!("{what}"))
    };
    world.queue.break_off(Some("the server is gone"));
    let error = fail("nothing can be known").await;
    assert_eq!(error.kind, Kind::Broken);
    assert_eq!(
        chain(&error),
        "the rows on their way to db.t can't be read: the server is gone"
    );
    assert_eq!(error.hint.as_deref(), Some("try again"));

    world.create(&simple_schema(), &[]).await;
    let error = fail("rows may be on their way").await;
    assert_eq!(
        error.hint.as_deref(),
        Some("try again; what is committed can be read as \"t@0\"")
    );
    let found: Vec<_> = lake.doctor(&only_t()).collect().await;
    assert!(
        matches!(found[0].outcome, Outcome::Broken(_)),
        "{:?}",
        found[0]
    );
    world.queue.break_off(None);
    assert_eq!(ask(&lake, "select count(*) from db.t").await, ["0"]);

    // Trimmed, though no commit has them.
    for _ in 0..3 {
        world.queue.append(record(0..1));
    }
    world.commit(0, 1).await;
    world.queue.trim(2);
    world.queue.asked();
    let error = fail("the second record is lost").await;
    assert_eq!(error.kind, Kind::Broken);
    assert_eq!(
        chain(&error),
        "rows of db.t are missing: it holds them up to offset 1, and its queue keeps them only \
         from offset 3 on"
    );
    world.commit(1, 3).await;
    assert_eq!(ask(&lake, "select count(*) from db.t").await, ["2"]);
}

/// A writer that trims right behind its commits, and commits at every look.
#[derive(Debug)]
struct Running;

#[async_trait]
impl Tail for Running {
    async fn application(&self) -> Result<String, TailError> {
        Ok(ingested_by("first"))
    }

    async fn rows(&self, _: &str, after: u64) -> Result<Vec<RecordBatch>, TailError> {
        Err(TailError::Gone { trimmed: after })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_is_too_old_is_refreshed_at_once() {
    let world = World::new(simple());
    world.create(&simple_schema(), &[]).await;
    let lake = world.lake();
    for round in 1..=10 {
        let id = i64::try_from(round).unwrap();
        world.queue.append(record(id..id + 1));
        let count = [round.to_string()];
        assert_eq!(ask(&lake, "select count(*) from db.t").await, count);
        world.commit(round - 1, round).await;
        // At first the cached snapshot will do, as its rows are still kept.
        assert_eq!(ask(&lake, "select count(*) from db.t").await, count);
        world.queue.trim(round);
        world.queue.asked();
        assert_eq!(ask(&lake, "select count(*) from db.t").await, count);
        let asked = world.queue.asked();
        assert!(asked == [round - 1, round] || asked == [round], "{asked:?}");
    }
    let lake = world.builder().tails(Arc::new(One(Arc::new(Running))));
    let lake = lake.build().unwrap();
    let error = query(&lake, "select count(*) from db.t").await.unwrap_err();
    assert_eq!(error.kind, Kind::Timeout);
    assert_eq!(
        error.to_string(),
        "db.t is committed to faster than it can be looked at"
    );
}

/// Is another queue while somebody looks: the application is asked for, and is another one then.
#[derive(Debug)]
struct Changing(Arc<Queue>, AtomicUsize);

#[async_trait]
impl Tail for Changing {
    async fn application(&self) -> Result<String, TailError> {
        let application = self.0.application();
        match self.1.fetch_add(1, Ordering::Relaxed) {
            0 => {
                self.0.begin_anew("third");
                self.0.append(record(8..9));
            }
            1 => {
                self.0.begin_anew("fourth");
                self.0.append(record(8..9));
                self.0.append(record(9..10));
            }
            _ => {}
        }
        Ok(application)
    }

    async fn rows(&self, application: &str, after: u64) -> Result<Vec<RecordBatch>, TailError> {
        self.0.rows(application, after).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_of_a_queue_that_began_anew_are_its_own() {
    let world = World::new(simple());
    world.create(&simple_schema(), &[]).await;
    let lake = world.lake();
    for id in 0..5 {
        world.queue.append(record(id..id + 1));
    }
    world.commit(0, 5).await;
    assert_eq!(ask(&lake, "select count(*) from db.t").await, ["5"]);
    world.queue.begin_anew("second");
    assert_eq!(ask(&lake, "select count(*) from db.t").await, ["5"]);
    for id in 5..8 {
        world.queue.append(record(id..id + 1));
        let count = [(id + 1).to_string()];
        assert_eq!(ask(&lake, "select count(*) from db.t").await, count);
    }
    world.commit(0, 2).await;
    world.queue.trim(2);
    assert_eq!(ask(&lake, "select count(*) from db.t").await, ["8"]);
    let changing = Changing(Arc::clone(&world.queue), AtomicUsize::new(0));
    let tails = Arc::new(One(Arc::new(changing)));
    let lake = world.builder().tails(tails).build().unwrap();
    // The third record of the second queue went with it.
    assert_eq!(ask(&lake, "select count(*) from db.t").await, ["9"]);
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn longs(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn ints(values: &[i32]) -> ArrayRef {
    Arc::new(Int32Array::from(values.to_vec()))
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_came_later_or_went_are_null_where_they_are_not() {
    let columns = json!([
        column("note", json!("string"), true),
        column("id", json!("int64"), false),
        column("score", json!("float64"), true),
    ]);
    let world = World::new(columns);
    // Stored: another order, no `score`, and a column that is no longer declared.
    let stored = Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("gone", DataType::Int32, false),
        Field::new("note", DataType::Utf8, true),
    ]);
    world.create(&Arc::new(stored), &[]).await;
    let first = batch(vec![
        ("id", longs(&[1, 2])),
        ("gone", ints(&[5, 6])),
        ("note", texts(&["p", "q"])),
    ]);
    world.queue.append(first);
    world.commit(0, 1).await;
    let lake = world.lake();
    assert_eq!(
        ask(&lake, "select * from db.t").await,
        ["1 | 5 | p | NULL", "2 | 6 | q | NULL"]
    );
    assert_eq!(
        ask(
            &lake,
            "select score, id from db.t where score is null and id = 2"
        )
        .await,
        ["NULL | 2"]
    );
    assert_eq!(
        ask(&lake, "select count(*) from db.t where score > 0").await,
        ["0"]
    );

    // Accepted before `note` was declared, and after `score` was.
    world.queue.append(batch(vec![("id", longs(&[3]))]));
    let score: ArrayRef = Arc::new(Float64Array::from(vec![0.5]));
    world.queue.append(batch(vec![
        ("note", texts(&["r"])),
        ("id", longs(&[4])),
        ("score", score),
    ]));
    let all = [
        "1 | 5 | p | NULL",
        "2 | 6 | q | NULL",
        "3 | NULL | NULL | NULL",
        "4 | NULL | r | 0.5",
    ];
    assert_eq!(ask(&lake, "select * from db.t").await, all);
    for (sql, expected) in [
        ("select score from db.t where score > 0", "0.5"),
        (
            "select id from db.t where gone is null and note is not null",
            "4",
        ),
        (
            "select count(gone), count(score), count(*), count(note) from db.t",
            "2 | 1 | 4 | 3",
        ),
        (
            "select score, note, gone, id from db.t order by id desc limit 1",
            "0.5 | r | NULL | 4",
        ),
        (
            "select max(score), min(gone) from db.t where id <> 3",
            "0.5 | 5",
        ),
        (
            "select count(*) from db.t where score is null and gone > 5",
            "1",
        ),
        ("select count(*) from db.t where gone is null", "2"),
        (
            "select count(*) from db.t a join db.t b on a.score = b.score",
            "1",
        ),
    ] {
        assert_eq!(ask(&lake, sql).await, [expected], "{sql}");
    }
    // By its commit the table has the column, and every answer stays.
    let mut table = world.open().await;
    let actions = tables::actions(&world.location("t"), 0).await;
    let metadata = actions.iter().find_map(|action| action.get("metaData"));
    let mut metadata = metadata.unwrap().clone();
    let field = |name: &str, kind: &str| json!({"name": name, "type": kind, "nullable": true, "metadata": {}});
    let fields = [
        field("id", "long"),
        field("gone", "integer"),
        field("note", "string"),
        field("score", "double"),
    ];
    metadata["schemaString"] = json!(json!({"type": "struct", "fields": fields}).to_string());
    tables::commit(&world.location("t"), 2, &[json!({"metaData": metadata})]).await;
    table.load().await.unwrap();
    world.commit(1, 3).await;
    world.queue.trim(3);
    assert_eq!(ask(&lake, "select * from db.t").await, all);
    assert_eq!(ask(&world.lake(), "select * from db.t").await, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_do_not_fit_break_only_what_reads_them() {
    let columns = json!([
        column("id", json!("int64"), true),
        column("small", json!("int64"), true),
        column("label", json!("string"), true),
    ]);
    let mut columns = columns;
    columns[2]["renamed_from"] = json!("name");
    let world = World::new(columns);
    let stored = batch(vec![
        ("id", longs(&[1])),
        ("small", ints(&[1])),
        ("name", texts(&["p"])),
    ]);
    world.create(&stored.schema(), &[]).await;
    world.queue.append(stored);
    world.commit(0, 1).await;
    let wide = |small: i64| {
        batch(vec![
            ("label", texts(&["q"])),
            ("id", longs(&[2])),
            ("small", longs(&[small])),
        ])
    };
    world.queue.append(wide(7));
    let lake = world.lake();
    // As it is stored: its former name, its narrower type.
    assert_eq!(
        ask(&lake, "select name, small, arrow_typeof(small) from db.t").await,
        ["p | 1 | Int32", "q | 7 | Int32"]
    );
    world.queue.append(wide(i64::MAX));
    for sql in [
        "select * from db.t",
        "select id from db.t where small = 7",
        "select max(small) from db.t",
    ] {
        let error = query(&lake, sql).await.unwrap_err();
        let text = chain(&error);
        assert!(
            text.contains("on their way to db.t") && text.contains("`small`"),
            "{sql}: {text}"
        );
        assert_eq!(error.kind, Kind::Broken);
    }
    assert_eq!(
        ask(&lake, "select count(*), max(id), min(name) from db.t").await,
        ["3 | 2 | p"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nested_columns_fit_by_the_names_of_their_fields() {
    let fields = |names: &[&str]| -> Fields {
        names
            .iter()
            .map(|name| Field::new(*name, DataType::Int32, true))
            .collect()
    };
    let rows_of = |names: &[&str], value: i32| {
        let arrays = names.iter().map(|_| ints(&[value])).collect();
        let points: ArrayRef = Arc::new(StructArray::new(fields(names), arrays, None));
        let item = Arc::new(Field::new("element", points.data_type().clone(), true));
        let offsets = datafusion::arrow::buffer::OffsetBuffer::from_lengths([1]);
        let list: ArrayRef = Arc::new(ListArray::new(item, offsets, Arc::clone(&points), None));
        batch(vec![("p", points), ("ps", list)])
    };
    // The declaration is not what is tested, so it names no columns: then nothing is new.
    let world = World::new(json!([]));
    let stored = rows_of(&["x", "y"], 1);
    world.create(&stored.schema(), &[]).await;
    world.queue.append(stored);
    world.commit(0, 1).await;
    world.queue.append(rows_of(&["y", "x"], 2));
    world.queue.append(rows_of(&["x"], 3));
    let lake = world.lake();
    assert_eq!(
        ask(
            &lake,
            "select p['x'], p['y'], ps[1]['x'], ps[1]['y'] from db.t"
        )
        .await,
        ["1 | 1 | 1 | 1", "2 | 2 | 2 | 2", "3 | NULL | 3 | NULL"]
    );
    assert_eq!(
        ask(&lake, "select count(*) from db.t where p['y'] is null").await,
        ["1"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_text_in_a_partition_column_is_the_null_that_it_becomes() {
    let mut world = World::new(simple());
    world.partition_by = json!([{"name": "site"}]);
    world.create(&simple_schema(), &["site"]).await;
    let columns: Vec<ArrayRef> = vec![
        longs(&[1, 2]),
        texts(&["", "a"]),
        Arc::new(Float64Array::from(vec![0.5, 0.5])),
        texts(&["", ""]),
    ];
    world
        .queue
        .append(RecordBatch::try_new(simple_schema(), columns).unwrap());
    let lake = world.lake();
    let sql = "select id, site is null, note is null from db.t";
    let before = ask(&lake, sql).await;
    assert_eq!(before, ["1 | true | false", "2 | false | false"]);
    assert_eq!(
        ask(&lake, "select count(*) from db.t where site = ''").await,
        ["0"]
    );
    world.commit(0, 1).await;
    world.queue.trim(1);
    assert_eq!(ask(&lake, sql).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_deltalake_reads_are_joined_as_well() {
    let world = World::new(simple());
    world.create(&simple_schema(), &[]).await;
    world.queue.append(record(0..20));
    world.commit(0, 1).await;
    let location = world.location("t");
    delete(&location, 1, [1, 3, 5, 19]).await;
    world.queue.append(record(20..30));
    let lake = world.lake();
    let text = plan(&lake, "select * from db.t").await;
    assert!(
        text.contains("Delta") && text.contains("UnionExec"),
        "{text}"
    );
    for (sql, expected) in [
        ("select count(*) from db.t", "26"),
        (
            "select count(*), max(id) from db.t where id % 2 = 1",
            "11 | 29",
        ),
        ("select sum(id) from db.t where site = 'a'", "114"),
        (
            "select id from db.t where id > 15 and id < 22 order by id desc limit 1",
            "21",
        ),
    ] {
        assert_eq!(ask(&lake, sql).await, [expected], "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_do_not_fit_stand_in_a_table_beside() {
    let world = World::new(simple());
    let lake = world.lake();
    let every = "select * from db.t__dead_letters";
    assert_eq!(ask(&lake, every).await, [""; 0]);
    assert_eq!(
        ask(
            &lake,
            "select count(*) from db.t__dead_letters where reason like 'x%'"
        )
        .await,
        ["0"]
    );
    let names = ask(
        &lake,
        "select table_name from information_schema.tables where table_schema = 'db'",
    )
    .await;
    assert_eq!(names, ["other", "t", "v", "w"]);
    let described = ask(&lake, "describe db.t__dead_letters").await;
    assert_eq!(described.len(), 5);
    assert!(described[0].starts_with("offset | Int64"), "{described:?}");
    for unknown in [
        "other__dead_letters",
        "v__dead_letters",
        "t__dead_letters__dead_letters",
    ] {
        let error = query(&lake, &format!("select * from db.{unknown}"))
            .await
            .unwrap_err();
        assert_eq!(error.kind, Kind::NotFound, "{unknown}");
    }

    let schema = neurolake_delta::types::arrow_schema(&neurolake_delta::dead_letters::columns());
    let received =
        datafusion::arrow::array::TimestampMicrosecondArray::from(vec![0]).with_timezone("UTC");
    let columns: Vec<ArrayRef> = vec![
        longs(&[3]),
        ints(&[0]),
        Arc::new(received),
        texts(&["no number"]),
        texts(&["{}"]),
    ];
    let letter = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    let address = neurolake_delta::dead_letters::address("s3://lake/t/");
    assert_eq!(address, "s3://lake/t__dead_letters");
    let location = Location {
        url: Url::parse(&address).unwrap(),
        ..world.location("t")
    };
    let mut table = DeltaTable::new(location.log_store());
    let _ = table.load().await;
    table.write([letter]).await.unwrap();
    assert_eq!(
        ask(&lake, every).await,
        ["3 | 0 | 1970-01-01T00:00:00Z | no number | {}"]
    );
    assert_eq!(
        ask(&lake, "select count(*) from db.\"t__dead_letters@0\"").await,
        ["1"]
    );
    let provider = lake.provider("db", "t__dead_letters", None).await.unwrap();
    assert_eq!(provider.schema().fields().len(), 5);
    let error = query(&lake, "insert into db.t__dead_letters values (1)")
        .await
        .unwrap_err();
    assert_eq!(error.kind, Kind::NotAllowed);
}
