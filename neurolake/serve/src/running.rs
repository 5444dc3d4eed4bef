//! A running query and the body that is made of it.
//!
//! The query runs on threads of its own and writes into a small queue; the body reads from it. A
//! slow client fills the queue, and the query waits. A client that leaves drops the body, and with
//! it the query.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use neurolake_query::{Error, Kind, Request, Result};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::admission::Admitted;
use crate::doors::Shared;
use crate::encode::{Encoder, Format, pieces};
use crate::identity::RequestId;
use crate::redact::without_literals;

/// Pieces of an answer that wait for the client.
const QUEUE: usize = 4;

/// A part of an answer. Only [`Piece::End`] says that nothing is missing.
enum Piece {
    Bytes(Vec<u8>),
    End,
}

type Sender = mpsc::Sender<Result<Piece>>;

/// A query on its own threads; dropping it cancels the query.
pub(crate) struct Running {
    pieces: mpsc::Receiver<Result<Piece>>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Running {
    pub(crate) fn start(
        shared: &Arc<Shared>,
        request: Request,
        format: Format,
        admitted: Admitted,
        id: RequestId,
    ) -> Self {
        let (sender, pieces) = mpsc::channel(QUEUE);
        let shared_too = Arc::clone(shared);
        let task = shared.queries().spawn(async move {
            let sql = request.sql.clone();
            let mut log = Log::new(id, format, &sql);
            let outcome = produce(&shared_too, request, format, &sender, &mut log).await;
            log.end(&outcome);
            shared_too
                .health
                .saw(&shared_too.lake, &sql, &outcome)
                .await;
            // Whoever asked again after the end finds the place free.
            drop(admitted);
            let last = outcome.map(|()| Piece::End);
            let _ = sender.send(last).await;
        });
        Self { pieces, task }
    }

    /// Waits for the first bytes, so that a query that fails at once has a status of its own.
    pub(crate) async fn body(mut self) -> Result<Body> {
        let first = match self.next().await {
            Some(first) => first?,
            // An answer of no rows may have no bytes.
            None => return Ok(Body::empty()),
        };
        let rest = futures::stream::unfold(Some(self), |running| async move {
            let mut running = running?;
            let next = running.next().await?;
            // After an error there is nothing more to say.
            let running = next.is_ok().then_some(running);
            Some((next, running))
        });
        let first = futures::stream::iter([Ok(first)]);
        // Compression asks again after the end.
        Ok(Body::from_stream(first.chain(rest).fuse()))
    }

    async fn next(&mut self) -> Option<Result<Bytes>> {
        match self.pieces.recv().await {
            Some(Ok(Piece::Bytes(bytes))) => Some(Ok(bytes.into())),
            Some(Ok(Piece::End)) => None,
            Some(Err(error)) => Some(Err(error)),
            None => Some(Err(Error::new(
                Kind::Internal,
                "the query ended without a word",
            )
            .with_hint("this is a bug; the server's log says more"))),
        }
    }
}

async fn produce(
    shared: &Shared,
    request: Request,
    format: Format,
    sender: &Sender,
    log: &mut Log,
) -> Result<()> {
    let mut answer = shared.lake.query(request).await?;
    let mut encoder = Encoder::new(format, &answer.schema)?;
    while let Some(batch) = answer.stream.next().await {
        let batch = batch.map_err(Error::from)?;
        log.rows += batch.num_rows();
        for piece in pieces(&batch) {
            send(sender, encoder.encode(&piece)?, log).await?;
        }
    }
    send(sender, encoder.finish()?, log).await
}

async fn send(sender: &Sender, bytes: Vec<u8>, log: &mut Log) -> Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    log.bytes += bytes.len();
    let sent = sender.send(Ok(Piece::Bytes(bytes))).await;
    sent.map_err(|_| Error::new(Kind::Timeout, "the client left"))
}

/// One line about a query, however it ends.
struct Log {
    id: RequestId,
    format: Format,
    statement: String,
    started: Instant,
    rows: usize,
    bytes: usize,
    has_ended: bool,
}

impl Log {
    fn new(id: RequestId, format: Format, sql: &str) -> Self {
        tracing::debug!(request_id = id.as_str(), sql, "query starts");
        Self {
            id,
            format,
            statement: without_literals(sql),
            started: Instant::now(),
            rows: 0,
            bytes: 0,
            has_ended: false,
        }
    }

    fn end(&mut self, outcome: &Result<()>) {
        self.has_ended = true;
        match outcome {
            Ok(()) => self.line("done"),
            Err(error) => {
                self.line("failed");
                // A message may quote the statement.
                match error.kind {
                    Kind::Broken | Kind::Internal => tracing::warn!(
                        request_id = self.id.as_str(),
                        error = %with_causes(error),
                        "query failed"
                    ),
                    _ => tracing::debug!(
                        request_id = self.id.as_str(),
                        error = %with_causes(error),
                        "query failed"
                    ),
                }
            }
        }
    }

    fn line(&self, outcome: &str) {
        tracing::info!(
            request_id = self.id.as_str(),
            outcome,
            format = self.format.name(),
            rows = self.rows,
            bytes = self.bytes,
            milliseconds = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            statement = self.statement,
            "query"
        );
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if !self.has_ended {
            self.line("cancelled");
        }
    }
}

fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
