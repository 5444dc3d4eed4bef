//! Commits of our own, as deltalake reads them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use deltalake::DeltaTable;
use neurolake_delta::{
    Change, Committed, Error, Location, Log, LogOptions, Transaction, commits, time,
};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use url::Url;

use crate::faulty::{Course, Fault, Faulty, Kind, Rules};
use crate::simulated::{self, Clock};

mod agreement;
mod faults;
mod others;
mod tables;

const WRITER: &str = "writer";
const COMMIT: &str = "_delta_log/0";

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("region", DataType::Utf8, true),
    ]))
}

fn rows(ids: impl IntoIterator<Item = i64>) -> RecordBatch {
    let ids: Vec<_> = ids.into_iter().collect();
    let regions = StringArray::from_iter_values(ids.iter().map(|id| format!("region {}", id % 3)));
    RecordBatch::try_new(
        schema(),
        vec![Arc::new(Int64Array::from(ids)), Arc::new(regions)],
    )
    .unwrap()
}

fn step(from: impl Into<Option<i64>>, to: i64) -> Transaction {
    Transaction {
        application: WRITER.into(),
        from: from.into(),
        to,
    }
}

/// Faults that were told beforehand, each for one request.
#[derive(Default)]
struct Script {
    faults: Mutex<Vec<(Kind, &'static str, Fault)>>,
    asked: Mutex<Vec<(Kind, String)>>,
}

impl Script {
    /// The next request of this kind for such a path.
    fn next(&self, kind: Kind, path: &'static str, fault: Fault) {
        self.faults.lock().unwrap().push((kind, path, fault));
    }

    fn take(&self) -> Vec<(Kind, String)> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Rules for Script {
    fn course(&self, kind: Kind, path: &Path, _: bool) -> Course {
        self.asked.lock().unwrap().push((kind, path.to_string()));
        let mut faults = self.faults.lock().unwrap();
        let fault = faults
            .iter()
            .position(|(faulty, part, _)| *faulty == kind && path.as_ref().contains(part))
            .map(|found| faults.remove(found).2);
        Course {
            there: Duration::from_millis(5),
            fault: fault.unwrap_or_default(),
            back: Duration::from_millis(5),
        }
    }
}

/// A table's folder, its faults, and the clock of who uses it.
struct World {
    script: Arc<Script>,
    faulty: Location,
    /// The same without faults.
    plain: Location,
    options: LogOptions,
    clock: Arc<Clock>,
}

impl World {
    fn new(clock: Arc<Clock>) -> Self {
        let script = Arc::new(Script::default());
        let plain = Location::new(
            Url::parse("s3://lake/some/table").unwrap(),
            Arc::new(InMemory::new()),
        );
        let faulty = Location {
            store: Faulty::new(Arc::clone(&plain.store), Arc::clone(&script) as _),
            ..plain.clone()
        };
        let calendar = Arc::clone(&clock);
        Self {
            script,
            faulty,
            plain,
            options: LogOptions {
                clock: Arc::new(move || calendar.wall()),
            },
            clock,
        }
    }

    async fn create(&self) -> Log {
        Log::open_or_create(&self.faulty, &schema(), &[], &self.options)
            .await
            .unwrap()
    }

    async fn open(&self) -> Log {
        Log::open(&self.faulty, &self.options).await.unwrap()
    }

    /// Puts a commit as another engine would.
    async fn put_commit(&self, version: u64, actions: &[Value]) {
        let lines: Vec<_> = actions.iter().map(ToString::to_string).collect();
        self.put_content(version, lines.join("\n")).await;
    }

    async fn put_content(&self, version: u64, content: String) {
        let path = self.commit(version);
        let put = (self.plain.store).put_opts(&path, content.into(), PutMode::Create.into());
        put.await.unwrap();
    }

    fn commit(&self, version: u64) -> Path {
        let log = self.plain.path().join("_delta_log");
        log.join(format!("{version:020}.json"))
    }

    async fn actions(&self, version: u64) -> Vec<Value> {
        let content = self.plain.store.get(&self.commit(version)).await.unwrap();
        let content = content.bytes().await.unwrap();
        let lines = content.split(|byte| *byte == b'\n');
        let lines = lines.filter(|line| !line.is_empty());
        lines
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }

    /// The action of a commit that is the only one of its kind.
    async fn action(&self, version: u64, kind: &str) -> Option<Value> {
        let actions = self.actions(version).await;
        actions.iter().find_map(|action| action.get(kind).cloned())
    }

    async fn loaded(&self) -> DeltaTable {
        let mut table = DeltaTable::new(self.plain.log_store());
        time::elsewhere(table.load()).await.unwrap();
        table
    }

    /// The version, the transaction and the sorted rows, as deltalake reads them.
    async fn read(&self) -> (u64, Option<i64>, Vec<i64>) {
        let table = self.loaded().await;
        let state = table.snapshot().unwrap();
        let log_store = table.log_store();
        let asked = state.transaction_version(log_store.as_ref(), WRITER);
        let transaction = time::elsewhere(asked).await.unwrap();
        let mut ids = Vec::new();
        for file in state.log_data().iter() {
            let file = file.object_store_path();
            let path = Path::parse(format!("{}/{file}", self.plain.path())).unwrap();
            let content = self.plain.store.get(&path).await.unwrap();
            let content = content.bytes().await.unwrap();
            let reader = ParquetRecordBatchReaderBuilder::try_new(content).unwrap();
            for batch in reader.build().unwrap() {
                let batch = batch.unwrap();
                let column = batch.column_by_name("id").unwrap();
                ids.extend(column.as_primitive::<Int64Type>().values());
            }
        }
        ids.sort_unstable();
        (state.version(), transaction, ids)
    }

    /// Writes a checkpoint of the newest version and removes all commits before it.
    async fn checkpoint_and_clean_up(&self) {
        let table = self.loaded().await;
        let made = deltalake::protocol::checkpoints::create_checkpoint(&table, None);
        time::elsewhere(made).await.unwrap();
        for version in 0..table.version().unwrap() {
            self.plain
                .store
                .delete(&self.commit(version))
                .await
                .unwrap();
        }
    }
}

/// Appends rows in one step of the writer.
async fn append(
    log: &mut Log,
    ids: impl IntoIterator<Item = i64>,
    step: Transaction,
) -> Result<Committed, Error> {
    let files = log.write([rows(ids)]).await?;
    log.commit(Change::append(files, step)).await
}

fn committed(version: u64) -> Committed {
    Committed {
        version,
        was_there: false,
    }
}
