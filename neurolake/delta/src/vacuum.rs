//! Deletes files that no version needs any more that somebody may still read or write.
//!
//! deltalake says which files: [`Scope::Removed`] those that the log says are removed,
//! [`Scope::Everything`] also those that the log doesn't know, left behind by a writer that crashed.
//! Both are needed: the log forgets what was removed long ago, and listing a large table is slow.
//!
//! Ages are differences between clocks: of the host that wrote the log, of the store that dates its
//! objects, of this host. So this host's clock is compared with the store's before anything is
//! deleted. Nothing is committed: a vacuum that is killed has deleted some of the files, and the
//! next one deletes the rest.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::TimeDelta;
use deltalake::operations::vacuum::{self, VacuumMode};
use deltalake::{DeltaTable, DeltaTableError};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::location::Location;
use crate::log::Clock;
use crate::snapshot::log_error;
use crate::time;

/// Less would delete files under a query or under a writer that waits for its turn.
pub(crate) const SHORTEST: Duration = Duration::from_hours(1);
/// Clocks that differ by more can't tell what is old.
const MOST_SKEW: Duration = Duration::from_mins(1);

/// Which files are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those that the log says are removed.
    Removed,
    /// Also Parquet files and deletion vectors that the log doesn't know. Lists the whole table.
    Everything,
}

/// How a table is vacuumed.
#[derive(Clone)]
pub struct VacuumOptions {
    /// Files that a version needed within this span are kept: it must be longer than the longest
    /// query, the longest pause of a writer, and as far back as time travel shall reach. A longer
    /// one that is set on the table itself counts.
    pub retention: Duration,
    /// Allows a retention below one hour, and below that of the table. Only for a table that nobody
    /// reads or writes.
    pub force: bool,
    /// Which files are looked at.
    pub scope: Scope,
    /// Only says what would be deleted.
    pub dry_run: bool,
    /// Tells the time.
    pub clock: Clock,
}

impl Default for VacuumOptions {
    fn default() -> Self {
        Self {
            retention: Duration::from_hours(72),
            force: false,
            scope: Scope::Removed,
            dry_run: false,
            clock: Arc::new(SystemTime::now),
        }
    }
}

impl fmt::Debug for VacuumOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VacuumOptions")
            .field("retention", &self.retention)
            .field("force", &self.force)
            .field("scope", &self.scope)
            .field("dry_run", &self.dry_run)
            .finish_non_exhaustive()
    }
}

/// What was deleted, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vacuumed {
    /// Files, relative to the table's folder.
    pub files: Vec<String>,
    /// Their size.
    pub bytes: u64,
    /// Whether they are still there.
    pub dry_run: bool,
}

/// Deletes what is no longer needed.
///
/// # Errors
/// The retention is too short, the clocks differ, there is no table, or the store fails. Some files
/// may have been deleted then; none that is needed.
pub async fn vacuum(location: &Location, options: &VacuumOptions) -> Result<Vacuumed> {
    refuse_short(location, options.retention, options.force)?;
    compare_clocks(location, &options.clock).await?;
    let found = find(location, options).await?;
    if !options.dry_run {
        delete(location, found.iter().map(|file| file.location.clone())).await?;
    }
    let folder = location.path();
    let relative = |file: &ObjectMeta| {
        let parts = file.location.prefix_match(&folder)?;
        Some(parts.collect::<Path>().to_string())
    };
    Ok(Vacuumed {
        files: found.iter().filter_map(relative).collect(),
        bytes: found.iter().map(|file| file.size).sum(),
        dry_run: options.dry_run,
    })
}

pub(crate) fn refuse_short(location: &Location, retention: Duration, force: bool) -> Result<()> {
    if force || retention >= SHORTEST {
        return Ok(());
    }
    Err(Error::ShortRetention {
        url: location.url.to_string(),
        retention,
        shortest: SHORTEST,
    })
}

/// Lets the store date an object, and compares.
pub(crate) async fn compare_clocks(location: &Location, clock: &Clock) -> Result<()> {
    let probe = location
        .path()
        .join("_neurolake")
        .join("clock")
        .join(Uuid::new_v4().to_string());
    let failed = |source| Error::store(location, source);
    let before = clock();
    let store = &location.store;
    store.put(&probe, "".into()).await.map_err(failed)?;
    let after = clock();
    let dated = store.head(&probe).await.map_err(failed);
    let _ = store.delete(&probe).await;
    let dated = SystemTime::from(dated?.last_modified);
    let ahead = dated.duration_since(after).unwrap_or_default();
    let behind = before.duration_since(dated).unwrap_or_default();
    if ahead.max(behind) <= MOST_SKEW {
        return Ok(());
    }
    Err(Error::ClockSkew {
        url: location.url.to_string(),
        seconds: ahead.max(behind).as_secs(),
    })
}

/// The files that can go and are there.
async fn find(location: &Location, options: &VacuumOptions) -> Result<Vec<ObjectMeta>> {
    let planned = plan(location, options)
        .await
        .map_err(|source| log_error(location, source))?;
    if planned.is_empty() {
        return Ok(Vec::new());
    }
    // Most of what the log says is removed was deleted by an earlier run.
    let folder = location.path();
    let listed = location.store.list(Some(&folder)).map_ok(|file| {
        let relative = file.location.prefix_match(&folder)?.collect::<Path>();
        planned.contains(&relative).then_some(file)
    });
    let found: Vec<_> = listed
        .try_collect()
        .await
        .map_err(|source| Error::store(location, source))?;
    Ok(found.into_iter().flatten().collect())
}

async fn plan(
    location: &Location,
    options: &VacuumOptions,
) -> Result<HashSet<Path>, DeltaTableError> {
    let mut table = DeltaTable::new(location.log_store());
    time::elsewhere(table.load()).await?;
    let state = table.snapshot()?;
    let configured = state
        .metadata()
        .configuration()
        .contains_key("delta.deletedFileRetentionDuration")
        .then(|| {
            use deltalake::table::config::TablePropertiesExt;
            state.table_config().deleted_file_retention_duration()
        });
    let retention = match configured {
        Some(configured) if !options.force => options.retention.max(configured),
        _ => options.retention,
    };
    let plan = table
        .vacuum()
        .with_retention_period(TimeDelta::from_std(retention).unwrap_or(TimeDelta::MAX))
        .with_enforce_retention_duration(false)
        .with_clock(Arc::new(Now((options.clock)())))
        .with_mode(match options.scope {
            Scope::Removed => VacuumMode::Lite,
            Scope::Everything => VacuumMode::Full,
        })
        // Its own run would commit without our arbiter of commits.
        .with_dry_run(true);
    let (_, planned) = time::elsewhere(plan.into_future()).await?;
    let files = planned.files_deleted.into_iter();
    // Whatever else lies in the folder is not ours.
    let data = files.filter(|path| path.ends_with(".parquet") || path.ends_with(".bin"));
    data.map(|path| Path::parse(&path))
        .collect::<Result<_, object_store::path::Error>>()
        .map_err(|source| DeltaTableError::GenericError {
            source: source.into(),
        })
}

/// One moment, for all that is compared with it.
#[derive(Debug)]
struct Now(SystemTime);

impl vacuum::Clock for Now {
    fn current_timestamp_millis(&self) -> i64 {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

/// Deletes objects in the given order. One that is gone already is no failure.
pub(crate) async fn delete(
    location: &Location,
    paths: impl IntoIterator<Item = Path>,
) -> Result<()> {
    let paths: Vec<_> = paths.into_iter().map(Ok).collect();
    let mut deleted = location
        .store
        .delete_stream(futures::stream::iter(paths).boxed());
    while let Some(one) = deleted.next().await {
        match one {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
            Err(source) => return Err(Error::store(location, source)),
        }
    }
    Ok(())
}
