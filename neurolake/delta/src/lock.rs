//! Commits for stores that don't put if absent: a table beside the store says whose commit a
//! version is.
//!
//! The protocol is that of Delta's `S3DynamoDBLogStore`, so that Spark can write the same table:
//! the content goes to a temporary object, then a row for the version is put if there is none, and
//! with that the commit has happened. Then the object is copied to its place, and the row is
//! marked as complete. Whoever meets a row that isn't does what is left to do. A complete row
//! expires after a day.
//!
//! A holder may stop between any two steps, for any time. It never copies over a commit that is
//! there, so that nothing depends on rows that have expired; and it never makes a version whose
//! predecessor is gone, which would be a past one.

pub mod dynamodb;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt};
use uuid::Uuid;

use crate::commits::{Commits, Put, commit_path, in_time, read_commit};
use crate::location::Location;
use crate::log::Clock;

/// How long a complete row stays: longer than any holder sleeps who then would look only for it.
const KEPT: Duration = Duration::from_hours(24);

/// Whose commit a version is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The version.
    pub version: u64,
    /// Where the content is, relative to `_delta_log`.
    pub temporary: String,
    /// Whether the content is in its place.
    pub complete: bool,
}

/// Keeps rows, at most one for each version of a table. Tables are known by their address.
#[async_trait]
pub trait Arbiter: fmt::Debug + Send + Sync {
    /// Puts a row if there is none. `false`: there is one, and it may be this one, if an earlier
    /// answer was lost.
    ///
    /// # Errors
    /// Whether the row was put is unknown.
    async fn claim(&self, table: &str, row: &Row) -> Result<bool, Error>;

    /// The row of a version, as of now.
    ///
    /// # Errors
    /// The arbiter can't be read.
    async fn row(&self, table: &str, version: u64) -> Result<Option<Row>, Error>;

    /// The row of the greatest version, as of now.
    ///
    /// # Errors
    /// The arbiter can't be read.
    async fn newest(&self, table: &str) -> Result<Option<Row>, Error>;

    /// Marks a row as complete, unless it is, or is gone.
    ///
    /// # Errors
    /// Whether it was marked is unknown.
    async fn complete(&self, table: &str, row: &Row, expires: SystemTime) -> Result<(), Error>;
}

/// Makes commits under a lock. All who write the table must.
#[derive(Clone)]
pub struct LockedCommits {
    arbiter: Arc<dyn Arbiter>,
    clock: Clock,
}

impl fmt::Debug for LockedCommits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockedCommits")
            .field("arbiter", &self.arbiter)
            .finish_non_exhaustive()
    }
}

impl LockedCommits {
    /// The clock says when rows expire.
    pub fn new(arbiter: Arc<dyn Arbiter>, clock: Clock) -> Self {
        Self { arbiter, clock }
    }

    /// Ends what a holder began who is gone. Writers do it by themselves; for a table that nobody
    /// writes any more. Returns the version of the newest row.
    ///
    /// # Errors
    /// The store or the arbiter fails.
    pub async fn repair(&self, location: &Location) -> Result<Option<u64>, Error> {
        let Some(row) = self.arbiter.newest(&table_of(location)).await? else {
            return Ok(None);
        };
        self.end(location, &row).await?;
        Ok(Some(row.version))
    }

    /// Makes sure that the version before is there.
    async fn follow(&self, location: &Location, version: u64) -> Result<(), Error> {
        let Some(before) = version.checked_sub(1) else {
            return Ok(());
        };
        if let Some(row) = self.arbiter.row(&table_of(location), before).await?
            && !row.complete
        {
            return self.end(location, &row).await;
        }
        match exists(location, &commit_path(location, before)).await? {
            true => Ok(()),
            false => Err(refused(format!("there is no version {before} to follow"))),
        }
    }

    /// Whether the version is taken by now; a row says so, but doesn't stay for ever.
    async fn claim(&self, location: &Location, row: &Row) -> Result<Claimed, Error> {
        if exists(location, &commit_path(location, row.version)).await? {
            return Ok(Claimed::No);
        }
        let table = table_of(location);
        if self.arbiter.claim(&table, row).await? {
            return Ok(Claimed::Yes);
        }
        let found = self.arbiter.row(&table, row.version).await?;
        let found = found.ok_or_else(|| refused("a row is gone that was there".into()))?;
        if found.temporary == row.temporary {
            return Ok(Claimed::Yes);
        }
        self.end(location, &found).await?;
        Ok(Claimed::No)
    }

    /// Copies the content to its place, unless there is one, and marks the row.
    async fn end(&self, location: &Location, row: &Row) -> Result<(), Error> {
        let place = commit_path(location, row.version);
        if !exists(location, &place).await? {
            if row.complete {
                return Err(refused(format!(
                    "version {} was made and is gone: the table was deleted, or cleaned up",
                    row.version
                )));
            }
            self.copy(location, row, &place).await?;
        }
        if row.complete {
            return Ok(());
        }
        let expires = (self.clock)() + KEPT;
        self.arbiter
            .complete(&table_of(location), row, expires)
            .await?;
        // From now on nobody looks for it; who still wants to copy it finds the place taken.
        let _ = in_time(location.store.delete(&temporary_path(location, row))).await;
        Ok(())
    }

    async fn copy(&self, location: &Location, row: &Row, place: &Path) -> Result<(), Error> {
        let temporary = temporary_path(location, row);
        match in_time(location.store.copy(&temporary, place)).await {
            // Somebody else has ended it in the meantime.
            Err(Error::NotFound { .. }) if exists(location, place).await? => Ok(()),
            copied => copied,
        }
    }
}

enum Claimed {
    Yes,
    No,
}

#[async_trait]
impl Commits for LockedCommits {
    async fn put(&self, location: &Location, version: u64, content: Bytes) -> Result<Put, Error> {
        self.follow(location, version).await?;
        let row = Row {
            version,
            temporary: format!(".tmp/{version:020}.json.{}", Uuid::new_v4()),
            complete: false,
        };
        let temporary = temporary_path(location, &row);
        in_time(location.store.put(&temporary, content.clone().into())).await?;
        // After a failure the temporary object stays: the row may have been put.
        match self.claim(location, &row).await? {
            Claimed::Yes => {}
            Claimed::No => {
                let _ = in_time(location.store.delete(&temporary)).await;
                return Ok(Put::Taken);
            }
        }
        // From here on the commit has happened, whoever ends it.
        if let Err(error) = self.end(location, &row).await {
            tracing::debug!(table = %location.url, version, %error, "others will end a commit");
        }
        match read_commit(location, version).await? {
            Some(there) if there == content => Ok(Put::Done),
            // It was there before the row, which had expired.
            Some(_) => Ok(Put::Taken),
            None => Err(refused(format!(
                "version {version} is not in its place yet"
            ))),
        }
    }

    async fn create(&self, location: &Location, path: &Path, content: Bytes) -> Result<Put, Error> {
        if exists(location, path).await? {
            return Ok(Put::Taken);
        }
        location.store.put(path, content.into()).await?;
        Ok(Put::Done)
    }
}

/// As others write it.
fn table_of(location: &Location) -> String {
    location.url.as_str().trim_end_matches('/').to_owned()
}

fn temporary_path(location: &Location, row: &Row) -> Path {
    let log = location.path().join("_delta_log");
    let relative = Path::from(row.temporary.as_str());
    log.parts().chain(relative.parts()).collect()
}

async fn exists(location: &Location, path: &Path) -> Result<bool, Error> {
    match in_time(location.store.head(path)).await {
        Ok(_) => Ok(true),
        Err(Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn refused(reason: String) -> Error {
    Error::Generic {
        store: "lock",
        source: reason.into(),
    }
}
