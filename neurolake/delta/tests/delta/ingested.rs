//! How far a table has taken its queue.

use std::sync::Arc;
use std::time::Duration;

use deltalake::DeltaTable;
use deltalake::kernel::Transaction;
use deltalake::kernel::transaction::CommitProperties;
use deltalake::protocol::checkpoints;
use futures::future::join_all;
use neurolake_delta::{At, Error, Location, Pace, Snapshots};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use object_store::throttle::{ThrottleConfig, ThrottledStore};

use crate::counting::{Counting, Request};
use crate::snapshots::{append, batch, eager, memory, until};

const OURS: &str = "neurolake/ingest/a";

async fn commit(location: &Location, application: &str, offset: i64) -> DeltaTable {
    let mut table = DeltaTable::new(location.log_store());
    let _ = table.load().await;
    let transaction = Transaction::new(application, offset);
    let properties = CommitProperties::default().with_application_transaction(transaction);
    table
        .write([batch(0..1)])
        .with_commit_properties(properties)
        .await
        .unwrap()
}

fn counted(location: Location) -> (Location, Counting) {
    let counting = Counting::new(Arc::clone(&location.store));
    let location = Location {
        store: Arc::new(counting.clone()),
        ..location
    };
    (location, counting)
}

/// Reads take their time.
fn slow(location: &Location) -> Location {
    let config = ThrottleConfig {
        wait_get_per_call: Duration::from_millis(10),
        ..ThrottleConfig::default()
    };
    Location {
        store: Arc::new(ThrottledStore::new(Arc::clone(&location.store), config)),
        ..location.clone()
    }
}

/// Nobody looks unless asked to.
fn patient() -> Pace {
    Pace {
        interval: Duration::from_hours(1),
        fresh: Duration::from_hours(1),
        ..Pace::default()
    }
}

fn commit_path(version: u64) -> Path {
    Path::from(format!("t/_delta_log/{version:020}.json"))
}

fn reads_of(requests: &[Request], version: u64) -> usize {
    let path = commit_path(version).to_string();
    let is_read = |request: &&Request| matches!(request, Request::Get(read, _) if *read == path);
    requests.iter().filter(is_read).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_knows_its_own_transaction() {
    let (location, _) = memory("s3://lake/t");
    append(&location, 0..10).await;
    commit(&location, OURS, 7).await;
    commit(&location, "somebody/else", 99).await;
    append(&location, 10..20).await;
    commit(&location, OURS, 12).await;
    let snapshots = Snapshots::new(patient());
    let newest = snapshots.latest(&location).await.unwrap();
    assert_eq!(newest.ingested(OURS).await.unwrap(), 12);
    assert_eq!(newest.ingested("somebody/else").await.unwrap(), 99);
    assert_eq!(newest.ingested("neurolake/ingest").await.unwrap(), 0);
    commit(&location, "somebody/else", 100).await;
    let newest = snapshots.refreshed(&location, None).await.unwrap();
    assert_eq!(newest.ingested("somebody/else").await.unwrap(), 100);
    assert_eq!(newest.ingested(OURS).await.unwrap(), 12);
    for (version, expected) in [(0, 0), (1, 7), (2, 7), (3, 7), (4, 12)] {
        let snapshot = snapshots.at(&location, &At::Version(version)).await;
        assert_eq!(snapshot.unwrap().ingested(OURS).await.unwrap(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_commit_costs_one_small_read_more() {
    let (location, _) = memory("s3://lake/t");
    for offset in 1..40 {
        commit(&location, OURS, offset).await;
    }
    let (location, counting) = counted(location);
    let without = Snapshots::new(patient());
    let with = Snapshots::new(patient());
    without.latest(&location).await.unwrap();
    let snapshot = with.latest(&location).await.unwrap();
    assert_eq!(snapshot.ingested(OURS).await.unwrap(), 39);
    for offset in 40..45 {
        commit(&location, OURS, offset).await;
        let version = offset.cast_unsigned() - 1;
        counting.take();
        without.refreshed(&location, None).await.unwrap();
        let plain = counting.take();
        let snapshot = with.refreshed(&location, None).await.unwrap();
        let requests = counting.take();
        assert_eq!(snapshot.version(), version);
        assert_eq!(requests.len(), plain.len() + 1, "{requests:?}");
        assert_eq!(
            reads_of(&requests, version),
            reads_of(&plain, version) + 1,
            "{requests:?}"
        );
        // It is known before anybody asks.
        assert_eq!(
            snapshot.ingested(OURS).await.unwrap(),
            offset.cast_unsigned()
        );
        assert_eq!(counting.take(), []);
    }
    // Several commits at once, of which the newest has no transaction.
    commit(&location, OURS, 50).await;
    append(&location, 0..1).await;
    append(&location, 0..1).await;
    counting.take();
    without.refreshed(&location, None).await.unwrap();
    let plain = counting.take();
    let snapshot = with.refreshed(&location, None).await.unwrap();
    let requests = counting.take();
    assert_eq!(snapshot.ingested(OURS).await.unwrap(), 50);
    assert_eq!(requests.len(), plain.len() + 3, "{requests:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_nobody_ingests_into_costs_nothing_more() {
    let (location, _) = memory("s3://lake/t");
    append(&location, 0..10).await;
    let (location, counting) = counted(location);
    let snapshots = Snapshots::new(patient());
    snapshots.latest(&location).await.unwrap();
    append(&location, 10..20).await;
    counting.take();
    let snapshot = snapshots.refreshed(&location, None).await.unwrap();
    let plain = counting.take();
    assert_eq!(snapshot.ingested(OURS).await.unwrap(), 0);
    let asked = counting.take();
    assert!(!asked.is_empty());
    // Once asked, it is carried along like any other.
    append(&location, 20..30).await;
    counting.take();
    let snapshot = snapshots.refreshed(&location, None).await.unwrap();
    assert_eq!(snapshot.ingested(OURS).await.unwrap(), 0);
    assert_eq!(counting.take().len(), plain.len() + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_is_gone_is_looked_for_in_the_checkpoint() {
    let (location, store) = memory("s3://lake/t");
    append(&location, 0..10).await;
    let snapshots = Snapshots::new(patient());
    let first = snapshots.latest(&location).await.unwrap();
    assert_eq!(first.ingested(OURS).await.unwrap(), 0);
    commit(&location, OURS, 5).await;
    let table = append(&location, 10..20).await;
    checkpoints::create_checkpoint(&table, None).await.unwrap();
    for version in 0..2 {
        store.delete(&commit_path(version)).await.unwrap();
    }
    let snapshot = snapshots.refreshed(&location, None).await.unwrap();
    assert_eq!(snapshot.version(), 2);
    assert_eq!(snapshot.ingested(OURS).await.unwrap(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_made_anew_begins_anew() {
    let (location, store) = memory("s3://lake/t");
    commit(&location, OURS, 5).await;
    let snapshots = Snapshots::new(patient());
    let first = snapshots.latest(&location).await.unwrap();
    assert_eq!(first.ingested(OURS).await.unwrap(), 5);
    store.delete(&commit_path(0)).await.unwrap();
    append(&location, 0..10).await;
    append(&location, 0..10).await;
    let second = snapshots.refreshed(&location, None).await.unwrap();
    assert_eq!(second.version(), 1);
    assert_eq!(second.ingested(OURS).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_sees_what_was_committed_before_it() {
    let (location, store) = memory("s3://lake/t");
    let snapshots = Arc::new(Snapshots::new(patient()));
    let error = snapshots.refreshed(&location, None).await.unwrap_err();
    assert!(matches!(error, Error::NotATable { .. }), "{error:?}");
    append(&location, 0..1).await;
    let (watched, counting) = counted(slow(&location));
    snapshots.latest(&watched).await.unwrap();
    // Others ask all the time, so that a look has begun already whenever somebody asks.
    let others = {
        let (snapshots, watched) = (Arc::clone(&snapshots), watched.clone());
        tokio::spawn(async move {
            loop {
                let _ = snapshots.refreshed(&watched, None).await;
            }
        })
    };
    for round in 0..20 {
        append(&location, 0..1).await;
        // By now that commit is found and being read.
        tokio::time::sleep(Duration::from_millis(7 * (round % 7))).await;
        append(&location, 0..1).await;
        let snapshot = snapshots.refreshed(&watched, None).await.unwrap();
        assert_eq!(snapshot.version(), 2 * round + 2);
    }
    others.abort();
    let _ = others.await;
    counting.take();
    // A version that is new enough is not looked for.
    let snapshot = snapshots.refreshed(&watched, Some(40)).await.unwrap();
    assert_eq!((snapshot.version(), counting.take().len()), (40, 0));
    // It doesn't fall back to what was there before.
    for version in 0..=40 {
        store.delete(&commit_path(version)).await.unwrap();
    }
    let error = snapshots.refreshed(&watched, None).await.unwrap_err();
    assert!(matches!(error, Error::NotATable { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_refresh_at_once_share_two_looks() {
    let (location, _) = memory("s3://lake/t");
    append(&location, 0..1).await;
    let (location, counting) = counted(slow(&location));
    let snapshots = Snapshots::new(patient());
    snapshots.latest(&location).await.unwrap();
    counting.take();
    let found = join_all((0..50).map(|_| snapshots.refreshed(&location, None))).await;
    assert!(found.iter().all(Result::is_ok));
    let requests = counting.take();
    assert!(requests.len() <= 4, "{requests:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watched_table_knows_its_offset_before_a_query_asks() {
    let (location, _) = memory("s3://lake/t");
    commit(&location, OURS, 1).await;
    let (location, counting) = counted(location);
    let snapshots = Snapshots::new(eager());
    let snapshot = snapshots.latest(&location).await.unwrap();
    assert_eq!(snapshot.ingested(OURS).await.unwrap(), 1);
    commit(&location, OURS, 2).await;
    until("version 1", || snapshots.status()[0].version == Some(1)).await;
    let snapshot = snapshots.latest(&location).await.unwrap();
    let reads = |requests: Vec<Request>| reads_of(&requests, 1);
    counting.take();
    assert_eq!(snapshot.ingested(OURS).await.unwrap(), 2);
    assert_eq!(reads(counting.take()), 0);
}
