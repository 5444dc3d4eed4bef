//! Whether the server answers, and which tables are known to be broken.
//!
//! Nothing is opened to find out: a query that meets a broken store or file leaves a note, and a
//! later one that succeeds takes it away.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use neurolake_query::datafusion::common::TableReference;
use neurolake_query::{Error, Kind, Lake};
use serde_json::json;

use crate::doors::Doors;
use crate::system::millis;

/// What queries met, by `database.table`.
#[derive(Default)]
pub(crate) struct Health {
    broken: Mutex<BTreeMap<String, String>>,
}

impl Health {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        // Nothing can panic while the map is held.
        self.broken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tables that can't be read, and why.
    pub(crate) fn broken(&self) -> BTreeMap<String, String> {
        self.lock().clone()
    }

    /// Notes that a table can't be opened.
    pub(crate) async fn saw_table(&self, lake: &Lake, database: &str, table: &str, error: &Error) {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let sql = format!("select 1 from {}.{}", quoted(database), quoted(table));
        self.saw(lake, &sql, Err(error)).await;
    }

    /// Notes how a query ended.
    pub(crate) async fn saw(&self, lake: &Lake, sql: &str, outcome: Result<(), &Error>) {
        match outcome {
            Err(error) if error.kind == Kind::Broken => {
                let tables = tables(lake, sql);
                let is_only = tables.len() == 1;
                for (database, table) in tables {
                    // Of several tables only those are to blame that can't be opened.
                    let message = match lake.session().provider(&database, &table, None).await {
                        Err(own) if own.kind == Kind::Broken => own.message,
                        _ if is_only => error.message.clone(),
                        _ => continue,
                    };
                    self.lock().insert(format!("{database}.{table}"), message);
                }
            }
            Ok(()) if !self.lock().is_empty() => {
                for (database, table) in tables(lake, sql) {
                    self.lock().remove(&format!("{database}.{table}"));
                }
            }
            _ => {}
        }
    }
}

/// Tables that the statement names.
fn tables(lake: &Lake, sql: &str) -> Vec<(String, String)> {
    let state = lake.context().state();
    let dialect = state.config_options().sql_parser.dialect;
    let Ok(statement) = state.sql_to_statement(sql, &dialect) else {
        return Vec::new();
    };
    let references = state.resolve_table_references(&statement);
    let references = references.unwrap_or_default().into_iter();
    references
        .filter_map(|reference| match reference {
            TableReference::Partial { schema, table }
            | TableReference::Full { schema, table, .. } => {
                // Whatever version: strangers make up names of these.
                let table = table.split('@').next().unwrap_or_default();
                Some((schema.to_string(), table.to_owned()))
            }
            TableReference::Bare { .. } => None,
        })
        .filter(|(database, table)| {
            let declared = lake.catalog().tables();
            declared
                .into_iter()
                .any(|(of, known)| of.name == *database && known.name == *table)
        })
        .collect()
}

pub(crate) async fn health() -> Response {
    Json(json!({"status": "ok"})).into_response()
}

/// Names are for everybody. When a table is written, and where it lies, is for who may read all.
pub(crate) async fn ready(State(doors): State<Doors>, headers: HeaderMap) -> Response {
    let shared = &doors.shared;
    let asks = shared.accounts.load().of_headers(&headers);
    let is_owner = asks.is_ok_and(|asks| asks.lake.role().is_none());
    if !is_owner {
        let broken: Vec<_> = shared.health.broken().into_keys().collect();
        let broken = broken.iter().map(|table| json!({"table": table}));
        return Json(json!({
            "status": "ready",
            "tables": shared.lake.catalog().tables().count(),
            "broken": broken.collect::<Vec<_>>(),
        }))
        .into_response();
    }
    let broken: Vec<_> = shared
        .health
        .broken()
        .into_iter()
        .map(|(table, error)| json!({"table": table, "error": error}))
        .collect();
    // Of tables that somebody has read.
    let seen: Vec<_> = shared
        .lake
        .status()
        .into_iter()
        .filter(|table| table.age.is_some() || table.error.is_some())
        .map(|table| {
            json!({
                "table": format!("{}.{}", table.database, table.table),
                "version": table.version,
                "age_milliseconds": table.age.map(millis),
                "error": table.error,
            })
        })
        .collect();
    Json(json!({
        "status": "ready",
        "tables": shared.lake.catalog().tables().count(),
        "running_queries": shared.admission.running(),
        "broken": broken,
        "seen": seen,
    }))
    .into_response()
}
