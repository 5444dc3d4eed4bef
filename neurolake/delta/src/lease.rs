//! One holder for each role of a table, among all processes that reach its store.
//!
//! It saves work: two writers would refuse each other's commits, two compactors would rewrite the
//! same files. It never protects a commit by itself, because a holder that was stopped for an hour
//! still believes in its lease until it looks. What protects commits are transactions
//! ([`crate::log`]); with or without leases no row is lost or doubled.
//!
//! A lease is a file in `_neurolake/{role}/` of the table's folder, named by its epoch and made by
//! put-if-absent, as well as the store can. The newest epoch holds. It overwrites its file with a growing counter; whoever
//! waits and sees no change for the time to live, by its own monotonic clock, makes the next epoch.
//! Clocks are never compared. A holder gives up when it could not renew in time, so that it has
//! stopped believing before anybody else may begin.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use uuid::Uuid;

use crate::commits::Put;
use crate::error::{Error, Result};
use crate::location::Location;

/// How long a lease lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// A holder that doesn't renew for so long is followed by somebody else. Too short, and a slow
    /// store takes the lease away from a holder that is well; too long, and nobody works for a
    /// while after a crash. A renewal costs three requests, three times in this span.
    pub time_to_live: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            time_to_live: Duration::from_secs(15),
        }
    }
}

impl Terms {
    /// How long a holder believes after it began a renewal. A tenth is left for clocks that don't
    /// run at the same speed.
    fn belief(self) -> Duration {
        self.time_to_live / 10 * 9
    }

    fn interval(self) -> Duration {
        self.time_to_live / 3
    }
}

/// A role that this process has. Dropping it gives it up: the next one begins at once if the
/// runtime still runs, otherwise after the time to live.
#[derive(Debug)]
pub struct Lease {
    epoch: u64,
    /// Until when it is believed in. `None`: no more.
    until: watch::Receiver<Option<Instant>>,
    /// Closed to give the lease up.
    wanted: oneshot::Sender<()>,
    keeper: JoinHandle<()>,
}

/// What stands in the file of a lease.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    /// For people.
    who: String,
    id: Uuid,
    renewals: u64,
    released: bool,
}

impl Lease {
    /// Waits until nobody else has the role, and takes it. `who` is shown to people: a host, a
    /// process.
    ///
    /// # Errors
    /// The store fails.
    pub async fn acquire(location: &Location, role: &str, who: &str, terms: Terms) -> Result<Self> {
        let claim = Claim::new(location, role, who, terms);
        let mut watched: Option<(u64, Bytes, Instant)> = None;
        loop {
            let newest = claim.newest().await?;
            let Some(epoch) = newest else {
                if let Some(lease) = claim.make(1).await? {
                    return Ok(lease);
                }
                continue;
            };
            // Asked before the file is read: what is read later must still be the same.
            let has_waited = watched
                .as_ref()
                .is_some_and(|(.., since)| since.elapsed() >= terms.time_to_live);
            let Some(content) = claim.read(epoch).await? else {
                continue;
            };
            let is_same = watched
                .as_ref()
                .is_some_and(|(known, before, _)| *known == epoch && *before == content);
            if is_released(&content) || (is_same && has_waited) {
                if let Some(lease) = claim.make(epoch + 1).await? {
                    return Ok(lease);
                }
                continue;
            }
            if !is_same {
                if watched.as_ref().is_none_or(|(known, ..)| *known != epoch) {
                    let held_by = who_of(&content);
                    tracing::info!(table = %location.url, role, held_by, "waiting for a lease");
                }
                watched = Some((epoch, content, Instant::now()));
            }
            sleep(terms.time_to_live / 10).await;
        }
    }

    /// Takes the role if nobody has it. `None`: somebody has it, or had it and crashed, which only
    /// waiting can tell.
    ///
    /// # Errors
    /// The store fails.
    pub async fn try_acquire(
        location: &Location,
        role: &str,
        who: &str,
        terms: Terms,
    ) -> Result<Option<Self>> {
        let claim = Claim::new(location, role, who, terms);
        let Some(epoch) = claim.newest().await? else {
            return claim.make(1).await;
        };
        match claim.read(epoch).await? {
            Some(content) if is_released(&content) => claim.make(epoch + 1).await,
            _ => Ok(None),
        }
    }

    /// Whether nobody else can have the role at this moment. It may be over a moment later.
    pub fn is_held(&self) -> bool {
        matches!(*self.until.borrow(), Some(until) if Instant::now() < until)
    }

    /// Returns when the lease is over.
    pub async fn lost(&self) {
        let mut changes = self.until.clone();
        loop {
            let Some(until) = *changes.borrow_and_update() else {
                return;
            };
            tokio::select! {
                () = sleep_until(until) => return,
                changed = changes.changed() => {
                    if changed.is_err() {
                        return sleep_until(until).await;
                    }
                }
            }
        }
    }

    /// The number of this lease; greater than that of any holder before.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Gives the role up, and waits until that is known to others.
    pub async fn release(self) {
        drop(self.wanted);
        // It only fails if the runtime ends, which ends everything.
        let _ = self.keeper.await;
    }
}

fn is_released(content: &Bytes) -> bool {
    serde_json::from_slice::<Record>(content).is_ok_and(|record| record.released)
}

fn who_of(content: &Bytes) -> String {
    let record = serde_json::from_slice::<Record>(content);
    record.map_or_else(|_| "somebody".to_owned(), |record| record.who)
}

/// Somebody who wants a role or has it.
#[derive(Clone)]
struct Claim {
    location: Location,
    folder: Path,
    role: String,
    who: String,
    id: Uuid,
    terms: Terms,
}

impl Claim {
    fn new(location: &Location, role: &str, who: &str, terms: Terms) -> Self {
        Self {
            folder: location.path().join("_neurolake").join(role),
            location: location.clone(),
            role: role.to_owned(),
            who: who.to_owned(),
            id: Uuid::new_v4(),
            terms,
        }
    }

    fn path(&self, epoch: u64) -> Path {
        self.folder.clone().join(format!("{epoch:020}.json"))
    }

    fn failed(&self, source: object_store::Error) -> Error {
        Error::store(&self.location, source)
    }

    async fn epochs(&self) -> object_store::Result<Vec<u64>> {
        let files = self.location.store.list(Some(&self.folder));
        let epochs = files.map_ok(|file| {
            let name = file.location.filename()?.strip_suffix(".json")?;
            name.parse().ok()
        });
        Ok(epochs
            .try_collect::<Vec<_>>()
            .await?
            .into_iter()
            .flatten()
            .collect())
    }

    async fn newest(&self) -> Result<Option<u64>> {
        let epochs = self.epochs().await.map_err(|source| self.failed(source))?;
        Ok(epochs.into_iter().max())
    }

    async fn read(&self, epoch: u64) -> Result<Option<Bytes>> {
        let read = async {
            self.location
                .store
                .get(&self.path(epoch))
                .await?
                .bytes()
                .await
        };
        match read.await {
            Ok(content) => Ok(Some(content)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(self.failed(source)),
        }
    }

    async fn put(&self, epoch: u64, renewals: u64, released: bool) -> object_store::Result<()> {
        let content = self.record(renewals, released).into();
        self.location.store.put(&self.path(epoch), content).await?;
        Ok(())
    }

    fn record(&self, renewals: u64, released: bool) -> Bytes {
        let record = serde_json::json!(Record {
            who: self.who.clone(),
            id: self.id,
            renewals,
            released,
        });
        record.to_string().into()
    }

    /// Makes the next epoch. `None`: somebody else did.
    async fn make(&self, epoch: u64) -> Result<Option<Lease>> {
        let started = Instant::now();
        let (commits, path) = (&self.location.commits, self.path(epoch));
        let record = self.record(0, false);
        match commits.create(&self.location, &path, record).await {
            Ok(Put::Done) => {}
            Ok(Put::Taken) | Err(object_store::Error::Precondition { .. }) => return Ok(None),
            // Its answer may be what was lost.
            Err(source) => match self.read(epoch).await? {
                Some(content) if self.is_ours(&content) => {}
                Some(_) => return Ok(None),
                None => return Err(self.failed(source)),
            },
        }
        // A file can also be absent because its holder was followed by others who removed it.
        let until = started + self.terms.belief();
        if self.newest().await? != Some(epoch) {
            let _ = self.location.store.delete(&self.path(epoch)).await;
            return Ok(None);
        }
        if Instant::now() >= until {
            // The newest file is never deleted: epochs would begin again.
            let _ = self.put(epoch, 0, true).await;
            return Ok(None);
        }
        let (publish, until) = watch::channel(Some(until));
        let (wanted, closed) = oneshot::channel();
        let keeper = tokio::spawn(self.clone().keep(epoch, publish, closed));
        Ok(Some(Lease {
            epoch,
            until,
            wanted,
            keeper,
        }))
    }

    fn is_ours(&self, content: &Bytes) -> bool {
        serde_json::from_slice::<Record>(content).is_ok_and(|record| record.id == self.id)
    }

    async fn keep(
        self,
        epoch: u64,
        until: watch::Sender<Option<Instant>>,
        mut closed: oneshot::Receiver<()>,
    ) {
        self.remove_older(epoch).await;
        let mut renewals = 0;
        let is_wanted = loop {
            tokio::select! {
                _ = &mut closed => break false,
                () = sleep(self.terms.interval()) => {}
            }
            renewals += 1;
            match self.renew(epoch, renewals, &until).await {
                Some(next) => until.send_replace(Some(next)),
                None => break true,
            };
        };
        until.send_replace(None);
        if is_wanted {
            tracing::warn!(table = %self.location.url, role = self.role, epoch, "a lease is lost");
        } else if let Err(error) = self.release(epoch, renewals).await {
            tracing::debug!(table = %self.location.url, %error, "a lease will expire by itself");
        }
    }

    async fn release(&self, epoch: u64, renewals: u64) -> Result<()> {
        let there = self.read(epoch).await?;
        if there.is_some_and(|content| self.is_ours(&content)) {
            let put = self.put(epoch, renewals, true).await;
            put.map_err(|source| self.failed(source))?;
        }
        Ok(())
    }

    /// Until when the lease is believed in now. `None`: it is lost. The whole renewal must be over
    /// while the belief lasts. Whoever looks at the file after the belief then sees the change, and
    /// whoever followed before it is seen here.
    async fn renew(
        &self,
        epoch: u64,
        renewals: u64,
        until: &watch::Sender<Option<Instant>>,
    ) -> Option<Instant> {
        let deadline = (*until.borrow())?;
        loop {
            let started = Instant::now();
            let attempt = async {
                // Where a store puts what is there already, two may have made the same epoch.
                let there = self.read(epoch).await?;
                if !there.is_some_and(|content| self.is_ours(&content)) {
                    return Ok(false);
                }
                let put = self.put(epoch, renewals, false).await;
                put.map_err(|source| self.failed(source))?;
                Ok::<_, Error>(self.newest().await? <= Some(epoch))
            };
            let is_newest = timeout_at(deadline, attempt).await;
            if Instant::now() >= deadline {
                return None;
            }
            match is_newest {
                Ok(Ok(true)) => return Some(started + self.terms.belief()),
                Ok(Err(error)) => {
                    tracing::debug!(table = %self.location.url, %error, "a lease isn't renewed");
                    sleep(self.terms.interval() / 10).await;
                }
                Ok(Ok(false)) | Err(_) => return None,
            }
        }
    }

    /// Files of earlier holders. What is left behind is harmless.
    async fn remove_older(&self, epoch: u64) {
        let Ok(epochs) = self.epochs().await else {
            return;
        };
        let older = epochs.into_iter().filter(|other| *other < epoch);
        let older: Vec<_> = older.map(|epoch| Ok(self.path(epoch))).collect();
        let removed = self
            .location
            .store
            .delete_stream(futures::stream::iter(older).boxed());
        removed.for_each(|_| async {}).await;
    }
}
