//! Which versions the log still holds, and when they were committed.

use chrono::{DateTime, TimeDelta, Utc};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use serde::Deserialize;
use std::sync::Arc;

use crate::error::{Available, Error, Result};
use crate::location::Location;

/// The commits of a table, oldest first.
pub(crate) struct History {
    url: String,
    commits: Vec<(u64, DateTime<Utc>)>,
    /// The oldest version that can be put together.
    first: Option<u64>,
}

impl History {
    pub(crate) async fn read(location: &Location) -> Result<Self> {
        let log = location.path().join("_delta_log");
        let objects: Vec<ObjectMeta> = location
            .store
            .list(Some(&log))
            .try_collect()
            .await
            .map_err(|source| store_error(location, source))?;
        let direct = objects
            .iter()
            .filter(|object| object.location.prefix_match(&log).map(Iterator::count) == Some(1));
        let mut commits = Vec::new();
        let mut checkpoints = Vec::new();
        for object in direct {
            let name = object.location.filename().unwrap_or_default();
            let Some((number, kind)) = name.split_once('.') else {
                continue;
            };
            let Ok(version) = number.parse::<u64>() else {
                continue;
            };
            if kind == "json" {
                commits.push((version, object.last_modified));
            } else if kind.starts_with("checkpoint") {
                checkpoints.push(version);
            }
        }
        commits.sort_unstable();
        never_backwards(&mut commits);
        let first = match commits.first() {
            Some((0, _)) => Some(0),
            _ => checkpoints.into_iter().min(),
        };
        Ok(Self {
            url: location.url.to_string(),
            commits,
            first,
        })
    }

    /// What time travel can reach. `None`: nothing.
    pub(crate) fn available(&self) -> Option<Available> {
        let first = self.first?;
        let mut reachable = self.commits.iter().filter(|(version, _)| *version >= first);
        let first = *reachable.next()?;
        let last = reachable.next_back().copied().unwrap_or(first);
        Some(Available { first, last })
    }

    /// The newest version that was committed at this time or before.
    pub(crate) fn version_at(&self, time: DateTime<Utc>) -> Result<u64> {
        let not_a_table = || Error::NotATable {
            url: self.url.clone(),
        };
        let available = self.available().ok_or_else(not_a_table)?;
        let before = |(version, committed): &&(u64, DateTime<Utc>)| {
            *committed <= time && *version >= available.first.0
        };
        let found = self.commits.iter().rev().find(before);
        found
            .map(|(version, _)| *version)
            .ok_or_else(|| Error::NoSuchTime {
                url: self.url.clone(),
                time,
                available,
            })
    }
}

/// The protocol: a commit is later than the one before, whatever the store's clock says.
pub(crate) fn never_backwards(commits: &mut [(u64, DateTime<Utc>)]) {
    let mut latest: Option<DateTime<Utc>> = None;
    for (_, time) in commits {
        if let Some(latest) = latest
            && *time <= latest
        {
            *time = latest + TimeDelta::milliseconds(1);
        }
        latest = Some(*time);
    }
}

/// What tells the file of a commit from another file in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommitFile {
    pub(crate) time: DateTime<Utc>,
    size: u64,
    e_tag: Option<String>,
}

/// The file of a commit. `None`: there is none.
pub(crate) async fn commit_file(location: &Location, version: u64) -> Result<Option<CommitFile>> {
    let store: &Arc<dyn ObjectStore> = &location.store;
    match store.head(&commit_path(location, version)).await {
        Ok(object) => Ok(Some(CommitFile {
            time: object.last_modified,
            size: object.size,
            e_tag: object.e_tag,
        })),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(source) => Err(store_error(location, source)),
    }
}

fn commit_path(location: &Location, version: u64) -> Path {
    location
        .path()
        .join("_delta_log")
        .join(format!("{version:020}.json"))
}

/// What a commit says about the transaction of an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transaction {
    Version(i64),
    Nothing,
    /// The commit is gone, or can't be understood.
    Unknown,
}

/// What a commit says about the transaction of this application.
pub(crate) async fn transaction(
    location: &Location,
    version: u64,
    application: &str,
) -> Result<Transaction> {
    let read = async {
        let found = location.store.get(&commit_path(location, version)).await?;
        found.bytes().await
    };
    match read.await {
        Ok(commit) => Ok(transaction_in(&commit, application)),
        Err(object_store::Error::NotFound { .. }) => Ok(Transaction::Unknown),
        Err(source) => Err(store_error(location, source)),
    }
}

#[derive(Deserialize)]
struct Line {
    txn: Option<Txn>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Txn {
    app_id: String,
    version: i64,
}

fn transaction_in(commit: &[u8], application: &str) -> Transaction {
    let text = String::from_utf8_lossy(commit);
    let mut found = Transaction::Nothing;
    // A compaction's commit has thousands of lines; only those are parsed that may matter.
    for line in text.lines().filter(|line| line.contains("\"txn\"")) {
        match serde_json::from_str(line) {
            Ok(Line { txn: Some(txn) }) if txn.app_id == application => {
                found = Transaction::Version(txn.version);
            }
            Ok(_) => {}
            Err(_) => return Transaction::Unknown,
        }
    }
    found
}

fn store_error(location: &Location, source: object_store::Error) -> Error {
    Error::Store {
        url: location.url.to_string(),
        source: Arc::new(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(commits: &[(u64, i64)], first: Option<u64>) -> History {
        let at = |seconds: i64| DateTime::from_timestamp(seconds, 0).unwrap();
        let mut commits: Vec<_> = commits.iter().map(|(v, s)| (*v, at(*s))).collect();
        never_backwards(&mut commits);
        History {
            url: "s3://lake/t/".into(),
            commits,
            first,
        }
    }

    #[test]
    fn a_time_finds_the_newest_version_until_then() {
        let history = history(&[(0, 10), (1, 20), (2, 20), (3, 30)], Some(0));
        let at = |millis: i64| history.version_at(DateTime::from_timestamp_millis(millis).unwrap());
        assert_eq!(at(10_000).unwrap(), 0);
        assert_eq!(at(20_000).unwrap(), 1);
        assert_eq!(at(20_001).unwrap(), 2);
        assert_eq!(at(999_000).unwrap(), 3);
        let error = at(9_999).unwrap_err().to_string();
        assert_eq!(
            error,
            "the Delta table at s3://lake/t/ has no version as old as 1970-01-01T00:00:09.999Z; \
             it has versions 0 (of 1970-01-01T00:00:10Z) to 3 (of 1970-01-01T00:00:30Z)"
        );
    }

    #[test]
    fn versions_before_the_oldest_checkpoint_are_gone() {
        let history = history(&[(8, 8), (9, 9), (10, 10), (11, 11)], Some(10));
        let available = history.available().unwrap();
        assert_eq!((available.first.0, available.last.0), (10, 11));
        let nine = DateTime::from_timestamp(9, 0).unwrap();
        assert!(matches!(
            history.version_at(nine),
            Err(Error::NoSuchTime { .. })
        ));
    }
    #[test]
    fn a_transaction_is_found_among_other_actions() {
        let find = |commit: &str| transaction_in(commit.as_bytes(), "a/b");
        let add = r#"{"add":{"path":"\"txn\"","partitionValues":{}}}"#;
        let ours = r#"{"txn":{"appId":"a/b","version":7,"lastUpdated":1}}"#;
        let other = r#"{"txn":{"appId":"a","version":9}}"#;
        assert_eq!(
            find(&format!("{add}\n{ours}\r\n{other}\n")),
            Transaction::Version(7)
        );
        assert_eq!(find(&format!("{add}\n{other}")), Transaction::Nothing);
        assert_eq!(find(""), Transaction::Nothing);
        assert_eq!(find(r#"{"txn":{"appId":"a/b","ver"#), Transaction::Unknown);
    }
}
