//! Batches for those that have one event after the other.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::header::HeaderValue;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::error::IngestError;
use super::post::{Name, Post, checked};
use super::{Accepted, Client, Target, write_line};
use crate::registry::Table;

/// When a batch is complete, and how much may wait.
#[derive(Debug, Clone)]
pub struct Batching {
    /// Names the sender, whose batches are numbered from 1. Two senders must never have the same
    /// name. `None` takes a random one.
    pub producer: Option<String>,
    /// Rows of a batch at most, 10,000 otherwise.
    pub max_rows: usize,
    /// Bytes of a batch at most, 1 MiB of JSON otherwise. A larger row is a batch of its own.
    pub max_bytes: usize,
    /// How long the first row of a batch waits for others, 20 ms otherwise. Shorter: seen sooner,
    /// at the cost of more requests. While a request is under way rows wait for its end.
    pub max_age: Duration,
    /// Bytes of rows that may wait, 8 MiB otherwise. Too small, and [`Sender::push`] waits at each
    /// hiccup of the network.
    pub buffer_bytes: usize,
}

impl Default for Batching {
    fn default() -> Self {
        Self {
            producer: None,
            max_rows: 10_000,
            max_bytes: 1 << 20,
            max_age: Duration::from_millis(20),
            buffer_bytes: 8 << 20,
        }
    }
}

/// How far a [`Sender`] is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Delivery {
    /// Rows that the server took.
    pub acknowledged: u64,
    /// Rows that it set aside; see [`Invalid`](super::Invalid).
    pub rejected: u64,
    /// Batches that were answered.
    pub batches: u64,
    /// Batches whose first answer was lost.
    pub duplicates: u64,
    /// Offset of the last batch in the table's stream.
    pub offset: u64,
    /// Why the batch under way is being repeated.
    pub trouble: Option<String>,
}

/// Sends rows in batches, in their order, one batch at a time.
///
/// It holds at most [`Batching::buffer_bytes`] of rows, and as much again of the batch under way.
/// When they are full, [`Self::push`] waits and [`Self::try_push`] refuses.
///
/// A row that was pushed is not yet safe: [`Self::flush`] and [`Self::close`] say when it is. When
/// the server refuses a batch for good, the sender gives up: every call gives the error, and what
/// it held is lost. Without [`Self::close`] it sends in the background what it holds.
pub struct Sender<T> {
    target: Arc<Target>,
    room: Arc<Semaphore>,
    buffer_bytes: usize,
    queue: mpsc::UnboundedSender<Message>,
    delivery: watch::Receiver<Delivery>,
    failure: Failure,
    task: JoinHandle<()>,
    rows: PhantomData<fn(&T)>,
}

type Failure = Arc<OnceLock<Arc<IngestError>>>;

enum Message {
    Row(Row),
    Flush(oneshot::Sender<()>),
}

struct Row {
    line: Vec<u8>,
    pushed: Instant,
    permit: OwnedSemaphorePermit,
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("table", &self.target.table)
            .field("delivery", &*self.delivery.borrow())
            .finish_non_exhaustive()
    }
}

impl<T: Table + Serialize> Sender<T> {
    pub(super) fn start(
        client: Client,
        target: &Arc<Target>,
        batching: Batching,
    ) -> Result<Self, IngestError> {
        let path = target.path()?;
        let producer = match &batching.producer {
            Some(name) => checked(name)?,
            None => checked(&uuid::Uuid::new_v4().simple().to_string())?,
        };
        let buffer_bytes = batching.buffer_bytes.clamp(1, u32::MAX as usize >> 4);
        let room = Arc::new(Semaphore::new(buffer_bytes));
        let failure = Failure::default();
        let (queue, rows) = mpsc::unbounded_channel();
        let (told, delivery) = watch::channel(Delivery::default());
        let worker = Worker {
            client,
            path,
            producer,
            batching,
            rows,
            carried: None,
            delivery: told,
        };
        let task = tokio::spawn(worker.run(Arc::clone(&room), Arc::clone(&failure)));
        Ok(Self {
            target: Arc::clone(target),
            room,
            buffer_bytes,
            queue,
            delivery,
            failure,
            task,
            rows: PhantomData,
        })
    }

    /// Hands over a row; waits while there is no room for it. A call that is given up before it
    /// returns has handed over nothing.
    ///
    /// # Errors
    /// [`IngestError::Row`] for this row only; [`IngestError::Stopped`].
    pub async fn push(&self, row: &T) -> Result<(), IngestError> {
        let line = self.line(row)?;
        let room = Arc::clone(&self.room).acquire_many_owned(self.size(&line));
        let permit = room.await.map_err(|_| self.stopped())?;
        self.enqueue(line, permit)
    }

    /// Hands over a row if there is room for it: `false` if not.
    ///
    /// # Errors
    /// Those of [`Self::push`].
    pub fn try_push(&self, row: &T) -> Result<bool, IngestError> {
        let line = self.line(row)?;
        let room = Arc::clone(&self.room).try_acquire_many_owned(self.size(&line));
        match room {
            Ok(permit) => self.enqueue(line, permit).map(|()| true),
            Err(tokio::sync::TryAcquireError::NoPermits) => Ok(false),
            Err(tokio::sync::TryAcquireError::Closed) => Err(self.stopped()),
        }
    }

    /// Sends at once what was pushed, and waits until the server has taken it.
    ///
    /// # Errors
    /// [`IngestError::Stopped`].
    pub async fn flush(&self) -> Result<Delivery, IngestError> {
        let (done, flushed) = oneshot::channel();
        let sent = self.queue.send(Message::Flush(done));
        sent.map_err(|_| self.stopped())?;
        flushed.await.map_err(|_| self.stopped())?;
        Ok(self.delivery())
    }

    /// How far it is.
    pub fn delivery(&self) -> Delivery {
        self.delivery.borrow().clone()
    }

    /// How far it is, to be watched; also after the sender was closed.
    pub fn watch(&self) -> watch::Receiver<Delivery> {
        self.delivery.clone()
    }

    /// Sends what is left, and waits until the server has taken it.
    ///
    /// # Errors
    /// [`IngestError::Stopped`].
    pub async fn close(self) -> Result<Delivery, IngestError> {
        drop(self.queue);
        match self.task.await {
            Ok(()) => match self.failure.get() {
                Some(error) => Err(IngestError::Stopped(Arc::clone(error))),
                None => Ok(self.delivery.borrow().clone()),
            },
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(IngestError::Ended),
            },
        }
    }

    fn line(&self, row: &T) -> Result<Vec<u8>, IngestError> {
        let mut line = Vec::new();
        write_line(&mut line, row, &self.target, 0)?;
        Ok(line)
    }

    /// The room that a line takes. One larger than the whole buffer waits until it is empty.
    fn size(&self, line: &[u8]) -> u32 {
        u32::try_from(line.len().min(self.buffer_bytes)).unwrap_or(u32::MAX)
    }

    fn enqueue(&self, line: Vec<u8>, permit: OwnedSemaphorePermit) -> Result<(), IngestError> {
        let row = Row {
            line,
            pushed: Instant::now(),
            permit,
        };
        let sent = self.queue.send(Message::Row(row));
        sent.map_err(|_| self.stopped())
    }

    fn stopped(&self) -> IngestError {
        match self.failure.get() {
            Some(error) => IngestError::Stopped(Arc::clone(error)),
            None => IngestError::Ended,
        }
    }
}

struct Worker {
    client: Client,
    path: String,
    producer: HeaderValue,
    batching: Batching,
    rows: mpsc::UnboundedReceiver<Message>,
    /// A row that didn't fit into the batch before.
    carried: Option<Row>,
    delivery: watch::Sender<Delivery>,
}

#[derive(Default)]
struct Batch {
    body: Vec<u8>,
    rows: usize,
    /// Room that is free again once the batch is taken.
    room: Option<OwnedSemaphorePermit>,
    /// Somebody waits for what was pushed until now.
    flushed: Option<oneshot::Sender<()>>,
    /// Nothing comes after it.
    is_last: bool,
}

impl Worker {
    async fn run(mut self, room: Arc<Semaphore>, failure: Failure) {
        if let Err(error) = self.work().await {
            let _ = failure.set(Arc::new(error));
            // Wakes those who wait for room.
            room.close();
        }
    }

    async fn work(&mut self) -> Result<(), IngestError> {
        let mut sequence = 1;
        loop {
            let batch = self.gather().await;
            if batch.rows > 0 {
                let accepted = self.send(sequence, batch.body).await?;
                sequence += 1;
                self.delivery
                    .send_modify(|delivery| delivery.add(&accepted));
                drop(batch.room);
            }
            if let Some(flushed) = batch.flushed {
                let _ = flushed.send(());
            }
            if batch.is_last {
                return Ok(());
            }
        }
    }

    async fn gather(&mut self) -> Batch {
        let mut batch = Batch::default();
        let mut end: Option<Instant> = None;
        while batch.rows < self.batching.max_rows.max(1) {
            let message = match (self.carried.take(), end) {
                (Some(row), _) => Some(Message::Row(row)),
                (None, None) => self.rows.recv().await,
                // Rows that are there already are taken, even if the time is over.
                (None, Some(end)) => match timeout_at(end, self.rows.recv()).await {
                    Ok(message) => message,
                    Err(_) => break,
                },
            };
            match message {
                None => {
                    batch.is_last = true;
                    break;
                }
                Some(Message::Flush(flushed)) => {
                    batch.flushed = Some(flushed);
                    break;
                }
                Some(Message::Row(row)) => {
                    let bytes = batch.body.len() + row.line.len();
                    if batch.rows > 0 && bytes > self.batching.max_bytes {
                        self.carried = Some(row);
                        break;
                    }
                    end.get_or_insert(row.pushed + self.batching.max_age);
                    batch.add(row);
                }
            }
        }
        batch
    }

    async fn send(&self, sequence: u64, body: Vec<u8>) -> Result<Accepted, IngestError> {
        let trouble = |trouble: Option<String>| {
            self.delivery.send_if_modified(|delivery| {
                let is_new = delivery.trouble != trouble;
                delivery.trouble = trouble;
                is_new
            });
        };
        let post = Post {
            client: &self.client,
            path: &self.path,
            name: Name::Sequence(self.producer.clone(), sequence),
            ack: self.client.ack,
            body: body.into(),
            trouble: &trouble,
        };
        post.send().await
    }
}

impl Batch {
    fn add(&mut self, row: Row) {
        self.body.extend_from_slice(&row.line);
        self.rows += 1;
        match &mut self.room {
            Some(room) => room.merge(row.permit),
            None => self.room = Some(row.permit),
        }
    }
}

impl Delivery {
    fn add(&mut self, accepted: &Accepted) {
        self.acknowledged += accepted.accepted;
        self.rejected += accepted.rejected;
        self.batches += 1;
        self.duplicates += u64::from(accepted.duplicate);
        self.offset = accepted.offset.unwrap_or(self.offset);
    }
}
