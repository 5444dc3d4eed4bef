//! Checkpoints and the clean-up of logs.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use deltalake::protocol::checkpoints::create_checkpoint;
use neurolake_delta::{At, Error, Location, LogKept, LogUpkeep, Snapshots, keep_log};
use tempfile::TempDir;

use crate::tables::{
    append, assert_sound, each_once, filled, ids, in_memory, killed_after, load, objects, rows,
    stepwise,
};

const HOUR: Duration = Duration::from_hours(1);

/// A table with one commit of ten rows an hour, the last one just now.
async fn hourly(commits: u32, checkpoints: &[u32]) -> (Location, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::local(folder.path()).unwrap();
    let mut log = filled(&location, 0, 0).await;
    for commit in 1..=commits {
        let first = i64::from(commit - 1) * 10;
        append(&mut log, rows(first..first + 10)).await;
        if checkpoints.contains(&commit) {
            create_checkpoint(&load(&location).await, None)
                .await
                .unwrap();
        }
    }
    date_commits(folder.path(), commits);
    (location, folder)
}

fn date_commits(folder: &Path, commits: u32) {
    for file in std::fs::read_dir(folder.join("_delta_log")).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        if let Ok(version) = name.split('.').next().unwrap().parse::<u32>() {
            let age = HOUR * (commits - version);
            let file = std::fs::File::options().write(true).open(file.path());
            file.unwrap().set_modified(SystemTime::now() - age).unwrap();
        }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn upkeep(checkpoint_every: u64, hours: u32) -> LogUpkeep {
    LogUpkeep {
        checkpoint_every,
        retention: HOUR * hours,
        ..LogUpkeep::default()
    }
}

/// Never a new checkpoint.
fn clean_only(hours: u32) -> LogUpkeep {
    upkeep(u64::MAX, hours)
}

async fn log_files(location: &Location) -> Vec<String> {
    let files = objects(location).await.into_iter();
    let names = files.filter_map(|path| path.strip_prefix("_delta_log/").map(ToOwned::to_owned));
    names
        .map(|name| name.trim_start_matches('0').to_owned())
        .filter(|name| !name.starts_with('_'))
        .collect()
}

async fn rows_at(location: &Location, version: u64) -> Result<usize, Error> {
    let snapshots = Snapshots::default();
    let snapshot = snapshots.at(location, &At::Version(version)).await?;
    let files = snapshot.files()?;
    Ok((0..files.len())
        .map(|file| files.rows(file).unwrap_or(0) as usize)
        .sum())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_is_written_when_enough_was_committed() {
    let (location, _store) = in_memory();
    let mut log = filled(&location, 3, 10).await;
    let every_five = upkeep(5, 24);
    assert_eq!(
        keep_log(&location, &every_five).await.unwrap(),
        LogKept::default()
    );
    append(&mut log, rows(30..40)).await;
    // Versions 0 to 4.
    let kept = keep_log(&location, &every_five).await.unwrap();
    assert_eq!(
        kept,
        LogKept {
            checkpoint: Some(4),
            deleted: 0
        }
    );
    for commit in 4..8 {
        append(&mut log, rows(commit * 10..commit * 10 + 10)).await;
    }
    assert_eq!(
        keep_log(&location, &every_five).await.unwrap(),
        LogKept::default()
    );
    append(&mut log, rows(80..90)).await;
    // Two at once write the same.
    let (one, two) = tokio::join!(
        keep_log(&location, &every_five),
        keep_log(&location, &every_five)
    );
    assert_eq!(
        (one.unwrap().checkpoint, two.unwrap().checkpoint),
        (Some(9), Some(9))
    );
    assert_eq!(ids(&location).await, each_once(0..90));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_of_the_retention_can_still_be_read() {
    // Now is version 12. Five hours ago version 7 was the newest.
    for (checkpoints, oldest) in [
        (&[3, 6, 9][..], 6),
        (&[3, 7, 9], 7),
        (&[3, 8, 9], 3),
        (&[8, 12], 0),
        (&[], 0),
    ] {
        let (location, _folder) = hourly(12, checkpoints).await;
        let before = log_files(&location).await.len();
        let kept = keep_log(&location, &clean_only(5)).await.unwrap();
        assert_eq!(kept.checkpoint, None);
        let left = log_files(&location).await;
        assert_eq!(kept.deleted, before - left.len());
        let first = left.iter().find(|name| name.ends_with(".json")).unwrap();
        let expected = if oldest == 0 {
            ".json".into()
        } else {
            format!("{oldest}.json")
        };
        assert_eq!(*first, expected, "{checkpoints:?}: {left:?}");
        for version in oldest..=12 {
            let rows = rows_at(&location, version).await.unwrap();
            assert_eq!(rows, version as usize * 10, "{checkpoints:?}");
        }
        if oldest > 0 {
            assert!(
                rows_at(&location, oldest - 1)
                    .await
                    .unwrap_err()
                    .is_question()
            );
        }
        assert_eq!(ids(&location).await, each_once(0..120));
        assert_sound(&location).await;
        // There is nothing more to do.
        assert_eq!(
            keep_log(&location, &clean_only(5)).await.unwrap(),
            LogKept::default()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_may_ask_for_more_time() {
    for (own, oldest) in [("interval 9 hours", 3), ("interval 2 hours", 7)] {
        let (location, folder) = hourly(12, &[3, 7]).await;
        let properties = HashMap::from([("delta.logRetentionDuration".to_owned(), own.to_owned())]);
        let table = load(&location).await;
        table
            .set_tbl_properties()
            .with_properties(properties)
            .await
            .unwrap();
        create_checkpoint(&load(&location).await, None)
            .await
            .unwrap();
        date_commits(folder.path(), 13);
        keep_log(&location, &clean_only(5)).await.unwrap();
        let left = log_files(&location).await;
        let first = left.iter().find(|name| name.ends_with(".json")).unwrap();
        assert_eq!(*first, format!("{oldest}.json"), "{own}: {left:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_can_not_be_read_saves_what_is_before_it() {
    for torn in [&b"PAR1 not a checkpoint"[..], b""] {
        let (location, folder) = hourly(12, &[3, 7]).await;
        let checkpoint = folder
            .path()
            .join("_delta_log/00000000000000000007.checkpoint.parquet");
        std::fs::write(checkpoint, torn).unwrap();
        let before = objects(&location).await;
        keep_log(&location, &clean_only(3)).await.unwrap_err();
        assert_eq!(objects(&location).await, before);
    }
    // Of several parts one is missing.
    let (location, folder) = hourly(12, &[]).await;
    let part = "_delta_log/00000000000000000007.checkpoint.0000000001.0000000002.parquet";
    std::fs::write(folder.path().join(part), "x").unwrap();
    assert_eq!(
        keep_log(&location, &clean_only(3)).await.unwrap(),
        LogKept::default()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_retention_and_a_wrong_clock_are_refused() {
    let (location, _folder) = hourly(12, &[3, 7]).await;
    let before = objects(&location).await;
    let short = LogUpkeep {
        retention: HOUR.saturating_sub(Duration::from_secs(1)),
        ..LogUpkeep::default()
    };
    let error = keep_log(&location, &short).await.unwrap_err();
    assert!(matches!(error, Error::ShortRetention { .. }), "{error}");
    let wrong = LogUpkeep {
        clock: Arc::new(|| SystemTime::now() + HOUR * 2),
        ..clean_only(5)
    };
    let error = keep_log(&location, &wrong).await.unwrap_err();
    assert!(matches!(error, Error::ClockSkew { .. }), "{error}");
    assert_eq!(objects(&location).await, before);
    let nothing = Location::local(&tempfile::tempdir().unwrap().path().join("nothing")).unwrap();
    let error = keep_log(&nothing, &clean_only(5)).await.unwrap_err();
    assert!(matches!(error, Error::NotATable { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_the_table_is_whole_and_the_next_one_ends_it() {
    let (_location, made) = hourly(12, &[3, 7]).await;
    let mut polls = 1;
    loop {
        let folder = tempfile::tempdir().unwrap();
        copy(made.path(), folder.path());
        date_commits(folder.path(), 12);
        let location = Location::local(folder.path()).unwrap();
        let slow = Location {
            store: stepwise(Arc::clone(&location.store)),
            ..location.clone()
        };
        let options = upkeep(5, 5);
        let ended = killed_after(polls, keep_log(&slow, &options)).await;
        assert_eq!(ids(&location).await, each_once(0..120));
        for version in [7, 12] {
            assert_eq!(
                rows_at(&location, version).await.unwrap(),
                version as usize * 10
            );
        }
        // Never a wrong answer for what is no longer promised.
        for version in [0, 2, 6] {
            match rows_at(&location, version).await {
                Ok(rows) => assert_eq!(rows, version as usize * 10),
                Err(error) => assert!(error.is_question(), "{error}"),
            }
        }
        keep_log(&location, &options).await.unwrap();
        let left = log_files(&location).await;
        assert_eq!(
            left[0], "7.checkpoint.parquet",
            "after {polls} polls: {left:?}"
        );
        assert!(
            left.contains(&"12.checkpoint.parquet".to_owned()),
            "{left:?}"
        );
        assert_eq!(ids(&location).await, each_once(0..120));
        if ended.is_some() {
            break;
        }
        polls += 2;
    }
    assert!(polls > 10, "{polls}");
    println!("{polls} moments");
}
