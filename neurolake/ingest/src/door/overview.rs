//! What can be read at the door.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::answer::{Problem, request_id};
use super::{Declared, Door};

#[derive(Serialize)]
struct Overview<'a> {
    tables: Vec<Entry<'a>>,
}

/// How far a table is.
#[derive(Serialize)]
struct Entry<'a> {
    database: &'a str,
    table: &'a str,
    /// The newest accepted offset.
    accepted: u64,
    /// The newest offset whose rows are in the table.
    committed: u64,
    version: Option<u64>,
    lag_seconds: f64,
}

async fn entry<'a>(door: &Door, table: &'a Declared) -> Result<Entry<'a>, Problem> {
    let status = door.ingest.status(&table.stream).await.map_err(|refused| {
        tracing::warn!(table = %table.stream, error = %refused, "no status");
        Problem::refused(&refused)
    })?;
    Ok(Entry {
        database: table.stream.database(),
        table: table.stream.table(),
        accepted: status.accepted,
        committed: status.committed,
        version: status.version,
        lag_seconds: status.lag.as_secs_f64(),
    })
}

pub(super) async fn all(State(door): State<Door>, headers: HeaderMap) -> Response {
    let mut tables = Vec::new();
    for table in door.ingest.tables().iter() {
        match entry(&door, table).await {
            Ok(entry) => tables.push(entry),
            Err(problem) => return problem.respond(request_id(&headers).as_deref()),
        }
    }
    Json(Overview { tables }).into_response()
}

pub(super) async fn one(
    State(door): State<Door>,
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let answer = async {
        let Path((database, table)) =
            path.map_err(|error| Problem::bad_request(error.body_text()))?;
        let table = door.ingest.tables().find(&database, &table)?;
        Ok::<_, Problem>(Json(entry(&door, table).await?).into_response())
    };
    let answer = answer.await;
    answer.unwrap_or_else(|problem| problem.respond(request_id(&headers).as_deref()))
}

pub(super) async fn openapi(State(door): State<Door>) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (json, door.openapi.clone()).into_response()
}

pub(super) async fn wrong_method(headers: HeaderMap) -> Response {
    Problem::method("this address doesn't know the method")
        .with_hint("use `POST` to send rows, `GET` to see how far a table is")
        .respond(request_id(&headers).as_deref())
}
