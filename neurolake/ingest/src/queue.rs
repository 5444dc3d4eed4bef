//! What stands between the door and the tables: a durable log of accepted events for each table.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

pub mod conformance;
pub mod memory;

/// The events of one table, in the order in which they were accepted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stream {
    database: Arc<str>,
    table: Arc<str>,
}

impl Stream {
    /// The stream of a declared table.
    pub fn new(database: &str, table: &str) -> Self {
        Self {
            database: database.into(),
            table: table.into(),
        }
    }

    /// The table's database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The table's name.
    pub fn table(&self) -> &str {
        &self.table
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.table)
    }
}

/// What a door hands over: opaque bytes, kept together.
#[derive(Debug, Clone)]
pub struct Record {
    /// What is kept.
    pub payload: Bytes,
    /// Names the request. Within the queue's memory of keys, a second record with the same key is
    /// not kept; the first one's offset is given back.
    pub key: Option<String>,
}

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Its offset. The first record of a stream has 1.
    pub offset: u64,
    /// Whether it was there already, under the same key.
    pub duplicate: bool,
}

/// A kept record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its offset.
    pub offset: u64,
    /// What is kept.
    pub payload: Bytes,
}

/// What a stream holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bounds {
    /// All offsets up to this one are trimmed away; 0 if none is.
    pub trimmed: u64,
    /// The newest offset that was ever given; 0 before the first.
    pub last: u64,
}

/// Why a queue doesn't do what it is asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QueueError {
    /// No room: the disk or the quota is full. Nothing was kept; try again later.
    #[error("the queue is full: {reason}")]
    Full {
        /// What is full.
        reason: String,
    },
    /// A record is larger than the queue takes.
    #[error("a record of {bytes} bytes is larger than the queue takes ({limit} bytes)")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The key was used for a record with other content.
    #[error("the key `{key}` was used for other content at offset {offset}")]
    KeyReused {
        /// The key.
        key: String,
        /// The first record's offset.
        offset: u64,
    },
    /// Records that were asked for are trimmed away.
    #[error("records up to offset {trimmed} are gone from the stream `{stream}`")]
    Trimmed {
        /// The stream.
        stream: Stream,
        /// What [`Bounds::trimmed`] is.
        trimmed: u64,
    },
    /// Another process uses the queue's folder.
    #[error("the queue in `{folder}` is used by another process")]
    Locked {
        /// The folder.
        folder: String,
    },
    /// What was kept can't be read. Everything before it can.
    #[error("the queue is damaged: {reason}")]
    Damaged {
        /// What doesn't fit.
        reason: String,
    },
    /// The broker or the disk doesn't answer as it should. Whether an append happened is unknown:
    /// repeat it with the same key.
    #[error("the queue doesn't answer: {reason}")]
    Unavailable {
        /// What it says.
        reason: String,
    },
}

/// Result of a queue.
pub type QueueResult<T> = Result<T, QueueError>;

/// Durable streams with dense, growing offsets: a record's offset is that of the record before it
/// plus 1, whoever appended it. Each implementation says what "durable" means; all of them run
/// [`conformance`].
#[async_trait]
pub trait Queue: fmt::Debug + Send + Sync {
    /// Names the stream for ever. A stream that begins anew under the same name has another
    /// identity, so that its offsets are not taken for those of the one before. Letters, digits,
    /// `-`.
    async fn identity(&self, stream: &Stream) -> QueueResult<String>;

    /// Keeps a record. When this returns, the record is durable and readable.
    async fn append(&self, stream: &Stream, record: Record) -> QueueResult<Appended>;

    /// Records with offsets above `after`, in order and without a gap, about `max_bytes` of them
    /// but at least one if there is one. Empty at the end.
    ///
    /// # Errors
    /// [`QueueError::Trimmed`] if the record behind `after` is trimmed away.
    async fn read(&self, stream: &Stream, after: u64, max_bytes: usize) -> QueueResult<Vec<Entry>>;

    /// What the stream holds. A stream that was never appended to has no bounds but the default.
    async fn bounds(&self, stream: &Stream) -> QueueResult<Bounds>;

    /// Forgets records up to and including `through`. Keys are remembered longer. Offsets go on.
    async fn trim(&self, stream: &Stream, through: u64) -> QueueResult<()>;

    /// Waits until there is a record above `after`; may return early.
    async fn wait(&self, stream: &Stream, after: u64) -> QueueResult<()>;

    /// The largest payload of a record.
    fn max_record_bytes(&self) -> usize;

    /// Bytes that all streams take at the moment, about.
    async fn stored_bytes(&self) -> QueueResult<u64>;
}
