//! A running query and the body that is made of it.
//!
//! The query runs on threads of its own and writes into a small queue; the body reads from it. A
//! slow client fills the queue, and the query waits. A client that leaves drops the body, and with
//! it the query.

use std::future::Future;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use neurolake_query::{Error, Inputs, Kind, Lake, Request, Result};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::accounts::Client;
use crate::admission::Admitted;
use crate::doors::Shared;
use crate::encode::{Encoder, Format, pieces};
use crate::identity::RequestId;
use crate::journal::Log;
use crate::kept::Made;

/// Pieces of an answer that wait for the client.
const QUEUE: usize = 4;

/// Bytes of one of them at most.
const PIECE: usize = 1 << 20;

/// What of an answer is held back until the next of it is there, and for how long: an error can be told
/// before anything is sent.
const HELD_BYTES: usize = 64 << 10;
const HELD: Duration = Duration::from_millis(20);

/// Memory of an answer that is collected before it is sent.
const COLLECTED_BYTES: usize = 64 << 20;

/// A part of an answer. Only [`Piece::End`] says that nothing is missing.
enum Piece {
    /// What the answer is made from; the first.
    Made(Option<Made>),
    Bytes(Vec<u8>),
    End,
}

type Sender = mpsc::Sender<Result<Piece>>;

/// Work on the threads of queries; dropping it cancels the work.
pub(crate) struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T: Send + 'static> Task<T> {
    pub(crate) fn start(shared: &Shared, work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(shared.queries().spawn(work))
    }
}

impl<T> Task<T> {
    /// What the work gave; `None`: it panicked.
    pub(crate) async fn finish(mut self) -> Option<T> {
        (&mut self.0).await.ok()
    }
}

impl<T> Task<Result<T>> {
    pub(crate) async fn outcome(self) -> Result<T> {
        self.finish().await.unwrap_or_else(|| Err(wordless()))
    }
}

fn gone() -> Error {
    Error::new(Kind::Timeout, "the client left")
}

fn wordless() -> Error {
    Error::new(Kind::Internal, "the query ended without a word")
        .with_hint("this is a bug; the server's log says more")
}

/// A query on its own threads; dropping it cancels the query.
pub(crate) struct Running {
    pieces: mpsc::Receiver<Result<Piece>>,
    _task: Task<()>,
}

impl Running {
    pub(crate) fn start(
        client: &Client,
        request: Request,
        format: Format,
        admitted: Admitted,
        id: RequestId,
    ) -> Self {
        let (sender, pieces) = mpsc::channel(QUEUE);
        let client_too = client.clone();
        let task = Task::start(&client.shared, async move {
            let shared = &client_too.shared;
            let sql = request.sql.clone();
            let mut log = client_too.log(&id, format.name(), &sql);
            let outcome = produce(
                &client_too.principal.lake,
                request,
                format,
                &sender,
                &mut log,
            )
            .await;
            log.end(&outcome, sender.is_closed());
            let seen = outcome.as_ref().copied();
            shared.health.saw(&shared.lake, &sql, seen).await;
            // Whoever asked again after the end finds the place free.
            drop(admitted);
            let last = outcome.map(|()| Piece::End);
            let _ = sender.send(last).await;
        });
        Self {
            pieces,
            _task: task,
        }
    }

    /// Waits for the first bytes and a moment longer, so that a query that fails early has a status of
    /// its own, and a short answer a length.
    pub(crate) async fn body(mut self) -> Result<(Option<Made>, Body)> {
        let made = match self.pieces.recv().await {
            Some(Ok(Piece::Made(made))) => made,
            Some(Err(error)) => return Err(error),
            _ => return Err(wordless()),
        };
        let mut held = BytesMut::new();
        let mut moment = None;
        while held.len() < HELD_BYTES {
            let next = match moment {
                None => self.next().await,
                Some(moment) => match timeout_at(moment, self.next()).await {
                    Ok(next) => next,
                    Err(_) => break,
                },
            };
            match next {
                Some(bytes) => held.extend_from_slice(&bytes?),
                None => return Ok((made, Body::from(held.freeze()))),
            }
            moment.get_or_insert_with(|| Instant::now() + HELD);
        }
        let rest = futures::stream::unfold(Some(self), |running| async move {
            let mut running = running?;
            let next = running.next().await?;
            // After an error there is nothing more to say.
            let running = next.is_ok().then_some(running);
            Some((next, running))
        });
        let first = futures::stream::iter([Ok(held.freeze())]);
        // Compression asks again after the end.
        Ok((made, Body::from_stream(first.chain(rest).fuse())))
    }

    async fn next(&mut self) -> Option<Result<Bytes>> {
        match self.pieces.recv().await {
            Some(Ok(Piece::Bytes(bytes))) => Some(Ok(bytes.into())),
            Some(Ok(Piece::End)) => None,
            Some(Err(error)) => Some(Err(error)),
            Some(Ok(Piece::Made(_))) | None => Some(Err(wordless())),
        }
    }
}

/// Every row of an answer.
pub(crate) struct Rows {
    pub(crate) schema: SchemaRef,
    pub(crate) batches: Vec<RecordBatch>,
    inputs: Option<Inputs>,
}

/// Runs a query to its end, and makes something of its rows.
pub(crate) async fn gather<T>(
    client: &Client,
    request: Request,
    format: Format,
    id: RequestId,
    finish: impl FnOnce(Rows) -> Result<T>,
) -> Result<(Option<Made>, T)> {
    let sql = request.sql.clone();
    let shared = &client.shared;
    let mut log = client.log(&id, format.name(), &sql);
    let rows = collect(&client.principal.lake, request, &mut log).await;
    let outcome = rows.and_then(|mut rows| Ok((log.made(rows.inputs.take()), finish(rows)?)));
    log.end(&outcome, false);
    let seen = outcome.as_ref().map(drop);
    shared.health.saw(&shared.lake, &sql, seen).await;
    outcome
}

async fn collect(lake: &Lake, request: Request, log: &mut Log) -> Result<Rows> {
    let mut answer = lake.query(request).await?;
    log.answers(&mut answer);
    let mut batches = Vec::new();
    while let Some(batch) = answer.stream.next().await {
        let batch = batch.map_err(Error::from)?;
        log.rows += batch.num_rows();
        log.bytes += batch.get_array_memory_size();
        if log.bytes > COLLECTED_BYTES {
            return Err(Error::new(
                Kind::TooMuch,
                format!("the answer needs more than {COLLECTED_BYTES} bytes of memory"),
            )
            .with_hint("ask for fewer rows or columns"));
        }
        batches.push(batch);
    }
    Ok(Rows {
        schema: answer.schema,
        batches,
        inputs: answer.inputs,
    })
}

async fn produce(
    lake: &Lake,
    request: Request,
    format: Format,
    sender: &Sender,
    log: &mut Log,
) -> Result<()> {
    let mut answer = lake.query(request).await?;
    log.answers(&mut answer);
    let mut encoder = Encoder::new(format, &answer.schema)?;
    let made = sender.send(Ok(Piece::Made(log.made(answer.inputs.take()))));
    made.await.map_err(|_| gone())?;
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
    if bytes.len() <= PIECE {
        let sent = sender.send(Ok(Piece::Bytes(bytes))).await;
        return sent.map_err(|_| gone());
    }
    // Parquet gives all of a row group at once.
    for part in bytes.chunks(PIECE) {
        let sent = sender.send(Ok(Piece::Bytes(part.to_vec()))).await;
        sent.map_err(|_| gone())?;
    }
    Ok(())
}
