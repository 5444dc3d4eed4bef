//! The thread that owns the database: what came while it synced is written together.

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, UNIX_EPOCH};

use neurolake_delta::Clock;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

use super::notes::Notes;
use super::store::{Batch, Contents, KeyName, Meta, RECORD_BYTES, Remembered, Store, sync_folder};
use super::{
    Appended, Known, QueueError, QueueResult, Record, Shared, Stream, classify, unavailable,
};

/// What one batch holds at most, about.
const GROUP_BYTES: usize = 8 << 20;
const GROUP_RECORDS: usize = 4096;
/// Trimmed records that one batch clears away at most: it must not keep appends waiting.
const CLEARED_RECORDS: u64 = 2048;
/// After a failure, how long the same is answered before the next try.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Less than this, and a flush may have failed for want of room.
const ROOM_FOR_FLUSHES: u64 = 64 << 20;
/// What the database may take more than twice what it holds, before it is compacted.
const SLACK_BYTES: u64 = 128 << 20;
const COMPACTION_PAUSE: Duration = Duration::from_mins(1);
/// What a remembered key takes, about.
const KEY_BYTES: u64 = 250;

pub(super) enum Command {
    Append(Append),
    Trim(Trim),
    Close(oneshot::Sender<()>),
}

pub(super) struct Append {
    pub(super) stream: Stream,
    pub(super) record: Record,
    pub(super) answer: oneshot::Sender<QueueResult<Appended>>,
}

pub(super) struct Trim {
    pub(super) stream: Stream,
    pub(super) through: u64,
    pub(super) answer: oneshot::Sender<QueueResult<()>>,
}

/// What is written together.
#[derive(Default)]
struct Group {
    appends: Vec<Append>,
    trims: Vec<Trim>,
    close: Option<oneshot::Sender<()>>,
}

/// The answers to a group, in its order.
#[derive(Default)]
struct Answers {
    appends: Vec<QueueResult<Appended>>,
    trims: Vec<QueueResult<()>>,
}

/// A stream as it is on the disk.
#[derive(Debug, Clone, Copy)]
struct Lane {
    meta: Meta,
    /// Beyond `meta.last` if acknowledged records were lost.
    acknowledged: u64,
}

impl Lane {
    fn known(&self) -> Known {
        Known {
            id: self.meta.id,
            trimmed: self.meta.trimmed,
            readable: self.meta.last,
            last: self.acknowledged,
        }
    }

    fn is_damaged(&self) -> bool {
        self.acknowledged > self.meta.last
    }
}

pub(super) struct Owner {
    shared: Arc<Shared>,
    clock: Clock,
    lanes: HashMap<Stream, Lane>,
    keys: Range<u64>,
    notes: Notes,
    /// When the last write failed, and what that means for those to come.
    failed: Option<(Instant, QueueError)>,
    compaction: Option<(Instant, JoinHandle<()>)>,
    /// Given free last.
    _lock: Lock,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.close_store();
    }
}

impl Owner {
    pub(super) fn open(shared: Arc<Shared>, clock: Clock) -> QueueResult<Self> {
        let folder = shared.folder.clone();
        let classify = |error: io::Error| classify(&error, &folder);
        make_folder(&folder).map_err(classify)?;
        let lock = lock(&folder)?;
        let (notes, acknowledged) = open_notes(&folder).map_err(classify)?;
        let mut owner = Self {
            shared,
            clock,
            lanes: HashMap::new(),
            keys: 0..0,
            notes,
            failed: None,
            compaction: None,
            _lock: lock,
        };
        owner.open_store(acknowledged)?;
        Ok(owner)
    }

    /// Opens the database and compares it with what is known to have been acknowledged.
    fn open_store(&mut self, acknowledged: HashMap<Stream, u64>) -> QueueResult<()> {
        let (store, contents) = Store::open(&self.shared.folder)?;
        self.keys = contents.keys.clone();
        let mut lanes: HashMap<Stream, Lane> = HashMap::new();
        for (stream, meta) in &contents.streams {
            let acknowledged = meta.last;
            let meta = *meta;
            lanes.insert(stream.clone(), Lane { meta, acknowledged });
        }
        let mut next_id = next_id(&lanes);
        for (stream, last) in acknowledged {
            let lane = lanes.entry(stream).or_insert_with(|| {
                let meta = Meta {
                    id: next_id,
                    ..Meta::default()
                };
                next_id += 1;
                let acknowledged = 0;
                Lane { meta, acknowledged }
            });
            lane.acknowledged = lane.acknowledged.max(last);
        }
        self.lanes = lanes;
        self.report(&contents);
        for (stream, lane) in &self.lanes {
            self.shared.publish(stream, lane.known());
        }
        self.count_bytes();
        let mut open = self
            .shared
            .store
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *open = Some(store);
        Ok(())
    }

    fn report(&self, contents: &Contents) {
        let mut is_damaged = false;
        for (stream, lane) in self.lanes.iter().filter(|(_, lane)| lane.is_damaged()) {
            is_damaged = true;
            let error = lane.known().lost(stream);
            tracing::error!(%error, "trim the stream up to its end to accept the loss");
        }
        for journal in &contents.damaged {
            if is_damaged {
                tracing::error!(journal = %journal.display(), "the journal as it was found");
            } else if let Err(error) = fs::remove_file(journal) {
                // What was cut off was never acknowledged.
                tracing::warn!(%error, "can't remove the copy of a journal");
            }
        }
    }

    fn close_store(&self) {
        // Waits until nobody reads.
        let mut open = self
            .shared
            .store
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *open = None;
    }

    /// After a failed write the database takes no other.
    fn reopen(&mut self) -> QueueResult<()> {
        self.close_store();
        let lanes = self.lanes.iter();
        let acknowledged = lanes.map(|(stream, lane)| (stream.clone(), lane.acknowledged));
        self.open_store(acknowledged.collect())
    }

    pub(super) fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        while let Some(group) = self.next_group(&mut commands) {
            let Group {
                appends,
                trims,
                close,
            } = group;
            match self.write(&appends, &trims) {
                Ok(answers) => {
                    for (append, answer) in appends.into_iter().zip(answers.appends) {
                        let _ = append.answer.send(answer);
                    }
                    for (trim, answer) in trims.into_iter().zip(answers.trims) {
                        let _ = trim.answer.send(answer);
                    }
                }
                Err(error) => {
                    for append in appends {
                        let _ = append.answer.send(Err(error.clone()));
                    }
                    for trim in trims {
                        let _ = trim.answer.send(Err(error.clone()));
                    }
                }
            }
            if let Some(close) = close {
                drop(self);
                let _ = close.send(());
                return;
            }
        }
    }

    /// What is there to do; waits if there is nothing.
    fn next_group(&mut self, commands: &mut mpsc::Receiver<Command>) -> Option<Group> {
        let mut group = Group::default();
        let mut bytes = 0;
        let mut next = match self.has_to_clear() {
            true => match commands.try_recv() {
                Err(TryRecvError::Disconnected) => return None,
                next => next.ok(),
            },
            false => Some(commands.blocking_recv()?),
        };
        while let Some(command) = next {
            match command {
                Command::Append(append) => {
                    bytes += append.record.payload.len();
                    group.appends.push(append);
                }
                Command::Trim(trim) => group.trims.push(trim),
                Command::Close(close) => {
                    group.close = Some(close);
                    break;
                }
            }
            if bytes >= GROUP_BYTES || group.appends.len() >= GROUP_RECORDS {
                break;
            }
            next = commands.try_recv().ok();
        }
        Some(group)
    }

    fn has_to_clear(&self) -> bool {
        self.failed.is_none()
            && self
                .lanes
                .values()
                .any(|lane| lane.meta.cleared < lane.meta.trimmed)
    }

    fn write(&mut self, appends: &[Append], trims: &[Trim]) -> QueueResult<Answers> {
        if let Some((since, error)) = &self.failed {
            if since.elapsed() < RETRY_AFTER {
                return Err(error.clone());
            }
            if !self.is_open() {
                self.reopen().inspect_err(|error| {
                    self.failed = Some((Instant::now(), error.clone()));
                })?;
            }
        }
        let mut written = self.try_write(appends, trims);
        // A flush behind our back has failed, and nothing of this was written. Without room for
        // flushes it would fail again.
        if matches!(written, Err(fjall::Error::Poisoned))
            && self.shared.free_bytes() >= ROOM_FOR_FLUSHES
            && self.reopen().is_ok()
        {
            written = self.try_write(appends, trims);
        }
        match written {
            Ok(answers) => {
                self.failed = None;
                Ok(answers)
            }
            Err(error) => Err(self.fail(&error)),
        }
    }

    fn is_open(&self) -> bool {
        let open = self.shared.store.read();
        open.unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// What a failed write means for those who wait for it.
    fn fail(&mut self, error: &fjall::Error) -> QueueError {
        tracing::warn!(%error, "a write to the queue failed");
        let is_poisoned = matches!(error, fjall::Error::Poisoned);
        let mut failure = classify(error, &self.shared.folder);
        if is_poisoned && self.shared.free_bytes() < ROOM_FOR_FLUSHES {
            let reason = "the disk has no room".into();
            failure = QueueError::Full { reason };
        }
        self.failed = Some((Instant::now(), failure.clone()));
        if is_poisoned {
            return failure;
        }
        let lanes = self.lanes.iter();
        let before: HashMap<Stream, u64> = lanes
            .map(|(stream, lane)| (stream.clone(), lane.acknowledged))
            .collect();
        // Part of it, or all of it but the sync, may have reached the journal.
        let has_grown = |(stream, lane): (&Stream, &Lane)| {
            lane.meta.last > before.get(stream).copied().unwrap_or(0)
        };
        match self.reopen() {
            Ok(()) if !self.lanes.iter().any(has_grown) => failure,
            Ok(()) => unavailable(&format_args!("a record may have been kept: {error}")),
            Err(again) => unavailable(&format_args!("a record may have been kept: {again}")),
        }
    }

    fn try_write(&mut self, appends: &[Append], trims: &[Trim]) -> fjall::Result<Answers> {
        let shared = Arc::clone(&self.shared);
        let store = shared.store.read().unwrap_or_else(PoisonError::into_inner);
        let store = store.as_ref().ok_or(fjall::Error::Poisoned)?;
        let mut stage = Stage {
            owner: self,
            store,
            batch: store.batch(),
            lanes: HashMap::new(),
            next_id: next_id(&self.lanes),
            keys: self.keys.clone(),
            named: HashMap::new(),
            stored_bytes: self.stored_bytes(),
            now: self.micros(),
        };
        let full = stage.look_for_room(appends);
        let answers = Answers {
            trims: trims.iter().map(|trim| stage.trim(trim)).collect(),
            appends: appends
                .iter()
                .map(|append| stage.append(append, full.as_ref()))
                .collect(),
        };
        stage.forget_keys()?;
        let has_cleared = stage.clear();
        let (lanes, keys) = stage.commit()?;
        self.keys = keys;
        for (stream, lane) in lanes {
            if self
                .lanes
                .get(&stream)
                .is_none_or(|old| old.acknowledged < lane.acknowledged)
            {
                self.notes.write(&stream, lane.acknowledged);
            }
            self.shared.publish(&stream, lane.known());
            self.lanes.insert(stream, lane);
        }
        self.count_bytes();
        if has_cleared && !self.has_to_clear() {
            self.compact(store);
        }
        Ok(answers)
    }

    fn micros(&self) -> u64 {
        let since = (self.clock)().duration_since(UNIX_EPOCH);
        u64::try_from(since.unwrap_or_default().as_micros()).unwrap_or(u64::MAX)
    }

    fn stored_bytes(&self) -> u64 {
        self.lanes
            .values()
            .map(|lane| lane.meta.stored_bytes())
            .sum()
    }

    fn count_bytes(&self) {
        let stored = self.stored_bytes();
        self.shared.stored_bytes.store(stored, Ordering::Relaxed);
    }

    /// What was cleared stays on the disk below until tables are merged, which the database does
    /// by their number, not by what is dead in them.
    fn compact(&mut self, store: &Store) {
        if let Some((begun, compaction)) = &self.compaction
            && (!compaction.is_finished() || begun.elapsed() < COMPACTION_PAUSE)
        {
            return;
        }
        let keys = KEY_BYTES * (self.keys.end - self.keys.start);
        if store.keyspace.disk_space() <= 2 * (self.stored_bytes() + keys) + SLACK_BYTES {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let compact = move || {
            let store = shared.store.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(store) = store.as_ref()
                && let Err(error) = store.compact()
            {
                tracing::warn!(%error, "can't compact the queue");
            }
        };
        let thread = std::thread::Builder::new().name("neurolake-queue-compaction".into());
        match thread.spawn(compact) {
            Ok(compaction) => self.compaction = Some((Instant::now(), compaction)),
            Err(error) => tracing::warn!(%error, "can't compact the queue"),
        }
    }
}

/// A group on its way into a batch. Nothing of it is true before the batch is written.
struct Stage<'a> {
    owner: &'a Owner,
    store: &'a Store,
    batch: Batch<'a>,
    lanes: HashMap<Stream, Lane>,
    next_id: u32,
    keys: Range<u64>,
    /// Keys that this batch adds.
    named: HashMap<KeyName, Remembered>,
    stored_bytes: u64,
    now: u64,
}

impl Stage<'_> {
    fn lane(&self, stream: &Stream) -> Lane {
        let lane = self.lanes.get(stream);
        let lane = lane.or_else(|| self.owner.lanes.get(stream)).copied();
        lane.unwrap_or(Lane {
            meta: Meta {
                id: self.next_id,
                ..Meta::default()
            },
            acknowledged: 0,
        })
    }

    fn set(&mut self, stream: &Stream, lane: Lane) {
        self.next_id = self.next_id.max(lane.meta.id + 1);
        self.lanes.insert(stream.clone(), lane);
    }

    fn classify(&self, error: &fjall::Error) -> QueueError {
        classify(error, &self.owner.shared.folder)
    }

    fn look_for_room(&self, appends: &[Append]) -> Option<QueueError> {
        let shared = &self.owner.shared;
        let min_free = shared.settings.min_free_bytes;
        if min_free == 0 || appends.is_empty() {
            return None;
        }
        let payloads = appends.iter().map(|append| append.record.payload.len());
        let wanted = min_free + payloads.sum::<usize>() as u64;
        (shared.free_bytes() < wanted).then(|| QueueError::Full {
            reason: format!("its disk has less than {wanted} bytes free"),
        })
    }

    fn append(&mut self, append: &Append, full: Option<&QueueError>) -> QueueResult<Appended> {
        let Append { stream, record, .. } = append;
        let mut lane = self.lane(stream);
        if lane.is_damaged() {
            return Err(lane.known().lost(stream));
        }
        let key = record.key.as_ref();
        let key = key.map(|key| (key, (lane.meta.id, key.digest())));
        if let Some((key, name)) = &key
            && let Some(known) = self.remembered(name)?
        {
            return match known.content == key.content {
                true => Ok(Appended {
                    offset: known.offset,
                    duplicate: true,
                }),
                false => Err(QueueError::KeyReused {
                    key: key.name.clone(),
                    offset: known.offset,
                }),
            };
        }
        let bytes = record.payload.len() as u64 + RECORD_BYTES;
        self.refuse(bytes, full)?;
        self.stored_bytes += bytes;
        let meta = &mut lane.meta;
        meta.last += 1;
        meta.appended_bytes += bytes;
        lane.acknowledged = meta.last;
        let offset = meta.last;
        self.batch
            .append(meta.id, offset, meta.appended_bytes, &record.payload);
        if let Some((key, name)) = key {
            let content = key.content;
            let remembered = Remembered { offset, content };
            self.batch
                .remember(self.keys.end, &name, remembered, self.now);
            self.keys.end += 1;
            self.named.insert(name, remembered);
        }
        self.set(stream, lane);
        Ok(Appended {
            offset,
            duplicate: false,
        })
    }

    fn remembered(&self, name: &KeyName) -> QueueResult<Option<Remembered>> {
        if let Some(known) = self.named.get(name) {
            return Ok(Some(*known));
        }
        let known = self.store.remembered(name);
        known.map_err(|error| self.classify(&error))
    }

    fn refuse(&self, bytes: u64, full: Option<&QueueError>) -> QueueResult<()> {
        if let Some(full) = full {
            return Err(full.clone());
        }
        let max_bytes = self.owner.shared.settings.max_bytes;
        if self.stored_bytes + bytes > max_bytes {
            return Err(QueueError::Full {
                reason: format!("its {max_bytes} bytes are used up"),
            });
        }
        Ok(())
    }

    fn trim(&mut self, trim: &Trim) -> QueueResult<()> {
        let mut lane = self.lane(&trim.stream);
        let acknowledged = lane.acknowledged;
        let meta = &mut lane.meta;
        if trim.through >= acknowledged && acknowledged > meta.last {
            // Whoever trims what was lost accepts that it is.
            meta.last = acknowledged;
            self.batch.sync();
        }
        let through = trim.through.min(meta.last);
        if through <= meta.trimmed {
            return Ok(());
        }
        meta.trimmed_bytes = if through == meta.last {
            meta.appended_bytes
        } else {
            let bytes = self.store.bytes_through(meta.id, through);
            let bytes = bytes.map_err(|error| self.classify(&error))?;
            bytes.unwrap_or(meta.trimmed_bytes)
        };
        meta.trimmed = through;
        self.set(&trim.stream, lane);
        Ok(())
    }

    /// Keys that are too old or too many. As few at a time that appends don't notice.
    fn forget_keys(&mut self) -> fjall::Result<()> {
        let settings = &self.owner.shared.settings;
        let age = u64::try_from(settings.remember_keys.as_micros()).unwrap_or(u64::MAX);
        let before = &self.owner.keys;
        let added = self.keys.end - before.end;
        for _ in 0..2 * added {
            let oldest = self.keys.start;
            if oldest >= before.end {
                break;
            }
            let key = self.store.key_of_age(oldest)?;
            let since = key.as_ref().map_or(0, |(_, since)| *since);
            let are_too_many = self.keys.end - oldest > settings.max_keys;
            if !are_too_many && self.now.saturating_sub(since) < age {
                break;
            }
            self.batch
                .forget(oldest, key.as_ref().map(|(name, _)| name));
            self.keys.start += 1;
        }
        Ok(())
    }

    /// Removes records that are trimmed, of one stream at a time. Only those that readers know to
    /// be trimmed.
    fn clear(&mut self) -> bool {
        let mut lanes = self.owner.lanes.iter();
        let Some((stream, lane)) = lanes.find(|(_, lane)| lane.meta.cleared < lane.meta.trimmed)
        else {
            return false;
        };
        let cleared = lane.meta.cleared;
        let through = lane.meta.trimmed.min(cleared + CLEARED_RECORDS);
        for offset in cleared + 1..=through {
            self.batch.clear(lane.meta.id, offset);
        }
        let mut lane = self.lane(stream);
        lane.meta.cleared = through;
        self.set(stream, lane);
        true
    }

    fn commit(mut self) -> fjall::Result<(HashMap<Stream, Lane>, Range<u64>)> {
        for (stream, lane) in &self.lanes {
            self.batch.set_stream(stream, &lane.meta);
        }
        if self.keys != self.owner.keys {
            self.batch.set_keys(&self.keys);
        }
        self.batch.commit()?;
        Ok((self.lanes, self.keys))
    }
}

fn next_id(lanes: &HashMap<Stream, Lane>) -> u32 {
    let ids = lanes.values().map(|lane| lane.meta.id + 1);
    ids.max().unwrap_or(0)
}

/// Makes a folder so that it is still there after a loss of power.
fn make_folder(folder: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = folder
        .ancestors()
        .take_while(|path| !path.exists())
        .collect();
    fs::create_dir_all(folder)?;
    for made in missing {
        match made.parent() {
            Some(parent) if parent.as_os_str().is_empty() => sync_folder(Path::new("."))?,
            Some(parent) => sync_folder(parent)?,
            None => {}
        }
    }
    Ok(())
}

/// Says to whom the folder belongs.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // By word: a child of this process that is just being started holds the same file for a
        // moment.
        let _ = self.0.unlock();
    }
}

fn lock(folder: &Path) -> QueueResult<Lock> {
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    let file = options.open(folder.join("lock"));
    let file = file.map_err(|error| classify(&error, folder))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(QueueError::Locked {
            folder: folder.display().to_string(),
        }),
        Err(TryLockError::Error(error)) => Err(unavailable(&error)),
    }
}

fn open_notes(folder: &Path) -> io::Result<(Notes, HashMap<Stream, u64>)> {
    Notes::open(folder.join("acknowledged"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_ends_with_its_holder_whoever_else_has_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let held = lock(folder.path()).expect("nobody has it");
        let inherited = held.0.try_clone().expect("a copy");
        assert!(matches!(
            lock(folder.path()),
            Err(QueueError::Locked { .. })
        ));
        drop(held);
        assert!(lock(folder.path()).is_ok());
        drop(inherited);
    }
}
