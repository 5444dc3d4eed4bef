//! Small catalogs, and functions that remember what they were given.

use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use async_trait::async_trait;
use datafusion::dataframe::DataFrame;
use futures::TryStreamExt;
use neurolake_model::Catalog;
use neurolake_query::{
    Arguments, Error, FunctionTable, Lake, LakeBuilder, Request, Result, datafusion,
};
use serde_json::{Value as Json, json};

/// A column by its name and its type in `catalog.json`, nullable.
pub(crate) fn column(name: &str, data_type: impl Into<Json>) -> Json {
    json!({"name": name, "type": data_type.into(), "nullable": true})
}

pub(crate) fn table(name: &str, source: Json, columns: Vec<Json>) -> Json {
    json!({
        "name": name,
        "source": source,
        "columns": columns,
        "rust_path": format!("demo::{name}"),
        "location": {"file": "src/lib.rs", "line": 1},
    })
}

pub(crate) fn view(name: &str, query: &str, columns: Vec<Json>) -> Json {
    table(name, json!({"kind": "sql", "query": query}), columns)
}

pub(crate) fn argument(name: &str, data_type: impl Into<Json>, required: bool) -> Json {
    json!({"name": name, "type": data_type.into(), "required": required})
}

pub(crate) fn function(name: &str, arguments: Vec<Json>, columns: Vec<Json>) -> Json {
    let source = json!({"kind": "function", "arguments": arguments});
    table(name, source, columns)
}

/// A table whose files are not there.
pub(crate) fn missing(name: &str) -> Json {
    let source = json!({"kind": "delta", "uri": format!("/nowhere/at/all/{name}")});
    table(name, source, vec![column("a", "int64")])
}

/// A catalog `lake` with the databases and their tables.
pub(crate) fn catalog(databases: Vec<(&str, Vec<Json>)>) -> Catalog {
    let databases: Vec<Json> = databases
        .into_iter()
        .map(|(name, tables)| {
            json!({
                "name": name,
                "location": {"file": "src/lib.rs", "line": 1},
                "tables": tables,
            })
        })
        .collect();
    serde_json::from_value(json!({
        "format_version": 1,
        "name": "lake",
        "databases": databases,
    }))
    .expect("a catalog")
}

pub(crate) fn builder(databases: Vec<(&str, Vec<Json>)>) -> LakeBuilder {
    Lake::builder(catalog(databases))
}

pub(crate) async fn batches(lake: &Lake, request: Request) -> Result<Vec<RecordBatch>> {
    let answer = lake.query(request).await?;
    answer.stream.try_collect().await.map_err(Error::from)
}

/// The answer as a table of text.
pub(crate) async fn text(lake: &Lake, sql: &str) -> String {
    let batches = batches(lake, Request::new(sql))
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error} ({:?})", error.hint));
    pretty_format_batches(&batches)
        .expect("printable")
        .to_string()
}

/// The only value of an answer, as text.
pub(crate) async fn value(lake: &Lake, sql: &str) -> String {
    let text = text(lake, sql).await;
    let line = text
        .lines()
        .nth(3)
        .unwrap_or_else(|| panic!("no row: {text}"));
    line.trim_matches(['|', ' ']).to_owned()
}

pub(crate) async fn error(lake: &Lake, sql: &str) -> Error {
    failure(lake, Request::new(sql)).await
}

pub(crate) async fn failure(lake: &Lake, request: Request) -> Error {
    let sql = request.sql.clone();
    match batches(lake, request).await {
        Ok(_) => panic!("{sql}: no error"),
        Err(error) => error,
    }
}

/// Message and hint.
pub(crate) async fn complaint(lake: &Lake, sql: &str) -> String {
    let error = error(lake, sql).await;
    format!("{error}; {}", error.hint.as_deref().unwrap_or_default())
}

/// Answers with the rows of a query, and remembers its arguments.
pub(crate) struct Recorder {
    query: &'static str,
    calls: Mutex<Vec<Arguments>>,
}

impl Recorder {
    pub(crate) fn new(query: &'static str) -> Arc<Self> {
        Arc::new(Self {
            query,
            calls: Mutex::default(),
        })
    }

    /// What it was given since the last time.
    pub(crate) fn calls(&self) -> Vec<String> {
        let calls = std::mem::take(&mut *self.calls.lock().expect("no panic"));
        let text = |value: &Option<datafusion::scalar::ScalarValue>| match value {
            Some(value) => value.to_string(),
            None => "-".to_owned(),
        };
        calls
            .iter()
            .map(|call| call.iter().map(text).collect::<Vec<_>>().join("; "))
            .collect()
    }
}

#[async_trait]
impl FunctionTable for Recorder {
    async fn rows(&self, lake: Lake, arguments: Arguments) -> Result<DataFrame> {
        self.calls.lock().expect("no panic").push(arguments);
        lake.sql(self.query).await
    }
}
