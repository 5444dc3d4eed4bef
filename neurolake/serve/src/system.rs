//! What the server says about itself: statements, tables and kept answers, as tables of the database
//! `system`, which every door reads. They are not listed, and no role reads them.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use neurolake_model::{Column, Table, Type};
use neurolake_query::datafusion::dataframe::DataFrame;
use neurolake_query::{Arguments, Error, FunctionTable, Kind, Lake, Result, SYSTEM};
use serde::Serialize;
use serde_json::json;

use crate::doors::Shared;

/// Statements that are remembered after they have ended.
const REMEMBERED: usize = 1000;

/// What a server knows about itself. A lake that it is given to has the tables; [`crate::Settings`]
/// must hold the same one.
#[derive(Clone, Default)]
pub struct System(Arc<Inner>);

#[derive(Default)]
struct Inner {
    statements: Mutex<Statements>,
    /// The doors, once they are there.
    shared: OnceLock<Weak<Shared>>,
}

#[derive(Default)]
struct Statements {
    number: u64,
    running: BTreeMap<u64, (Arc<Begun>, Instant)>,
    ended: VecDeque<Arc<Ended>>,
}

/// A statement that somebody sent.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Begun {
    pub(crate) request_id: String,
    pub(crate) started: DateTime<Utc>,
    pub(crate) door: &'static str,
    pub(crate) account: Arc<str>,
    pub(crate) role: String,
    /// Without its values.
    pub(crate) statement: String,
}

/// What became of it.
#[derive(Debug, Serialize)]
pub(crate) struct Ended {
    #[serde(flatten)]
    pub(crate) begun: Begun,
    /// `done`, `kept` (an answer was given again), `failed` or `cancelled`.
    pub(crate) outcome: &'static str,
    /// Of an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<&'static str>,
    /// As `database.table`.
    pub(crate) tables: Vec<String>,
    /// `None`: they were not counted again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rows: Option<usize>,
    pub(crate) bytes: usize,
    pub(crate) milliseconds: u64,
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("System")
    }
}

impl System {
    /// The tables with their rows, for [`neurolake_query::LakeBuilder::system`].
    pub fn tables(&self) -> Vec<(Table, Arc<dyn FunctionTable>)> {
        let of = |name, docs, columns, rows: fn(&System) -> Vec<ArrayRef>| {
            let table = declaration(name, docs, columns);
            let system = self.clone();
            let function: Arc<dyn FunctionTable> = Arc::new(SystemTable {
                columns,
                rows: Box::new(move || rows(&system)),
            });
            (table, function)
        };
        vec![
            of(
                "queries",
                "Statements that run, and the last that have ended, without their values.",
                QUERIES,
                System::queries,
            ),
            of(
                "tables",
                "Each table of the lake, and what the server knows of it without asking its store.",
                TABLES,
                System::lake_tables,
            ),
            of(
                "cache",
                "Answers that are given again as long as their tables don't change.",
                CACHE,
                System::cache,
            ),
        ]
    }

    pub(crate) fn over(&self, shared: &Arc<Shared>) {
        // Of several doors over one lake the first is described.
        let _ = self.0.shared.set(Arc::downgrade(shared));
    }

    fn shared(&self) -> Option<Arc<Shared>> {
        self.0.shared.get()?.upgrade()
    }

    fn statements(&self) -> MutexGuard<'_, Statements> {
        // Nothing can panic while it is held.
        let statements = self.0.statements.lock();
        statements.unwrap_or_else(PoisonError::into_inner)
    }

    /// A statement runs; its number is for [`System::ended`].
    pub(crate) fn begun(&self, begun: &Arc<Begun>) -> u64 {
        let mut statements = self.statements();
        statements.number += 1;
        let number = statements.number;
        let entry = (Arc::clone(begun), Instant::now());
        statements.running.insert(number, entry);
        number
    }

    /// A statement has ended. `None`: it never ran.
    pub(crate) fn ended(&self, number: Option<u64>, ended: Arc<Ended>) {
        let mut statements = self.statements();
        if let Some(number) = number {
            statements.running.remove(&number);
        }
        if statements.ended.len() == REMEMBERED {
            statements.ended.pop_front();
        }
        statements.ended.push_back(ended);
    }

    fn queries(&self) -> Vec<ArrayRef> {
        let statements = self.statements();
        let ended: Vec<Arc<Ended>> = statements.ended.iter().rev().cloned().collect();
        let running: Vec<_> = statements.running.values().rev().cloned().collect();
        drop(statements);
        let begun = || {
            let running = running.iter().map(|(begun, _)| begun.as_ref());
            running.chain(ended.iter().map(|ended| &ended.begun))
        };
        // What isn't known yet is null.
        let later = |of: fn(&Ended) -> Option<i64>| -> ArrayRef {
            let running = running.iter().map(|_| None);
            let all = running.chain(ended.iter().map(|ended| of(ended)));
            Arc::new(all.collect::<Int64Array>())
        };
        let state = running.iter().map(|_| "running");
        let code = running.iter().map(|_| None);
        let tables = running.iter().map(|_| None);
        let milliseconds = running.iter().map(|(_, since)| millis(since.elapsed()));
        vec![
            texts(begun().map(|begun| Some(begun.request_id.as_str()))),
            texts(
                state
                    .chain(ended.iter().map(|ended| ended.outcome))
                    .map(Some),
            ),
            times(begun().map(|begun| Some(begun.started))),
            Arc::new(
                milliseconds
                    .chain(ended.iter().map(|ended| ended.milliseconds as i64))
                    .map(Some)
                    .collect::<Int64Array>(),
            ),
            texts(begun().map(|begun| Some(begun.door))),
            texts(begun().map(|begun| Some(begun.account.as_ref()))),
            texts(begun().map(|begun| Some(begun.role.as_str()))),
            texts(tables.chain(ended.iter().map(|ended| Some(ended.tables.join(", "))))),
            later(|ended| Some(ended.rows? as i64)),
            later(|ended| Some(ended.bytes as i64)),
            texts(code.chain(ended.iter().map(|ended| ended.code))),
            texts(begun().map(|begun| Some(begun.statement.as_str()))),
        ]
    }

    fn lake_tables(&self) -> Vec<ArrayRef> {
        let shared = self.shared();
        let status = shared.as_ref().map(|shared| shared.lake.status());
        let status = status.unwrap_or_default();
        let broken = shared.map(|shared| shared.health.broken());
        let broken = broken.unwrap_or_default();
        let now = Utc::now();
        let error = status.iter().map(|table| {
            let name = format!("{}.{}", table.database, table.table);
            table.error.clone().or_else(|| broken.get(&name).cloned())
        });
        let error: Vec<Option<String>> = error.collect();
        vec![
            texts(status.iter().map(|table| Some(table.database.as_str()))),
            texts(status.iter().map(|table| Some(table.table.as_str()))),
            texts(status.iter().map(|table| Some(table.kind))),
            Arc::new(
                status
                    .iter()
                    .map(|table| Some(table.version? as i64))
                    .collect::<Int64Array>(),
            ),
            times(status.iter().map(|table| Some(now - table.age?))),
            texts(error.iter().map(Option::as_deref)),
        ]
    }

    fn cache(&self) -> Vec<ArrayRef> {
        let kept = self.shared().map(|shared| shared.kept.all());
        let kept = kept.unwrap_or_default();
        let number = |of: fn(&crate::kept::Entry) -> u64| -> ArrayRef {
            let numbers = kept.iter().map(|entry| Some(of(entry) as i64));
            Arc::new(numbers.collect::<Int64Array>())
        };
        vec![
            times(kept.iter().map(|entry| Some(entry.since))),
            texts(kept.iter().map(|entry| Some(entry.role.as_str()))),
            texts(kept.iter().map(|entry| Some(entry.tables.as_str()))),
            number(|entry| entry.bytes),
            number(|entry| entry.hits),
            texts(kept.iter().map(|entry| Some(entry.statement.as_str()))),
        ]
    }
}

pub(crate) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn texts<T: AsRef<str>>(values: impl Iterator<Item = Option<T>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn times(values: impl Iterator<Item = Option<DateTime<Utc>>>) -> ArrayRef {
    let micros = values.map(|time| Some(time?.timestamp_micros()));
    let times: TimestampMicrosecondArray = micros.collect();
    Arc::new(times.with_timezone("UTC"))
}

/// Name, type and documentation of a column.
type Described = (&'static str, Type, &'static str);

const QUERIES: &[Described] = &[
    (
        "request_id",
        Type::String,
        "As in the log and in the answer's header `x-request-id`.",
    ),
    (
        "state",
        Type::String,
        "`running`, `done`, `kept` (a kept answer was given again), `failed` or `cancelled`.",
    ),
    ("started", Type::Timestamp, "When it was begun."),
    (
        "milliseconds",
        Type::Int64,
        "How long it took, or has taken so far.",
    ),
    (
        "door",
        Type::String,
        "Where it came in: `sql`, `rest`, `graphql`, `postgres` or `flight`.",
    ),
    (
        "account",
        Type::String,
        "Who asked; empty where nobody needs an account.",
    ),
    (
        "role",
        Type::String,
        "With which role; `all` may read everything.",
    ),
    (
        "tables",
        Type::String,
        "Tables that it names, once it has ended.",
    ),
    (
        "rows",
        Type::Int64,
        "Rows of the answer, once it has ended. Null: it was kept.",
    ),
    (
        "bytes",
        Type::Int64,
        "Bytes that were sent, before compression, once it has ended.",
    ),
    ("code", Type::String, "Code of its error."),
    (
        "statement",
        Type::String,
        "The statement without its values.",
    ),
];

const TABLES: &[Described] = &[
    ("database", Type::String, "Name of the database."),
    ("table", Type::String, "Name of the table."),
    ("kind", Type::String, "Kind of its source."),
    (
        "version",
        Type::Int64,
        "Version that queries see. Null: not a Delta table, or nobody has read it yet.",
    ),
    (
        "checked",
        Type::Timestamp,
        "When that was last known to be the newest version.",
    ),
    ("error", Type::String, "Why it can't be read at the moment."),
];

const CACHE: &[Described] = &[
    ("since", Type::Timestamp, "When the answer was made."),
    ("role", Type::String, "For whom."),
    ("tables", Type::String, "Tables that it was made from."),
    ("bytes", Type::Int64, "What it takes."),
    ("hits", Type::Int64, "How often it was given again."),
    (
        "statement",
        Type::String,
        "The statement without its values.",
    ),
];

fn declaration(name: &str, docs: &str, columns: &[Described]) -> Table {
    let table = json!({
        "name": name,
        "docs": docs,
        "source": {"kind": "function", "arguments": []},
        "rust_path": format!("neurolake_serve::{SYSTEM}::{name}"),
        "location": {"file": "neurolake/serve/src/system.rs", "line": 1},
    });
    let mut table: Table = serde_json::from_value(table).expect("it is one");
    table.columns = columns
        .iter()
        .map(|(name, data_type, docs)| {
            let column = json!({"name": name, "type": data_type, "nullable": true, "docs": docs});
            serde_json::from_value::<Column>(column).expect("it is one")
        })
        .collect();
    table
}

struct SystemTable {
    columns: &'static [Described],
    rows: Box<dyn Fn() -> Vec<ArrayRef> + Send + Sync>,
}

#[async_trait]
impl FunctionTable for SystemTable {
    async fn rows(&self, lake: Lake, _: Arguments) -> Result<DataFrame> {
        let columns = (self.rows)();
        let fields = self
            .columns
            .iter()
            .zip(&columns)
            .map(|((name, ..), values)| {
                let data_type: DataType = values.data_type().clone();
                Field::new(*name, data_type, true)
            });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let batch = RecordBatch::try_new(schema, columns).map_err(|error| {
            Error::new(Kind::Internal, "a table of the server is not as it says").with_source(error)
        })?;
        Ok(lake.context().read_batch(batch)?)
    }
}
