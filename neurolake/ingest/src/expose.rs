//! `/v1/tail`: rows on their way, for queries of other processes.

use std::sync::Arc;

use arrow::datatypes::Schema;
use arrow::ipc::writer::StreamWriter;
use axum::Json;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;

use crate::ingest::{Ingest, Refused, Unwritten};
use crate::queue::{QueueError, Stream};

/// Header with the offsets that the rows belong to: `13-20`. Without rows the second is smaller.
pub const OFFSETS: &str = "neurolake-offsets";
/// Header of an answer with status 410: the last offset that is no longer kept.
pub const TRIMMED: &str = "neurolake-trimmed";
/// Header with the application of the table's transactions for this queue.
pub const APPLICATION: &str = "neurolake-application";
/// Address, with the names of database and table in place of the last two parts.
pub const PATH: &str = "/v1/tail/{database}/{table}";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    /// Without it the answer has headers only, those of the end of the queue.
    after: Option<u64>,
}

/// The route.
pub fn router(ingest: Ingest) -> Router {
    Router::new().route(PATH, get(tail)).with_state(ingest)
}

async fn tail(
    State(ingest): State<Ingest>,
    Path((database, table)): Path<(String, String)>,
    options: Result<Query<Options>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let after = match options {
        Ok(Query(Options { after })) => after,
        Err(error) => return refusal(StatusCode::BAD_REQUEST, "bad_request", &error.body_text()),
    };
    let stream = Stream::new(&database, &table);
    if ingest.schema(&stream).is_none() {
        let text = format!("the table `{stream}` takes no events");
        return refusal(StatusCode::NOT_FOUND, "not_found", &text);
    }
    let answer = async {
        let application = ingest.application(&stream).await?;
        let after = match after {
            Some(after) => after,
            None => ingest.bounds(&stream).await?.last,
        };
        let unwritten = ingest.unwritten(&stream, after).await?;
        Ok(respond(after, &application, &unwritten))
    };
    match answer.await {
        Ok(response) => response,
        Err(Refused::Queue(error @ QueueError::Trimmed { trimmed, .. })) => {
            let refusal = refusal(StatusCode::GONE, "gone", &error.to_string());
            let trimmed = [(HeaderName::from_static(TRIMMED), trimmed.to_string())];
            (trimmed, refusal).into_response()
        }
        Err(error) => {
            let text = crate::writer::causes(&error);
            refusal(StatusCode::SERVICE_UNAVAILABLE, "unavailable", &text)
        }
    }
}

fn respond(after: u64, application: &str, unwritten: &Unwritten) -> Response {
    match encode(unwritten) {
        Ok(bytes) => {
            let offsets = format!("{}-{}", after + 1, unwritten.last.max(after));
            let headers = [
                (
                    header::CONTENT_TYPE,
                    "application/vnd.apache.arrow.stream".to_owned(),
                ),
                (header::CACHE_CONTROL, "no-store".to_owned()),
                (HeaderName::from_static(OFFSETS), offsets),
                (HeaderName::from_static(APPLICATION), application.to_owned()),
            ];
            (headers, bytes).into_response()
        }
        Err(error) => refusal(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            &error.to_string(),
        ),
    }
}

fn encode(unwritten: &Unwritten) -> Result<Vec<u8>, arrow::error::ArrowError> {
    let schema: &Arc<Schema> = &unwritten.schema;
    let mut writer = StreamWriter::try_new(Vec::new(), schema)?;
    for batch in &unwritten.rows {
        writer.write(batch)?;
    }
    writer.into_inner()
}

fn refusal(status: StatusCode, code: &str, message: &str) -> Response {
    let document = serde_json::json!({ "error": { "code": code, "message": message } });
    (status, Json(document)).into_response()
}
