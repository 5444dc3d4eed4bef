//! The way of a request: asked, received, validated, appended, acknowledged.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};

use super::answer::{Acknowledgement, Problem, request_id};
use super::asked::{Asked, Encoding};
use super::body::{self, Received};
use super::{Declared, Door};
use crate::entry;
use crate::queue::Key;
use crate::queue::{Appended, Stream};
use crate::validate::{Invalid, Validated};

/// Bodies up to this size are read where they arrive: handing them to another thread takes longer.
const SMALL_BODY: usize = 32 << 10;

pub(super) async fn post(
    State(door): State<Door>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let mut exchange = Exchange::new(&door, request_id(&parts.headers));
    let outcome = match prepared(&door, path, &parts) {
        Ok((table, asked)) => {
            exchange.stream = Some(table.stream.clone());
            take(&door, &table, asked, &parts, body, &mut exchange).await
        }
        Err(problem) => {
            body::discard(&parts.headers, body).await;
            Err(problem)
        }
    };
    match outcome {
        Ok(accepted) => {
            exchange.end(if accepted.duplicate {
                "duplicate"
            } else {
                "accepted"
            });
            accepted.into_response()
        }
        Err(problem) => {
            exchange.end(problem.code);
            problem.respond(exchange.id.as_deref())
        }
    }
}

/// Everything that can be known before the body is read.
fn prepared(
    door: &Door,
    path: Result<Path<(String, String)>, PathRejection>,
    parts: &Parts,
) -> Result<(Arc<Declared>, Asked), Problem> {
    let Path((database, table)) = path.map_err(|error| Problem::bad_request(error.body_text()))?;
    let table = door.ingest.tables().find(&database, &table)?;
    Ok((Arc::clone(table), Asked::of(parts)?))
}

async fn take(
    door: &Door,
    table: &Arc<Declared>,
    asked: Asked,
    parts: &Parts,
    body: Body,
    exchange: &mut Exchange,
) -> Result<Acknowledgement, Problem> {
    let is_partial = asked.invalid != Invalid::Reject;
    let commit = asked.commit;
    let received = body::receive(door, &parts.headers, body).await?;
    let read = read(door, table, asked, received).await?;
    let Validated {
        rows,
        dead,
        rejected,
        errors,
    } = read.validated;
    let accepted = rows.num_rows();
    exchange.saw(read.body_bytes, accepted, rejected, dead.len());
    let mut answer = Acknowledgement {
        accepted,
        offset: None,
        duplicate: false,
        committed: commit.map(|_| true),
        version: None,
        rejected: is_partial.then_some(rejected),
        errors: is_partial.then_some(errors),
    };
    if accepted == 0 && dead.is_empty() {
        return Ok(answer);
    }
    let request = entry::Request {
        received: microseconds(door),
        rows,
        dead,
    };
    let keep = Keep {
        request,
        key: read.key,
        _room: read.room,
    };
    let appended = append(door, &table.stream, keep, exchange).await?;
    exchange.offset = Some(appended.offset);
    answer.offset = Some(appended.offset);
    answer.duplicate = appended.duplicate;
    if let Some(timeout) = commit {
        answer.version = committed(door, &table.stream, appended.offset, timeout, exchange).await;
        answer.committed = Some(answer.version.is_some());
    }
    Ok(answer)
}

/// A body that was read.
struct Read {
    validated: Validated,
    key: Option<Key>,
    body_bytes: usize,
    room: Option<OwnedSemaphorePermit>,
}

/// What is to be kept. Its room is given back when it is.
struct Keep {
    request: entry::Request,
    key: Option<Key>,
    _room: Option<OwnedSemaphorePermit>,
}

async fn read(
    door: &Door,
    table: &Arc<Declared>,
    asked: Asked,
    received: Received,
) -> Result<Read, Problem> {
    let turn = door.decoding.clone().acquire_owned();
    let Ok(Ok(turn)) = timeout(door.settings.wait, turn).await else {
        let message = "the server is reading as many bodies as it can";
        return Err(Problem::busy(message, door.settings.wait));
    };
    let is_small = received.bytes.len() <= SMALL_BODY && asked.encoding == Encoding::Identity;
    let table = Arc::clone(table);
    let (limit, memory) = (door.settings.body_bytes, door.settings.memory_bytes);
    let work = move || {
        let Received { bytes, room } = received;
        // Given back when the rows are there, even if the client has left.
        let _turn = turn;
        let body = body::unpacked(asked.encoding, bytes, limit)?;
        let validated = table
            .validator
            .read(asked.form, &body, asked.invalid, memory)?;
        Ok(Read {
            validated,
            key: asked.key.map(|name| Key::new(name, &body)),
            body_bytes: body.len(),
            room,
        })
    };
    if is_small {
        return work();
    }
    let read = tokio::task::spawn_blocking(work).await;
    read.unwrap_or_else(|error| {
        tracing::error!(%error, "reading a body ended early");
        Err(Problem::internal("reading the body failed")
            .with_hint("this is a bug; the server's log says more"))
    })
}

fn microseconds(door: &Door) -> i64 {
    let since = (door.settings.clock)().duration_since(UNIX_EPOCH);
    let since = since.unwrap_or_default().as_micros();
    i64::try_from(since).unwrap_or(i64::MAX)
}

/// Once it has begun, an append goes to its end: the task outlives a client that leaves.
async fn append(
    door: &Door,
    stream: &Stream,
    keep: Keep,
    exchange: &Exchange,
) -> Result<Appended, Problem> {
    let (ingest, stream) = (Arc::clone(&door.ingest), stream.clone());
    let append = async move {
        let Keep {
            request,
            key,
            _room,
        } = keep;
        ingest.accept(&stream, request, key).await
    };
    match tokio::spawn(append).await {
        Ok(Ok(appended)) => Ok(appended),
        Ok(Err(refused)) => {
            exchange.warn("events refused", &refused);
            Err(Problem::refused(&refused))
        }
        Err(error) => {
            exchange.warn("keeping events failed", &error);
            Err(
                Problem::internal("keeping the rows failed; whether they are kept is unknown")
                    .with_hint("repeat the request with the same `Idempotency-Key`"),
            )
        }
    }
}

/// A version that holds the rows. Whatever happens here, the rows are kept: an error would make
/// the client send them again.
async fn committed(
    door: &Door,
    stream: &Stream,
    offset: u64,
    timeout: Duration,
    exchange: &Exchange,
) -> Option<u64> {
    let version = door.ingest.committed(stream, offset, timeout).await;
    version.unwrap_or_else(|refused| {
        exchange.warn("waiting for the commit failed", &refused);
        None
    })
}

/// One line of the log about a request, and its counters, however it ends.
struct Exchange {
    door: Door,
    id: Option<String>,
    stream: Option<Stream>,
    started: Instant,
    body_bytes: usize,
    accepted: usize,
    rejected: usize,
    dead: usize,
    offset: Option<u64>,
    has_ended: bool,
}

impl Exchange {
    fn new(door: &Door, id: Option<String>) -> Self {
        Self {
            door: Arc::clone(door),
            id,
            stream: None,
            started: Instant::now(),
            body_bytes: 0,
            accepted: 0,
            rejected: 0,
            dead: 0,
            offset: None,
            has_ended: false,
        }
    }

    fn saw(&mut self, body_bytes: usize, accepted: usize, rejected: usize, dead: usize) {
        self.body_bytes = body_bytes;
        self.accepted = accepted;
        self.rejected = rejected;
        self.dead = dead;
    }

    fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }

    fn warn(&self, what: &str, error: &dyn std::error::Error) {
        let table = self.stream.as_ref().map(ToString::to_string);
        tracing::warn!(request_id = self.id(), table, error = %error, "{what}");
    }

    fn end(&mut self, outcome: &'static str) {
        self.has_ended = true;
        let metrics = &self.door.settings.metrics;
        metrics.request(self.stream.as_ref(), outcome);
        let took = self.started.elapsed();
        if let Some(stream) = &self.stream {
            match outcome {
                "accepted" => {
                    metrics.rows(stream, "accepted", self.accepted);
                    metrics.rows(stream, "rejected", self.rejected - self.dead);
                    metrics.rows(stream, "dead", self.dead);
                    metrics.acknowledged(stream, self.body_bytes, took);
                }
                "duplicate" => metrics.acknowledged(stream, self.body_bytes, took),
                _ => {}
            }
        }
        self.line(outcome);
    }

    /// Never what was sent.
    fn line(&self, outcome: &str) {
        let table = self.stream.as_ref().map(ToString::to_string);
        tracing::info!(
            request_id = self.id(),
            table,
            outcome,
            rows = self.accepted,
            rejected = self.rejected,
            offset = self.offset,
            bytes = self.body_bytes,
            milliseconds = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "events"
        );
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.has_ended {
            self.has_ended = true;
            let metrics = &self.door.settings.metrics;
            metrics.request(self.stream.as_ref(), "cancelled");
            self.line("cancelled");
        }
    }
}
