//! A queue that forgets everything when the process ends. For tests.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Notify;

use super::{Appended, Bounds, Entry, Queue, QueueError, QueueResult, Record, Stream};

const MAX_RECORD_BYTES: usize = 64 << 20;

/// Keeps records in memory.
#[derive(Debug)]
pub struct MemoryQueue {
    identity: String,
    streams: Mutex<HashMap<Stream, Kept>>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Kept {
    trimmed: u64,
    records: VecDeque<Bytes>,
    keys: HashMap<String, (u64, [u8; 32])>,
}

impl Kept {
    fn last(&self) -> u64 {
        self.trimmed + self.records.len() as u64
    }
}

impl Default for MemoryQueue {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            identity: format!("memory-{}", NEXT.fetch_add(1, Ordering::Relaxed)),
            streams: Mutex::default(),
            changed: Notify::new(),
        }
    }
}

impl MemoryQueue {
    fn lock(&self) -> MutexGuard<'_, HashMap<Stream, Kept>> {
        // Nothing can panic while the map is held.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Queue for MemoryQueue {
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
        let mut streams = self.lock();
        let kept = streams.entry(stream.clone()).or_default();
        if let Some(key) = &record.key
            && let Some((offset, content)) = kept.keys.get(&key.name)
        {
            if *content != key.content {
                return Err(QueueError::KeyReused {
                    key: key.name.clone(),
                    offset: *offset,
                });
            }
            return Ok(Appended {
                offset: *offset,
                duplicate: true,
            });
        }
        kept.records.push_back(record.payload);
        let offset = kept.last();
        if let Some(key) = record.key {
            kept.keys.insert(key.name, (offset, key.content));
        }
        drop(streams);
        self.changed.notify_waiters();
        Ok(Appended {
            offset,
            duplicate: false,
        })
    }

    async fn read(&self, stream: &Stream, after: u64, max_bytes: usize) -> QueueResult<Vec<Entry>> {
        let streams = self.lock();
        let Some(kept) = streams.get(stream) else {
            return Ok(Vec::new());
        };
        if after < kept.trimmed {
            return Err(QueueError::Trimmed {
                stream: stream.clone(),
                trimmed: kept.trimmed,
            });
        }
        let mut entries = Vec::new();
        let mut bytes = 0;
        let skipped = usize::try_from(after - kept.trimmed).unwrap_or(usize::MAX);
        for (payload, offset) in kept.records.iter().skip(skipped).zip(after + 1..) {
            if bytes >= max_bytes && !entries.is_empty() {
                break;
            }
            bytes += payload.len();
            entries.push(Entry {
                offset,
                payload: payload.clone(),
            });
        }
        Ok(entries)
    }

    async fn bounds(&self, stream: &Stream) -> QueueResult<Bounds> {
        let streams = self.lock();
        let bounds = streams.get(stream).map(|kept| Bounds {
            trimmed: kept.trimmed,
            last: kept.last(),
        });
        Ok(bounds.unwrap_or_default())
    }

    async fn trim(&self, stream: &Stream, through: u64) -> QueueResult<()> {
        if let Some(kept) = self.lock().get_mut(stream) {
            while kept.trimmed < through && kept.records.pop_front().is_some() {
                kept.trimmed += 1;
            }
        }
        Ok(())
    }

    async fn wait(&self, stream: &Stream, after: u64) -> QueueResult<()> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.bounds(stream).await?.last > after {
                return Ok(());
            }
            changed.await;
        }
    }

    fn max_record_bytes(&self) -> usize {
        MAX_RECORD_BYTES
    }

    async fn stored_bytes(&self) -> QueueResult<u64> {
        let streams = self.lock();
        let records = streams.values().flat_map(|kept| &kept.records);
        Ok(records.map(|record| record.len() as u64).sum())
    }
}
