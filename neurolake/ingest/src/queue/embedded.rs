//! A queue in a folder of this machine, for one process.
//!
//! **Durable means:** a record is acknowledged after `fdatasync` of the journal it was written to.
//! It outlives `kill -9`, a crash of the system and loss of power, as far as the disk keeps what
//! it says it has written. It does not outlive the disk: that takes a broker with replicas.
//!
//! A record and its key are written in one atomic batch. One thread owns the database; appends
//! that arrive while it syncs make up the next batch, so many clients share one sync and a lone
//! one never waits for company. A trim isn't synced: after a loss of power, records that were
//! trimmed just before may be there again. Their keys and offsets are not lost.
//!
//! Keys are remembered for [`EmbeddedSettings::remember_keys`], the oldest less long if there are
//! more than [`EmbeddedSettings::max_keys`] of them.
//!
//! The database is [fjall]. What it doesn't give is done here: it cuts off a journal at the first
//! thing it can't read and goes on as if nothing had been behind it, so acknowledged offsets are
//! noted beside it, and a stream that ends before its note is [`QueueError::Damaged`]: the records
//! before the damage can be read, nothing is appended, and trimming up to [`Bounds::last`] says
//! that the loss is accepted. And a write that fails, as on a full disk, leaves it unusable until
//! it is opened anew, which happens by itself.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use neurolake_delta::Clock;
use tokio::sync::{mpsc, oneshot, watch};

use super::{Appended, Bounds, Entry, Queue, QueueError, QueueResult, Record, Stream, hex};
use owner::{Command, Owner};
use store::Store;

mod journal;
mod notes;
mod owner;
mod store;

/// File with the identity of the queue.
const IDENTITY: &str = "identity";
/// Larger payloads are for object storage.
const MAX_RECORD_BYTES: usize = 64 << 20;
/// Commands that wait for the thread that owns the database.
const WAITING: usize = 1024;

/// How much a queue in a folder keeps.
#[derive(Debug, Clone)]
pub struct EmbeddedSettings {
    /// Bytes that records of all streams may take together until they are trimmed. The folder can
    /// be larger by some hundred MiB: journals, and what is trimmed but not cleared away yet.
    /// Default 4 GiB. When they are used up, appends are refused with [`QueueError::Full`].
    pub max_bytes: u64,
    /// Bytes of the disk that are left free. Too few, and a full disk also stops what would make
    /// room again; at 0 it is filled to the last byte. Default 256 MiB.
    pub min_free_bytes: u64,
    /// Keys that are remembered, in all streams together, about 250 bytes each. Default 4 million.
    pub max_keys: u64,
    /// How long a key is remembered. Default 24 hours.
    pub remember_keys: Duration,
}

impl Default for EmbeddedSettings {
    fn default() -> Self {
        Self {
            max_bytes: 4 << 30,
            min_free_bytes: 256 << 20,
            max_keys: 4_000_000,
            remember_keys: Duration::from_hours(24),
        }
    }
}

/// A queue in a folder. See the [module](self) for what it promises.
pub struct EmbeddedQueue {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
    identity: String,
}

impl fmt::Debug for EmbeddedQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedQueue")
            .field("folder", &self.shared.folder)
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}

impl EmbeddedQueue {
    /// Opens the queue in a folder, which is made if it isn't there. The clock tells how old keys
    /// are.
    ///
    /// # Errors
    /// [`QueueError::Locked`] if another process, or another queue of this one, uses the folder;
    /// [`QueueError::Damaged`] if nothing in it can be read.
    pub async fn open(
        folder: impl Into<PathBuf>,
        settings: EmbeddedSettings,
        clock: Clock,
    ) -> QueueResult<Self> {
        let shared = Arc::new(Shared {
            folder: folder.into(),
            settings,
            store: RwLock::default(),
            streams: Mutex::default(),
            stored_bytes: AtomicU64::new(0),
        });
        let (commands, waiting) = mpsc::channel(WAITING);
        let (opened, is_open) = oneshot::channel();
        let ending = Ending(Arc::clone(&shared));
        std::thread::Builder::new()
            .name("neurolake-queue".into())
            .spawn(move || {
                let shared = Arc::clone(&ending.0);
                match Owner::open(shared, clock) {
                    Ok(owner) => {
                        // If nobody waits any more, there is no sender of commands either.
                        let _ = opened.send(Ok(()));
                        let run = AssertUnwindSafe(|| owner.run(waiting));
                        if catch_unwind(run).is_err() {
                            // Nothing can be accepted any more; what was is on the disk. A process
                            // that is started again finds it there.
                            tracing::error!("a bug in the queue of events: the process ends");
                            std::process::abort();
                        }
                    }
                    Err(error) => {
                        let _ = opened.send(Err(error));
                    }
                }
            })
            .map_err(|error| unavailable(&error))?;
        let damaged = |_| QueueError::Damaged {
            reason: "the database panicked when it was opened".into(),
        };
        is_open.await.map_err(damaged)??;
        // The folder is ours alone now.
        let file = shared.folder.join(IDENTITY);
        let identity = tokio::task::spawn_blocking(move || identity(&file)).await;
        let identity = identity.map_err(|error| unavailable(&error))?;
        let identity = identity.map_err(|error| unavailable(&error))?;
        Ok(Self {
            shared,
            commands,
            identity,
        })
    }

    /// Ends the queue and gives the folder free. Without it, dropping the queue does the same a
    /// moment later.
    pub async fn close(&self) {
        let (closed, is_closed) = oneshot::channel();
        if self.commands.send(Command::Close(closed)).await.is_ok() {
            let _ = is_closed.await;
        }
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<QueueResult<T>>) -> Command,
    ) -> QueueResult<T> {
        let (answer, is_answered) = oneshot::channel();
        let sent = self.commands.send(command(answer)).await;
        sent.map_err(|_| closed())?;
        is_answered.await.map_err(|_| closed())?
    }
}

/// Names the folder for ever.
fn identity(file: &Path) -> io::Result<String> {
    match std::fs::read_to_string(file) {
        Ok(identity) if !identity.is_empty() => return Ok(identity),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut random = [0; 16];
    let system = ring::rand::SystemRandom::new();
    ring::rand::SecureRandom::fill(&system, &mut random)
        .map_err(|_| io::Error::other("the system gives no random numbers"))?;
    let identity = hex(&random);
    let unfinished = file.with_extension("new");
    let mut new = std::fs::File::create(&unfinished)?;
    io::Write::write_all(&mut new, identity.as_bytes())?;
    new.sync_all()?;
    std::fs::rename(&unfinished, file)?;
    if let Some(folder) = file.parent() {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(identity)
}

#[async_trait]
impl Queue for EmbeddedQueue {
    async fn identity(&self, _: &Stream) -> QueueResult<String> {
        Ok(self.identity.clone())
    }

    async fn append(&self, stream: &Stream, record: Record) -> QueueResult<Appended> {
        if record.payload.len() > MAX_RECORD_BYTES {
            return Err(QueueError::TooLarge {
                bytes: record.payload.len(),
                limit: MAX_RECORD_BYTES,
            });
        }
        let stream = stream.clone();
        self.ask(|answer| {
            Command::Append(owner::Append {
                stream,
                record,
                answer,
            })
        })
        .await
    }

    async fn read(&self, stream: &Stream, after: u64, max_bytes: usize) -> QueueResult<Vec<Entry>> {
        let known = self.shared.known(stream)?;
        known.check(stream, after)?;
        if after >= known.last {
            return Ok(Vec::new());
        }
        let (shared, stream) = (Arc::clone(&self.shared), stream.clone());
        let read = move || shared.read(&stream, known, after, max_bytes);
        let read = tokio::task::spawn_blocking(read).await;
        read.map_err(|error| unavailable(&error))?
    }

    async fn bounds(&self, stream: &Stream) -> QueueResult<Bounds> {
        let Known { trimmed, last, .. } = self.shared.known(stream)?;
        Ok(Bounds { trimmed, last })
    }

    async fn trim(&self, stream: &Stream, through: u64) -> QueueResult<()> {
        let known = self.shared.known(stream)?;
        if through.min(known.last) <= known.trimmed {
            return Ok(());
        }
        let stream = stream.clone();
        self.ask(|answer| {
            Command::Trim(owner::Trim {
                stream,
                through,
                answer,
            })
        })
        .await
    }

    async fn wait(&self, stream: &Stream, after: u64) -> QueueResult<()> {
        let mut known = self.shared.subscribe(stream)?;
        let grown = known.wait_for(|known| known.last > after).await;
        grown.map(|_| ()).map_err(|_| closed())
    }

    fn max_record_bytes(&self) -> usize {
        MAX_RECORD_BYTES
    }

    async fn stored_bytes(&self) -> QueueResult<u64> {
        Ok(self.shared.stored_bytes.load(Ordering::Relaxed))
    }
}

/// What the thread and its callers share.
struct Shared {
    folder: PathBuf,
    settings: EmbeddedSettings,
    /// Written only to open the database anew, which waits until all readers have left it.
    store: RwLock<Option<Store>>,
    streams: Mutex<Streams>,
    stored_bytes: AtomicU64,
}

#[derive(Default)]
struct Streams {
    has_ended: bool,
    known: HashMap<Stream, watch::Sender<Known>>,
}

/// A stream as callers see it: only what is durable.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    id: u32,
    trimmed: u64,
    /// The last record that is there. Before `last` only if the rest was lost.
    readable: u64,
    last: u64,
}

impl Known {
    /// Whether what is behind this offset can be read.
    fn check(&self, stream: &Stream, after: u64) -> QueueResult<()> {
        if after < self.trimmed {
            return Err(QueueError::Trimmed {
                stream: stream.clone(),
                trimmed: self.trimmed,
            });
        }
        if after >= self.readable && after < self.last {
            return Err(self.lost(stream));
        }
        Ok(())
    }

    fn lost(&self, stream: &Stream) -> QueueError {
        QueueError::Damaged {
            reason: format!(
                "records {} to {} of the stream `{stream}` were acknowledged and are lost",
                self.readable + 1,
                self.last
            ),
        }
    }
}

impl Shared {
    fn streams(&self) -> MutexGuard<'_, Streams> {
        // Nothing can panic while it is held.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, stream: &Stream) -> QueueResult<Known> {
        let streams = self.streams();
        if streams.has_ended {
            return Err(closed());
        }
        let known = streams.known.get(stream).map(|known| *known.borrow());
        Ok(known.unwrap_or_default())
    }

    fn subscribe(&self, stream: &Stream) -> QueueResult<watch::Receiver<Known>> {
        let mut streams = self.streams();
        if streams.has_ended {
            return Err(closed());
        }
        Ok(streams.known.entry(stream.clone()).or_default().subscribe())
    }

    fn publish(&self, stream: &Stream, known: Known) {
        let mut streams = self.streams();
        match streams.known.get(stream) {
            Some(sender) => {
                sender.send_replace(known);
            }
            None => {
                let sender = watch::Sender::new(known);
                streams.known.insert(stream.clone(), sender);
            }
        }
    }

    fn read(
        &self,
        stream: &Stream,
        known: Known,
        after: u64,
        max_bytes: usize,
    ) -> QueueResult<Vec<Entry>> {
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        let store = store.as_ref().ok_or_else(closed)?;
        let entries = store.read(known.id, after, known.readable, max_bytes)?;
        if entries.is_empty() {
            // The record behind `after` isn't there: it was trimmed meanwhile, or it is lost.
            self.known(stream)?.check(stream, after)?;
            return Err(QueueError::Damaged {
                reason: format!("record {} of the stream `{stream}` is missing", after + 1),
            });
        }
        Ok(entries)
    }

    fn free_bytes(&self) -> u64 {
        match rustix::fs::statvfs(&self.folder) {
            Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize),
            Err(error) => {
                tracing::warn!(%error, "can't tell how much room the disk of the queue has");
                u64::MAX
            }
        }
    }
}

/// Tells those who wait that nothing will come, however the thread ends.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        let mut streams = self.0.streams();
        streams.has_ended = true;
        streams.known.clear();
    }
}

fn closed() -> QueueError {
    QueueError::Unavailable {
        reason: "it is closed".into(),
    }
}

fn unavailable(error: &impl fmt::Display) -> QueueError {
    QueueError::Unavailable {
        reason: error.to_string(),
    }
}

/// What an error of the database or of a file says about the queue.
fn classify(error: &(dyn std::error::Error + 'static), folder: &Path) -> QueueError {
    use std::io::ErrorKind::{
        FileTooLarge, InvalidData, NotFound, QuotaExceeded, StorageFull, UnexpectedEof,
    };
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut causes = causes.filter_map(|error| error.downcast_ref::<std::io::Error>());
    let reason = error.to_string();
    if let Some(cause) = causes.next() {
        return match cause.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => QueueError::Full { reason },
            InvalidData | NotFound | UnexpectedEof => QueueError::Damaged { reason },
            _ => QueueError::Unavailable { reason },
        };
    }
    match error.downcast_ref::<fjall::Error>() {
        Some(fjall::Error::Locked) => QueueError::Locked {
            folder: folder.display().to_string(),
        },
        Some(fjall::Error::Poisoned) => QueueError::Unavailable { reason },
        _ => QueueError::Damaged { reason },
    }
}
