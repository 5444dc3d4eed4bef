//! What Prometheus reads at `/metrics`.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::doors::{Doors, Shared};
use crate::system::Ended;

/// Media type of the text form of OpenMetrics.
const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Times = Family<Door, Histogram, fn() -> Histogram>;

/// Adds other metrics of the process, such as those of ingestion.
#[derive(Clone)]
pub struct MoreMetrics(Arc<dyn Fn(&mut Registry) + Send + Sync>);

impl MoreMetrics {
    /// Those that this registers.
    pub fn new(register: impl Fn(&mut Registry) + Send + Sync + 'static) -> Self {
        Self(Arc::new(register))
    }
}

impl fmt::Debug for MoreMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MoreMetrics")
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Door {
    door: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Queries {
    door: &'static str,
    role: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reader {
    door: &'static str,
    role: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TableOf {
    database: String,
    table: String,
    role: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Table {
    database: String,
    table: String,
}

impl Table {
    /// Of `database.table`.
    fn of(name: &str) -> Self {
        let (database, table) = name.split_once('.').unwrap_or(("", name));
        Self {
            database: database.to_owned(),
            table: table.to_owned(),
        }
    }
}

/// Counters, histograms and gauges of the doors. Names begin with `neurolake_`.
pub(crate) struct Metrics {
    registry: Registry,
    queries: Family<Queries, Counter>,
    times: Times,
    rows: Family<Reader, Counter>,
    bytes: Family<Reader, Counter>,
    tables: Family<TableOf, Counter>,
    running: Gauge,
    waiting: Gauge,
    turned_away: Counter,
    pub(crate) kept_plans: Counter,
    cache_answers: Gauge,
    cache_bytes: Gauge,
    versions: Family<Table, Gauge>,
    ages: Family<Table, Gauge<f64, AtomicU64>>,
    broken: Family<Table, Gauge>,
    pub(crate) pg_connections: Gauge,
    /// Gauges are set for one reader at a time.
    reading: Mutex<()>,
}

/// From half a millisecond to a minute.
fn times() -> Histogram {
    Histogram::new(exponential_buckets(0.0005, 2.0, 18))
}

impl Metrics {
    pub(crate) fn new(turned_away: Counter, more: Option<&MoreMetrics>) -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            queries: Family::default(),
            times: Times::new_with_constructor(times as fn() -> Histogram),
            rows: Family::default(),
            bytes: Family::default(),
            tables: Family::default(),
            running: Gauge::default(),
            waiting: Gauge::default(),
            turned_away,
            kept_plans: Counter::default(),
            cache_answers: Gauge::default(),
            cache_bytes: Gauge::default(),
            versions: Family::default(),
            ages: Family::default(),
            broken: Family::default(),
            pg_connections: Gauge::default(),
            reading: Mutex::default(),
        };
        metrics.register();
        if let Some(MoreMetrics(register)) = more {
            register(&mut metrics.registry);
        }
        metrics
    }

    fn register(&mut self) {
        let registry = self.registry.sub_registry_with_prefix("neurolake");
        let help = "Statements by door, role and how they ended: done, kept (an answer was given again), cancelled, or the code of the error";
        registry.register("queries", help, self.queries.clone());
        let help = "From the beginning of a statement to the end of its answer";
        registry.register_with_unit("query", help, Unit::Seconds, self.times.clone());
        let help = "Rows in answers";
        registry.register("query_rows", help, self.rows.clone());
        let help = "What answers were made of, before compression";
        registry.register_with_unit("query", help, Unit::Bytes, self.bytes.clone());
        let help = "Statements that name a table";
        registry.register("table_queries", help, self.tables.clone());
        let help = "Statements that run";
        registry.register("queries_running", help, self.running.clone());
        let help = "Statements that wait for their turn";
        registry.register("queries_waiting", help, self.waiting.clone());
        let help = "Statements that were turned away because too many ran";
        registry.register("queries_turned_away", help, self.turned_away.clone());
        let help = "Statements that ran by a plan made for an earlier one";
        registry.register("queries_with_kept_plan", help, self.kept_plans.clone());
        let help = "Answers that are kept";
        registry.register("cache_answers", help, self.cache_answers.clone());
        let help = "What kept answers take";
        registry.register_with_unit("cache", help, Unit::Bytes, self.cache_bytes.clone());
        let help = "Version of a Delta table that statements see, once it was read";
        registry.register("table_version", help, self.versions.clone());
        let help = "How long ago that was known to be the newest version";
        registry.register_with_unit("table_age", help, Unit::Seconds, self.ages.clone());
        let help = "1 for each table that can't be read";
        registry.register("table_broken", help, self.broken.clone());
        let help = "Clients of PostgreSQL that are connected";
        registry.register("pg_connections", help, self.pg_connections.clone());
    }

    /// Counts a statement that has ended. Only declared tables and roles are named: strangers can't
    /// add labels.
    pub(crate) fn ended(&self, ended: &Ended, took: Duration) {
        let (door, role) = (ended.begun.door, &ended.begun.role);
        let outcome = ended.code.unwrap_or(ended.outcome);
        let of = Queries {
            door,
            role: role.clone(),
            outcome,
        };
        self.queries.get_or_create(&of).inc();
        self.times
            .get_or_create(&Door { door })
            .observe(took.as_secs_f64());
        let reader = Reader {
            door,
            role: role.clone(),
        };
        let rows = ended.rows.unwrap_or_default();
        self.rows.get_or_create(&reader).inc_by(rows as u64);
        self.bytes.get_or_create(&reader).inc_by(ended.bytes as u64);
        for table in &ended.tables {
            let Table { database, table } = Table::of(table);
            let of = TableOf {
                database,
                table,
                role: role.clone(),
            };
            self.tables.get_or_create(&of).inc();
        }
    }

    fn text(&self, shared: &Shared) -> String {
        let _reading = self.reading.lock();
        self.running.set(shared.admission.running() as i64);
        self.waiting.set(shared.admission.waiting() as i64);
        self.cache_answers.set(shared.kept.answers() as i64);
        self.cache_bytes.set(shared.kept.bytes() as i64);
        for table in shared.lake.status() {
            let of = Table {
                database: table.database,
                table: table.table,
            };
            if let Some(version) = table.version {
                self.versions.get_or_create(&of).set(version as i64);
            }
            if let Some(age) = table.age {
                self.ages.get_or_create(&of).set(age.as_secs_f64());
            }
        }
        self.broken.clear();
        for name in shared.health.broken().into_keys() {
            self.broken.get_or_create(&Table::of(&name)).set(1);
        }
        let mut text = String::new();
        // A string takes whatever is written.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

pub(crate) async fn metrics(State(doors): State<Doors>) -> Response {
    let text = doors.shared.metrics.text(&doors.shared);
    ([(header::CONTENT_TYPE, MEDIA_TYPE)], text).into_response()
}
