//! Events: the queue, the tables that take them, and who writes these.

use std::fs::File;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use futures::FutureExt;
use neurolake_delta::{Location, LogOptions};
use neurolake_ingest::ingest::Refused;
use neurolake_ingest::metrics::Metrics;
use neurolake_ingest::queue::embedded::{EmbeddedQueue, EmbeddedSettings};
use neurolake_ingest::queue::nats::NatsQueue;
use neurolake_ingest::queue::{Queue, QueueError, Stream};
use neurolake_ingest::writer::{Candidate, Observe};
use neurolake_ingest::{Ingest, door, expose};
use neurolake_model::Catalog;
use neurolake_query::{RemoteTails, Tail, TailError, Tails, Timeouts};
use neurolake_serve::System;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::config::Queue as QueueSettings;
use super::failure::Failure;
use super::status::Totals;
use super::up::{self, Running};
use super::{Context, maintain, open};
use crate::Lake;

/// Folder of the queue in the folder of data.
pub(super) const QUEUE: &str = "queue";
/// For what is in the queue when the end is asked for. The rest is written after the next start.
const GRACE: Duration = Duration::from_secs(10);

/// A lake whose newest rows are in a queue of this process.
pub(super) struct Receiving {
    pub(super) lake: Lake,
    pub(super) ingest: Ingest,
    metrics: Arc<Metrics>,
    totals: watch::Sender<Totals>,
    end: watch::Sender<bool>,
    work: Vec<JoinHandle<()>>,
    writers: Option<JoinHandle<()>>,
}

/// Opens the queue and a lake over it. `None`: no table takes events.
pub(super) async fn receive(
    context: &Context<'_>,
    catalog: &Catalog,
    system: Option<&System>,
) -> Result<Option<Receiving>, Failure> {
    if !catalog.tables().any(|(_, table)| table.ingest) {
        return Ok(None);
    }
    let options = LogOptions::default();
    let queue = queue(context, &options).await?;
    let here = Arc::new(Here::default());
    let tails = Arc::clone(&here) as _;
    let lake = open::lake_with(context, catalog.clone(), Some(tails), system)?;
    let engine = lake.engine().clone();
    let locate = move |database: &str, table: &str| -> Result<Location, String> {
        let location = engine.location(database, table);
        location.map_err(|error| match &error.hint {
            Some(hint) => format!("{error}; {hint}"),
            None => error.to_string(),
        })
    };
    let settings = context.config.ingest.settings.clone();
    let ingest = Ingest::new(catalog, queue, Arc::new(locate), settings, options);
    refuse_shared_places(&ingest)?;
    // Nobody else has it yet.
    let _ = here.0.set(ingest.clone());
    Ok(Some(Receiving {
        lake,
        ingest,
        metrics: Arc::new(Metrics::new()),
        totals: watch::Sender::default(),
        end: watch::Sender::new(false),
        work: Vec::new(),
        writers: None,
    }))
}

async fn queue(context: &Context<'_>, options: &LogOptions) -> Result<Arc<dyn Queue>, Failure> {
    match &context.config.ingest.queue {
        QueueSettings::Embedded => {
            let folder = context.config.data.join(QUEUE);
            let settings = EmbeddedSettings {
                max_bytes: context.config.ingest.settings.queue_bytes,
                ..EmbeddedSettings::default()
            };
            let clock = Arc::clone(&options.clock);
            let queue = EmbeddedQueue::open(folder, settings, clock).await;
            Ok(Arc::new(queue.map_err(unopened)?))
        }
        QueueSettings::Nats(settings) => {
            let queue = NatsQueue::connect(settings.as_ref().clone()).await;
            Ok(Arc::new(queue.map_err(unopened)?))
        }
    }
}

fn unopened(error: QueueError) -> Failure {
    let failure = Failure::system("can't open the queue of events");
    let failure =
        match &error {
            QueueError::Locked { .. } => failure
                .hint("another process serves the folder; several servers share a NATS server"),
            QueueError::Damaged { .. } => failure
                .hint("what was accepted and is not in tables yet may be lost; keep the folder"),
            _ => failure,
        };
    failure.caused_by(error)
}

/// Two streams in one table would each take the other's rows for its own.
fn refuse_shared_places(ingest: &Ingest) -> Result<(), Failure> {
    let mut places: Vec<(String, &Stream)> = Vec::new();
    for (stream, _) in ingest.streams() {
        let Ok(location) = ingest.locate(stream) else {
            continue;
        };
        let place = location.url.to_string();
        if let Some((_, other)) = places.iter().find(|(known, _)| *known == place) {
            return Err(Failure::usage(format!(
                "`{other}` and `{stream}` both take events and lie at the same place"
            ))
            .hint("take `ingest` away from one of them"));
        }
        places.push((place, stream));
    }
    Ok(())
}

impl Receiving {
    /// The routes of ingestion.
    pub(super) fn routes(&self, context: &Context<'_>) -> axum::Router {
        let settings = door::Settings {
            body_bytes: context.config.ingest.body_bytes,
            metrics: Arc::clone(&self.metrics),
            ..door::Settings::new(LogOptions::default().clock)
        };
        door::router(Arc::new(self.ingest.clone()), settings)
            .merge(expose::router(self.ingest.clone()))
    }

    /// Begins to write and to maintain tables, as far as the settings say so.
    pub(super) fn start(&mut self, context: &Context<'_>) {
        self.watch();
        if context.config.ingest.writer {
            self.write(context);
        }
        if context.config.maintenance.enabled {
            let settings = context.config.maintenance.clone();
            let upkeep = maintain::keep(self.ingest.clone(), settings, candidate(context));
            self.work.push(tokio::spawn(upkeep));
        }
    }

    /// Begins to measure.
    pub(super) fn watch(&mut self) {
        let (ingest, metrics) = (self.ingest.clone(), self.metrics());
        let totals = self.totals.clone();
        let watch = move || watch_queue(ingest.clone(), Arc::clone(&metrics), totals.clone());
        let watch = persist("watching the queue", watch);
        self.work.push(tokio::spawn(watch));
    }

    /// How the tables are doing, looked at every second.
    pub(super) fn totals(&self) -> watch::Receiver<Totals> {
        self.totals.subscribe()
    }

    pub(super) fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// Begins to write tables.
    pub(super) fn write(&mut self, context: &Context<'_>) {
        let ingest = self.ingest.clone();
        let metrics = Arc::clone(&self.metrics);
        let observe: Observe = Arc::new(move |stream, flushed| {
            metrics.committed(stream, flushed.rows, flushed.took, flushed.lag);
        });
        let (end, candidate) = (self.end.subscribe(), candidate(context));
        let write = async move { ingest.write(end, observe, candidate).await };
        self.writers = Some(tokio::spawn(write));
    }

    /// Writes what is in the queue, if that is quick.
    pub(super) async fn finish(self) {
        self.end.send_replace(true);
        for work in self.work {
            work.abort();
        }
        if let Some(writers) = self.writers
            && timeout(GRACE, writers).await.is_err()
        {
            tracing::warn!("some events are still in the queue; the next start writes them");
        }
    }
}

/// This process among those that could look after a table; `None` where there is no other, because
/// the queue is a folder that one process has for itself.
fn candidate(context: &Context<'_>) -> Option<Candidate> {
    let QueueSettings::Nats(_) = context.config.ingest.queue else {
        return None;
    };
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy();
    Some(Candidate {
        who: format!("process {} on {host}", std::process::id()),
        terms: context.config.ingest.lease,
    })
}

/// Goes on after a bug, as after a crash of the process: from the beginning.
pub(super) async fn persist<F: Future<Output = ()>>(what: &str, work: impl Fn() -> F) {
    while AssertUnwindSafe(work()).catch_unwind().await.is_err() {
        tracing::error!("{what} was ended by a bug, and begins anew");
        sleep(Duration::from_secs(1)).await;
    }
}

/// Keeps the gauges true, and what people see.
async fn watch_queue(ingest: Ingest, metrics: Arc<Metrics>, totals: watch::Sender<Totals>) {
    let gauges = async {
        loop {
            let mut now = Totals {
                queue: ingest.queue_bytes(),
                ..Totals::default()
            };
            metrics.set_queue_bytes(now.queue);
            for (stream, _) in ingest.streams() {
                let Ok(status) = ingest.status(stream).await else {
                    now.unknown += 1;
                    continue;
                };
                now.known += 1;
                let depth = status.accepted.saturating_sub(status.committed);
                let oldest = Duration::from_millis(status.lag_milliseconds);
                metrics.set_queue(stream, depth, oldest);
                now.taken += status.accepted;
                now.waiting += depth;
                now.oldest = now.oldest.max(oldest);
            }
            totals.send_replace(now);
            sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::join!(ingest.watch_queue(), gauges);
}

/// The queue of this process, once it is there.
#[derive(Default)]
struct Here(OnceLock<Ingest>);

impl Tails for Here {
    fn tail(&self, database: &str, table: &str) -> Option<Arc<dyn Tail>> {
        let ingest = self.0.get()?.clone();
        let stream = Stream::new(database, table);
        ingest.schema(&stream)?;
        Some(Arc::new(OfStream { ingest, stream }))
    }
}

#[derive(Debug)]
struct OfStream {
    ingest: Ingest,
    stream: Stream,
}

#[async_trait]
impl Tail for OfStream {
    async fn application(&self) -> Result<String, TailError> {
        let application = self.ingest.application(&self.stream).await;
        application.map_err(|error| TailError::Unavailable(error.to_string()))
    }

    async fn rows(&self, _application: &str, after: u64) -> Result<Vec<RecordBatch>, TailError> {
        match self.ingest.unwritten(&self.stream, after).await {
            Ok(unwritten) => Ok(unwritten.rows),
            Err(Refused::Queue(QueueError::Trimmed { trimmed, .. })) => {
                Err(TailError::Gone { trimmed })
            }
            Err(error) => Err(TailError::Unavailable(error.to_string())),
        }
    }
}

/// The queue of another process: the one that is configured, or the one that serves the folder of
/// data at the moment.
pub(super) fn elsewhere(context: &Context<'_>) -> Result<Option<Arc<dyn Tails>>, Failure> {
    let configured = context.config.ingest.tail.clone();
    let Some(address) = configured.or_else(|| serving(&context.config.data)) else {
        return Ok(None);
    };
    let address = context.config.as_owner(&address);
    let address = address
        .parse()
        .map_err(|error| Failure::usage("`ingest.tail` is no address").caused_by(error))?;
    Ok(Some(Arc::new(RemoteTails::new(
        address,
        Timeouts::default(),
    )?)))
}

/// Who serves the folder of data, if somebody does.
pub(super) fn serving(data: &Path) -> Option<String> {
    let lock = File::open(data.join(up::LOCK)).ok()?;
    // Shared, and given back at once.
    if lock.try_lock_shared().is_ok() {
        return None;
    }
    let running = std::fs::read_to_string(data.join(up::ENDPOINTS)).ok()?;
    let running: Running = serde_json::from_str(&running).ok()?;
    Some(running.http)
}
