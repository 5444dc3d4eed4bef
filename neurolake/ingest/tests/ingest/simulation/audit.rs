//! What must be true, found out without the code under test where that is possible: the log is
//! replayed here, from all commits that ever happened.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::cast::AsArray;
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use neurolake_delta::{Log, Snapshots, ingested_by, time};
use neurolake_ingest::queue::Queue;
use neurolake_ingest::tail::Taken;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use super::world::{Fate, World};

const TABLE: &str = "lab/events";
const DEAD_LETTERS: &str = "lab/events__dead_letters";

/// A table at one moment.
pub(crate) struct Table {
    /// How far it has taken the queue.
    pub(crate) offset: u64,
    live: BTreeSet<Path>,
    ids: Vec<i64>,
}

/// The table at its newest version.
pub(crate) async fn table(world: &World) -> Table {
    read(world, TABLE).await
}

/// Replays all commits of a table.
async fn read(world: &World, table: &str) -> Table {
    let commits: Vec<Bytes> = {
        let facts = world.facts.lock().unwrap();
        facts.commits.get(table).cloned().unwrap_or_default()
    };
    let application = ingested_by(&world.queue.identity(&world.stream).await.unwrap());
    let mut live = BTreeSet::new();
    let mut offset = None;
    for (version, commit) in commits.iter().enumerate() {
        let lines = commit.split(|byte| *byte == b'\n');
        for line in lines.filter(|line| !line.is_empty()) {
            let action: Value = serde_json::from_slice(line).unwrap();
            let path = |action: &Value| {
                let path = action["path"].as_str().unwrap();
                Path::from_url_path(format!("{table}/{path}")).unwrap()
            };
            if let Some(add) = action.get("add") {
                assert!(live.insert(path(add)), "version {version} adds {add} again");
            }
            if let Some(remove) = action.get("remove") {
                let was_there = live.remove(&path(remove));
                assert!(
                    was_there,
                    "version {version} removes {remove}, which isn't there"
                );
            }
            if let Some(step) = action.get("txn")
                && step["appId"] == application.as_str()
            {
                let next = step["version"].as_u64();
                assert!(
                    offset < next,
                    "version {version} goes from {offset:?} to {next:?}"
                );
                offset = next;
            }
        }
    }
    let mut ids = Vec::new();
    for path in &live {
        ids.extend(ids_of(world, path).await);
    }
    Table {
        offset: offset.unwrap_or(0),
        live,
        ids,
    }
}

async fn ids_of(world: &World, path: &Path) -> Vec<i64> {
    let object = world.objects.get(path).await;
    let object = object.unwrap_or_else(|error| panic!("a live file is gone: {error}"));
    let content = object.bytes().await.unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(content).unwrap();
    let mut ids = Vec::new();
    for batch in reader.build().unwrap() {
        let batch = batch.unwrap();
        match batch.column_by_name("payload") {
            Some(payloads) => {
                let payloads = payloads.as_string::<i32>().iter().flatten();
                ids.extend(payloads.flat_map(numbers));
            }
            None => {
                let column = batch.column_by_name("id").unwrap();
                ids.extend(column.as_primitive::<Int64Type>().values());
            }
        }
    }
    ids
}

/// The numbers of rows in a text.
fn numbers(text: &str) -> Vec<i64> {
    let runs = text.split(|character: char| !character.is_ascii_digit());
    let runs = runs.filter(|run| run.len() == 7);
    runs.map(|run| run.parse().unwrap()).collect()
}

/// What a query saw: all that was acknowledged before, once.
pub(crate) async fn look(
    world: &World,
    who: &str,
    acknowledged: &BTreeSet<i64>,
    table: &Table,
    tail: &[Arc<Taken>],
) {
    world.facts.lock().unwrap().looks += 1;
    let mut seen = table.ids.clone();
    for (taken, expected) in tail.iter().zip(table.offset + 1..) {
        assert_eq!(taken.offset, expected, "{who} sees a gap");
        seen.extend(ids_in(taken));
    }
    let dead = read(world, DEAD_LETTERS).await;
    let (seen, dead) = (
        once(&seen, "in a look"),
        once(&dead.ids, "in the dead letters"),
    );
    let missing: Vec<_> = acknowledged
        .iter()
        .filter(|id| !seen.contains(id) && !dead.contains(id))
        .collect();
    assert!(missing.is_empty(), "{who} sees nothing of {missing:?}");
    let known = world.facts.lock().unwrap().sent.clone();
    let unknown: Vec<_> = seen.iter().filter(|id| !known.contains_key(id)).collect();
    assert!(
        unknown.is_empty(),
        "{who} sees {unknown:?}, which nobody sent"
    );
}

fn ids_in(taken: &Taken) -> Vec<i64> {
    let request = match &taken.content {
        Ok(request) => request,
        Err(damaged) => return numbers(&String::from_utf8_lossy(&damaged.payload)),
    };
    let mut ids: Vec<i64> = request
        .dead
        .iter()
        .flat_map(|letter| numbers(&letter.payload))
        .collect();
    let column = request.rows.column_by_name("id").unwrap();
    match column.as_primitive_opt::<Int64Type>() {
        Some(numbers) => ids.extend(numbers.values()),
        None => ids.extend(column.as_string::<i32>().iter().flatten().flat_map(numbers)),
    }
    ids
}

fn once(ids: &[i64], place: &str) -> BTreeSet<i64> {
    let mut seen = BTreeSet::new();
    let doubled: Vec<_> = ids.iter().filter(|id| !seen.insert(**id)).collect();
    assert!(doubled.is_empty(), "{doubled:?} are there twice {place}");
    seen
}

/// After everything has happened and everything has been written.
pub(crate) async fn check(world: &Arc<World>) {
    world.refuse_violations();
    let table = read(world, TABLE).await;
    let dead = read(world, DEAD_LETTERS).await;
    let in_table = once(&table.ids, "in the table");
    let in_dead = once(&dead.ids, "in the dead letters");
    let both: Vec<_> = in_table.intersection(&in_dead).collect();
    assert!(
        both.is_empty(),
        "{both:?} are in the table and in its dead letters"
    );
    {
        let facts = world.facts.lock().unwrap();
        let lost: Vec<_> = facts
            .acknowledged
            .iter()
            .filter(|(id, _)| !in_table.contains(id) && !in_dead.contains(id))
            .collect();
        assert!(
            lost.is_empty(),
            "rows are lost, with their offsets: {lost:?}"
        );
        for id in in_table.iter().chain(&in_dead) {
            let fate = facts.sent.get(id);
            let fate = fate.unwrap_or_else(|| panic!("{id} was never sent"));
            let found = match in_table.contains(id) {
                true => Fate::Table,
                false => Fate::DeadLetters,
            };
            assert_eq!(*fate, found, "{id}");
        }
    }
    let bounds = world.queue.bounds(&world.stream).await.unwrap();
    assert_eq!(table.offset, bounds.last, "the end of the queue");
    assert!(bounds.trimmed <= table.offset);
    agree(world, TABLE, &table).await;
    agree(world, DEAD_LETTERS, &dead).await;
}

/// deltalake and our log read the same table, from whatever is left of its log.
async fn agree(world: &World, name: &str, table: &Table) {
    let versions = {
        let facts = world.facts.lock().unwrap();
        facts
            .commits
            .get(name)
            .map_or(0, |commits| commits.len() as u64)
    };
    if versions == 0 {
        return;
    }
    let mut location = world.plain();
    location.url = format!("s3://lake/{name}").parse().unwrap();
    let snapshots = Snapshots::default();
    let snapshot = time::elsewhere(snapshots.latest(&location)).await.unwrap();
    assert_eq!(snapshot.version() + 1, versions, "{name}");
    let files = snapshot.files().unwrap();
    let read: BTreeSet<_> = (0..files.len())
        .map(|file| files.object(file).location.clone())
        .collect();
    assert_eq!(read, table.live, "{name}");
    let mut random = super::random::Random::new(0);
    let mut log = Log::open(&location, &world.options(&mut random))
        .await
        .unwrap();
    assert_eq!(log.version() + 1, versions, "{name}");
    let application = ingested_by(&world.queue.identity(&world.stream).await.unwrap());
    let stands = log.transaction(&application).await.unwrap();
    assert_eq!(stands.unwrap_or(0), table.offset.cast_signed(), "{name}");
    let counts: BTreeMap<_, _> = BTreeMap::from([(name, table.ids.len())]);
    world.note(format!("{counts:?} rows in {} files", table.live.len()));
}
