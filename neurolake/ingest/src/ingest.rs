//! The handle of this room: the tables that take events, their queue, and who writes them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use neurolake_delta::time::{sleep, timeout};
use neurolake_delta::types::arrow_schema;
use neurolake_delta::{Location, Log, LogOptions, ingested_by};
use neurolake_model::{Catalog, Table};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::door::{self, Accept, Tables};
use crate::entry::Request;
use crate::queue::{Appended, Bounds, Key, Queue, QueueError, QueueResult, Record, Stream};
use crate::tail::{Budget, Tail, Taken};
use crate::writer::{Candidate, Flush, Observe, Position, Writer, fit, offset};

/// How often the queue's size is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How often a table is looked at that another process writes.
const POLL: Duration = Duration::from_millis(100);

/// How events are taken.
#[derive(Debug, Clone)]
pub struct Settings {
    /// When rows are committed.
    pub flush: Flush,
    /// Memory for rows that are not in their tables yet, of all tables together. Too little makes
    /// queries and writers read the queue again.
    pub tail_bytes: usize,
    /// Rows of one table that are not in the table yet, in memory, for one query.
    pub unwritten_bytes: usize,
    /// Bytes in the queue at which clients are told to wait.
    pub queue_bytes: u64,
    /// Age of the oldest record that is not in its table at which clients are told to wait.
    pub lag: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            flush: Flush::default(),
            tail_bytes: 256 << 20,
            unwritten_bytes: 512 << 20,
            queue_bytes: 4 << 30,
            lag: Duration::from_mins(10),
        }
    }
}

/// Finds out where a table lies.
pub trait Locate: Send + Sync {
    /// The folder of a declared table.
    ///
    /// # Errors
    /// Its store is not configured; the text says what to do.
    fn locate(&self, database: &str, table: &str) -> Result<Location, String>;
}

impl<F: Fn(&str, &str) -> Result<Location, String> + Send + Sync> Locate for F {
    fn locate(&self, database: &str, table: &str) -> Result<Location, String> {
        self(database, table)
    }
}

/// Takes events. Cloning is cheap.
#[derive(Clone)]
pub struct Ingest {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Arc<dyn Queue>,
    settings: Settings,
    options: LogOptions,
    locate: Arc<dyn Locate>,
    streams: BTreeMap<Stream, Arc<Lane>>,
    tables: Tables,
    stored_bytes: AtomicU64,
    budget: Arc<Budget>,
}

/// One table that takes events.
pub struct Lane {
    stream: Stream,
    table: Arc<Table>,
    schema: SchemaRef,
    tail: Arc<Tail>,
    position: watch::Sender<Position>,
    urgent: Arc<Notify>,
    /// The last offset that the queue has forgotten, which is in the table, whoever writes it.
    settled: AtomicU64,
    /// Whether this process writes the table at the moment.
    is_written_here: Arc<AtomicBool>,
}

/// Rows that were accepted and may not be in their table yet.
#[derive(Debug, Clone)]
pub struct Unwritten {
    /// The declared columns.
    pub schema: SchemaRef,
    /// The rows, in the order in which they were accepted.
    pub rows: Vec<RecordBatch>,
    /// The last offset that was looked at.
    pub last: u64,
}

/// How a table is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Status {
    /// The newest accepted offset.
    pub accepted: u64,
    /// The last offset whose rows are in the table, as far as this process knows.
    pub committed: u64,
    /// The table's version at that time.
    pub version: u64,
    /// Milliseconds since the oldest record was accepted that is not in the table yet.
    pub lag_milliseconds: u64,
}

/// Why events are not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The queue doesn't take them.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// Too much is waiting already.
    #[error("{reason}")]
    Pressure {
        /// What there is too much of.
        reason: String,
        /// When it may be tried again.
        retry_after: Duration,
    },
    /// The rows can't be encoded.
    #[error("the rows can't be encoded: {0}")]
    Encode(#[from] arrow::error::ArrowError),
    /// The table can't be looked at.
    #[error("{0}")]
    Table(String),
}

impl Ingest {
    /// Takes events for the tables of a catalog that declare it.
    pub fn new(
        catalog: &Catalog,
        queue: Arc<dyn Queue>,
        locate: Arc<dyn Locate>,
        settings: Settings,
        options: LogOptions,
    ) -> Self {
        let budget = Budget::new(settings.tail_bytes);
        let tables = catalog.tables().filter(|(_, table)| table.ingest);
        let streams = tables.map(|(database, table)| {
            let stream = Stream::new(&database.name, &table.name);
            let lane = Lane {
                tail: Arc::new(Tail::new(
                    stream.clone(),
                    Arc::clone(&queue),
                    Arc::clone(&budget),
                )),
                stream: stream.clone(),
                schema: arrow_schema(&table.columns),
                table: Arc::new(table.clone()),
                position: watch::Sender::new(Position::default()),
                urgent: Arc::default(),
                settled: AtomicU64::new(0),
                is_written_here: Arc::default(),
            };
            (stream, Arc::new(lane))
        });
        Self {
            shared: Arc::new(Shared {
                streams: streams.collect(),
                tables: Tables::new(catalog),
                queue,
                settings,
                options,
                locate,
                stored_bytes: AtomicU64::new(0),
                budget,
            }),
        }
    }

    /// The tables that take events, sorted by name.
    pub fn streams(&self) -> impl Iterator<Item = (&Stream, &Arc<Table>)> {
        let lanes = self.shared.streams.iter();
        lanes.map(|(stream, lane)| (stream, &lane.table))
    }

    fn lane(&self, stream: &Stream) -> Result<&Arc<Lane>, Refused> {
        let lane = self.shared.streams.get(stream);
        lane.ok_or_else(|| Refused::Table(format!("the table `{stream}` takes no events")))
    }

    /// Now, in microseconds since 1970.
    pub fn now(&self) -> i64 {
        let now = (self.shared.options.clock)();
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }

    /// Keeps a request. When this returns, it is durable and in the reach of queries.
    ///
    /// # Errors
    /// It isn't kept; or the queue doesn't answer, and it may be: repeat it with the same key.
    pub async fn accept(
        &self,
        stream: &Stream,
        request: Request,
        key: Option<Key>,
    ) -> Result<Appended, Refused> {
        let lane = self.lane(stream)?;
        self.refuse_pressure(lane)?;
        let payload = request.encode()?;
        let appended = self
            .shared
            .queue
            .append(stream, Record { payload, key })
            .await?;
        if !appended.duplicate {
            lane.tail.push(appended.offset, request);
        }
        Ok(appended)
    }

    fn refuse_pressure(&self, lane: &Lane) -> Result<(), Refused> {
        let stored = self.shared.stored_bytes.load(Ordering::Relaxed);
        if stored >= self.shared.settings.queue_bytes {
            return Err(Refused::Pressure {
                reason: format!("the queue holds {stored} bytes that are not in tables yet"),
                retry_after: Duration::from_secs(5),
            });
        }
        let settled = lane.settled.load(Ordering::Relaxed);
        let settled = lane.position.borrow().offset.max(settled);
        let lag = lane.tail.oldest_above(settled);
        let lag = lag.map_or(0, |received| self.now().saturating_sub(received));
        let lag = Duration::from_micros(u64::try_from(lag).unwrap_or(0));
        if lag >= self.shared.settings.lag {
            return Err(Refused::Pressure {
                reason: format!(
                    "events of `{}` wait for {} s already to be written",
                    lane.stream,
                    lag.as_secs()
                ),
                retry_after: Duration::from_secs(5),
            });
        }
        Ok(())
    }

    /// Waits until an offset is in its table. The version is one that holds it; `None` if that
    /// takes too long.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn committed(
        &self,
        stream: &Stream,
        wanted: u64,
        patience: Duration,
    ) -> Result<Option<u64>, Refused> {
        let lane = self.lane(stream)?;
        let wait = async {
            // Looked at again and again: somebody else may take over.
            while lane.is_written_here.load(Ordering::Relaxed) {
                let mut position = lane.position.subscribe();
                lane.urgent.notify_one();
                let is_there = |position: &Position| position.offset >= wanted;
                if let Ok(there) = timeout(LOOK, position.wait_for(is_there)).await {
                    return there
                        .map(|position| position.version)
                        .map_err(|_| Refused::Table("the writer has ended".into()));
                }
            }
            self.look_until(stream, wanted).await
        };
        match timeout(patience, Box::pin(wait)).await {
            Ok(found) => found.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Another process writes the table: its log says how far it is.
    async fn look_until(&self, stream: &Stream, wanted: u64) -> Result<u64, Refused> {
        let location = self.locate(stream)?;
        let application = self.application(stream).await?;
        let mut log = None;
        loop {
            let look = async {
                let log = match &mut log {
                    Some(log) => {
                        Log::refresh(log).await?;
                        log
                    }
                    none => none.insert(Log::open(&location, &self.shared.options).await?),
                };
                let found = offset(log.transaction(&application).await?);
                Ok((found >= wanted).then(|| log.version()))
            };
            match look.await {
                Ok(Some(version)) => return Ok(version),
                Ok(None) | Err(neurolake_delta::Error::NotATable { .. }) => sleep(POLL).await,
                Err(error) => return Err(Refused::Table(crate::writer::causes(&error))),
            }
        }
    }

    /// Where a table lies.
    ///
    /// # Errors
    /// Its store is not configured.
    pub fn locate(&self, stream: &Stream) -> Result<Location, Refused> {
        let locate = &self.shared.locate;
        locate
            .locate(stream.database(), stream.table())
            .map_err(Refused::Table)
    }

    /// The application of the transactions that say how far a table has taken its stream.
    ///
    /// # Errors
    /// The queue doesn't answer.
    pub async fn application(&self, stream: &Stream) -> QueueResult<String> {
        Ok(ingested_by(&self.shared.queue.identity(stream).await?))
    }

    /// How a table is doing.
    ///
    /// # Errors
    /// The queue doesn't answer.
    pub async fn status(&self, stream: &Stream) -> Result<Status, Refused> {
        let lane = self.lane(stream)?;
        let bounds = self.shared.queue.bounds(stream).await?;
        let position = *lane.position.borrow();
        let committed = position.offset.max(bounds.trimmed);
        let oldest = if bounds.last > committed {
            let next = match lane.tail.read(committed, 1).await {
                // Somebody else has just written it.
                Err(QueueError::Trimmed { .. }) => Vec::new(),
                next => next?,
            };
            next.first()
                .and_then(|taken| taken.content.as_ref().ok().map(|request| request.received))
        } else {
            None
        };
        let lag = oldest.map_or(0, |received| self.now().saturating_sub(received) / 1_000);
        Ok(Status {
            accepted: bounds.last,
            committed,
            version: position.version,
            lag_milliseconds: u64::try_from(lag).unwrap_or(0),
        })
    }

    /// Records above `after`, all that were acknowledged before this call.
    ///
    /// # Errors
    /// [`QueueError::Trimmed`] if they are not all there any more, and as [`Tail::everything`].
    pub async fn tail(&self, stream: &Stream, after: u64) -> Result<Vec<Arc<Taken>>, Refused> {
        let lane = self.lane(stream)?;
        let most = self.shared.settings.unwritten_bytes;
        Ok(lane.tail.everything(after, most).await?)
    }

    /// The declared columns of a table that takes events.
    pub fn schema(&self, stream: &Stream) -> Option<&SchemaRef> {
        let lane = self.shared.streams.get(stream)?;
        Some(&lane.schema)
    }

    /// Rows above `after`, all that were acknowledged before this call, as they will stand in the
    /// table: without those that the writer is going to set aside.
    ///
    /// # Errors
    /// As [`Ingest::tail`].
    pub async fn unwritten(&self, stream: &Stream, after: u64) -> Result<Unwritten, Refused> {
        let lane = self.lane(stream)?;
        let taken = self.tail(stream, after).await?;
        let last = taken.last().map_or(after, |taken| taken.offset);
        let schema = Arc::clone(&lane.schema);
        let rows = taken.iter().filter_map(|taken| taken.rows());
        let rows = rows.filter(|rows| rows.num_rows() > 0);
        // Many small requests are one batch to a query.
        let fitting: Vec<_> = rows
            .filter_map(|rows| fit(&known(rows, &schema), &schema).ok())
            .collect();
        let rows = match fitting.is_empty() {
            true => Vec::new(),
            false => vec![concat_batches(&schema, &fitting)?],
        };
        Ok(Unwritten { schema, rows, last })
    }

    /// What a stream holds.
    ///
    /// # Errors
    /// The queue doesn't answer.
    pub async fn bounds(&self, stream: &Stream) -> QueueResult<Bounds> {
        self.shared.queue.bounds(stream).await
    }

    /// Bytes of memory that rows on their way take.
    pub fn tail_bytes(&self) -> usize {
        self.shared.budget.used()
    }

    /// Bytes in the queue, as of the last look.
    pub fn queue_bytes(&self) -> u64 {
        self.shared.stored_bytes.load(Ordering::Relaxed)
    }

    /// Looks at the queue from time to time: how large it is, and which rows are in their tables,
    /// as far as others write them. Runs until it is dropped.
    pub async fn watch_queue(&self) {
        loop {
            for lane in self.shared.streams.values() {
                self.settle(lane).await;
            }
            match self.shared.queue.stored_bytes().await {
                Ok(bytes) => self.shared.stored_bytes.store(bytes, Ordering::Relaxed),
                Err(error) => tracing::warn!(%error, "the queue's size is not known"),
            }
            sleep(LOOK).await;
        }
    }

    /// Forgets what somebody else has written.
    async fn settle(&self, lane: &Lane) {
        let settled = lane.settled.load(Ordering::Relaxed);
        if lane.is_written_here.load(Ordering::Relaxed) || lane.tail.oldest_above(settled).is_none()
        {
            return;
        }
        if let Ok(bounds) = self.shared.queue.bounds(&lane.stream).await {
            lane.settled.fetch_max(bounds.trimmed, Ordering::Relaxed);
            lane.tail.forget(bounds.trimmed);
        }
    }

    /// Who writes the tables, each one of them.
    pub fn writers(&self, observe: &Observe) -> Vec<Writer> {
        let mut writers = Vec::new();
        for lane in self.shared.streams.values() {
            let location = match self.locate(&lane.stream) {
                Ok(location) => location,
                Err(error) => {
                    tracing::error!(table = %lane.stream, %error, "events can't be written");
                    continue;
                }
            };
            writers.push(Writer {
                table: Arc::clone(&lane.table),
                stream: lane.stream.clone(),
                location,
                queue: Arc::clone(&self.shared.queue),
                tail: Arc::clone(&lane.tail),
                options: self.shared.options.clone(),
                flush: self.shared.settings.flush.clone(),
                position: lane.position.clone(),
                urgent: Arc::clone(&lane.urgent),
                is_writing: Arc::clone(&lane.is_written_here),
                observe: Arc::clone(observe),
            });
        }
        writers
    }

    /// Writes all tables until `end` is true, and then what is in the queue at that moment. Where
    /// other processes could do that as well, this one is a candidate among them.
    pub async fn write(
        &self,
        end: watch::Receiver<bool>,
        observe: Observe,
        candidate: Option<Candidate>,
    ) {
        let mut writers = JoinSet::new();
        for writer in self.writers(&observe) {
            let (end, candidate) = (end.clone(), candidate.clone());
            writers.spawn(async move {
                match candidate {
                    Some(candidate) => writer.take_turns(&candidate, end).await,
                    None => writer.run(end).await,
                }
            });
        }
        while let Some(ended) = writers.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a writer broke down");
            }
        }
    }
}

/// Rows without the columns that only a newer declaration has, which the writer adds to the table.
fn known(rows: &RecordBatch, schema: &SchemaRef) -> RecordBatch {
    let fields = rows.schema_ref().fields().iter().enumerate();
    let known = fields
        .filter(|(_, field)| !field.is_nullable() || schema.field_with_name(field.name()).is_ok());
    let known: Vec<usize> = known.map(|(column, _)| column).collect();
    rows.project(&known).unwrap_or_else(|_| rows.clone())
}

#[async_trait]
impl Accept for Ingest {
    fn tables(&self) -> &Tables {
        &self.shared.tables
    }

    async fn accept(
        &self,
        stream: &Stream,
        request: Request,
        key: Option<Key>,
    ) -> Result<Appended, door::Refused> {
        Ok(Self::accept(self, stream, request, key).await?)
    }

    async fn committed(
        &self,
        stream: &Stream,
        offset: u64,
        patience: Duration,
    ) -> Result<Option<u64>, door::Refused> {
        Ok(Box::pin(Self::committed(self, stream, offset, patience)).await?)
    }

    async fn status(&self, stream: &Stream) -> Result<door::Status, door::Refused> {
        let status = Self::status(self, stream).await?;
        Ok(door::Status {
            accepted: status.accepted,
            committed: status.committed,
            version: (status.version > 0).then_some(status.version),
            lag: Duration::from_millis(status.lag_milliseconds),
        })
    }
}

impl From<Refused> for door::Refused {
    fn from(refused: Refused) -> Self {
        let reason = crate::writer::causes(&refused);
        match refused {
            Refused::Pressure { retry_after, .. } => Self::Pressure { retry_after },
            Refused::Queue(QueueError::Full { .. }) => Self::Full { reason },
            Refused::Queue(QueueError::TooLarge { bytes, limit }) => {
                Self::TooLarge { bytes, limit }
            }
            Refused::Queue(QueueError::KeyReused { offset, .. }) => Self::KeyReused { offset },
            Refused::Queue(_) | Refused::Encode(_) | Refused::Table(_) => Self::Unavailable {
                retry_after: Duration::from_secs(1),
                reason,
            },
        }
    }
}

impl fmt::Debug for Ingest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ingest")
            .field("tables", &self.shared.streams.len())
            .field("queue", &self.shared.queue)
            .finish_non_exhaustive()
    }
}
