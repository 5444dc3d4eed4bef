//! Takes the records of one stream to its table, each exactly once.
//!
//! A flush is one commit: the rows of some records, with a transaction that says which record was
//! the last. Who begins where the transaction stands, and commits only from there, can die at any
//! line, be paused for an hour or run twice: nothing is lost and nothing is doubled.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use arrow::array::{RecordBatch, new_null_array};
use arrow::compute::{CastOptions, cast_with_options, concat_batches};
use arrow::datatypes::{Schema, SchemaRef};
use futures::FutureExt;
use neurolake_delta::lease::{Lease, Terms};
use neurolake_delta::time::{Instant, sleep, sleep_until};
use neurolake_delta::{
    Change, DataFiles, Error as DeltaError, Location, Log, LogOptions, Transaction, ingested_by,
};
use neurolake_model::Table;
use tokio::sync::{Notify, watch};

use crate::dead_letters::{self, SetAside};
use crate::entry::DeadLetter;
use crate::queue::{Queue, QueueError, Stream};
use crate::tail::{Tail, Taken};

/// Whoever holds the lease of it writes the table.
const ROLE: &str = "writer";
/// Who holds the lease and can't write for so long lets others try.
const PATIENCE: Duration = Duration::from_mins(1);
/// Longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// When rows are committed.
#[derive(Debug, Clone)]
pub struct Flush {
    /// After so long at the latest. Shorter makes more and smaller files, longer makes other
    /// readers of the table wait; queries through this process see rows at once.
    pub age: Duration,
    /// As soon as there are so many rows.
    pub rows: usize,
    /// As soon as they take so much memory.
    pub bytes: usize,
    /// How long committed records stay in the queue, for readers whose snapshot is a little old.
    pub grace: Duration,
}

impl Default for Flush {
    fn default() -> Self {
        Self {
            age: Duration::from_millis(250),
            rows: 1 << 16,
            bytes: 8 << 20,
            grace: Duration::from_secs(5),
        }
    }
}

/// How far a table has taken its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// The last offset whose rows are in the table.
    pub offset: u64,
    /// The table's version, as of the last commit.
    pub version: u64,
}

/// What happened in one flush.
#[derive(Debug, Clone, Copy)]
pub struct Flushed {
    /// Rows that are in the table now.
    pub rows: usize,
    /// Rows that were set aside.
    pub dead: usize,
    /// Bytes of the new files.
    pub bytes: u64,
    /// From writing the files to the end of the commit.
    pub took: Duration,
    /// From the acceptance of the oldest of these rows to the end of the commit.
    pub lag: Duration,
}

/// One of several processes that could write the tables of a queue. A lease says which one does:
/// two would refuse each other's commits, though neither could lose or double a row.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// For people: a host, a process.
    pub who: String,
    /// How long a lease lasts.
    pub terms: Terms,
}

/// Told of each flush.
pub type Observe = Arc<dyn Fn(&Stream, Flushed) + Send + Sync>;

/// Writes the table of one stream.
pub struct Writer {
    pub(crate) table: Arc<Table>,
    pub(crate) stream: Stream,
    pub(crate) location: Location,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) tail: Arc<Tail>,
    pub(crate) options: LogOptions,
    pub(crate) flush: Flush,
    /// Where others learn how far it is.
    pub(crate) position: watch::Sender<Position>,
    /// Somebody waits for the next commit.
    pub(crate) urgent: Arc<Notify>,
    /// Whether it writes at the moment.
    pub(crate) is_writing: Arc<AtomicBool>,
    /// Told of each flush.
    pub(crate) observe: Observe,
}

/// Why writing stopped for a moment.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Delta(#[from] DeltaError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error("the offsets {from} to {to} are neither in the table nor in the queue: rows are lost")]
    Lost { from: u64, to: u64 },
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
    #[error("a bug in the writer: {0}")]
    Panic(String),
}

impl Trouble {
    /// Somebody else was faster; to look again is all there is to do.
    fn is_harmless(&self) -> bool {
        matches!(
            self,
            Self::Delta(DeltaError::Fenced { .. } | DeltaError::Conflict { .. })
        )
    }
}

/// What a panic says.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it doesn't say which").to_owned()
}

/// The table, opened, and how far it is.
struct Open {
    log: Log,
    /// Of the transactions for this stream.
    application: String,
    from: u64,
    /// The log of the dead letters, once there are some.
    dead_letters: Option<Log>,
    /// Committed, and in the queue for [`Flush::grace`].
    settled: VecDeque<(Instant, u64)>,
}

/// Records of one flush.
#[derive(Default)]
struct Batch {
    taken: Vec<Arc<Taken>>,
    rows: usize,
    bytes: usize,
}

impl Batch {
    fn last(&self) -> Option<u64> {
        self.taken.last().map(|taken| taken.offset)
    }

    fn take(&mut self, taken: Vec<Arc<Taken>>) {
        for taken in taken {
            self.rows += taken.rows().map_or(0, RecordBatch::num_rows);
            self.bytes += taken.bytes();
            self.taken.push(taken);
        }
    }

    fn is_enough(&self, flush: &Flush) -> bool {
        self.rows >= flush.rows || self.bytes >= flush.bytes
    }
}

impl Writer {
    /// Does what [`Writer::run`] does whenever no other candidate does it.
    pub async fn take_turns(&self, candidate: &Candidate, mut end: watch::Receiver<bool>) {
        loop {
            let lease = tokio::select! {
                biased;
                lease = self.lease(candidate) => lease,
                () = asked_to_end(&mut end) => return,
            };
            tracing::info!(table = %self.stream, epoch = lease.epoch(), "writing the table");
            let ended = tokio::select! {
                as_asked = self.run_patiently(end.clone(), Some(PATIENCE)) => Some(as_asked),
                // A commit that is under way may still succeed: its transaction decides.
                () = lease.lost() => None,
            };
            self.is_writing.store(false, Ordering::Relaxed);
            let Some(as_asked) = ended else {
                tracing::warn!(table = %self.stream, "the lease was lost; somebody else may write now");
                continue;
            };
            lease.release().await;
            if as_asked {
                return;
            }
            tracing::warn!(table = %self.stream, "gave up the lease, so that somebody else may try");
            tokio::select! {
                biased;
                () = sleep(candidate.terms.time_to_live * 2) => {}
                () = asked_to_end(&mut end) => return,
            }
        }
    }

    async fn lease(&self, candidate: &Candidate) -> Lease {
        loop {
            let lease = async {
                // As long as nothing has come there is nothing to write.
                while self.queue.bounds(&self.stream).await?.last == 0 {
                    self.queue.wait(&self.stream, 0).await?;
                }
                let Candidate { who, terms } = candidate;
                Ok(Lease::acquire(&self.location, ROLE, who, *terms).await?)
            };
            match lease.await {
                Ok(lease) => return lease,
                Err::<_, Trouble>(trouble) => tracing::error!(
                    table = %self.stream,
                    trouble = %causes(&trouble),
                    "no lease to write events; they wait in the queue"
                ),
            }
            sleep(LONGEST_PAUSE / 10).await;
        }
    }

    /// Writes until `end` is there, and then what is left in the queue at that moment. Troubles
    /// are reported and tried again: records wait in the queue.
    pub async fn run(&self, end: watch::Receiver<bool>) {
        self.run_patiently(end, None).await;
    }

    /// Ends as well if there was nothing but trouble for so long; says whether it ended as asked.
    async fn run_patiently(
        &self,
        mut end: watch::Receiver<bool>,
        patience: Option<Duration>,
    ) -> bool {
        self.is_writing.store(true, Ordering::Relaxed);
        let mut pause = Duration::ZERO;
        let mut troubled = Instant::now();
        loop {
            let started = Instant::now();
            // After a bug it begins anew, as after a crash of the process.
            let attempt = AssertUnwindSafe(self.write(&mut end)).catch_unwind().await;
            let trouble = match attempt {
                Ok(Ok(())) => return true,
                Ok(Err(trouble)) => trouble,
                Err(panic) => Trouble::Panic(said(panic.as_ref())),
            };
            if started.elapsed() > LONGEST_PAUSE {
                pause = Duration::ZERO;
                troubled = Instant::now();
            }
            if patience.is_some_and(|patience| troubled.elapsed() > patience) {
                return false;
            }
            if trouble.is_harmless() {
                tracing::info!(table = %self.stream, %trouble, "looking at the table again");
            } else {
                tracing::error!(
                    table = %self.stream,
                    trouble = %causes(&trouble),
                    "events can't be written; they wait in the queue"
                );
            }
            pause = (pause * 2).clamp(Duration::from_millis(100), LONGEST_PAUSE);
            // Here and below in order, not by chance: a simulation must be able to repeat itself.
            tokio::select! {
                biased;
                () = sleep(pause) => {}
                () = asked_to_end(&mut end) => return true,
            }
        }
    }

    async fn write(&self, end: &mut watch::Receiver<bool>) -> Result<(), Trouble> {
        let mut open: Option<Open> = None;
        // The end of the queue when the end was asked for; others may go on to append.
        let mut last = None;
        loop {
            let after = match &open {
                Some(open) => open.from,
                None => {
                    let trimmed = self.queue.bounds(&self.stream).await?.trimmed;
                    if trimmed > 0 {
                        open = Some(self.open().await?);
                        continue;
                    }
                    // Nothing came yet: there may be no table.
                    trimmed
                }
            };
            let is_ending = *end.borrow();
            let is_more = if is_ending {
                let last = match last {
                    Some(last) => last,
                    None => *last.insert(self.queue.bounds(&self.stream).await?.last),
                };
                last > after
            } else {
                let settled = open.as_ref().and_then(|open| open.settled.front());
                let trim_at = settled.map(|(at, _)| *at + self.flush.grace);
                tokio::select! {
                    biased;
                    waited = self.queue.wait(&self.stream, after) => {
                        waited?;
                        true
                    }
                    () = until(trim_at) => {
                        if let Some(open) = &mut open {
                            self.trim(open).await?;
                        }
                        continue;
                    }
                    () = asked_to_end(end) => continue,
                }
            };
            if !is_more {
                return Ok(());
            }
            if open.is_none() {
                open = Some(self.open().await?);
            }
            let Some(opened) = &mut open else {
                continue;
            };
            let batch = self.gather(opened.from, end).await?;
            if batch.last().is_some() {
                self.flush(opened, batch).await?;
                self.trim(opened).await?;
            }
        }
    }

    /// Opens the table and finds out how far it is.
    async fn open(&self) -> Result<Open, Trouble> {
        let mut log = Log::open_declared(&self.location, &self.table, &self.options).await?;
        let application = ingested_by(&self.queue.identity(&self.stream).await?);
        let bounds = self.queue.bounds(&self.stream).await?;
        let mut stands = log.transaction(&application).await?;
        if stands.is_none() && bounds.trimmed > 0 {
            // The table was made anew. What the old one held went with it.
            let trimmed = bounds.trimmed;
            tracing::warn!(table = %self.stream, trimmed, "a new table goes on with the old queue");
            let step = Transaction {
                application: application.clone(),
                from: None,
                to: trimmed.cast_signed(),
            };
            log.commit(Change::append(DataFiles::default(), step))
                .await?;
            stands = log.transaction(&application).await?;
        }
        let from = offset(stands);
        if bounds.trimmed > from {
            return Err(Trouble::Lost {
                from: from + 1,
                to: bounds.trimmed,
            });
        }
        if bounds.last < from {
            return Err(Trouble::Queue(QueueError::Damaged {
                reason: format!(
                    "the table `{}` holds records up to offset {from}, the queue only knows {}",
                    self.stream, bounds.last
                ),
            }));
        }
        self.position.send_replace(Position {
            offset: from,
            version: log.version(),
        });
        Ok(Open {
            log,
            application,
            from,
            dead_letters: None,
            settled: VecDeque::from([(Instant::now(), from)]),
        })
    }

    /// Records for one flush: until there are enough, or the first has waited long enough.
    async fn gather(&self, from: u64, end: &mut watch::Receiver<bool>) -> Result<Batch, Trouble> {
        let deadline = Instant::now() + self.flush.age;
        let mut batch = Batch::default();
        loop {
            let after = batch.last().unwrap_or(from);
            let room = self.flush.bytes.saturating_sub(batch.bytes);
            batch.take(self.tail.read(after, room).await?);
            if batch.is_enough(&self.flush) || *end.borrow() {
                return Ok(batch);
            }
            let after = batch.last().unwrap_or(from);
            tokio::select! {
                biased;
                () = sleep_until(deadline) => return Ok(batch),
                () = self.urgent.notified() => {
                    batch.take(self.tail.read(after, room).await?);
                    return Ok(batch);
                }
                () = asked_to_end(end) => {}
                waited = self.queue.wait(&self.stream, after) => {
                    waited?;
                    // A burst is one read, not one for each record.
                    sleep_until(deadline.min(Instant::now() + self.flush.age / 10)).await;
                }
            }
        }
    }

    async fn flush(&self, open: &mut Open, batch: Batch) -> Result<(), Trouble> {
        let started = Instant::now();
        let to = batch.last().unwrap_or(open.from);
        let mut dead = Vec::new();
        add_columns(&mut open.log, &batch).await?;
        let (files, rows) = self.write_files(&open.log, &batch, &mut dead).await?;
        let count = dead.len();
        if !dead.is_empty() {
            self.set_aside(dead, open, to).await?;
        }
        let bytes = files.bytes();
        let step = Transaction {
            application: open.application.clone(),
            from: transaction(open.from),
            to: to.cast_signed(),
        };
        let committed = open.log.commit(Change::append(files, step)).await?;
        open.from = offset(open.log.transaction(&open.application).await?);
        open.settled.push_back((Instant::now(), open.from));
        self.position.send_replace(Position {
            offset: open.from,
            version: committed.version,
        });
        let flushed = Flushed {
            rows: if committed.was_there { 0 } else { rows },
            dead: count,
            bytes,
            took: started.elapsed(),
            lag: self.lag(&batch),
        };
        tracing::debug!(table = %self.stream, version = committed.version, offset = to, ?flushed, "committed");
        (self.observe)(&self.stream, flushed);
        Ok(())
    }

    fn lag(&self, batch: &Batch) -> Duration {
        let requests = batch
            .taken
            .iter()
            .filter_map(|taken| taken.content.as_ref().ok());
        let oldest = requests.map(|request| request.received).min();
        let now = (self.options.clock)().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default();
        let oldest = oldest.and_then(|oldest| u64::try_from(oldest).ok());
        oldest.map_or(Duration::ZERO, |oldest| {
            now.saturating_sub(Duration::from_micros(oldest))
        })
    }

    /// Parquet files of the rows that fit; the others go to the dead letters.
    async fn write_files(
        &self,
        log: &Log,
        batch: &Batch,
        dead: &mut Vec<SetAside>,
    ) -> Result<(DataFiles, usize), Trouble> {
        let mut fitting = Vec::new();
        for taken in &batch.taken {
            let request = match &taken.content {
                Ok(request) => request,
                Err(damaged) => {
                    let payload = String::from_utf8_lossy(&damaged.payload).into_owned();
                    let reason = format!("the record is damaged: {}", damaged.reason);
                    dead.push(whole(taken.offset, 0, reason, payload));
                    continue;
                }
            };
            dead.extend(request.dead.iter().map(|letter| SetAside {
                offset: taken.offset,
                received: request.received,
                letter: letter.clone(),
            }));
            if request.rows.num_rows() == 0 {
                continue;
            }
            match fit(&request.rows, log.schema()) {
                Ok(rows) => fitting.push((taken, rows)),
                Err(reason) => dead.extend(all_rows(taken.offset, request, &reason)),
            }
        }
        if fitting.is_empty() {
            return Ok((DataFiles::default(), 0));
        }
        let together = concat_batches(log.schema(), fitting.iter().map(|(_, rows)| rows))?;
        match log.write([together]).await {
            Ok(files) => {
                let rows = fitting.iter().map(|(_, rows)| rows.num_rows());
                Ok((files, rows.sum()))
            }
            Err(error) if error.is_store() => Err(error.into()),
            // One of them is poison: each for itself, so that the others don't wait for ever.
            Err(_) => {
                let mut files = DataFiles::default();
                let mut count = 0;
                for (taken, rows) in fitting {
                    let number = rows.num_rows();
                    match log.write([rows]).await {
                        Ok(more) => {
                            files.extend(more);
                            count += number;
                        }
                        Err(error) if error.is_store() => return Err(error.into()),
                        Err(error) => {
                            if let Ok(request) = &taken.content {
                                dead.extend(all_rows(taken.offset, request, &causes(&error)));
                            }
                        }
                    }
                }
                Ok((files, count))
            }
        }
    }

    /// Commits dead letters before the commit that passes them by. Their table has a transaction
    /// of its own, so that they are there once if this is done again.
    async fn set_aside(
        &self,
        mut letters: Vec<SetAside>,
        open: &mut Open,
        to: u64,
    ) -> Result<(), Trouble> {
        let application = open.application.as_str();
        let log = match &mut open.dead_letters {
            Some(log) => log,
            none => {
                let location = dead_letters::location(&self.location);
                let schema = dead_letters::schema();
                let log = Log::open_or_create(&location, &schema, &[], &self.options).await?;
                none.insert(log)
            }
        };
        let from = log.transaction(application).await?;
        letters.retain(|aside| aside.offset > offset(from));
        if letters.is_empty() {
            return Ok(());
        }
        for aside in &letters {
            let (offset, row) = (aside.offset, aside.letter.row);
            let reason = &aside.letter.reason;
            tracing::warn!(table = %self.stream, offset, row, reason, "a row was set aside");
        }
        let files = log.write([dead_letters::rows(&letters)?]).await?;
        let step = Transaction {
            application: application.to_owned(),
            from,
            to: to.cast_signed(),
        };
        log.commit(Change::append(files, step)).await?;
        Ok(())
    }

    /// Forgets what has been in the table for long enough.
    async fn trim(&self, open: &mut Open) -> Result<(), Trouble> {
        let mut through = None;
        while let Some((at, offset)) = open.settled.front()
            && at.elapsed() >= self.flush.grace
        {
            through = Some(*offset);
            open.settled.pop_front();
        }
        if let Some(through) = through {
            self.tail.forget(through);
            self.queue.trim(&self.stream, through).await?;
        }
        Ok(())
    }
}

/// Gives the table the columns of rows that were accepted under a newer declaration than this
/// process has. What is set aside must not depend on how new the log is that a writer sees: another
/// writer would find the same row fitting, and it would be there twice.
async fn add_columns(log: &mut Log, batch: &Batch) -> Result<(), DeltaError> {
    for taken in &batch.taken {
        let Some(rows) = taken.rows() else {
            continue;
        };
        let schema = rows.schema();
        let optional = schema.fields().iter().filter(|field| field.is_nullable());
        log.add_columns(&Schema::new(optional.cloned().collect::<Vec<_>>()))
            .await?;
    }
    Ok(())
}

async fn asked_to_end(end: &mut watch::Receiver<bool>) {
    // Whoever could ask is gone: that is the end as well.
    let _ = end.wait_for(|end| *end).await;
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// A transaction's version as an offset; no transaction is the beginning.
pub(crate) fn offset(version: Option<i64>) -> u64 {
    version
        .and_then(|version| u64::try_from(version).ok())
        .unwrap_or(0)
}

fn transaction(offset: u64) -> Option<i64> {
    (offset > 0).then(|| offset.cast_signed())
}

fn whole(offset: u64, received: i64, reason: String, payload: String) -> SetAside {
    SetAside {
        offset,
        received,
        letter: DeadLetter {
            row: 0,
            reason,
            payload,
        },
    }
}

/// All rows of a request, as JSON.
fn all_rows(offset: u64, request: &crate::entry::Request, reason: &str) -> Vec<SetAside> {
    let json = |row: RecordBatch| {
        let mut writer = arrow::json::LineDelimitedWriter::new(Vec::new());
        let written = writer.write(&row).and_then(|()| writer.finish());
        let text = String::from_utf8_lossy(&writer.into_inner())
            .trim_end()
            .to_owned();
        match written {
            Ok(()) => text,
            Err(error) => format!("it can't be written as JSON: {error}"),
        }
    };
    (0..request.rows.num_rows())
        .map(|row| SetAside {
            offset,
            received: request.received,
            letter: DeadLetter {
                row: i32::try_from(row).unwrap_or(i32::MAX),
                reason: reason.to_owned(),
                payload: json(request.rows.slice(row, 1)),
            },
        })
        .collect()
}

/// Rows as the table stores them. They may have been accepted under an older declaration.
///
/// # Errors
/// Why they can't become rows of the table.
pub fn fit(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, String> {
    if rows.schema_ref() == schema {
        return Ok(rows.clone());
    }
    for field in rows.schema_ref().fields() {
        if schema.field_with_name(field.name()).is_err() {
            return Err(format!("the table has no column `{}`", field.name()));
        }
    }
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let columns = schema.fields().iter().map(|field| {
        let name = field.name();
        match rows.column_by_name(name) {
            Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
            Some(column) => cast_with_options(column, field.data_type(), &strict)
                .map_err(|error| format!("the column `{name}` doesn't fit: {error}")),
            None if field.is_nullable() => Ok(new_null_array(field.data_type(), rows.num_rows())),
            None => Err(format!("the required column `{name}` is missing")),
        }
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(|error| error.to_string())
}

/// An error with its causes in one line.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
