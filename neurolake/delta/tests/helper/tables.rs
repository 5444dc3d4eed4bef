//! Small tables, what stands in them, and what must be true of them whatever happened.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use deltalake::DeltaTable;
use futures::TryStreamExt;
use neurolake_delta::{Change, Location, Log, LogOptions, Transaction};
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::sync::Semaphore;

pub(crate) fn in_memory() -> (Location, Arc<InMemory>) {
    let store = Arc::new(InMemory::new());
    (at(Arc::clone(&store) as _), store)
}

pub(crate) fn at(store: Arc<dyn ObjectStore>) -> Location {
    Location::new("s3://lake/events".parse().unwrap(), store)
}

pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("name", DataType::Utf8, true),
    ]))
}

pub(crate) fn rows(ids: std::ops::Range<i64>) -> RecordBatch {
    let names = StringArray::from_iter_values(ids.clone().map(|id| format!("name {id}")));
    let ids = Int64Array::from_iter_values(ids);
    RecordBatch::try_new(schema(), vec![Arc::new(ids), Arc::new(names)]).unwrap()
}

pub(crate) async fn open(location: &Location) -> Log {
    let options = LogOptions::default();
    Log::open_or_create(location, &schema(), &[], &options)
        .await
        .unwrap()
}

/// One commit with these rows, in one step of the application `test`.
pub(crate) async fn append(log: &mut Log, batch: RecordBatch) {
    let files = log.write([batch]).await.unwrap();
    let from = log.transaction("test").await.unwrap();
    let step = Transaction {
        application: "test".into(),
        from,
        to: from.unwrap_or(0) + 1,
    };
    let committed = log.commit(Change::append(files, step)).await.unwrap();
    assert!(!committed.was_there);
}

/// A table of commits with `each` rows.
pub(crate) async fn filled(location: &Location, commits: i64, each: i64) -> Log {
    let mut log = open(location).await;
    for commit in 0..commits {
        append(&mut log, rows(commit * each..(commit + 1) * each)).await;
    }
    log
}

pub(crate) async fn load(location: &Location) -> DeltaTable {
    let mut table = DeltaTable::new(location.log_store());
    table.load().await.unwrap();
    table
}

/// How often each value of `id` is there, read by deltalake and DataFusion.
pub(crate) async fn ids(location: &Location) -> BTreeMap<i64, usize> {
    let table = load(location).await;
    let context = datafusion::prelude::SessionContext::new();
    let provider = table.table_provider().await.unwrap();
    let rows = context.read_table(provider).unwrap();
    let rows = rows
        .select_columns(&["id"])
        .unwrap()
        .collect()
        .await
        .unwrap();
    let mut found = BTreeMap::new();
    for batch in rows {
        for id in batch.column(0).as_primitive::<Int64Type>().values() {
            *found.entry(*id).or_default() += 1;
        }
    }
    found
}

pub(crate) fn each_once(ids: std::ops::Range<i64>) -> BTreeMap<i64, usize> {
    ids.map(|id| (id, 1)).collect()
}

/// Files of the newest version, relative to the table's folder.
pub(crate) async fn live(location: &Location) -> Vec<String> {
    let table = load(location).await;
    let files = table.snapshot().unwrap().log_data().into_iter();
    let mut paths: Vec<_> = files
        .map(|file| file.object_store_path().to_string())
        .collect();
    paths.sort();
    paths
}

/// All objects below the table's folder, relative to it.
pub(crate) async fn objects(location: &Location) -> Vec<String> {
    let folder = location.path();
    let listed = location.store.list(Some(&folder)).try_collect::<Vec<_>>();
    let mut paths: Vec<_> = listed
        .await
        .unwrap()
        .iter()
        .map(|file| file.location.to_string()[folder.as_ref().len() + 1..].to_owned())
        .collect();
    paths.sort();
    paths
}

/// Versions have no gap above the oldest, and each live file is there.
pub(crate) async fn assert_sound(location: &Location) {
    let objects = objects(location).await;
    let commits = objects.iter().filter_map(|path| {
        let name = path.strip_prefix("_delta_log/")?.strip_suffix(".json")?;
        name.parse::<u64>().ok()
    });
    let commits: Vec<u64> = commits.collect();
    let expected: Vec<u64> = (commits[0]..).take(commits.len()).collect();
    assert_eq!(commits, expected);
    for path in live(location).await {
        let object = location
            .path()
            .parts()
            .chain(object_store::path::Path::parse(&path).unwrap().parts())
            .collect();
        location
            .store
            .head(&object)
            .await
            .unwrap_or_else(|error| panic!("{path}: {error}"));
    }
}

/// Polls a future so many times and drops it: the process was killed there. `None`: it was.
pub(crate) async fn killed_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = Box::pin(future);
    let mut left = polls;
    std::future::poll_fn(move |context| {
        if left == 0 {
            return std::task::Poll::Ready(None);
        }
        left -= 1;
        let polled = future.as_mut().poll(context).map(Some);
        if left == 0 && polled.is_pending() {
            return std::task::Poll::Ready(None);
        }
        polled
    })
    .await
}

/// All rows as text, sorted, read by deltalake and DataFusion.
pub(crate) async fn text(location: &Location) -> Vec<String> {
    let context = datafusion::prelude::SessionContext::new();
    let provider = load(location).await.table_provider().await.unwrap();
    let rows = context
        .read_table(provider)
        .unwrap()
        .collect()
        .await
        .unwrap();
    let table = arrow::util::pretty::pretty_format_batches(&rows)
        .unwrap()
        .to_string();
    let mut lines: Vec<_> = table.lines().map(ToOwned::to_owned).collect();
    lines.sort();
    lines
}

/// A store that holds back commits until it is told to let them through.
pub(crate) struct Gate {
    arrived: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Gate {
    pub(crate) fn before_commits(store: Arc<dyn ObjectStore>) -> (Self, Arc<dyn ObjectStore>) {
        let gate = Self {
            arrived: Arc::new(Semaphore::new(0)),
            open: Arc::new(Semaphore::new(0)),
        };
        let (arrived, open) = (Arc::clone(&gate.arrived), Arc::clone(&gate.open));
        let store = crate::hooked::Hooked::new(store, move |call| {
            let (arrived, open) = (Arc::clone(&arrived), Arc::clone(&open));
            Box::pin(async move {
                if call.is_commit() && !call.is_done {
                    arrived.add_permits(1);
                    open.acquire().await.unwrap().forget();
                }
                Ok(())
            })
        });
        (gate, store)
    }

    /// Waits until so many commits are held back.
    pub(crate) async fn arrived(&self, commits: u32) {
        let arrived = self.arrived.acquire_many(commits);
        let arrived = tokio::time::timeout(std::time::Duration::from_secs(30), arrived);
        arrived.await.expect("nobody commits").unwrap().forget();
    }

    /// Lets all commits through from now on.
    pub(crate) fn open(&self) {
        self.open.add_permits(1_000);
    }
}

/// A store whose requests each wait once before and once after they are done, so that a future can
/// be dropped at each of these moments.
pub(crate) fn stepwise(store: Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
    crate::hooked::Hooked::new(store, |_| {
        Box::pin(async {
            tokio::task::yield_now().await;
            Ok(())
        })
    })
}
