//! Keeps the log of a table short: checkpoints, and the commits and checkpoints before them.
//!
//! The promise: every version that was the newest at some moment within the retention can be read
//! again, as far as its files have not been vacuumed. So the vacuum's retention should be the
//! longer one.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use deltalake::table::config::TablePropertiesExt;
use deltalake::{DeltaTable, checkpoints};
use futures::TryStreamExt;
use object_store::ObjectMeta;

use crate::error::{Error, Result};
use crate::history::never_backwards;
use crate::location::Location;
use crate::log::Clock;
use crate::snapshot::log_error;
use crate::time;
use crate::vacuum::{compare_clocks, delete, refuse_short};

/// How the log of a table is kept.
#[derive(Clone)]
pub struct LogUpkeep {
    /// Versions after which a new checkpoint is written. Too few, and much is written again and
    /// again; too many, and opening the table reads many commits.
    pub checkpoint_every: u64,
    /// How far time travel reaches. At least one hour: a writer that sleeps for less must find the
    /// commits that it missed. A table may ask for more by `delta.logRetentionDuration`.
    pub retention: Duration,
    /// Tells the time.
    pub clock: Clock,
}

impl Default for LogUpkeep {
    fn default() -> Self {
        Self {
            checkpoint_every: 100,
            retention: Duration::from_hours(24),
            clock: Arc::new(SystemTime::now),
        }
    }
}

impl fmt::Debug for LogUpkeep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogUpkeep")
            .field("checkpoint_every", &self.checkpoint_every)
            .field("retention", &self.retention)
            .finish_non_exhaustive()
    }
}

/// What was done to a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogKept {
    /// The version of the checkpoint that was written.
    pub checkpoint: Option<u64>,
    /// Files of the log that were deleted.
    pub deleted: usize,
}

/// Writes a checkpoint if it is time, and deletes what is older than the retention and not needed
/// to read what is younger.
///
/// # Errors
/// The retention is too short, the clocks differ, there is no table, or the store fails.
pub async fn keep_log(location: &Location, upkeep: &LogUpkeep) -> Result<LogKept> {
    refuse_short(location, upkeep.retention, false)?;
    let log = LogFiles::list(location).await?;
    let checkpoint = checkpoint(location, &log, upkeep.checkpoint_every).await?;
    let deleted = clean(location, log, upkeep).await?;
    Ok(LogKept {
        checkpoint,
        deleted,
    })
}

async fn checkpoint(location: &Location, log: &LogFiles, every: u64) -> Result<Option<u64>> {
    let Some((newest, _)) = log.commits.last() else {
        return Err(Error::NotATable {
            url: location.url.to_string(),
        });
    };
    // Version 0 is a commit as well.
    let since = log
        .checkpoints
        .last()
        .map_or(newest + 1, |last| newest.saturating_sub(*last));
    if since < every.max(1) {
        return Ok(None);
    }
    let failed = |source| log_error(location, source);
    let mut table = DeltaTable::new(location.log_store());
    time::elsewhere(table.load()).await.map_err(failed)?;
    time::elsewhere(checkpoints::create_checkpoint(&table, None))
        .await
        .map_err(failed)?;
    Ok(table.version())
}

async fn clean(location: &Location, log: LogFiles, upkeep: &LogUpkeep) -> Result<usize> {
    let now = DateTime::<Utc>::from((upkeep.clock)());
    let Some(needed) = log.needed_from(now - upkeep.retention) else {
        return Ok(0);
    };
    if !log.has_before(needed) {
        return Ok(0);
    }
    compare_clocks(location, &upkeep.clock).await?;
    let failed = |source| log_error(location, source);
    let mut table = DeltaTable::new(location.log_store());
    time::elsewhere(table.load()).await.map_err(failed)?;
    let needed = match configured(&table) {
        Some(longer) if longer > upkeep.retention => match log.needed_from(now - longer) {
            Some(needed) => needed,
            None => return Ok(0),
        },
        _ => needed,
    };
    // The name of a checkpoint doesn't prove that it can be read.
    let read = time::elsewhere(table.load_version(needed)).await;
    read.map_err(failed)?;
    let old = log.before(needed);
    let deleted = old.len();
    delete(location, old.into_iter().map(|file| file.location)).await?;
    Ok(deleted)
}

/// How far time travel reaches by the table's own word.
fn configured(table: &DeltaTable) -> Option<Duration> {
    let state = table.snapshot().ok()?;
    let configuration = state.metadata().configuration();
    configuration
        .contains_key("delta.logRetentionDuration")
        .then(|| state.table_config().log_retention_duration())
}

/// What stands in `_delta_log`.
struct LogFiles {
    /// With the last version that each belongs to, in ascending order.
    files: Vec<(u64, ObjectMeta)>,
    /// In ascending order, with times in ascending order.
    commits: Vec<(u64, DateTime<Utc>)>,
    /// Those with all parts, in ascending order.
    checkpoints: Vec<u64>,
}

impl LogFiles {
    async fn list(location: &Location) -> Result<Self> {
        let folder = location.path().join("_delta_log");
        let listed = location.store.list(Some(&folder)).try_collect();
        let listed: Vec<ObjectMeta> = listed
            .await
            .map_err(|source| Error::store(location, source))?;
        let direct = listed
            .into_iter()
            .filter(|file| file.location.prefix_match(&folder).map(Iterator::count) == Some(1));
        Ok(Self::of(direct))
    }

    fn of(listed: impl Iterator<Item = ObjectMeta>) -> Self {
        let mut log = Self {
            files: Vec::new(),
            commits: Vec::new(),
            checkpoints: Vec::new(),
        };
        let mut parts: BTreeMap<(u64, String), usize> = BTreeMap::new();
        for file in listed {
            let name = file.location.filename().unwrap_or_default().to_owned();
            let pieces: Vec<&str> = name.split('.').collect();
            let Some(version) = pieces.first().and_then(|piece| number(piece)) else {
                continue;
            };
            match pieces.as_slice() {
                [_, "json"] => log.commits.push((version, file.last_modified)),
                [_, "checkpoint", "parquet"] | [_, "checkpoint", _, "json" | "parquet"] => {
                    log.checkpoints.push(version);
                }
                [_, "checkpoint", _, total, "parquet"] => {
                    *parts.entry((version, (*total).to_owned())).or_default() += 1;
                }
                _ => {}
            }
            // `FIRST.LAST.compacted.json` holds several.
            let last = pieces.get(1).and_then(|piece| number(piece));
            log.files.push((last.unwrap_or(version), file));
        }
        let complete = parts
            .into_iter()
            .filter(|((_, total), found)| total.parse() == Ok(*found));
        log.checkpoints
            .extend(complete.map(|((version, _), _)| version));
        log.checkpoints.sort_unstable();
        log.files.sort_by_key(|(version, _)| *version);
        log.commits.sort_unstable();
        never_backwards(&mut log.commits);
        log
    }

    /// The version of the checkpoint that the oldest version within the retention is read from.
    fn needed_from(&self, cutoff: DateTime<Utc>) -> Option<u64> {
        let at_cutoff = self.commits.iter().rev().find(|(_, time)| *time <= cutoff);
        let (oldest, _) = at_cutoff?;
        let checkpoints = self.checkpoints.iter().rev();
        checkpoints.copied().find(|version| version <= oldest)
    }

    fn has_before(&self, needed: u64) -> bool {
        let oldest = self.files.first();
        oldest.is_some_and(|(version, _)| *version < needed)
    }

    /// In the order in which they go: if it ends half-way, what is left has no commit 0 and is
    /// known to be incomplete.
    fn before(self, needed: u64) -> Vec<ObjectMeta> {
        let old = self.files.into_iter();
        let old = old.take_while(|(version, _)| *version < needed);
        old.map(|(_, file)| file).collect()
    }
}

fn number(text: &str) -> Option<u64> {
    (text.len() == 20).then(|| text.parse().ok()).flatten()
}
