//! What Prometheus reads at `/metrics`.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::queue::Stream;

/// Media type of what [`Metrics::text`] gives.
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Seconds = Gauge<f64, AtomicU64>;
type Times = Family<Table, Histogram, fn() -> Histogram>;

/// Counters, histograms and gauges of ingestion. Names begin with `neurolake_ingest_`.
pub struct Metrics {
    requests: Family<Requests, Counter>,
    rows: Family<Rows, Counter>,
    body_bytes: Family<Table, Counter>,
    acknowledgement: Times,
    queue_bytes: Gauge,
    queue_depth: Family<Table, Gauge>,
    queue_age: Family<Table, Seconds>,
    commit: Times,
    committed_rows: Family<Table, Counter>,
    live_files: Family<Table, Gauge>,
    lag: Family<Table, Seconds>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Table {
    database: String,
    table: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Requests {
    database: String,
    table: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Rows {
    database: String,
    table: String,
    outcome: &'static str,
}

impl From<&Stream> for Table {
    fn from(stream: &Stream) -> Self {
        Self {
            database: stream.database().to_owned(),
            table: stream.table().to_owned(),
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// From half a millisecond to a minute.
fn times() -> Histogram {
    Histogram::new(exponential_buckets(0.0005, 2.0, 18))
}

impl Metrics {
    /// Metrics that count from zero.
    pub fn new() -> Self {
        let new_times = || Times::new_with_constructor(times as fn() -> Histogram);
        Self {
            requests: Family::default(),
            rows: Family::default(),
            body_bytes: Family::default(),
            acknowledgement: new_times(),
            queue_bytes: Gauge::default(),
            queue_depth: Family::default(),
            queue_age: Family::default(),
            commit: new_times(),
            committed_rows: Family::default(),
            live_files: Family::default(),
            lag: Family::default(),
        }
    }

    /// Adds them to those of the process.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("neurolake_ingest");
        let help = "Requests by how they ended: accepted, duplicate, or the code of the error";
        registry.register("requests", help, self.requests.clone());
        let help = "Rows by what became of them: accepted, rejected, dead";
        registry.register("rows", help, self.rows.clone());
        let help = "Bytes of accepted bodies, uncompressed";
        let bytes = self.body_bytes.clone();
        registry.register_with_unit("body", help, Unit::Bytes, bytes);
        let help = "From the first byte of a request to its acknowledgement";
        let times = self.acknowledgement.clone();
        registry.register_with_unit("acknowledgement", help, Unit::Seconds, times);
        let help = "What the queue takes on disk";
        let bytes = self.queue_bytes.clone();
        registry.register_with_unit("queue", help, Unit::Bytes, bytes);
        let help = "Records that are not yet in the table";
        registry.register("queue_depth", help, self.queue_depth.clone());
        let help = "Age of the oldest record that is not yet in the table";
        let age = self.queue_age.clone();
        registry.register_with_unit("queue_age", help, Unit::Seconds, age);
        let help = "How long a commit to the table takes";
        let times = self.commit.clone();
        registry.register_with_unit("commit", help, Unit::Seconds, times);
        let help = "Rows in commits to the table";
        registry.register("committed_rows", help, self.committed_rows.clone());
        let help = "Files that the table consists of";
        registry.register("live_files", help, self.live_files.clone());
        let help = "From acceptance to commit of the newest committed record";
        let lag = self.lag.clone();
        registry.register_with_unit("lag", help, Unit::Seconds, lag);
    }

    /// Everything in the text form of OpenMetrics, for a process that has no other metrics.
    pub fn text(&self) -> String {
        let mut registry = Registry::default();
        self.register(&mut registry);
        let mut text = String::new();
        // A string takes whatever is written.
        let _ = encode(&mut text, &registry);
        text
    }

    /// Counts a request. Only declared tables are named: strangers can't add labels.
    pub fn request(&self, stream: Option<&Stream>, outcome: &'static str) {
        let labels = Requests {
            database: stream.map_or_else(String::new, |s| s.database().to_owned()),
            table: stream.map_or_else(String::new, |s| s.table().to_owned()),
            outcome,
        };
        self.requests.get_or_create(&labels).inc();
    }

    /// Counts rows of a request: `outcome` is `accepted`, `rejected` or `dead`.
    pub fn rows(&self, stream: &Stream, outcome: &'static str, rows: usize) {
        if rows > 0 {
            let labels = Rows {
                database: stream.database().to_owned(),
                table: stream.table().to_owned(),
                outcome,
            };
            self.rows.get_or_create(&labels).inc_by(rows as u64);
        }
    }

    /// Notes an acknowledged request.
    pub fn acknowledged(&self, stream: &Stream, body_bytes: usize, took: Duration) {
        let table = stream.into();
        self.body_bytes
            .get_or_create(&table)
            .inc_by(body_bytes as u64);
        self.acknowledgement
            .get_or_create(&table)
            .observe(took.as_secs_f64());
    }

    /// What the queue takes, all tables together.
    pub fn set_queue_bytes(&self, bytes: u64) {
        self.queue_bytes.set(bytes as i64);
    }

    /// How many records of a stream are not yet in the table, and how old the oldest is.
    pub fn set_queue(&self, stream: &Stream, depth: u64, oldest: Duration) {
        let table = stream.into();
        self.queue_depth.get_or_create(&table).set(depth as i64);
        self.queue_age
            .get_or_create(&table)
            .set(oldest.as_secs_f64());
    }

    /// Notes a commit to the table, and how long its newest record had waited for it.
    pub fn committed(&self, stream: &Stream, rows: usize, took: Duration, lag: Duration) {
        let table = stream.into();
        self.committed_rows
            .get_or_create(&table)
            .inc_by(rows as u64);
        self.commit
            .get_or_create(&table)
            .observe(took.as_secs_f64());
        self.lag.get_or_create(&table).set(lag.as_secs_f64());
    }

    /// How many files the table consists of.
    pub fn set_live_files(&self, stream: &Stream, files: usize) {
        self.live_files
            .get_or_create(&stream.into())
            .set(files as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_can_be_read() {
        let metrics = Metrics::new();
        let stream = Stream::new("neural", "spikes");
        metrics.request(Some(&stream), "accepted");
        metrics.request(Some(&stream), "accepted");
        metrics.request(None, "not_found");
        metrics.rows(&stream, "accepted", 7);
        metrics.rows(&stream, "dead", 0);
        metrics.acknowledged(&stream, 100, Duration::from_millis(3));
        metrics.set_queue_bytes(5);
        metrics.set_queue(&stream, 2, Duration::from_millis(1500));
        metrics.committed(
            &stream,
            9,
            Duration::from_millis(20),
            Duration::from_secs(1),
        );
        metrics.set_live_files(&stream, 4);
        let text = metrics.text();
        let of = "database=\"neural\",table=\"spikes\"";
        for line in [
            format!("neurolake_ingest_requests_total{{{of},outcome=\"accepted\"}} 2"),
            "neurolake_ingest_requests_total{database=\"\",table=\"\",outcome=\"not_found\"} 1"
                .into(),
            format!("neurolake_ingest_rows_total{{{of},outcome=\"accepted\"}} 7"),
            format!("neurolake_ingest_body_bytes_total{{{of}}} 100"),
            format!("neurolake_ingest_acknowledgement_seconds_count{{{of}}} 1"),
            "neurolake_ingest_queue_bytes 5".into(),
            format!("neurolake_ingest_queue_depth{{{of}}} 2"),
            format!("neurolake_ingest_queue_age_seconds{{{of}}} 1.5"),
            format!("neurolake_ingest_commit_seconds_count{{{of}}} 1"),
            format!("neurolake_ingest_committed_rows_total{{{of}}} 9"),
            format!("neurolake_ingest_live_files{{{of}}} 4"),
            format!("neurolake_ingest_lag_seconds{{{of}}} 1.0"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!text.contains("outcome=\"dead\""), "{text}");
    }
}
