use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use chrono::{TimeDelta, Utc};
use datafusion::prelude::SessionContext;
use deltalake::DeltaTable;
use deltalake::protocol::{SaveMode, checkpoints};
use futures::TryStreamExt;
use futures::future::join_all;
use neurolake_delta::{At, Error, Location, Pace, Snapshot, Snapshots};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use url::Url;

use crate::counting::{Counting, Request};

pub(crate) fn batch(ids: std::ops::Range<i64>) -> RecordBatch {
    let schema = Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("name", DataType::Utf8, true),
    ]);
    let names = ids.clone().map(|id| format!("name {id}"));
    let names = StringArray::from_iter_values(names);
    RecordBatch::try_new(
        Arc::new(schema),
        vec![Arc::new(Int64Array::from_iter_values(ids)), Arc::new(names)],
    )
    .unwrap()
}

pub(crate) fn memory(address: &str) -> (Location, Arc<InMemory>) {
    let store = Arc::new(InMemory::new());
    let location = Location::new(Url::parse(address).unwrap(), Arc::clone(&store) as _);
    (location, store)
}

pub(crate) async fn append(location: &Location, ids: std::ops::Range<i64>) -> DeltaTable {
    let mut table = DeltaTable::new(location.log_store());
    // The first append makes the table.
    let _ = table.load().await;
    table.write([batch(ids)]).await.unwrap()
}

/// Tables are in memory here, so a look is cheap.
pub(crate) fn eager() -> Pace {
    Pace {
        interval: Duration::from_millis(20),
        retry: Duration::from_millis(40),
        ..Pace::default()
    }
}

/// Waits for something that must happen without anybody asking for it.
pub(crate) async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is() {
        assert!(Instant::now() < deadline, "this never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn version(snapshots: &Snapshots) -> Option<u64> {
    snapshots.status()[0].version
}

async fn rows_by_fallback(snapshot: &Snapshot) -> usize {
    let context = SessionContext::new();
    let provider = snapshot.fallback_provider().unwrap();
    let rows = context.read_table(provider).unwrap();
    rows.count().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_becomes_visible_without_a_query() {
    let (location, _) = memory("s3://lake/a/b");
    append(&location, 0..10).await;
    let snapshots = Snapshots::default();
    assert_eq!(snapshots.latest(&location).await.unwrap().version(), 0);
    append(&location, 10..20).await;
    let committed = Instant::now();
    until("version 1", || version(&snapshots) == Some(1)).await;
    println!("visible after {:?}", committed.elapsed());
    let snapshot = snapshots.latest(&location).await.unwrap();
    assert_eq!(snapshot.files().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_an_unchanged_table_is_two_small_requests() {
    let (location, _) = memory("s3://lake/t");
    for start in 0..20 {
        append(&location, start * 10..start * 10 + 10).await;
    }
    let counting = Counting::new(Arc::clone(&location.store));
    let location = Location {
        store: Arc::new(counting.clone()),
        ..location
    };
    let snapshots = Snapshots::new(eager());
    let snapshot = snapshots.latest(&location).await.unwrap();
    counting.take();
    let mut requests = Vec::new();
    until("ten looks", || {
        requests.extend(counting.take());
        requests.len() >= 20
    })
    .await;
    let is_head = |request: &Request| matches!(request, Request::Head(_));
    assert!(requests.iter().all(is_head), "{requests:?}");
    let again = snapshots.latest(&location).await.unwrap();
    assert!(Arc::ptr_eq(&snapshot, &again));
    assert!(counting.take().iter().all(is_head));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_open_at_once_open_once() {
    let (location, _) = memory("s3://lake/t");
    append(&location, 0..10).await;
    let counting = Counting::new(Arc::clone(&location.store));
    let location = Location {
        store: Arc::new(counting.clone()),
        ..location
    };
    let snapshots = Snapshots::default();
    let opened = join_all((0..50).map(|_| snapshots.latest(&location))).await;
    let opened: Vec<_> = opened.into_iter().map(Result::unwrap).collect();
    assert!(opened.iter().all(|one| Arc::ptr_eq(one, &opened[0])));
    let reads = counting
        .take()
        .into_iter()
        .filter(|request| matches!(request, Request::Get(path, _) if path.ends_with("0.json")));
    let reads = reads.count();
    assert!(reads <= 3, "the commit was read {reads} times");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_may_appear_later_disappear_and_be_made_anew() {
    let (location, store) = memory("s3://lake/later");
    let snapshots = Snapshots::new(eager());
    let error = snapshots.latest(&location).await.unwrap_err();
    assert!(matches!(error, Error::NotATable { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "there is no Delta table at s3://lake/later"
    );
    assert!(error.hint().is_some());

    append(&location, 0..10).await;
    append(&location, 10..20).await;
    let first = snapshots.latest(&location).await.unwrap();
    assert_eq!(first.version(), 1);

    let everything: Vec<_> = store.list(None).try_collect().await.unwrap();
    for object in everything {
        store.delete(&object.location).await.unwrap();
    }
    until("the table is gone", || version(&snapshots).is_none()).await;
    let error = snapshots.latest(&location).await.unwrap_err();
    assert!(matches!(error, Error::NotATable { .. }), "{error:?}");

    append(&location, 100..105).await;
    let second = snapshots.latest(&location).await.unwrap();
    assert_eq!(second.version(), 0);
    assert_ne!(second.table_id(), first.table_id());
    assert_eq!(second.files().unwrap().rows(0), Some(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_made_anew_between_two_looks_is_not_mixed_with_the_old_one() {
    let (location, store) = memory("s3://lake/t");
    append(&location, 0..10).await;
    let snapshots = Snapshots::new(eager());
    let first = snapshots.latest(&location).await.unwrap();
    // The new table is made aside, so that it takes the place of the old one at once, and longer.
    let (other, made) = memory("s3://lake/t");
    append(&other, 100..103).await;
    append(&other, 103..106).await;
    let everything: Vec<_> = made.list(None).try_collect().await.unwrap();
    for object in everything {
        let bytes = made
            .get(&object.location)
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
        store.put(&object.location, bytes.into()).await.unwrap();
    }
    until("the new table", || version(&snapshots) == Some(1)).await;
    let second = snapshots.latest(&location).await.unwrap();
    assert_ne!(second.table_id(), first.table_id());
    assert_eq!(second.files().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_commit_keeps_the_last_good_version() {
    let (location, store) = memory("s3://lake/t");
    append(&location, 0..10).await;
    let snapshots = Snapshots::new(eager());
    snapshots.latest(&location).await.unwrap();
    let commit = Path::from("t/_delta_log/00000000000000000001.json");
    let half = r#"{"add":{"path":"part-1.parquet","partitionVal"#;
    store.put(&commit, half.into()).await.unwrap();
    until("an error", || snapshots.status()[0].error.is_some()).await;
    let status = snapshots.status();
    let error = status[0].error.clone().unwrap();
    assert!(error.to_string().contains("s3://lake/t"), "{error}");
    assert_eq!(status[0].version, Some(0));
    assert!(status[0].watched);
    assert_eq!(snapshots.latest(&location).await.unwrap().version(), 0);
    // A cache that never saw the good version has nothing to show.
    let error = Snapshots::default().latest(&location).await.unwrap_err();
    assert!(matches!(error, Error::Log { .. }), "{error:?}");
    assert!(error.to_string().contains("s3://lake/t"), "{error}");

    store.delete(&commit).await.unwrap();
    append(&location, 10..20).await;
    until("version 1", || version(&snapshots) == Some(1)).await;
    until("no error", || snapshots.status()[0].error.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hint_of_a_checkpoint_that_is_not_there_is_an_error_with_the_address() {
    let (location, store) = memory("s3://lake/t");
    append(&location, 0..10).await;
    let hint = Path::from("t/_delta_log/_last_checkpoint");
    let nowhere = r#"{"version":7,"size":1}"#;
    store.put(&hint, nowhere.into()).await.unwrap();
    match Snapshots::default().latest(&location).await {
        // Reading on without the hint would be right as well.
        Ok(snapshot) => assert_eq!(snapshot.version(), 0),
        Err(error) => assert!(error.to_string().contains("s3://lake/t"), "{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_cache_looks_no_more() {
    let (location, _) = memory("s3://lake/t");
    append(&location, 0..10).await;
    let counting = Counting::new(Arc::clone(&location.store));
    let location = Location {
        store: Arc::new(counting.clone()),
        ..location
    };
    let snapshots = Snapshots::new(eager());
    snapshots.latest(&location).await.unwrap();
    counting.take();
    until("a look", || !counting.take().is_empty()).await;
    drop(snapshots);
    // Only the test holds the store once the task has ended.
    let held = || Arc::strong_count(&location.store) == 1;
    until("the task ends", held).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unused_table_is_left_alone_until_it_is_used_again() {
    let (location, _) = memory("s3://lake/t");
    append(&location, 0..10).await;
    let snapshots = Snapshots::new(Pace {
        idle: Duration::from_millis(60),
        fresh: Duration::ZERO,
        ..eager()
    });
    snapshots.latest(&location).await.unwrap();
    until("nobody looks", || !snapshots.status()[0].watched).await;
    append(&location, 10..20).await;
    assert_eq!(version(&snapshots), Some(0));
    let snapshot = snapshots.latest(&location).await.unwrap();
    assert_eq!(snapshot.version(), 1);
}

#[test]
fn a_cache_outlives_the_runtime_that_it_was_first_used_on() {
    let (location, _) = memory("s3://lake/t");
    let snapshots = Snapshots::new(Pace {
        fresh: Duration::ZERO,
        ..eager()
    });
    for expected in 0..3 {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            append(&location, 0..10).await;
            let snapshot = snapshots.latest(&location).await.unwrap();
            assert_eq!(snapshot.version(), expected);
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn earlier_versions_by_number_and_by_time() {
    let (location, store) = memory("s3://lake/t");
    for start in 0..4 {
        append(&location, start * 10..start * 10 + 10).await;
    }
    let snapshots = Snapshots::default();
    let at = async |at: At| snapshots.at(&location, &at).await;
    for version in [2, 0, 3, 1, 2] {
        let snapshot = at(At::Version(version)).await.unwrap();
        assert_eq!(snapshot.version(), version);
        assert_eq!(snapshot.files().unwrap().len() as u64, version + 1);
    }
    let first = at(At::Version(1)).await.unwrap();
    let again = at(At::Version(1)).await.unwrap();
    assert!(Arc::ptr_eq(&first, &again));

    let time = first.time().unwrap();
    let snapshot = at(At::Timestamp(time)).await.unwrap();
    assert_eq!(snapshot.version(), 1);
    let snapshot = at(At::Timestamp(Utc::now() + TimeDelta::days(1)))
        .await
        .unwrap();
    assert_eq!(snapshot.version(), 3);

    let error = at(At::Version(4)).await.unwrap_err();
    assert!(error.is_question());
    let text = error.to_string();
    assert!(
        text.starts_with(
            "the Delta table at s3://lake/t has no version 4; it has versions 0 (of 2"
        ),
        "{text}"
    );
    let error = at(At::Timestamp(time - TimeDelta::days(1)))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NoSuchTime { .. }), "{error:?}");

    // Versions before a checkpoint go when the log is cleaned up.
    let table = append(&location, 0..10).await;
    checkpoints::create_checkpoint(&table, None).await.unwrap();
    for version in 0..4 {
        let commit = Path::from(format!("t/_delta_log/{version:020}.json"));
        store.delete(&commit).await.unwrap();
    }
    let snapshots = Snapshots::default();
    let error = snapshots.at(&location, &At::Version(2)).await.unwrap_err();
    assert!(error.to_string().contains("it has version 4 of"), "{error}");
    let snapshot = snapshots.latest(&location).await.unwrap();
    assert_eq!(snapshot.files().unwrap().len(), 5);

    let (nothing, _) = memory("s3://lake/nothing");
    let error = snapshots.at(&nothing, &At::Version(0)).await.unwrap_err();
    assert!(matches!(error, Error::NotATable { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_of_the_same_name_in_two_stores_are_not_mixed() {
    let (one, _) = memory("s3://lake/t");
    let (two, _) = memory("s3://lake/t");
    append(&one, 0..10).await;
    append(&two, 0..3).await;
    let snapshots = Snapshots::default();
    let first = snapshots.latest(&one).await.unwrap();
    let second = snapshots.latest(&two).await.unwrap();
    assert_eq!(first.files().unwrap().rows(0), Some(10));
    assert_eq!(second.files().unwrap().rows(0), Some(3));
    // Also where deltalake's scan looks a store up by its address, in one session.
    let context = SessionContext::new();
    for (snapshot, expected) in [(first, 10), (second, 3)] {
        let provider = snapshot.fallback_provider().unwrap();
        let rows = context.read_table(provider).unwrap();
        assert_eq!(rows.count().await.unwrap(), expected);
        let provider = snapshot.fallback_provider().unwrap();
        let names = context.read_table(provider).unwrap();
        let names = names
            .select_columns(&["name"])
            .unwrap()
            .collect()
            .await
            .unwrap();
        assert_eq!(
            names.iter().map(RecordBatch::num_rows).sum::<usize>(),
            expected
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn overwriting_and_checkpoints_are_followed() {
    let (location, _) = memory("s3://lake/t");
    append(&location, 0..10).await;
    let snapshots = Snapshots::new(eager());
    snapshots.latest(&location).await.unwrap();
    let table = append(&location, 10..20).await;
    checkpoints::create_checkpoint(&table, None).await.unwrap();
    let table = table
        .write([batch(0..7)])
        .with_save_mode(SaveMode::Overwrite)
        .await
        .unwrap();
    until("version 2", || version(&snapshots) == table.version()).await;
    let snapshot = snapshots.latest(&location).await.unwrap();
    let files = snapshot.files().unwrap();
    assert_eq!((files.len(), files.rows(0)), (1, Some(7)));
    assert_eq!(rows_by_fallback(&snapshot).await, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_folder_is_a_store_like_others() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::new(
        Url::from_directory_path(folder.path().join("a folder")).unwrap(),
        Arc::new(object_store::local::LocalFileSystem::new()),
    );
    std::fs::create_dir(folder.path().join("a folder")).unwrap();
    append(&location, 0..10).await;
    for start in 1..12 {
        append(&location, start * 10..start * 10 + 10).await;
    }
    let snapshots = Snapshots::new(eager());
    let snapshot = snapshots.latest(&location).await.unwrap();
    assert_eq!(snapshot.version(), 11);
    assert_eq!(rows_by_fallback(&snapshot).await, 120);
    let files = snapshot.files().unwrap();
    for file in 0..files.len() {
        let found = location
            .store
            .head(&files.object(file).location)
            .await
            .unwrap();
        assert_eq!(found.size, files.object(file).size);
    }
    append(&location, 0..1).await;
    until("version 12", || version(&snapshots) == Some(12)).await;
}
