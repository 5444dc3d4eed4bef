//! A running statement and its rows.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use futures::StreamExt;
use futures::channel::oneshot;
use neurolake_query::datafusion::common::ParamValues;
use neurolake_query::pg::{Planned, Session};
use neurolake_query::{Error, Kind, Result};
use pgwire::api::portal::Format;
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::data::DataRow;
use tokio::sync::mpsc;

use super::error::{cancelled, code, error, error_with_hint, of_engine_in};
use super::kept::{self, Recording};
use super::statement::Prepared;
use super::variables;
use super::wire::Columns;
use crate::accounts::Principal;
use crate::doors::Shared;
use crate::encode::{conform, pieces};
use crate::identity::RequestId;
use crate::journal::Log;
use crate::kept::{Found, Recorder};
use crate::running::Task;

/// Parts of an answer that wait for the client.
const QUEUE: usize = 4;

/// A statement to run, and how.
pub(super) struct Start {
    pub(super) principal: Arc<Principal>,
    pub(super) session: Session,
    pub(super) prepared: Arc<Prepared>,
    pub(super) parameters: Option<ParamValues>,
    /// `None`: the rows are wanted as they are, to be written later.
    pub(super) format: Option<Format>,
    /// Gets a word when the client wants the statement to end.
    pub(super) cancel: Option<oneshot::Receiver<()>>,
}

/// A part of an answer. Only [`Piece::End`] says that nothing is missing.
pub(super) enum Piece {
    Schema(SchemaRef, Option<Columns>),
    Rows(Vec<DataRow>),
    Batch(RecordBatch),
    End,
}

pub(super) type Sender = mpsc::Sender<PgWireResult<Piece>>;

/// A statement on threads of its own; dropping it cancels the statement.
pub(super) struct Rows {
    pub(super) schema: SchemaRef,
    columns: Option<Columns>,
    waiting: VecDeque<DataRow>,
    pieces: mpsc::Receiver<PgWireResult<Piece>>,
    has_ended: bool,
    _task: Task<()>,
}

impl Rows {
    /// Waits until the statement runs.
    pub(super) async fn start(shared: &Arc<Shared>, mut start: Start) -> PgWireResult<Self> {
        let (sender, mut pieces) = mpsc::channel(QUEUE);
        let cancel = start.cancel.take();
        let shared_too = Arc::clone(shared);
        let task = Task::start(shared, async move {
            let outcome = tokio::select! {
                outcome = run(&shared_too, start, &sender) => outcome,
                () = asked(cancel) => Err(cancelled()),
            };
            let _ = sender.send(outcome.map(|()| Piece::End)).await;
        });
        match pieces.recv().await {
            Some(Ok(Piece::Schema(schema, columns))) => Ok(Self {
                schema,
                columns,
                waiting: VecDeque::new(),
                pieces,
                has_ended: false,
                _task: task,
            }),
            Some(Err(failed)) => Err(failed),
            _ => Err(wordless()),
        }
    }

    /// The columns as they are written, of a statement that was started with a format.
    pub(super) fn columns(&self) -> PgWireResult<&Columns> {
        self.columns.as_ref().ok_or_else(wordless)
    }

    /// The next row, written.
    pub(super) async fn next(&mut self) -> PgWireResult<Option<DataRow>> {
        loop {
            if let Some(row) = self.waiting.pop_front() {
                return Ok(Some(row));
            }
            match self.piece().await? {
                Some(Piece::Rows(rows)) => self.waiting.extend(rows),
                None => return Ok(None),
                Some(_) => return Err(wordless()),
            }
        }
    }

    /// The next rows, of a statement that was started without a format.
    pub(super) async fn batch(&mut self) -> PgWireResult<Option<RecordBatch>> {
        match self.piece().await? {
            Some(Piece::Batch(batch)) => Ok(Some(batch)),
            None => Ok(None),
            Some(_) => Err(wordless()),
        }
    }

    async fn piece(&mut self) -> PgWireResult<Option<Piece>> {
        if self.has_ended {
            return Ok(None);
        }
        let piece = self.pieces.recv().await.unwrap_or_else(|| Err(wordless()));
        self.has_ended = !matches!(piece, Ok(Piece::Rows(_) | Piece::Batch(_)));
        match piece? {
            Piece::End => Ok(None),
            piece => Ok(Some(piece)),
        }
    }
}

pub(super) fn wordless() -> PgWireError {
    error("XX000", "the statement ended without a word")
}

/// Waits for the wish that a statement ends.
async fn asked(cancel: Option<oneshot::Receiver<()>>) {
    // Without a word: the client has gone on to another statement.
    match cancel {
        Some(cancel) => {
            if cancel.await.is_err() {
                pending::<()>().await;
            }
        }
        None => pending().await,
    }
}

async fn run(shared: &Arc<Shared>, start: Start, sender: &Sender) -> PgWireResult<()> {
    let recorder = match kept::find(shared, &start).await? {
        Some(Found::Answer(answer)) => return kept::send(shared, &start, sender, &answer).await,
        Some(Found::Nothing(recorder)) => Some(recorder),
        None => None,
    };
    let Ok(admitted) = shared.admission.admit().await else {
        return Err(error_with_hint(
            "53000",
            "too many queries are running",
            "try again in a moment",
        ));
    };
    let sql = start.prepared.sql.clone();
    let id = RequestId::fresh();
    let mut log = Log::new(shared, &start.principal, "postgres", &id, "postgres", &sql);
    let outcome = produce(start, sender, &mut log, recorder).await;
    log.end(&outcome, sender.is_closed());
    let seen = outcome.as_ref().copied();
    shared.health.saw(&shared.lake, &sql, seen).await;
    drop(admitted);
    outcome.map_err(|failed| of_engine_in(&failed, &sql))
}

async fn produce(
    start: Start,
    sender: &Sender,
    log: &mut Log,
    recorder: Option<Recorder>,
) -> Result<()> {
    let Start {
        session,
        prepared,
        parameters,
        format,
        ..
    } = start;
    let planned: Planned = match prepared.fresh_plan() {
        Some(planned) if planned.is_current(&session).await => planned,
        _ => {
            let values = parameters.as_ref();
            let statement = &prepared.statement;
            session.plan(statement, &prepared.text, values).await?
        }
    };
    let deadline = variables::statement_timeout(&session.variables);
    let mut answer = planned.run(parameters, deadline).await?;
    log.answers(&mut answer);
    let (columns, promised) = match format {
        None => (None, None),
        Some(format) => match columns(&prepared, &answer.schema, &format) {
            Ok((columns, promised)) => (Some(columns), promised),
            Err(failed) => return give(sender, Err(failed)).await,
        },
    };
    let schema = promised.as_ref().unwrap_or(&answer.schema);
    let head = Piece::Schema(Arc::clone(schema), columns.clone());
    give(sender, Ok(head)).await?;
    let Some(columns) = columns else {
        while let Some(batch) = answer.stream.next().await {
            let batch = batch.map_err(Error::from)?;
            log.rows += batch.num_rows();
            give(sender, Ok(Piece::Batch(batch))).await?;
        }
        return Ok(());
    };
    let made = log.made(answer.inputs.take());
    let mut recording = recorder.map(|recorder| Recording::start(recorder, schema, &columns, made));
    while let Some(batch) = answer.stream.next().await {
        let batch = batch.map_err(Error::from)?;
        log.rows += batch.num_rows();
        let batch = match &promised {
            Some(promised) => conform(promised, &batch)?,
            None => batch,
        };
        for piece in pieces(&batch) {
            let rows = columns.encode(&piece)?;
            log.bytes += rows.iter().map(|row| row.data.len()).sum::<usize>();
            if let Some(recording) = &mut recording {
                recording.take(&rows);
                if sender.capacity() == 0 {
                    recording.is_slow();
                }
            }
            give(sender, Ok(Piece::Rows(rows))).await?;
        }
    }
    if let Some(recording) = recording {
        recording.end();
    }
    Ok(())
}

/// The columns to be sent, and the schema that rows must get first: a client that was told of other
/// types would misread what it gets.
fn columns(
    prepared: &Prepared,
    found: &SchemaRef,
    format: &Format,
) -> PgWireResult<(Columns, Option<SchemaRef>)> {
    let columns = Columns::new(found, format)?;
    let promised = prepared.schema.as_ref();
    let promised = promised.filter(|_| !prepared.is_as_told(&columns));
    let Some(promised) = promised else {
        return Ok((columns.named(&prepared.names), None));
    };
    let mut pairs = promised.fields().iter().zip(found.fields());
    let is_possible = promised.fields().len() == found.fields().len()
        && pairs.all(|(promised, found)| keeps_values(found.data_type(), promised.data_type()));
    if !is_possible {
        // Clients know these words.
        let words = "cached plan must not change result type";
        return Err(error_with_hint(
            code::FEATURE,
            words,
            "prepare the statement anew",
        ));
    }
    let columns = Columns::new(promised, format)?.named(&prepared.names);
    Ok((columns, Some(Arc::clone(promised))))
}

/// Whether a value of the one type says the same as one of the other.
fn keeps_values(found: &DataType, promised: &DataType) -> bool {
    use DataType as T;
    match (found, promised) {
        (T::Null, _)
        | (_, T::Utf8)
        | (T::Date32 | T::Timestamp(..), T::Timestamp(..))
        | (T::List(_), T::List(_)) => true,
        (found, promised) if found == promised => true,
        (found, promised) if found.is_integer() => promised.is_numeric(),
        (T::Decimal128(..), promised) => promised.is_floating() || promised.is_decimal(),
        (found, promised) => found.is_floating() && promised.is_floating(),
    }
}

pub(super) async fn give(sender: &Sender, piece: PgWireResult<Piece>) -> Result<()> {
    let is_failure = piece.is_err();
    let sent = sender.send(piece).await;
    sent.map_err(|_| Error::new(Kind::Timeout, "the client left"))?;
    match is_failure {
        true => Err(Error::new(Kind::BadRequest, "the answer can't be written")),
        false => Ok(()),
    }
}
