//! How streams lie in the database.
//!
//! Everything is in one keyspace, so that the journals are given free together: a keyspace that
//! is seldom written to would keep them all.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};

use super::{Entry, QueueError, QueueResult, Stream, classify, journal};

/// The form of what follows. Another one is another form.
const FORM: &[u8] = b"1";
/// Memory for what isn't in tables yet; journals hold about twice as much.
const MEMTABLE_BYTES: u64 = 32 << 20;
/// What a record takes besides its payload, about.
pub(super) const RECORD_BYTES: u64 = 64;

/// An open database.
pub(super) struct Store {
    pub(super) database: Database,
    pub(super) keyspace: Keyspace,
}

/// What a stream is, apart from its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Meta {
    pub(super) id: u32,
    pub(super) trimmed: u64,
    pub(super) last: u64,
    /// Records up to this one are removed from the database; they are trimmed before.
    pub(super) cleared: u64,
    /// Bytes of all records that were ever appended.
    pub(super) appended_bytes: u64,
    /// Bytes of those that are trimmed.
    pub(super) trimmed_bytes: u64,
}

impl Meta {
    const BYTES: usize = 4 + 5 * 8;

    pub(super) fn stored_bytes(&self) -> u64 {
        self.appended_bytes.saturating_sub(self.trimmed_bytes)
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::BYTES);
        bytes.extend(self.id.to_be_bytes());
        for number in [
            self.trimmed,
            self.last,
            self.cleared,
            self.appended_bytes,
            self.trimmed_bytes,
        ] {
            bytes.extend(number.to_be_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (id, numbers) = bytes.split_first_chunk()?;
        let (numbers, []) = numbers.as_chunks() else {
            return None;
        };
        let numbers: Vec<u64> = numbers.iter().copied().map(u64::from_be_bytes).collect();
        let [trimmed, last, cleared, appended_bytes, trimmed_bytes] = numbers[..] else {
            return None;
        };
        Some(Self {
            id: u32::from_be_bytes(*id),
            trimmed,
            last,
            cleared,
            appended_bytes,
            trimmed_bytes,
        })
    }
}

/// A key's name in the database: its stream, the digest of what the client calls it.
pub(super) type KeyName = (u32, [u8; 32]);

/// What is remembered under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Remembered {
    pub(super) offset: u64,
    pub(super) content: [u8; 32],
}

/// What is known when a database is opened.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) streams: HashMap<Stream, Meta>,
    /// The numbers of the keys that are remembered, by age.
    pub(super) keys: std::ops::Range<u64>,
    /// Copies of journals that had to be cut off to open it.
    pub(super) damaged: Vec<PathBuf>,
}

impl Store {
    /// Opens the database of a queue's folder, or makes one.
    pub(super) fn open(folder: &Path) -> QueueResult<(Self, Contents)> {
        let classify = |error: &(dyn std::error::Error + 'static)| classify(error, folder);
        let path = folder.join("database");
        if !path.try_exists().map_err(|error| classify(&error))? {
            make(folder, &path).map_err(|error| classify(&error))?;
        }
        let mut damaged = Vec::new();
        let mut opened = open(&path);
        if let Err(fjall::Error::JournalRecovery(_)) = &opened {
            damaged = journal::cut(&path).map_err(|error| classify(&error))?;
            if !damaged.is_empty() {
                opened = open(&path);
            }
        }
        let store = opened.map_err(|error| classify(&error))?;
        let mut contents = store.contents(folder)?;
        contents.damaged = damaged;
        Ok((store, contents))
    }

    fn contents(&self, folder: &Path) -> QueueResult<Contents> {
        let classify = |error: fjall::Error| classify(&error, folder);
        let form = self.keyspace.get([FORM_TAG]).map_err(classify)?;
        if form.as_deref() != Some(FORM) {
            return Err(damaged("it has a form that this version doesn't know"));
        }
        let mut contents = Contents::default();
        for guard in self.keyspace.prefix([STREAM_TAG]) {
            let (key, value) = guard.into_inner().map_err(classify)?;
            let (Some(stream), Some(meta)) = (stream_of(&key), Meta::decode(&value)) else {
                return Err(damaged("the list of streams can't be read"));
            };
            contents.streams.insert(stream, meta);
        }
        if let Some(keys) = self.keyspace.get([KEYS_TAG]).map_err(classify)? {
            let (Some(first), Some(next)) = (number_at(&keys, 0), number_at(&keys, 8)) else {
                return Err(damaged("the list of keys can't be read"));
            };
            contents.keys = first..next;
        }
        Ok(contents)
    }

    /// Records of a stream behind `after` up to `last`, until the first that is missing.
    pub(super) fn read(
        &self,
        id: u32,
        after: u64,
        last: u64,
        max_bytes: usize,
    ) -> QueueResult<Vec<Entry>> {
        let snapshot = self.database.snapshot();
        let range = record_key(id, after + 1)..=record_key(id, last);
        let mut entries: Vec<Entry> = Vec::new();
        let mut bytes = 0;
        for guard in snapshot.range(&self.keyspace, range) {
            let (key, value) = match guard.into_inner() {
                Ok(entry) => entry,
                // What stands before the damage can be read.
                Err(_) if !entries.is_empty() => break,
                Err(error) => return Err(classify(&error, self.keyspace.path())),
            };
            let expected = after + 1 + entries.len() as u64;
            if number_at(&key, 5) != Some(expected) || value.len() < 8 {
                break;
            }
            let payload = Bytes::from_owner(value).slice(8..);
            bytes += payload.len();
            entries.push(Entry {
                offset: expected,
                payload,
            });
            if bytes >= max_bytes {
                break;
            }
        }
        Ok(entries)
    }

    /// Bytes that all records up to this one took.
    pub(super) fn bytes_through(&self, id: u32, offset: u64) -> fjall::Result<Option<u64>> {
        let record = self.keyspace.get(record_key(id, offset))?;
        Ok(record.and_then(|record| number_at(&record, 0)))
    }

    pub(super) fn remembered(&self, (id, name): &KeyName) -> fjall::Result<Option<Remembered>> {
        let value = self.keyspace.get(key_key(*id, name))?;
        Ok(value.and_then(|value| {
            let content = *value.get(8..)?.first_chunk()?;
            let offset = number_at(&value, 0)?;
            Some(Remembered { offset, content })
        }))
    }

    /// The key with this number, and when it was remembered, in microseconds since 1970.
    pub(super) fn key_of_age(&self, number: u64) -> fjall::Result<Option<(KeyName, u64)>> {
        let value = self.keyspace.get(age_key(number))?;
        Ok(value.and_then(|value| {
            let since = number_at(&value, 0)?;
            let id = u32::from_be_bytes(*value.get(8..)?.first_chunk()?);
            let name = *value.get(12..)?.first_chunk()?;
            Some(((id, name), since))
        }))
    }

    pub(super) fn batch(&self) -> Batch<'_> {
        Batch {
            store: self,
            changes: self.database.batch(),
            is_synced: false,
        }
    }
}

/// Changes that become true together.
pub(super) struct Batch<'a> {
    store: &'a Store,
    changes: fjall::OwnedWriteBatch,
    is_synced: bool,
}

impl Batch<'_> {
    /// `bytes_through` counts this record and all before it.
    pub(super) fn append(&mut self, id: u32, offset: u64, bytes_through: u64, payload: &[u8]) {
        let mut value = Vec::with_capacity(8 + payload.len());
        value.extend(bytes_through.to_be_bytes());
        value.extend(payload);
        self.insert(record_key(id, offset), value);
        self.sync();
    }

    pub(super) fn clear(&mut self, id: u32, offset: u64) {
        self.changes
            .remove(&self.store.keyspace, record_key(id, offset));
    }

    pub(super) fn remember(&mut self, number: u64, name: &KeyName, key: Remembered, since: u64) {
        let mut value = key.offset.to_be_bytes().to_vec();
        value.extend(key.content);
        self.insert(key_key(name.0, &name.1), value);
        let mut value = since.to_be_bytes().to_vec();
        value.extend(name.0.to_be_bytes());
        value.extend(name.1);
        self.insert(age_key(number), value);
    }

    pub(super) fn forget(&mut self, number: u64, name: Option<&KeyName>) {
        let keyspace = &self.store.keyspace;
        self.changes.remove(keyspace, age_key(number));
        if let Some((id, name)) = name {
            self.changes.remove(keyspace, key_key(*id, name));
        }
    }

    pub(super) fn set_keys(&mut self, keys: &std::ops::Range<u64>) {
        let mut value = keys.start.to_be_bytes().to_vec();
        value.extend(keys.end.to_be_bytes());
        self.insert([KEYS_TAG], value);
    }

    pub(super) fn set_stream(&mut self, stream: &Stream, meta: &Meta) {
        self.insert(stream_key(stream), meta.encode());
    }

    /// Waits for the disk though there is no record.
    pub(super) fn sync(&mut self) {
        self.is_synced = true;
    }

    fn insert(&mut self, key: impl Into<fjall::UserKey>, value: Vec<u8>) {
        self.changes.insert(&self.store.keyspace, key, value);
    }

    /// Writes the changes, and waits for the disk if there are records among them.
    pub(super) fn commit(self) -> fjall::Result<()> {
        if self.changes.is_empty() {
            return Ok(());
        }
        self.store.wait_for_flushes()?;
        let mode = match self.is_synced {
            true => PersistMode::SyncData,
            false => PersistMode::Buffer,
        };
        self.changes.durability(Some(mode)).commit()
    }
}

impl Store {
    /// A commit itself waits for flushes and compactions that are far behind, but for ever if the
    /// threads that do them have failed. This notices.
    fn wait_for_flushes(&self) -> fjall::Result<()> {
        while self.keyspace.sealed_memtable_count() >= 2 || self.keyspace.l0_table_count() >= 16 {
            self.database.persist(PersistMode::Buffer)?;
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        Ok(())
    }

    /// Gives the room of removed records free.
    pub(super) fn compact(&self) -> fjall::Result<()> {
        self.flush()?;
        self.keyspace.major_compact()?;
        // Files that were merged stay until a later flush finds that nobody reads them.
        self.keyspace.insert([COMPACTION_TAG], [])?;
        self.flush()
    }

    /// The database's own way to wait for this never ends if the flush fails.
    fn flush(&self) -> fjall::Result<()> {
        self.keyspace.rotate_memtable()?;
        while self.keyspace.sealed_memtable_count() > 0 {
            self.database.persist(PersistMode::Buffer)?;
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        Ok(())
    }
}

fn open(path: &Path) -> fjall::Result<Store> {
    let database = Database::builder(path)
        .worker_threads(2)
        .max_journaling_size(128 << 20)
        .open()?;
    let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
    let keyspace = database.keyspace("queue", options)?;
    Ok(Store { database, keyspace })
}

/// Makes a database in one step: a half-made one couldn't be opened.
fn make(folder: &Path, path: &Path) -> fjall::Result<()> {
    let new = folder.join("database.new");
    if new.try_exists()? {
        fs::remove_dir_all(&new)?;
    }
    let store = open(&new)?;
    store.keyspace.insert([FORM_TAG], FORM)?;
    store.database.persist(PersistMode::SyncAll)?;
    drop(store);
    sync_tree(&new)?;
    fs::rename(&new, path)?;
    sync_folder(folder)?;
    Ok(())
}

/// Makes everything in a folder durable: the database doesn't do it for the folders it makes.
fn sync_tree(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => sync_tree(&path)?,
            false => File::open(&path)?.sync_all()?,
        }
    }
    sync_folder(folder)
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

const AGE_TAG: u8 = b'a';
const COMPACTION_TAG: u8 = b'c';
const FORM_TAG: u8 = b'f';
const KEY_TAG: u8 = b'k';
const KEYS_TAG: u8 = b'n';
const RECORD_TAG: u8 = b'r';
const STREAM_TAG: u8 = b's';

fn record_key(id: u32, offset: u64) -> Vec<u8> {
    let mut key = vec![RECORD_TAG];
    key.extend(id.to_be_bytes());
    key.extend(offset.to_be_bytes());
    key
}

fn key_key(id: u32, name: &[u8; 32]) -> Vec<u8> {
    let mut key = vec![KEY_TAG];
    key.extend(id.to_be_bytes());
    key.extend(name);
    key
}

fn age_key(number: u64) -> Vec<u8> {
    let mut key = vec![AGE_TAG];
    key.extend(number.to_be_bytes());
    key
}

fn stream_key(stream: &Stream) -> Vec<u8> {
    let mut key = vec![STREAM_TAG];
    key.extend((stream.database().len() as u32).to_be_bytes());
    key.extend(stream.database().bytes());
    key.extend(stream.table().bytes());
    key
}

fn stream_of(key: &[u8]) -> Option<Stream> {
    let (length, names) = key.get(1..)?.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (database, table) = std::str::from_utf8(names).ok()?.split_at_checked(length)?;
    Some(Stream::new(database, table))
}

fn number_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn damaged(reason: &str) -> QueueError {
    QueueError::Damaged {
        reason: reason.into(),
    }
}
