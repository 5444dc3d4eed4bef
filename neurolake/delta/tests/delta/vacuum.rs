//! What a vacuum deletes and what it leaves, also when it is killed or not alone.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use deltalake::protocol::SaveMode;
use neurolake_delta::{Error, Location, Scope, VacuumOptions, vacuum};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::tables::{
    append, assert_sound, at, each_once, filled, ids, in_memory, killed_after, live, load, objects,
    rows, schema, stepwise,
};

fn at_once(scope: Scope) -> VacuumOptions {
    VacuumOptions {
        retention: Duration::ZERO,
        force: true,
        scope,
        ..VacuumOptions::default()
    }
}

async fn put(location: &Location, path: &str) {
    let path: Path = location
        .path()
        .parts()
        .chain(Path::from(path).parts())
        .collect();
    location.store.put(&path, "x".into()).await.unwrap();
}

/// Three files that were removed, and one that is live.
async fn overwritten(location: &Location) {
    filled(location, 3, 10).await;
    let table = load(location).await;
    let table = table
        .write([rows(0..7)])
        .with_save_mode(SaveMode::Overwrite);
    table.await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_files_go_and_all_else_stays() {
    for scope in [Scope::Removed, Scope::Everything] {
        let (location, _) = in_memory();
        overwritten(&location).await;
        for path in [
            "_neurolake/writer/1.json",
            "_other/x.parquet",
            ".hidden/x.parquet",
            "notes.txt",
        ] {
            put(&location, path).await;
        }
        // The dead letters lie beside the table, under a name that begins alike.
        let beside = Path::from("events__dead_letters/part-0.parquet");
        location.store.put(&beside, "x".into()).await.unwrap();
        put(&location, "part-orphan.parquet").await;
        let before = objects(&location).await;

        let dry = VacuumOptions {
            dry_run: true,
            ..at_once(scope)
        };
        let told = vacuum(&location, &dry).await.unwrap();
        assert_eq!(objects(&location).await, before);
        let done = vacuum(&location, &at_once(scope)).await.unwrap();
        assert_eq!(
            (done.files.len(), done.bytes),
            (told.files.len(), told.bytes)
        );
        assert!(told.dry_run && !done.dry_run && done.bytes > 0);

        let mut expected: Vec<_> = before.clone();
        expected.retain(|path| !done.files.contains(path));
        assert_eq!(objects(&location).await, expected);
        let orphan = "part-orphan.parquet".to_owned();
        assert_eq!(done.files.contains(&orphan), scope == Scope::Everything);
        assert_eq!(
            done.files.len(),
            if scope == Scope::Everything { 4 } else { 3 }
        );
        location.store.head(&beside).await.unwrap();
        assert_eq!(ids(&location).await, each_once(0..7));
        assert_sound(&location).await;
        // Nothing is left to do.
        let again = vacuum(&location, &at_once(scope)).await.unwrap();
        assert_eq!((again.files.len(), again.bytes), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_young_stays() {
    let (location, _) = in_memory();
    overwritten(&location).await;
    put(&location, "part-of-a-commit-to-come.parquet").await;
    let options = VacuumOptions {
        retention: Duration::from_hours(1),
        scope: Scope::Everything,
        ..VacuumOptions::default()
    };
    let done = vacuum(&location, &options).await.unwrap();
    assert!(done.files.is_empty(), "{done:?}");
    assert_eq!(ids(&location).await, each_once(0..7));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_retention_and_a_wrong_clock_are_refused() {
    let (location, _) = in_memory();
    overwritten(&location).await;
    let before = objects(&location).await;
    let short = VacuumOptions {
        retention: Duration::from_mins(59),
        ..VacuumOptions::default()
    };
    let error = vacuum(&location, &short).await.unwrap_err();
    assert!(matches!(error, Error::ShortRetention { .. }), "{error}");
    for hours in [-2, 2] {
        let wrong = VacuumOptions {
            clock: Arc::new(move || {
                let shift = Duration::from_hours(2);
                if hours < 0 {
                    SystemTime::now() - shift
                } else {
                    SystemTime::now() + shift
                }
            }),
            ..at_once(Scope::Everything)
        };
        let error = vacuum(&location, &wrong).await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::ClockSkew {
                    seconds: 7190..=7200,
                    ..
                }
            ),
            "{error}"
        );
    }
    assert_eq!(objects(&location).await, before);
    // A minute is no skew.
    let almost = VacuumOptions {
        clock: Arc::new(|| SystemTime::now() + Duration::from_secs(50)),
        ..VacuumOptions::default()
    };
    vacuum(&location, &almost).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_longer_retention_of_the_table_counts() {
    let (location, _) = in_memory();
    overwritten(&location).await;
    let table = load(&location).await;
    let retention = (
        "delta.deletedFileRetentionDuration".to_owned(),
        "interval 2 hours".to_owned(),
    );
    table
        .set_tbl_properties()
        .with_properties([retention].into())
        .await
        .unwrap();
    // An hour and a half later by both clocks can't be had here; so by the plan alone.
    let options = VacuumOptions {
        retention: Duration::from_hours(1),
        ..VacuumOptions::default()
    };
    assert!(vacuum(&location, &options).await.unwrap().files.is_empty());
    let forced = vacuum(&location, &at_once(Scope::Removed)).await.unwrap();
    assert_eq!(forced.files.len(), 3);
}

/// Folders that begin with an underscore are hidden, except those of partitions.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_whose_name_begins_with_an_underscore_is_not_hidden() {
    let (location, _) = in_memory();
    let table = deltalake::DeltaTable::new(location.log_store());
    let table = table
        .write([rows(0..3)])
        .with_partition_columns(["id"])
        .await
        .unwrap();
    drop(table);
    put(&location, "id=1/orphan.parquet").await;
    let (hidden, _) = in_memory();
    let schema = arrow::datatypes::Schema::new(vec![
        arrow::datatypes::Field::new("_day", arrow::datatypes::DataType::Int64, true),
        arrow::datatypes::Field::new("name", arrow::datatypes::DataType::Utf8, true),
    ]);
    let batch = rows(0..3);
    let batch =
        arrow::array::RecordBatch::try_new(Arc::new(schema), batch.columns().to_vec()).unwrap();
    let table = deltalake::DeltaTable::new(hidden.log_store());
    table
        .write([batch])
        .with_partition_columns(["_day"])
        .await
        .unwrap();
    put(&hidden, "_day=1/orphan.parquet").await;
    put(&hidden, "_days/orphan.parquet").await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let done = vacuum(&location, &at_once(Scope::Everything))
        .await
        .unwrap();
    assert_eq!(done.files, ["id=1/orphan.parquet"]);
    let done = vacuum(&hidden, &at_once(Scope::Everything)).await.unwrap();
    assert_eq!(done.files, ["_day=1/orphan.parquet"]);
    assert_sound(&hidden).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_the_next_one_ends_it() {
    let (made, original) = in_memory();
    overwritten(&made).await;
    put(&made, "part-orphan.parquet").await;
    let mut polls = 1;
    loop {
        let store = Arc::new(original.fork());
        let location = at(Arc::clone(&store) as _);
        let slow = at(stepwise(Arc::clone(&store) as _));
        let options = at_once(Scope::Everything);
        let ended = killed_after(polls, vacuum(&slow, &options)).await;
        assert_sound(&location).await;
        vacuum(&location, &options).await.unwrap();
        let files = objects(&location)
            .await
            .into_iter()
            .filter(|path| path.ends_with(".parquet"));
        assert_eq!(
            files.collect::<Vec<_>>(),
            live(&location).await,
            "after {polls} polls"
        );
        assert_eq!(ids(&location).await, each_once(0..7));
        if ended.is_some() {
            break;
        }
        polls += 1;
    }
    assert!(polls > 10, "{polls}");
    println!("{polls} moments");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_beside_a_writer_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let local = Location::local(folder.path()).unwrap();
    for location in [in_memory().0, local] {
        overwritten(&location).await;
        for number in 0..20 {
            put(&location, &format!("part-orphan-{number}.parquet")).await;
        }
        let writer = async {
            let options = neurolake_delta::LogOptions::default();
            let mut log = neurolake_delta::Log::open_or_create(&location, &schema(), &[], &options)
                .await
                .unwrap();
            for commit in 10..15 {
                append(&mut log, rows(commit * 10..commit * 10 + 10)).await;
            }
        };
        // What the writer writes now is in no commit yet, so only what was removed may go.
        let options = at_once(Scope::Removed);
        let (one, two, ()) = tokio::join!(
            vacuum(&location, &options),
            vacuum(&location, &options),
            writer
        );
        assert_eq!(one.unwrap().files.len().max(two.unwrap().files.len()), 3);
        let options = at_once(Scope::Everything);
        let (one, two) = tokio::join!(vacuum(&location, &options), vacuum(&location, &options));
        one.unwrap();
        two.unwrap();
        let mut expected = each_once(0..7);
        expected.extend(each_once(100..150));
        assert_eq!(ids(&location).await, expected);
        assert_sound(&location).await;
        let files = objects(&location)
            .await
            .into_iter()
            .filter(|path| path.ends_with(".parquet"));
        assert_eq!(files.collect::<Vec<_>>(), live(&location).await);
    }
}
