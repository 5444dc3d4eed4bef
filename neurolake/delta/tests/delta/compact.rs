//! Compaction keeps every row exactly once, whoever else is at work and wherever it is killed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, ListBuilder,
    MapBuilder, RecordBatch, StringArray, StringBuilder, StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use deltalake::protocol::SaveMode;
use neurolake_delta::{
    At, COMPACTED, CompactOptions, Compacted, Location, Log, LogOptions, Scope, Snapshots,
    VacuumOptions, compact, vacuum,
};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::hooked::{Hooked, Kind, broken};
use crate::tables::{
    Gate, append, assert_sound, at, each_once, filled, ids, in_memory, killed_after, live, load,
    objects, open, rows, stepwise, text,
};

/// All that is small, at once.
fn eager() -> CompactOptions {
    CompactOptions {
        settle: Duration::ZERO,
        ..CompactOptions::default()
    }
}

/// What deltalake knows about each live file.
async fn adds(location: &Location) -> Vec<(BTreeMap<String, Option<String>>, usize)> {
    let table = load(location).await;
    let files = table.snapshot().unwrap().log_data().into_iter();
    let mut known: Vec<_> = files
        .map(|file| {
            let partition = file.partition_values_map().into_iter().collect();
            (partition, file.num_records().unwrap())
        })
        .collect();
    known.sort();
    known
}

async fn commit(location: &Location, version: u64) -> String {
    let path = location
        .path()
        .join("_delta_log")
        .join(format!("{version:020}.json"));
    let content = location
        .store
        .get(&path)
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    String::from_utf8(content.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_files_become_one() {
    let (location, _) = in_memory();
    let mut log = filled(&location, 40, 10).await;
    let done = compact(&location, &eager()).await.unwrap();
    assert_eq!(
        done,
        Compacted {
            commits: 1,
            version: Some(41),
            files_removed: 40,
            files_added: 1,
            rows: 400,
            bytes_read: done.bytes_read,
            bytes_written: done.bytes_written,
            left_alone: Vec::new(),
        }
    );
    assert!(done.bytes_written * 4 < done.bytes_read, "{done:?}");
    assert_eq!(ids(&location).await, each_once(0..400));
    assert_eq!(adds(&location).await, [(BTreeMap::new(), 400)]);
    assert_sound(&location).await;

    let content = commit(&location, 41).await;
    assert!(!content.contains("\"dataChange\":true"), "{content}");
    assert_eq!(content.matches("\"dataChange\":false").count(), 41);
    assert!(content.contains(r#""operation":"OPTIMIZE""#), "{content}");
    assert!(
        content.contains("minValues") && content.contains(r#"\"id\":399"#),
        "{content}"
    );
    log.refresh().await.unwrap();
    assert_eq!(log.transaction(COMPACTED).await.unwrap(), Some(1));
    // The rows are in the order in which they came.
    let file = location.path().join(live(&location).await[0].as_str());
    let content = location
        .store
        .get(&file)
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(content, 1_000);
    let batch = reader.unwrap().next().unwrap().unwrap();
    let found = batch
        .column(0)
        .as_any()
        .downcast_ref::<Int64Array>()
        .unwrap();
    assert_eq!(found.values().to_vec(), (0..400).collect::<Vec<_>>());
    // Earlier versions are as they were.
    let snapshots = Snapshots::default();
    let before = snapshots.at(&location, &At::Version(40)).await.unwrap();
    assert_eq!(before.files().unwrap().len(), 40);

    assert_eq!(
        compact(&location, &eager()).await.unwrap(),
        Compacted::default()
    );
    append(&mut log, rows(400..410)).await;
    assert_eq!(
        compact(&location, &eager()).await.unwrap(),
        Compacted::default()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn few_young_or_large_files_are_left_alone() {
    let (location, _) = in_memory();
    filled(&location, 7, 10).await;
    assert_eq!(compact(&location, &eager()).await.unwrap().commits, 0);
    let two = CompactOptions {
        fan_in: 2,
        ..eager()
    };
    let young = CompactOptions {
        settle: Duration::from_mins(5),
        ..two.clone()
    };
    assert_eq!(compact(&location, &young).await.unwrap().commits, 0);
    let large = CompactOptions {
        target_bytes: 1_000,
        ..two.clone()
    };
    assert_eq!(compact(&location, &large).await.unwrap().commits, 0);
    assert_eq!(compact(&location, &two).await.unwrap().files_removed, 7);
    assert_eq!(ids(&location).await, each_once(0..70));

    let (nothing, _) = in_memory();
    let error = compact(&nothing, &eager()).await.unwrap_err();
    assert!(
        matches!(error, neurolake_delta::Error::NotATable { .. }),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_larger_than_the_target_are_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::local(folder.path()).unwrap();
    // Too large to be read at once, and hard to compress.
    let mut log = open(&location).await;
    let noisy = |from: i64| {
        let ids = from..from + 80_000;
        let names = ids.clone().map(|id| {
            let noise = |salt: u64| (id.cast_unsigned() + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            format!(
                "{:016x}{:016x}{:016x}{:016x}{:016x}",
                noise(1),
                noise(1 << 20),
                noise(1 << 30),
                noise(1 << 40),
                noise(1 << 50)
            )
        });
        let names: ArrayRef = Arc::new(StringArray::from_iter_values(names));
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(ids));
        RecordBatch::try_new(crate::tables::schema(), vec![ids, names]).unwrap()
    };
    for commit in 0..6 {
        append(&mut log, noisy(commit * 80_000)).await;
    }
    let sizes = |location: Location| async move {
        let table = load(&location).await;
        let files = table.snapshot().unwrap().log_data().into_iter();
        files.map(|file| file.size()).collect::<Vec<_>>()
    };
    assert!(
        sizes(location.clone())
            .await
            .iter()
            .all(|size| *size > 5 << 20)
    );
    let before = ids(&location).await;
    let options = CompactOptions {
        target_bytes: 15 << 20,
        commit_bytes: 1,
        ..eager()
    };
    let done = compact(&location, &options).await.unwrap();
    assert_eq!(
        (done.commits, done.files_removed, done.files_added),
        (2, 6, 2),
        "{done:?}"
    );
    assert!(
        sizes(location.clone())
            .await
            .iter()
            .all(|size| *size < 24 << 20)
    );
    assert_eq!(ids(&location).await, before);
    assert_sound(&location).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_kept_apart_and_values_as_they_were() {
    let (location, _) = in_memory();
    let fields = vec![
        Field::new("id", DataType::Int64, false),
        Field::new("place", DataType::Utf8, true),
        Field::new("day", DataType::Date32, true),
        Field::new(
            "at",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            true,
        ),
        Field::new("price", DataType::Decimal128(10, 2), true),
        Field::new("good", DataType::Boolean, true),
    ];
    let schema = Arc::new(Schema::new(fields));
    let partition_by = ["place", "day", "at", "price", "good"].map(ToOwned::to_owned);
    let mut log = Log::open_or_create(&location, &schema, &partition_by, &LogOptions::default())
        .await
        .unwrap();
    let places = [Some("a b"), Some("50% = é/ü?#&"), None, Some("x")];
    for commit in 0..10 {
        let ids = Int64Array::from_iter_values(commit * 4..commit * 4 + 4);
        let times = TimestampMicrosecondArray::from(vec![
            Some(1_770_000_000_123_456),
            None,
            Some(0),
            Some(-1),
        ]);
        let prices = Decimal128Array::from(vec![Some(-5), Some(12_345), None, Some(0)]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(ids),
            Arc::new(StringArray::from(places.to_vec())),
            Arc::new(Date32Array::from(vec![
                Some(20_000),
                Some(-1),
                None,
                Some(0),
            ])),
            Arc::new(times.with_timezone("UTC")),
            Arc::new(prices.with_precision_and_scale(10, 2).unwrap()),
            Arc::new(BooleanArray::from(vec![
                Some(true),
                Some(false),
                None,
                Some(true),
            ])),
        ];
        append(
            &mut log,
            RecordBatch::try_new(Arc::clone(&schema), columns).unwrap(),
        )
        .await;
    }
    let (before, known) = (text(&location).await, adds(&location).await);
    assert_eq!(known.len(), 40);
    let done = compact(&location, &eager()).await.unwrap();
    assert_eq!(
        (done.commits, done.files_removed, done.files_added),
        (1, 40, 4),
        "{done:?}"
    );
    assert_eq!(text(&location).await, before);
    let expected: Vec<_> = known
        .into_iter()
        .step_by(10)
        .map(|(values, _)| (values, 10))
        .collect();
    assert_eq!(adds(&location).await, expected);
    assert_sound(&location).await;
}

/// Lists, maps, structs, floats that aren't numbers, and a column that came later.
#[tokio::test(flavor = "multi_thread")]
async fn nested_values_and_new_columns_survive() {
    let (location, _) = in_memory();
    let batch = |commit: i64| {
        let mut lists = ListBuilder::new(arrow::array::Float32Builder::new())
            .with_field(Field::new("element", DataType::Float32, true));
        let mut maps = MapBuilder::new(
            Some(arrow::array::MapFieldNames {
                entry: "key_value".into(),
                key: "key".into(),
                value: "value".into(),
            }),
            StringBuilder::new(),
            StringBuilder::new(),
        );
        for row in 0..3 {
            if row == 0 {
                lists.append_null();
                maps.append(false).unwrap();
                continue;
            }
            lists.values().append_slice(&[f32::NAN, 1.5]);
            lists.values().append_null();
            lists.append(true);
            maps.keys().append_value("k");
            maps.values().append_value(format!("v {commit}"));
            maps.append(true).unwrap();
        }
        let inner: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("c")]));
        let inner = (Arc::new(Field::new("inner", DataType::Utf8, true)), inner);
        let columns: Vec<(&str, ArrayRef)> = vec![
            (
                "id",
                Arc::new(Int64Array::from(vec![
                    commit * 3,
                    commit * 3 + 1,
                    commit * 3 + 2,
                ])),
            ),
            (
                "float",
                Arc::new(Float64Array::from(vec![
                    Some(f64::NAN),
                    None,
                    Some(f64::NEG_INFINITY),
                ])),
            ),
            ("list", Arc::new(lists.finish())),
            ("map", Arc::new(maps.finish())),
            ("struct", Arc::new(StructArray::from(vec![inner]))),
        ];
        RecordBatch::try_from_iter_with_nullable(
            columns
                .into_iter()
                .map(|(name, column)| (name, column, true)),
        )
        .unwrap()
    };
    let schema = batch(0).schema();
    let mut log = Log::open_or_create(&location, &schema, &[], &LogOptions::default())
        .await
        .unwrap();
    for commit in 0..6 {
        append(&mut log, batch(commit)).await;
    }
    let fields = schema.fields().iter().cloned();
    let note = Arc::new(Field::new("note", DataType::Utf8, true));
    let wider = Arc::new(Schema::new(fields.chain([note]).collect::<Vec<_>>()));
    assert!(log.add_columns(&wider).await.unwrap());
    for commit in 6..12 {
        let notes: ArrayRef = Arc::new(StringArray::from(vec!["new"; 3]));
        let columns = batch(commit)
            .columns()
            .iter()
            .cloned()
            .chain([notes])
            .collect();
        let batch = RecordBatch::try_new(Arc::clone(log.schema()), columns);
        append(&mut log, batch.unwrap()).await;
    }
    let before = text(&location).await;
    let done = compact(&location, &eager()).await.unwrap();
    assert_eq!(
        (done.files_removed, done.files_added, done.rows),
        (12, 1, 36),
        "{done:?}"
    );
    assert_eq!(text(&location).await, before);
    assert_sound(&location).await;
}

/// Both have planned the same, and stand just before their commits.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_with_the_same_plan_one_is_refused() {
    let (location, store) = in_memory();
    filled(&location, 20, 3).await;
    let (gate, held) = Gate::before_commits(Arc::clone(&store) as _);
    let tasks = [(); 2].map(|()| {
        let held = at(Arc::clone(&held));
        tokio::spawn(async move { compact(&held, &eager()).await.unwrap() })
    });
    gate.arrived(2).await;
    gate.open();
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await.unwrap());
    }
    done.sort_by_key(|done| done.commits);
    assert_eq!((done[0].commits, done[1].commits), (0, 1));
    assert_eq!(done[0].left_alone[0].files, 20);
    assert_eq!(ids(&location).await, each_once(0..60));
    assert_eq!(live(&location).await.len(), 1);
    assert_sound(&location).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_rewrite_different_partitions_both_commit() {
    let (location, store) = in_memory();
    let schema = crate::tables::schema();
    let by_name = ["name".to_owned()];
    let mut log = Log::open_or_create(&location, &schema, &by_name, &LogOptions::default())
        .await
        .unwrap();
    let mut next = 0;
    let mut rows_of = |name: &str| {
        next += 1;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![next - 1])),
            Arc::new(StringArray::from(vec![name])),
        ];
        RecordBatch::try_new(Arc::clone(&schema), columns).unwrap()
    };
    for _ in 0..10 {
        append(&mut log, rows_of("a")).await;
    }
    let (gate, held) = Gate::before_commits(Arc::clone(&store) as _);
    let held = at(held);
    let first = tokio::spawn(async move { compact(&held, &eager()).await.unwrap() });
    gate.arrived(1).await;
    for _ in 0..10 {
        append(&mut log, rows_of("b")).await;
    }
    // The same partition is planned here as well, and loses.
    let second = compact(&location, &eager()).await.unwrap();
    assert_eq!((second.commits, second.files_added), (1, 2));
    gate.open();
    assert_eq!(first.await.unwrap().commits, 0);
    assert_eq!(ids(&location).await, each_once(0..20));

    // Now really different ones.
    for _ in 0..10 {
        append(&mut log, rows_of("c")).await;
    }
    let (gate, held) = Gate::before_commits(Arc::clone(&store) as _);
    let held = at(held);
    let first = tokio::spawn(async move { compact(&held, &eager()).await.unwrap() });
    gate.arrived(1).await;
    for _ in 0..80 {
        append(&mut log, rows_of("d")).await;
    }
    let only_d = CompactOptions {
        fan_in: 60,
        ..eager()
    };
    assert_eq!(compact(&location, &only_d).await.unwrap().files_removed, 80);
    gate.open();
    assert_eq!(first.await.unwrap().files_removed, 10);
    assert_eq!(ids(&location).await, each_once(0..110));
    assert_eq!(live(&location).await.len(), 4);
    assert_sound(&location).await;
}

/// What happens between the plan and the commit: rows go, all of them or some.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_others_delete_do_not_come_back() {
    // Also when the compactor slept so long in between that it opens the table anew.
    for asleep in [false, true] {
        for overwrite in [true, false] {
            let (location, store) = in_memory();
            filled(&location, 20, 3).await;
            let (gate, held) = Gate::before_commits(Arc::clone(&store) as _);
            let held = at(held);
            let skipped = Arc::new(AtomicU64::new(0));
            let seconds = Arc::clone(&skipped);
            let mut options = eager();
            options.log.clock = Arc::new(move || {
                SystemTime::now() + Duration::from_secs(seconds.load(Ordering::SeqCst))
            });
            let compacting = tokio::spawn(async move { compact(&held, &options).await.unwrap() });
            gate.arrived(1).await;
            let table = load(&location).await;
            if overwrite {
                let written = table
                    .write([rows(0..5)])
                    .with_save_mode(SaveMode::Overwrite);
                written.await.unwrap();
            } else {
                table.delete().with_predicate("id >= 5").await.unwrap();
            }
            if asleep {
                skipped.store(3_600, Ordering::SeqCst);
            }
            gate.open();
            let done = compacting.await.unwrap();
            assert_eq!((done.commits, done.left_alone.len()), (0, 1), "{done:?}");
            assert_eq!(ids(&location).await, each_once(0..5));
            assert_sound(&location).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_comes_before_the_commit_is_no_harm() {
    let (location, store) = in_memory();
    let mut log = filled(&location, 20, 3).await;
    let (gate, held) = Gate::before_commits(Arc::clone(&store) as _);
    let held = at(held);
    let compacting = tokio::spawn(async move { compact(&held, &eager()).await.unwrap() });
    gate.arrived(1).await;
    let fields = crate::tables::schema()
        .fields()
        .iter()
        .cloned()
        .collect::<Vec<_>>();
    let note = Arc::new(Field::new("note", DataType::Utf8, true));
    log.add_columns(&Schema::new([fields, vec![note]].concat()))
        .await
        .unwrap();
    gate.open();
    compacting.await.unwrap();
    assert_eq!(ids(&location).await, each_once(0..60));
    compact(&location, &eager()).await.unwrap();
    assert_eq!(live(&location).await.len(), 1);
    assert_eq!(ids(&location).await, each_once(0..60));
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_writer_and_another_compactor_and_a_vacuum() {
    let folder = tempfile::tempdir().unwrap();
    let local = Location::local(folder.path()).unwrap();
    for location in [in_memory().0, local] {
        filled(&location, 0, 0).await;
        let is_writing = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let compactors = [(); 2].map(|()| {
            let (location, is_writing) = (location.clone(), Arc::clone(&is_writing));
            tokio::spawn(async move {
                let mut commits = 0;
                while is_writing.load(Ordering::SeqCst) {
                    commits += compact(&location, &eager()).await.unwrap().commits;
                    let options = VacuumOptions {
                        scope: Scope::Removed,
                        ..VacuumOptions::default()
                    };
                    vacuum(&location, &options).await.unwrap();
                }
                commits
            })
        });
        let mut log = open(&location).await;
        for commit in 0..100 {
            append(&mut log, rows(commit * 5..commit * 5 + 5)).await;
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        is_writing.store(false, Ordering::SeqCst);
        let mut commits = 0;
        for compactor in compactors {
            commits += compactor.await.unwrap();
        }
        compact(&location, &eager()).await.unwrap();
        assert!(commits > 0);
        assert_eq!(ids(&location).await, each_once(0..500));
        assert!(live(&location).await.len() < 50);
        assert_sound(&location).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_no_row_is_lost_or_doubled() {
    let mut polls = 1;
    let (made, original) = in_memory();
    filled(&made, 10, 3).await;
    loop {
        let store = Arc::new(original.fork());
        let location = at(Arc::clone(&store) as _);
        let mut log = open(&location).await;
        let slow = at(stepwise(Arc::clone(&store) as _));
        let ended = killed_after(polls, compact(&slow, &eager())).await;
        assert_eq!(
            ids(&location).await,
            each_once(0..30),
            "after {polls} polls"
        );
        assert_sound(&location).await;
        append(&mut log, rows(30..33)).await;
        compact(&location, &eager()).await.unwrap();
        assert_eq!(ids(&location).await, each_once(0..33));
        assert!(live(&location).await.len() <= 2);
        // What the dead one left behind goes.
        let options = VacuumOptions {
            retention: Duration::ZERO,
            force: true,
            scope: Scope::Everything,
            ..VacuumOptions::default()
        };
        tokio::time::sleep(Duration::from_millis(2)).await;
        vacuum(&location, &options).await.unwrap();
        let files = objects(&location)
            .await
            .into_iter()
            .filter(|path| path.ends_with(".parquet"));
        assert_eq!(files.collect::<Vec<_>>(), live(&location).await);
        assert_eq!(ids(&location).await, each_once(0..33));
        if ended.is_some() {
            break;
        }
        polls += 1;
    }
    assert!(polls > 20, "{polls}");
    println!("{polls} moments");
}

/// Every second request in turn fails, before or after it was done.
#[tokio::test(flavor = "multi_thread")]
async fn any_request_may_fail_or_lose_its_answer() {
    let (made, original) = in_memory();
    filled(&made, 10, 3).await;
    for after in [false, true] {
        let mut fails_at = 0;
        loop {
            let store = Arc::new(original.fork());
            let location = at(Arc::clone(&store) as _);
            let count = Arc::new(AtomicU64::new(0));
            let counter = Arc::clone(&count);
            let shaky = at(Hooked::new(Arc::clone(&store) as _, move |call| {
                let fails =
                    call.is_done == after && counter.fetch_add(1, Ordering::SeqCst) == fails_at;
                Box::pin(async move { if fails { Err(broken()) } else { Ok(()) } })
            }));
            let result = compact(&shaky, &eager()).await;
            if let Ok(done) = &result {
                assert_eq!(done.commits, 1, "{done:?}");
                assert_eq!(live(&location).await.len(), 1);
            }
            assert_eq!(ids(&location).await, each_once(0..30));
            assert_sound(&location).await;
            compact(&location, &eager()).await.unwrap();
            assert_eq!(ids(&location).await, each_once(0..30));
            assert_eq!(live(&location).await.len(), 1);
            if count.load(Ordering::SeqCst) <= fails_at {
                assert!(result.is_ok());
                break;
            }
            fails_at += 2;
        }
        assert!(fails_at > 20, "{fails_at}");
    }
}

/// Files that can't be rewritten hinder no others.
#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_rewritten_stays() {
    let (location, store) = in_memory();
    let schema = crate::tables::schema();
    let by_name = ["name".to_owned()];
    let mut log = Log::open_or_create(&location, &schema, &by_name, &LogOptions::default())
        .await
        .unwrap();
    for commit in 0..10 {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![commit, commit + 10])),
            Arc::new(StringArray::from(vec!["good", "torn"])),
        ];
        append(
            &mut log,
            RecordBatch::try_new(Arc::clone(&schema), columns).unwrap(),
        )
        .await;
    }
    let torn = live(&location)
        .await
        .into_iter()
        .find(|path| path.starts_with("name=torn"))
        .unwrap();
    let path = location
        .path()
        .parts()
        .chain(Path::from(torn).parts())
        .collect();
    let content = store.get(&path).await.unwrap().bytes().await.unwrap();
    store
        .put(&path, content.slice(..content.len() / 2).into())
        .await
        .unwrap();
    let done = compact(&location, &eager()).await.unwrap();
    assert_eq!((done.files_removed, done.files_added), (10, 1), "{done:?}");
    assert_eq!(done.left_alone.len(), 1);
    assert_eq!(done.left_alone[0].files, 10);
    // Whole again.
    store.put(&path, content.into()).await.unwrap();
    assert_eq!(ids(&location).await, each_once(0..20));
    compact(&location, &eager()).await.unwrap();
    assert_eq!(ids(&location).await, each_once(0..20));
    assert_eq!(live(&location).await.len(), 2);
}

/// A table whose log is written by hand. Its Parquet files are those of another table.
async fn by_hand(features: &str, adds: impl Fn(usize, &str) -> String) -> Location {
    let (made, store) = in_memory();
    filled(&made, 10, 3).await;
    let files = live(&made).await;
    let location = Location::new(
        "s3://lake/by_hand".parse().unwrap(),
        Arc::clone(&store) as _,
    );
    let first = commit(&made, 0).await;
    let metadata = first
        .lines()
        .find(|line| line.contains("metaData"))
        .unwrap();
    let mut lines = vec![features.to_owned(), metadata.to_owned()];
    for (index, file) in files.iter().enumerate() {
        let from = made.path().join(file.as_str());
        let content = store.get(&from).await.unwrap().bytes().await.unwrap();
        let to = location.path().join(format!("part {index}.parquet"));
        let size = content.len();
        store.put(&to, content.into()).await.unwrap();
        lines.push(adds(
            index,
            &format!(
                r#""size":{size},"partitionValues":{{}},"modificationTime":0,"dataChange":true"#
            ),
        ));
    }
    let log = location
        .path()
        .join("_delta_log")
        .join("00000000000000000000.json");
    store.put(&log, lines.join("\n").into()).await.unwrap();
    location
}

const PLAIN: &str = r#"{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_written_in_another_way_is_not_removed_in_vain() {
    // A space that is encoded, as we would write it.
    let location = by_hand(PLAIN, |index, rest| {
        format!(r#"{{"add":{{"path":"part%20{index}.parquet",{rest}}}}}"#)
    })
    .await;
    assert_eq!(ids(&location).await, each_once(0..30));
    assert_eq!(
        compact(&location, &eager()).await.unwrap().files_removed,
        10
    );
    assert_eq!(ids(&location).await, each_once(0..30));
    // A space as it is. A removal of `part%200.parquet` wouldn't remove it.
    let location = by_hand(PLAIN, |index, rest| {
        format!(r#"{{"add":{{"path":"part {index}.parquet",{rest}}}}}"#)
    })
    .await;
    assert_eq!(ids(&location).await, each_once(0..30));
    assert_eq!(
        compact(&location, &eager()).await.unwrap(),
        Compacted::default()
    );
    assert_eq!(ids(&location).await, each_once(0..30));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_with_deletion_vectors_are_left_alone() {
    let features = r#"{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["deletionVectors"],"writerFeatures":["deletionVectors"]}}"#;
    let vector = r#""deletionVector":{"storageType":"u","pathOrInlineDv":"ab^-aqEH.-t@S}K{vb[*k^","offset":1,"sizeInBytes":36,"cardinality":1}"#;
    let location = by_hand(features, |index, rest| {
        let path = format!(r#""path":"part%20{index}.parquet""#);
        match index {
            9 => format!(r#"{{"add":{{{path},{vector},{rest}}}}}"#),
            _ => format!(r#"{{"add":{{{path},{rest}}}}}"#),
        }
    })
    .await;
    let done = compact(&location, &eager()).await.unwrap();
    assert_eq!((done.files_removed, done.files_added), (9, 1), "{done:?}");
    let left = live(&location).await;
    assert!(left.contains(&"part 9.parquet".to_owned()), "{left:?}");
}

/// As over an hour at two commits a second with a compaction a minute.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_is_rewritten_a_few_times_only() {
    let (location, _) = in_memory();
    let mut log = open(&location).await;
    let (minutes, per_minute, each) = (30, 16, 10);
    let (mut rewritten, mut most_live) = (0, 0);
    for minute in 0..minutes {
        for second in 0..per_minute {
            let first = (minute * per_minute + second) * each;
            append(&mut log, rows(first..first + each)).await;
        }
        rewritten += compact(&location, &eager()).await.unwrap().rows;
        most_live = most_live.max(live(&location).await.len());
    }
    let all = minutes * per_minute * each;
    let amplification = rewritten as f64 / all as f64;
    println!("rewritten {amplification:.2} times, at most {most_live} live files");
    assert!(amplification < 3.5, "{amplification}");
    assert!(most_live < 60, "{most_live}");
    assert_eq!(ids(&location).await, each_once(0..all));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_reads_a_small_file() {
    let (location, store) = in_memory();
    filled(&location, 10, 3).await;
    let gets = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&gets);
    let counting = at(Hooked::new(Arc::clone(&store) as _, move |call| {
        if call.kind == Kind::Get && call.is_done && call.path.ends_with(".parquet") {
            counter.fetch_add(1, Ordering::SeqCst);
        }
        Box::pin(async { Ok(()) })
    }));
    compact(&counting, &eager()).await.unwrap();
    assert_eq!(gets.load(Ordering::SeqCst), 10);
}

/// The store fails between two commits of others that are read; the first of them has removed what
/// is compacted.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_before_a_failure_is_not_forgotten() {
    let (location, store) = in_memory();
    let mut log = filled(&location, 20, 3).await;
    let failing = format!("{:020}.json", 22);
    let fails = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is_failing = Arc::clone(&fails);
    let shaky = Hooked::new(Arc::clone(&store) as _, move |call| {
        let fails = call.kind == Kind::Get
            && call.path.ends_with(&failing)
            && is_failing.swap(false, Ordering::SeqCst);
        Box::pin(async move { if fails { Err(broken()) } else { Ok(()) } })
    });
    let (gate, held) = Gate::before_commits(shaky);
    let held = at(held);
    let compacting = tokio::spawn(async move { compact(&held, &eager()).await.unwrap() });
    gate.arrived(1).await;
    let table = load(&location).await;
    table.delete().with_predicate("id >= 5").await.unwrap();
    append(&mut log, rows(100..103)).await;
    fails.store(true, Ordering::SeqCst);
    gate.open();
    let done = compacting.await.unwrap();
    assert!(!fails.load(Ordering::SeqCst));
    assert_eq!((done.commits, done.left_alone.len()), (0, 1), "{done:?}");
    let mut expected = each_once(0..5);
    expected.extend(each_once(100..103));
    assert_eq!(ids(&location).await, expected);
}
