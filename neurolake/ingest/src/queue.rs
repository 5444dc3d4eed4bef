//! What stands between the door and the tables: a durable log of accepted events for each table.
//!
//! [`embedded`] keeps it in a folder of this machine, [`nats`] in a broker, [`memory`] nowhere.
//! Which of them outlives what is said at the head of each.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

pub mod conformance;
pub mod embedded;
pub mod memory;
pub mod nats;

pub use embedded::{EmbeddedQueue, EmbeddedSettings};
pub use memory::MemoryQueue;
pub use nats::{NatsCredentials, NatsQueue, NatsSettings};

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

impl Stream {
    /// The name in letters, digits, `_`, `=` and one `separator`, for folders and brokers. Two
    /// streams never share one.
    fn safe_name(&self, separator: char) -> String {
        let mut name = String::new();
        escape(&self.database, &mut name);
        name.push(separator);
        escape(&self.table, &mut name);
        name
    }

    fn from_safe_name(name: &str, separator: char) -> Option<Self> {
        let (database, table) = name.split_once(separator)?;
        Some(Self::new(&unescape(database, '=')?, &unescape(table, '=')?))
    }
}

fn escape(part: &str, to: &mut String) {
    for byte in part.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => to.push(byte.into()),
            other => *to += &format!("={other:02X}"),
        }
    }
}

/// Undoes what begins with a mark and two hexadecimal digits.
fn unescape(part: &str, mark: char) -> Option<String> {
    let mut pieces = part.split(mark);
    let mut bytes = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        let (hex, rest) = piece.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(hex, 16).ok()?);
        bytes.extend(rest.bytes());
    }
    String::from_utf8(bytes).ok()
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
    pub key: Option<Key>,
}

/// The name of a request in its stream, whatever characters it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// What the client calls it.
    pub name: String,
    /// A digest of what the client sent. The payload can't stand for it: a request that is sent
    /// again was received at another time, and the payload may say so.
    pub content: [u8; 32],
}

impl Key {
    /// A key for these bytes that a client sent.
    pub fn new(name: impl Into<String>, sent: &[u8]) -> Self {
        Self {
            name: name.into(),
            content: sha256(sent),
        }
    }

    /// Of the same length whatever the name is, and without odd characters in it.
    fn digest(&self) -> [u8; 32] {
        sha256(self.name.as_bytes())
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    digest
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
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
    ///
    /// A caller that goes away before doesn't know whether it was kept.
    ///
    /// # Errors
    /// [`QueueError::KeyReused`] if the key names a record with other content, as far as the queue
    /// remembers it; [`QueueError::TooLarge`], [`QueueError::Full`]: nothing was kept.
    async fn append(&self, stream: &Stream, record: Record) -> QueueResult<Appended>;

    /// Records with offsets above `after`, in order and without a gap, about `max_bytes` of them
    /// but at least one if there is one. Empty at the end and beyond it.
    ///
    /// # Errors
    /// [`QueueError::Trimmed`] if the record behind `after` is trimmed away.
    async fn read(&self, stream: &Stream, after: u64, max_bytes: usize) -> QueueResult<Vec<Entry>>;

    /// What the stream holds. A stream that was never appended to has no bounds but the default.
    async fn bounds(&self, stream: &Stream) -> QueueResult<Bounds>;

    /// Forgets records up to and including `through`, as far as they exist: those to come are not
    /// touched. Keys are remembered longer. Offsets go on.
    async fn trim(&self, stream: &Stream, through: u64) -> QueueResult<()>;

    /// Waits until there is a record above `after`; may return early, though not at once.
    async fn wait(&self, stream: &Stream, after: u64) -> QueueResult<()>;

    /// The largest payload of a record.
    fn max_record_bytes(&self) -> usize;

    /// Bytes that all streams take at the moment, about.
    async fn stored_bytes(&self) -> QueueResult<u64>;
}
