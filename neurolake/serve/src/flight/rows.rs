//! A running statement and its rows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arrow::datatypes::{Schema, SchemaRef};
use arrow_flight::{FlightData, IpcMessage};
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use neurolake_query::{Error, Kind, Request, Result};
use tokio::sync::{Notify, mpsc};
use tonic::Status;

use super::encode::Messages;
use super::failure::{busy, cancelled, of_engine, with_id, wordless};
use super::parameters;
use super::seal::Statement;
use crate::accounts::Principal;
use crate::doors::Shared;
use crate::encode::{conform, pieces};
use crate::identity::RequestId;
use crate::journal::{Log, log_kept};
use crate::kept::{Answer, Asked, Content, Found, Kept, Key, Recorder};
use crate::running::Task;

/// Messages of an answer that wait for the client.
const QUEUE: usize = 4;

/// Statements that run, by their numbers. One that is asked for twice runs twice.
#[derive(Clone, Default)]
pub(super) struct Wishes(Arc<Mutex<Runs>>);

/// Whom to tell, by the statement's number and which of its runs it is.
type Runs = BTreeMap<(u64, u64), Arc<Notify>>;

impl Wishes {
    fn lock(&self) -> MutexGuard<'_, Runs> {
        // Nothing can panic while the map is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens for the wish that the statement ends.
    fn listen(&self, number: u64) -> Wish {
        let mut all = self.lock();
        let mut runs = all.range((number, 0)..=(number, u64::MAX));
        let key = (number, runs.next_back().map_or(0, |(key, _)| key.1 + 1));
        let word = Arc::new(Notify::new());
        all.insert(key, Arc::clone(&word));
        Wish {
            all: self.clone(),
            key,
            word,
        }
    }

    /// Asks a statement to end. `false`: it doesn't run.
    pub(super) fn end(&self, number: u64) -> bool {
        let all = self.lock();
        let mut is_any = false;
        for (_, word) in all.range((number, 0)..=(number, u64::MAX)) {
            word.notify_one();
            is_any = true;
        }
        is_any
    }
}

struct Wish {
    all: Wishes,
    key: (u64, u64),
    word: Arc<Notify>,
}

impl Drop for Wish {
    fn drop(&mut self) {
        self.all.lock().remove(&self.key);
    }
}

/// A part of an answer. Only [`Piece::End`] says that nothing is missing.
enum Piece {
    Message(Box<FlightData>),
    End,
}

type Sender = mpsc::Sender<std::result::Result<Piece, Status>>;

/// A statement on threads of its own; dropping it cancels the statement.
struct Running {
    pieces: mpsc::Receiver<std::result::Result<Piece, Status>>,
    _task: Task<()>,
}

impl Running {
    async fn next(&mut self) -> Option<std::result::Result<FlightData, Status>> {
        match self.pieces.recv().await {
            Some(Ok(Piece::Message(message))) => Some(Ok(*message)),
            Some(Ok(Piece::End)) => None,
            Some(Err(status)) => Some(Err(status)),
            None => Some(Err(wordless())),
        }
    }
}

/// A statement to run.
pub(super) struct Start {
    pub(super) principal: Arc<Principal>,
    pub(super) statement: Statement,
    pub(super) deadline: Option<std::time::Duration>,
}

/// Runs a statement; waits until it has begun to answer.
pub(super) async fn start(
    shared: &Arc<Shared>,
    wishes: &Wishes,
    start: Start,
) -> std::result::Result<BoxStream<'static, std::result::Result<FlightData, Status>>, Status> {
    let (sender, pieces) = mpsc::channel(QUEUE);
    let wish = wishes.listen(start.statement.number);
    let shared_too = Arc::clone(shared);
    let task = Task::start(shared, async move {
        let outcome = tokio::select! {
            outcome = run(&shared_too, start, &sender) => outcome,
            () = wish.word.notified() => Err(cancelled()),
        };
        drop(wish);
        let _ = sender.send(outcome.map(|()| Piece::End)).await;
    });
    let mut running = Running {
        pieces,
        _task: task,
    };
    let first = match running.next().await {
        Some(first) => first?,
        None => return Err(wordless()),
    };
    let rest = stream::unfold(Some(running), |running| async move {
        let mut running = running?;
        let next = running.next().await?;
        // After an error there is nothing more to say.
        let running = next.is_ok().then_some(running);
        Some((next, running))
    });
    Ok(stream::iter([Ok(first)]).chain(rest).boxed())
}

async fn run(
    shared: &Arc<Shared>,
    start: Start,
    sender: &Sender,
) -> std::result::Result<(), Status> {
    let id = RequestId::fresh();
    let failed = |error| with_id(of_engine(&error), &id);
    let recorder = match find(shared, &start).await.map_err(failed)? {
        Some(Found::Answer(answer)) => {
            let again = send_again(shared, &start, &id, sender, &answer).await;
            return again.map_err(failed);
        }
        Some(Found::Nothing(recorder)) => Some(recorder),
        None => None,
    };
    let Ok(admitted) = shared.admission.admit().await else {
        return Err(busy());
    };
    let sql = start.statement.sql.clone();
    let mut log = Log::new(shared, &start.principal, "flight", &id, "arrow", &sql);
    let outcome = produce(start, sender, &mut log, recorder).await;
    log.end(&outcome, sender.is_closed());
    let seen = outcome.as_ref().copied();
    shared.health.saw(&shared.lake, &sql, seen).await;
    // Whoever asks again after the end finds the place free.
    drop(admitted);
    outcome.map_err(failed)
}

/// The kept answer to a statement. `None`: none are kept.
async fn find(shared: &Arc<Shared>, start: &Start) -> Result<Option<Found>> {
    if !shared.kept.is_on() {
        return Ok(None);
    }
    let Start {
        principal,
        statement,
        deadline,
    } = start;
    let deciding: [&[u8]; 3] = [
        statement.sql.as_bytes(),
        &statement.parameters,
        &statement.schema,
    ];
    let asked = Asked {
        key: Key::new(principal, "flight", deciding),
        max_staleness: None,
    };
    let found = Kept::find_in_time(shared, principal, &asked, *deadline).await?;
    Ok(Some(found))
}

async fn send_again(
    shared: &Shared,
    start: &Start,
    id: &RequestId,
    sender: &Sender,
    answer: &Answer,
) -> Result<()> {
    let began = Instant::now();
    let Content::Flight(messages) = &answer.content else {
        unreachable!("the key of an answer tells its door");
    };
    answer.is_used();
    let bytes = messages.iter().map(|message| message.data_body.len()).sum();
    let mut outcome = Ok(());
    for message in messages {
        outcome = give(sender, message.clone()).await;
        if outcome.is_err() {
            break;
        }
    }
    let principal = &start.principal;
    log_kept(shared, principal, "flight", id, &answer.made, bytes, began);
    outcome
}

/// Takes messages down while they are sent.
struct Recording {
    recorder: Recorder,
    /// `None`: they are too many.
    messages: Option<Vec<FlightData>>,
}

impl Recording {
    fn take(&mut self, message: &FlightData) {
        let Some(messages) = &mut self.messages else {
            return;
        };
        let bytes = message.data_header.len() + message.data_body.len();
        if self.recorder.takes(size_of::<FlightData>() + bytes) {
            messages.push(message.clone());
        } else {
            self.messages = None;
        }
    }
}

async fn produce(
    start: Start,
    sender: &Sender,
    log: &mut Log,
    recorder: Option<Recorder>,
) -> Result<()> {
    let Start {
        principal,
        statement,
        deadline,
    } = start;
    let parameters = parameters::values(&statement.sql, &statement.parameters)?;
    let promised = promised(&statement.schema)?;
    let mut answer = principal
        .lake
        .query(Request {
            parameters,
            deadline,
            ..Request::new(statement.sql)
        })
        .await?;
    log.answers(&mut answer);
    let made = log.made(answer.inputs.take());
    let mut recording = recorder.map(|mut recorder| {
        if made.is_none() {
            recorder.give_up();
        }
        Recording {
            recorder,
            messages: made.is_some().then(Vec::new),
        }
    });
    let schema = match &promised {
        Some(promised) => {
            check(promised, &answer.schema)?;
            promised
        }
        None => &answer.schema,
    };
    let mut send = async |message: FlightData| {
        if let Some(recording) = &mut recording {
            recording.take(&message);
            if sender.capacity() == 0 {
                // Nobody waits for the end.
                recording.recorder.land();
            }
        }
        give(sender, message).await
    };
    let mut messages = Messages::new();
    send(messages.schema(schema)).await?;
    while let Some(batch) = answer.stream.next().await {
        let batch = batch.map_err(Error::from)?;
        log.rows += batch.num_rows();
        let batch = match &promised {
            // Planning promises less about nulls than the engine finds out when it simplifies the plan.
            Some(promised) => conform(promised, &batch)?,
            None => batch,
        };
        for piece in pieces(&batch) {
            for message in messages.batch(&piece)? {
                log.bytes += message.data_body.len();
                send(message).await?;
            }
        }
    }
    // Nothing is missing.
    if let (Some(mut recording), Some(made)) = (recording, made)
        && let Some(messages) = recording.messages.take()
    {
        recording.recorder.keep(Content::Flight(messages), made);
    }
    Ok(())
}

async fn give(sender: &Sender, message: FlightData) -> Result<()> {
    let sent = sender.send(Ok(Piece::Message(Box::new(message)))).await;
    sent.map_err(|_| Error::new(Kind::Timeout, "the client left"))
}

/// Columns that the client was told of when it got the ticket.
fn promised(message: &[u8]) -> Result<Option<SchemaRef>> {
    if message.is_empty() {
        return Ok(None);
    }
    let schema = Schema::try_from(IpcMessage(message.to_vec().into()));
    let schema = schema.map_err(|error| {
        Error::new(Kind::Internal, "the columns of the ticket were lost").with_source(error)
    })?;
    Ok(Some(Arc::new(schema)))
}

/// Whether the answer still has the columns that were promised. A client that was told of others takes
/// the answer for broken.
fn check(promised: &Schema, found: &Schema) -> Result<()> {
    let is_same = promised.fields().len() == found.fields().len()
        && promised
            .fields()
            .iter()
            .zip(found.fields())
            .all(|(one, other)| {
                one.name() == other.name() && one.data_type().equals_datatype(other.data_type())
            });
    if is_same {
        return Ok(());
    }
    Err(Error::new(
        Kind::Broken,
        "the columns of the answer have changed since the ticket was given",
    )
    .with_hint("ask again with the statement"))
}
