//! Rows on their way to the table: the newest part of a stream, decoded, as long as there is room.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;

use crate::entry::Request;
use crate::queue::{Entry, Queue, QueueError, QueueResult, Stream};

/// Bytes that are read from the queue at a time.
const PAGE_BYTES: usize = 4 << 20;

/// A record as the writer and queries see it.
#[derive(Debug)]
pub struct Taken {
    /// Where it stands in the stream.
    pub offset: u64,
    /// The request, or why it can't be read.
    pub content: Result<Request, Damaged>,
}

/// A record that is not what was put into the queue.
#[derive(Debug)]
pub struct Damaged {
    /// What is wrong with it.
    pub reason: String,
    /// Its bytes.
    pub payload: bytes::Bytes,
}

impl Taken {
    fn decode(entry: Entry) -> Self {
        let content = Request::decode(&entry.payload).map_err(|damage| Damaged {
            reason: damage.to_string(),
            payload: entry.payload,
        });
        Self {
            offset: entry.offset,
            content,
        }
    }

    /// Rows that were accepted.
    pub fn rows(&self) -> Option<&RecordBatch> {
        self.content.as_ref().ok().map(|request| &request.rows)
    }

    /// Memory that it takes, about.
    pub fn bytes(&self) -> usize {
        match &self.content {
            Ok(request) => {
                let dead = request.dead.iter().map(|letter| letter.payload.len());
                request.rows.get_array_memory_size() + dead.sum::<usize>()
            }
            Err(damaged) => damaged.payload.len(),
        }
    }
}

/// Memory for the tails of all tables together.
#[derive(Debug)]
pub struct Budget {
    most: usize,
    used: AtomicUsize,
}

impl Budget {
    /// So many bytes.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            used: AtomicUsize::new(0),
        })
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> bool {
        let take = |used: usize| {
            let used = used.checked_add(bytes)?;
            (used <= self.most).then_some(used)
        };
        let taken = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        taken.is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The records of one stream. What doesn't fit in memory is read from the queue each time.
#[derive(Debug)]
pub struct Tail {
    stream: Stream,
    queue: Arc<dyn Queue>,
    budget: Arc<Budget>,
    kept: Mutex<Kept>,
}

/// Neighbours without a gap.
#[derive(Debug, Default)]
struct Kept(VecDeque<(Arc<Taken>, usize)>);

impl Kept {
    fn first(&self) -> Option<u64> {
        self.0.front().map(|(taken, _)| taken.offset)
    }

    fn last(&self) -> Option<u64> {
        self.0.back().map(|(taken, _)| taken.offset)
    }

    /// What is kept above this offset, if the record behind it is kept.
    fn above(&self, after: u64) -> impl Iterator<Item = &Arc<Taken>> {
        let skipped = self
            .first()
            .and_then(|first| (after + 1).checked_sub(first));
        let skipped = skipped.and_then(|skipped| usize::try_from(skipped).ok());
        let kept = self.0.iter().map(|(taken, _)| taken);
        kept.skip(skipped.unwrap_or(usize::MAX))
    }
}

impl Tail {
    /// The tail of a stream. Nothing is read yet.
    pub fn new(stream: Stream, queue: Arc<dyn Queue>, budget: Arc<Budget>) -> Self {
        Self {
            stream,
            queue,
            budget,
            kept: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Nothing can panic while it is held.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a record that was just appended, which saves reading it back.
    pub fn push(&self, offset: u64, request: Request) {
        self.keep(&Arc::new(Taken {
            offset,
            content: Ok(request),
        }));
    }

    fn keep(&self, taken: &Arc<Taken>) {
        let mut kept = self.lock();
        let is_next = kept.last().is_none_or(|last| last + 1 == taken.offset);
        let bytes = taken.bytes();
        if is_next && self.budget.take(bytes) {
            kept.0.push_back((Arc::clone(taken), bytes));
        }
    }

    /// When the oldest record above `after` was accepted, if it is in memory.
    pub fn oldest_above(&self, after: u64) -> Option<i64> {
        let kept = self.lock();
        let (first, _) = kept.0.front()?;
        let skipped = (after + 1).saturating_sub(first.offset);
        let (oldest, _) = kept.0.get(usize::try_from(skipped).ok()?)?;
        oldest.content.as_ref().ok().map(|request| request.received)
    }

    /// Forgets records up to and including `through`. Whoever holds them keeps them.
    pub fn forget(&self, through: u64) {
        let mut kept = self.lock();
        while kept.first().is_some_and(|first| first <= through) {
            if let Some((_, bytes)) = kept.0.pop_front() {
                self.budget.give_back(bytes);
            }
        }
    }

    /// Records above `after`, in order and without a gap: about `max_bytes` of them, at least one
    /// if there is one.
    ///
    /// # Errors
    /// As [`Queue::read`].
    pub async fn read(&self, after: u64, max_bytes: usize) -> QueueResult<Vec<Arc<Taken>>> {
        let mut found: Vec<Arc<Taken>> = Vec::new();
        let mut bytes = 0;
        let mut position = after;
        while bytes < max_bytes || found.is_empty() {
            let more = self
                .next(position, max_bytes - bytes.min(max_bytes))
                .await?;
            let Some(last) = more.last() else {
                break;
            };
            position = last.offset;
            bytes += more.iter().map(|taken| taken.bytes()).sum::<usize>();
            found.extend(more);
        }
        Ok(found)
    }

    async fn next(&self, after: u64, max_bytes: usize) -> QueueResult<Vec<Arc<Taken>>> {
        {
            let kept = self.lock();
            let mut bytes = 0;
            let is_enough = |taken: &&Arc<Taken>| {
                let fits = bytes == 0 || bytes < max_bytes;
                bytes += taken.bytes();
                fits
            };
            let kept: Vec<_> = kept.above(after).take_while(is_enough).cloned().collect();
            if !kept.is_empty() {
                return Ok(kept);
            }
        }
        let entries = self.queue.read(&self.stream, after, PAGE_BYTES).await?;
        let decode = |entry| Arc::new(Taken::decode(entry));
        let read: Vec<_> = entries.into_iter().map(decode).collect();
        for taken in &read {
            self.keep(taken);
        }
        Ok(read)
    }

    /// Every record above `after` that was acknowledged before this call.
    ///
    /// # Errors
    /// As [`Queue::read`]; [`QueueError::Full`] if it is more than `most_bytes`.
    pub async fn everything(&self, after: u64, most_bytes: usize) -> QueueResult<Vec<Arc<Taken>>> {
        let bounds = self.queue.bounds(&self.stream).await?;
        if bounds.trimmed > after {
            return Err(QueueError::Trimmed {
                stream: self.stream.clone(),
                trimmed: bounds.trimmed,
            });
        }
        let mut found: Vec<Arc<Taken>> = Vec::new();
        let mut position = after;
        let mut bytes = 0;
        while position < bounds.last {
            let more = self.read(position, PAGE_BYTES).await?;
            let Some(last) = more.last() else {
                return Err(QueueError::Unavailable {
                    reason: format!("offset {} of `{}` is missing", position + 1, self.stream),
                });
            };
            position = last.offset;
            bytes += more.iter().map(|taken| taken.bytes()).sum::<usize>();
            found.extend(more);
            if bytes > most_bytes {
                return Err(QueueError::Full {
                    reason: format!(
                        "the rows of `{}` that are not in the table yet take more than \
                         {most_bytes} bytes of memory",
                        self.stream
                    ),
                });
            }
        }
        Ok(found)
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.forget(u64::MAX);
    }
}
