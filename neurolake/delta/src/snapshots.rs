//! One cached snapshot per table, shared by all sessions and refreshed behind their backs.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use futures::future;
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::history::{self, History};
use crate::location::{At, Location};
use crate::snapshot::Snapshot;

/// Earlier versions that are kept for each table.
const PAST_KEPT: usize = 8;

/// How often to look for new commits.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Between two looks at a table that is in use. Smaller costs requests, two for each look;
    /// larger shows commits later.
    pub interval: Duration,
    /// Without anybody looking, a snapshot older than this is refreshed by whoever uses it.
    pub fresh: Duration,
    /// A table that was not used for so long is not looked at any more.
    pub idle: Duration,
    /// Between two looks at a table that can't be read.
    pub retry: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(500),
            fresh: Duration::from_secs(1),
            idle: Duration::from_mins(5),
            retry: Duration::from_secs(5),
        }
    }
}

/// The cache. Dropping it stops looking for new commits.
#[derive(Debug, Default)]
pub struct Snapshots {
    pace: Pace,
    entries: Mutex<HashMap<Key, Arc<Entry>>>,
}

/// Two stores may have buckets of the same name, so the store itself is part of the name.
type Key = (String, usize);

fn key(location: &Location) -> Key {
    let store = Arc::as_ptr(&location.store).cast::<()>().addr();
    (location.url.to_string(), store)
}

/// How a cached table is doing.
#[derive(Debug, Clone)]
pub struct Status {
    /// Address of the folder.
    pub url: String,
    /// The version that queries see. `None`: the table could not be opened.
    pub version: Option<u64>,
    /// How long ago it was known to be the newest version.
    pub age: Option<Duration>,
    /// How long ago the table was last used.
    pub unused: Duration,
    /// Whether new commits are looked for.
    pub watched: bool,
    /// Why the last look failed. Queries see the last good version meanwhile.
    pub error: Option<Error>,
}

impl Snapshots {
    /// A cache with another pace than the default.
    pub fn new(pace: Pace) -> Self {
        Self {
            pace,
            entries: Mutex::default(),
        }
    }

    /// The newest version. Of a table in use this is at most [`Pace::interval`] old and costs
    /// nothing; the first use opens the table, once for all who ask for it.
    ///
    /// # Errors
    /// The table is not there or its log is broken.
    pub async fn latest(&self, location: &Location) -> Result<Arc<Snapshot>> {
        let entry = self.entry(location);
        let watched = entry.touch();
        if let Some(snapshot) = entry.current.load_full()
            && (watched || entry.is_fresh(self.pace.fresh))
        {
            entry.watch(self.pace);
            return Ok(snapshot);
        }
        let outcome = entry.refresh().await;
        match (entry.current.load_full(), outcome) {
            (Some(snapshot), _) => {
                entry.watch(self.pace);
                Ok(snapshot)
            }
            (None, Err(error)) => Err(error),
            // The table disappeared a moment after it was opened.
            (None, Ok(())) => Err(Error::NotATable {
                url: location.url.to_string(),
            }),
        }
    }

    /// The newest version by a look that begins after the call: whatever was committed before is
    /// seen. All who ask at the same time share a look. With `at_least`, a cached version that is
    /// this new will do without one.
    ///
    /// # Errors
    /// The table is not there, or can't be read now.
    pub async fn refreshed(
        &self,
        location: &Location,
        at_least: Option<u64>,
    ) -> Result<Arc<Snapshot>> {
        let entry = self.entry(location);
        entry.touch();
        if let Some(least) = at_least
            && let Some(snapshot) = entry.current.load_full()
            && snapshot.version() >= least
        {
            return Ok(snapshot);
        }
        entry.look_now().await?;
        entry.watch(self.pace);
        entry.current.load_full().ok_or_else(|| Error::NotATable {
            url: location.url.to_string(),
        })
    }

    /// A version that was the newest so long ago at most.
    ///
    /// # Errors
    /// The table is not there, or can't be read now.
    pub async fn within(&self, location: &Location, most: Duration) -> Result<Arc<Snapshot>> {
        let entry = self.entry(location);
        if let Some(snapshot) = entry.current.load_full()
            && entry.is_fresh(most)
        {
            entry.touch();
            entry.watch(self.pace);
            return Ok(snapshot);
        }
        self.refreshed(location, None).await
    }

    /// An earlier version. The last few are kept.
    ///
    /// # Errors
    /// As [`Snapshots::latest`], or there is no such version.
    pub async fn at(&self, location: &Location, at: &At) -> Result<Arc<Snapshot>> {
        let version = match at {
            At::Version(version) => *version,
            At::Timestamp(time) => History::read(location).await?.version_at(*time)?,
        };
        let entry = self.entry(location);
        entry.touch();
        if let Some(snapshot) = entry.known(version) {
            // The table may have been made anew since.
            let commit = history::commit_file(location, version).await?;
            if commit.as_ref() == snapshot.commit() {
                return Ok(snapshot);
            }
        }
        let opened = Snapshot::open(&entry.location, &entry.private, Some(version)).await;
        let snapshot = match opened {
            Ok(snapshot) => Arc::new(snapshot),
            Err(error) => return Err(explain(location, version, error).await),
        };
        entry.remember(Arc::clone(&snapshot));
        Ok(snapshot)
    }

    /// How a table is doing. `None`: nobody has asked for it.
    pub fn status_of(&self, location: &Location) -> Option<Status> {
        let entry = self.lock().get(&key(location)).cloned();
        entry.map(|entry| entry.status())
    }

    /// How the cached tables are doing, sorted by address.
    pub fn status(&self) -> Vec<Status> {
        let mut status: Vec<_> = self.lock().values().map(|entry| entry.status()).collect();
        status.sort_by(|a, b| a.url.cmp(&b.url));
        status
    }

    fn entry(&self, location: &Location) -> Arc<Entry> {
        let mut entries = self.lock();
        let entry = entries
            .entry(key(location))
            .or_insert_with(|| Arc::new(Entry::new(location)));
        Arc::clone(entry)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Entry>>> {
        // Nothing can panic while the map is held.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says which versions there are, if the one asked for is not among them.
async fn explain(location: &Location, version: u64, error: Error) -> Error {
    let Ok(history) = History::read(location).await else {
        return error;
    };
    match history.available() {
        Some(available) if !(available.first.0..=available.last.0).contains(&version) => {
            Error::NoSuchVersion {
                url: location.url.to_string(),
                version,
                available,
            }
        }
        Some(_) => error,
        None => Error::NotATable {
            url: location.url.to_string(),
        },
    }
}

/// One table.
#[derive(Debug)]
struct Entry {
    location: Location,
    /// The same folder under an address of its own.
    private: Location,
    current: ArcSwapOption<Snapshot>,
    /// Held while the table is opened or refreshed.
    gate: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    used: Instant,
    /// When the last look began.
    began: Option<Instant>,
    /// When the last look ended.
    looked: Option<Instant>,
    /// When the last look that succeeded ended.
    succeeded: Option<Instant>,
    error: Option<Error>,
    task: Option<JoinHandle<()>>,
    past: VecDeque<Arc<Snapshot>>,
}

impl Entry {
    fn new(location: &Location) -> Self {
        // Listings of a local folder are not sorted; deltalake takes care of that only for `file:`.
        let private = match location.url.scheme() {
            "file" => location.clone(),
            scheme => location.under_scheme(&format!("{scheme}-{}", process_wide())),
        };
        Self {
            location: location.clone(),
            private,
            current: ArcSwapOption::empty(),
            gate: tokio::sync::Mutex::default(),
            state: Mutex::new(State {
                used: Instant::now(),
                began: None,
                looked: None,
                succeeded: None,
                error: None,
                task: None,
                past: VecDeque::new(),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing can panic while the state is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the table is used. Whether somebody looks for new commits.
    fn touch(&self) -> bool {
        let mut state = self.state();
        state.used = Instant::now();
        state.is_watched()
    }

    fn is_fresh(&self, fresh: Duration) -> bool {
        let succeeded = self.state().succeeded;
        succeeded.is_some_and(|succeeded| succeeded.elapsed() < fresh)
    }

    /// Looks for new commits from now on, unless somebody does already.
    fn watch(self: &Arc<Self>, pace: Pace) {
        let mut state = self.state();
        if !state.is_watched() {
            state.task = Some(tokio::spawn(watch(Arc::downgrade(self), pace)));
        }
    }

    /// Ends watching if nobody used the table for so long.
    fn is_idle(&self, idle: Duration) -> bool {
        let mut state = self.state();
        let is_idle = state.used.elapsed() >= idle;
        if is_idle {
            // Decided while the state is held, so that a use right now starts a new task.
            state.task = None;
        }
        is_idle
    }

    /// Looks for new commits, once for all who ask at the same time.
    async fn refresh(&self) -> Result<()> {
        let asked = Instant::now();
        self.look_unless(|state| state.looked.is_some_and(|looked| looked >= asked))
            .await
    }

    /// As [`Entry::refresh`], but a look that had begun already doesn't count: what was committed
    /// a moment ago may have escaped it.
    async fn look_now(&self) -> Result<()> {
        let asked = Instant::now();
        self.look_unless(|state| state.began.is_some_and(|began| began >= asked))
            .await
    }

    async fn look_unless(&self, done: impl Fn(&State) -> bool + Send) -> Result<()> {
        let _gate = self.gate.lock().await;
        {
            let state = self.state();
            if done(&state) {
                return state.error.clone().map_or(Ok(()), Err);
            }
        }
        let began = Instant::now();
        let outcome = self.look().await;
        let mut state = self.state();
        let now = Instant::now();
        state.began = Some(began);
        state.looked = Some(now);
        match &outcome {
            Ok(()) => {
                state.succeeded = Some(now);
                if state.error.take().is_some() {
                    tracing::info!(table = %self.location.url, "the table can be read again");
                }
            }
            Err(error) => {
                if state.error.is_none() {
                    let cause = causes(error);
                    tracing::warn!(table = %self.location.url, %cause, "the table can't be refreshed");
                }
                state.error = Some(error.clone());
            }
        }
        outcome
    }

    async fn look(&self) -> Result<()> {
        let current = self.current.load_full();
        let found = match &current {
            None => Some(self.open().await?),
            Some(current) => match self.changes(current).await? {
                Changes::None => None,
                Changes::Commits => Some(self.update(current).await?),
                Changes::Everything => Some(self.reopen().await?),
            },
        };
        let Some(found) = found.map(Arc::new) else {
            return Ok(());
        };
        // What was asked of the version before is got ready, so that no query pays for it.
        if let Some(current) = &current {
            found.follow(current).await;
        }
        if current.is_some_and(|current| current.has_files()) {
            let prepared = Arc::clone(&found);
            let prepare = move || {
                prepared
                    .fallback_reason()
                    .and_then(|special| match special {
                        None => prepared.files().map(|_| ()),
                        Some(_) => Ok(()),
                    })
            };
            if let Ok(Err(error)) = tokio::task::spawn_blocking(prepare).await {
                return Err(error);
            }
        }
        self.current.store(Some(found));
        Ok(())
    }

    /// What happened to the table since, told by two small requests whatever its size.
    async fn changes(&self, current: &Snapshot) -> Result<Changes> {
        let version = current.version();
        let (this, next) = future::join(
            history::commit_file(&self.location, version),
            history::commit_file(&self.location, version + 1),
        )
        .await;
        if this?.as_ref() != current.commit() {
            return Ok(Changes::Everything);
        }
        Ok(match next? {
            Some(_) => Changes::Commits,
            None => Changes::None,
        })
    }

    async fn open(&self) -> Result<Snapshot> {
        Snapshot::open(&self.location, &self.private, None).await
    }

    async fn update(&self, current: &Snapshot) -> Result<Snapshot> {
        match current.update(&self.location).await {
            Ok(updated) if updated.table_id() == current.table_id() => Ok(updated),
            // Commits may have been cleaned up in between, or the table replaced.
            Ok(_) | Err(_) => self.open().await,
        }
    }

    /// For a table that is not the same any more: deleted, or made anew.
    async fn reopen(&self) -> Result<Snapshot> {
        let opened = self.open().await;
        if let Err(Error::NotATable { .. }) = opened {
            // Its files are gone as well: the last good version can't be read.
            self.current.store(None);
        }
        opened
    }

    fn known(&self, version: u64) -> Option<Arc<Snapshot>> {
        let current = self.current.load_full();
        if let Some(current) = current.filter(|current| current.version() == version) {
            return Some(current);
        }
        let state = self.state();
        let mut past = state.past.iter();
        past.find(|snapshot| snapshot.version() == version).cloned()
    }

    fn remember(&self, snapshot: Arc<Snapshot>) {
        let past = &mut self.state().past;
        past.retain(|known| known.version() != snapshot.version());
        past.push_back(snapshot);
        if past.len() > PAST_KEPT {
            past.pop_front();
        }
    }

    fn status(&self) -> Status {
        let current = self.current.load();
        let state = self.state();
        Status {
            url: self.location.url.to_string(),
            version: current.as_ref().map(|snapshot| snapshot.version()),
            age: state.succeeded.map(|succeeded| succeeded.elapsed()),
            unused: state.used.elapsed(),
            watched: state.is_watched(),
            error: state.error.clone(),
        }
    }
}

impl State {
    fn is_watched(&self) -> bool {
        // A task ends also with the runtime that it runs on.
        self.task.as_ref().is_some_and(|task| !task.is_finished())
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(task) = self.state().task.take() {
            task.abort();
        }
    }
}

enum Changes {
    None,
    Commits,
    Everything,
}

async fn watch(entry: Weak<Entry>, pace: Pace) {
    let mut pause = pace.interval;
    loop {
        tokio::time::sleep(pause).await;
        let Some(entry) = entry.upgrade() else {
            return;
        };
        if entry.is_idle(pace.idle) {
            return;
        }
        pause = match entry.refresh().await {
            Ok(()) => pace.interval,
            Err(_) => (pause * 2).min(pace.retry),
        };
    }
}

/// Tells the tables of one process apart: its caches may share a DataFusion session.
fn process_wide() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
