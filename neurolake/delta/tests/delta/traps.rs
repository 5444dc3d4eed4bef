//! Traps of deltalake that were measured, and that our own ways avoid. Each test says first what
//! deltalake does today: where that fails, it has been mended, and something of ours may go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use deltalake::DeltaTable;
use deltalake::kernel::transaction::CommitProperties;
use deltalake::operations::vacuum::VacuumMode;
use deltalake::protocol::SaveMode;
use deltalake::protocol::checkpoints::create_checkpoint;
use deltalake::writer::{DeltaWriter, RecordBatchWriter};
use neurolake_delta::{
    COMPACTED, Change, CompactOptions, Error, Location, Log, LogOptions, Scope, Transaction,
    VacuumOptions, compact, vacuum,
};
use object_store::ObjectStoreExt;

use crate::tables::{
    Gate, append, at, each_once, filled, ids, in_memory, live, load, objects, open, rows,
};

fn eager() -> CompactOptions {
    CompactOptions {
        settle: Duration::ZERO,
        ..CompactOptions::default()
    }
}

fn each_twice(ids: std::ops::Range<i64>) -> BTreeMap<i64, usize> {
    ids.map(|id| (id, 2)).collect()
}

async fn transaction(location: &Location, application: &str) -> Option<i64> {
    let options = LogOptions::default();
    let mut log = Log::open(location, &options).await.unwrap();
    log.transaction(application).await.unwrap()
}

/// Field note 1.
#[tokio::test(flavor = "multi_thread")]
async fn two_optimizes_of_one_snapshot_double_every_row() {
    let (location, _) = in_memory();
    filled(&location, 20, 3).await;
    let (one, two) = (load(&location).await, load(&location).await);
    one.optimize().await.unwrap();
    two.optimize().await.unwrap();
    assert_eq!(ids(&location).await, each_twice(0..60));

    // Ours, the other one being ours or deltalake's.
    for ours in [true, false] {
        let (location, store) = in_memory();
        filled(&location, 20, 3).await;
        let (gate, held) = Gate::before_commits(Arc::clone(&store) as _);
        let held = at(held);
        let held_back = tokio::spawn(async move { compact(&held, &eager()).await.unwrap() });
        gate.arrived(1).await;
        if ours {
            assert_eq!(compact(&location, &eager()).await.unwrap().commits, 1);
        } else {
            load(&location).await.optimize().await.unwrap();
        }
        gate.open();
        assert_eq!(held_back.await.unwrap().commits, 0);
        assert_eq!(ids(&location).await, each_once(0..60));
    }
}

/// Field note 1: what is overwritten from an older snapshot stays, if it was optimized since.
#[tokio::test(flavor = "multi_thread")]
async fn an_overwrite_misses_what_was_compacted_since_its_snapshot() {
    let mut survivors = each_once(0..60);
    survivors.insert(1_000, 1);
    let overwrite = async |table: DeltaTable| {
        let written = table
            .write([rows(1_000..1_001)])
            .with_save_mode(SaveMode::Overwrite);
        written.await.map(drop)
    };
    let (location, _) = in_memory();
    filled(&location, 20, 3).await;
    let old = load(&location).await;
    load(&location).await.optimize().await.unwrap();
    overwrite(old).await.unwrap();
    assert_eq!(ids(&location).await, survivors);
    // No commit of ours can prevent it: the one that comes second must look, and that is
    // deltalake's. So: no overwriting with deltalake beside a compactor, whosever.
    let (location, _) = in_memory();
    filled(&location, 20, 3).await;
    let old = load(&location).await;
    compact(&location, &eager()).await.unwrap();
    overwrite(old).await.unwrap();
    assert_eq!(ids(&location).await, survivors);
}

/// Field note 2.
#[tokio::test(flavor = "multi_thread")]
async fn optimize_drops_its_transaction() {
    let (location, _) = in_memory();
    filled(&location, 20, 3).await;
    let step = deltalake::kernel::Transaction::new("compactor", 1);
    let properties = CommitProperties::default().with_application_transaction(step);
    let table = load(&location).await;
    table
        .optimize()
        .with_commit_properties(properties)
        .await
        .unwrap();
    assert_eq!(live(&location).await.len(), 1);
    assert_eq!(transaction(&location, "compactor").await, None);

    let (location, _) = in_memory();
    filled(&location, 20, 3).await;
    compact(&location, &eager()).await.unwrap();
    assert_eq!(transaction(&location, COMPACTED).await, Some(1));
}

/// Field note 4.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_taken_again_and_backwards_by_who_looks_first() {
    let (location, _) = in_memory();
    open(&location).await;
    for version in [5, 5, 3] {
        let step = deltalake::kernel::Transaction::new("app", version);
        let properties = CommitProperties::default().with_application_transaction(step);
        let table = load(&location).await;
        table
            .write([rows(0..3)])
            .with_commit_properties(properties)
            .await
            .unwrap();
    }
    assert_eq!(ids(&location).await, (0..3).map(|id| (id, 3)).collect());
    assert_eq!(transaction(&location, "app").await, Some(3));

    let (location, _) = in_memory();
    open(&location).await;
    for (from, to, is_new) in [(None, 5, true), (None, 5, false), (None, 3, false)] {
        let mut log = open(&location).await;
        let files = log.write([rows(0..3)]).await.unwrap();
        let application = "app".to_owned();
        let step = Transaction {
            application,
            from,
            to,
        };
        let committed = log.commit(Change::append(files, step)).await.unwrap();
        assert_eq!(committed.was_there, !is_new, "{from:?} to {to}");
        assert_eq!(ids(&location).await, each_once(0..3), "{from:?} to {to}");
    }
    assert_eq!(transaction(&location, "app").await, Some(5));
    let mut log = open(&location).await;
    let files = log.write([rows(0..3)]).await.unwrap();
    let step = Transaction {
        application: "app".into(),
        from: Some(4),
        to: 9,
    };
    let error = log.commit(Change::append(files, step)).await.unwrap_err();
    assert!(
        matches!(error, Error::Fenced { found: Some(5), .. }),
        "{error}"
    );
    assert_eq!(ids(&location).await, each_once(0..3));
}

/// Field note 8.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_deleted_make_appends_fail() {
    let (location, _) = in_memory();
    let mut log = filled(&location, 5, 3).await;
    let mut old = load(&location).await;
    load(&location)
        .await
        .delete()
        .with_predicate("id < 3")
        .await
        .unwrap();
    let mut writer = RecordBatchWriter::for_table(&old).unwrap();
    writer.write(rows(100..103)).await.unwrap();
    writer.flush_and_commit(&mut old).await.unwrap_err();
    assert_eq!(ids(&location).await, each_once(3..15));

    append(&mut log, rows(100..103)).await;
    let mut expected = each_once(3..15);
    expected.extend(each_once(100..103));
    assert_eq!(ids(&location).await, expected);
}

/// Field note 9: removals that the log has forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn a_light_vacuum_misses_what_the_log_has_forgotten() {
    let (location, store) = in_memory();
    filled(&location, 3, 3).await;
    let forget = (
        "delta.deletedFileRetentionDuration".to_owned(),
        "interval 0 hours".to_owned(),
    );
    let table = load(&location).await;
    let table = table
        .set_tbl_properties()
        .with_properties([forget].into())
        .await
        .unwrap();
    let table = table
        .write([rows(0..1)])
        .with_save_mode(SaveMode::Overwrite)
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    create_checkpoint(&table, None).await.unwrap();
    for version in 0..table.version().unwrap() {
        let commit = location
            .path()
            .join("_delta_log")
            .join(format!("{version:020}.json"));
        store.delete(&commit).await.unwrap();
    }
    let (_, found) = load(&location)
        .await
        .vacuum()
        .with_mode(VacuumMode::Lite)
        .with_retention_period(chrono::TimeDelta::zero())
        .with_enforce_retention_duration(false)
        .await
        .unwrap();
    assert!(found.files_deleted.is_empty());

    let options = VacuumOptions {
        retention: Duration::ZERO,
        force: true,
        scope: Scope::Everything,
        ..VacuumOptions::default()
    };
    assert_eq!(vacuum(&location, &options).await.unwrap().files.len(), 3);
    let files = objects(&location).await.into_iter();
    let files = files.filter(|path| path.ends_with(".parquet") && !path.starts_with('_'));
    assert_eq!(files.collect::<Vec<_>>(), live(&location).await);
    assert_eq!(ids(&location).await, each_once(0..1));
}

/// Field note 9: what is demanded of rows, and settings that nobody obeys.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_batch_writer_takes_rows_that_a_constraint_forbids() {
    let (location, _) = in_memory();
    filled(&location, 1, 3).await;
    let table = load(&location).await;
    let table = table
        .add_constraint()
        .with_constraint("small", "id < 10")
        .await
        .unwrap();
    let mut writer = RecordBatchWriter::for_table(&table).unwrap();
    writer.write(rows(100..101)).await.unwrap();
    let mut table = table;
    writer.flush_and_commit(&mut table).await.unwrap();
    assert!(ids(&location).await.contains_key(&100));

    let options = LogOptions::default();
    let error = Log::open(&location, &options).await.unwrap_err();
    assert!(matches!(error, Error::CantWrite { .. }), "{error}");
    assert!(error.to_string().contains("constraint"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_for_automatic_compaction_do_nothing() {
    let (location, _) = in_memory();
    filled(&location, 1, 3).await;
    let auto = [
        (
            "delta.autoOptimize.autoCompact".to_owned(),
            "true".to_owned(),
        ),
        (
            "delta.autoOptimize.optimizeWrite".to_owned(),
            "true".to_owned(),
        ),
    ];
    let table = load(&location).await;
    let mut table = table
        .set_tbl_properties()
        .with_properties(auto.into())
        .await
        .unwrap();
    for commit in 1..20 {
        table = table
            .write([rows(commit * 3..commit * 3 + 3)])
            .await
            .unwrap();
    }
    assert_eq!(live(&location).await.len(), 20);
    compact(&location, &eager()).await.unwrap();
    assert_eq!(live(&location).await.len(), 1);
    assert_eq!(ids(&location).await, each_once(0..60));
}
