//! Answers that are kept, as they were sent.
//!
//! A kept answer is given again as long as every table that it was made from is at the same version,
//! which is looked up each time: nothing is served because it is young, unless the client says how old it
//! may be. Whoever asks what is being answered just now waits for that answer. The tag of an answer names
//! the question, the role and the versions, so a client that has the answer is told that it still holds.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use arrow_flight::FlightData;
use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::StreamExt;
use neurolake_query::{Inputs, timeout};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use ring::digest::{Context, Digest, SHA256, digest};
use tokio::sync::OwnedMutexGuard;

use crate::accounts::{Client, Principal};
use crate::doors::Shared;
use crate::identity::RequestId;
use crate::journal::log_kept;
use crate::{graphql, pg, rest, sql};

/// How long one waits for an answer that another request is about to get.
const PATIENCE: Duration = Duration::from_secs(5);
/// How old versions may be that a statement reads which doesn't say.
pub(crate) const USUAL: Duration = Duration::from_millis(500);
/// The part of the memory that one answer may take.
const SHARE: usize = 16;
/// What an answer takes besides its bytes.
const ENTRY_BYTES: u64 = 1024;

/// What a response is made from, for whoever keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) inputs: Inputs,
    /// The statement without its values, for logs.
    pub(crate) statement: String,
    /// As `database.table`.
    pub(crate) tables: Vec<String>,
    /// Set where the client has the answer already.
    pub(crate) is_known: Arc<AtomicBool>,
}

/// What `system.cache` shows of an answer.
pub(crate) struct Entry {
    pub(crate) since: DateTime<Utc>,
    pub(crate) role: String,
    pub(crate) tables: String,
    pub(crate) bytes: u64,
    pub(crate) hits: u64,
    pub(crate) statement: String,
}

/// A question: who may see what, and all that decides about the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key([u8; 32]);

impl Key {
    /// `form` tells doors apart.
    pub(crate) fn new<'a>(
        principal: &'a Principal,
        form: &'a str,
        parts: impl IntoIterator<Item = &'a [u8]>,
    ) -> Self {
        let mut context = Context::new(&SHA256);
        for part in [principal.sight.as_bytes(), form.as_bytes()]
            .into_iter()
            .chain(parts)
        {
            context.update(&part.len().to_le_bytes());
            context.update(part);
        }
        let mut key = [0; 32];
        key.copy_from_slice(context.finish().as_ref());
        Self(key)
    }

    fn of_http(
        principal: &Principal,
        parts: &axum::http::request::Parts,
        query: &str,
        body: &[u8],
    ) -> Self {
        let mut deciding: Vec<&[u8]> = vec![
            parts.method.as_str().as_bytes(),
            parts.uri.path().as_bytes(),
            query.as_bytes(),
        ];
        for name in [
            header::ACCEPT,
            header::CONTENT_TYPE,
            header::RANGE,
            rest::PREFER,
        ] {
            let values = parts.headers.get_all(name).iter();
            deciding.extend(values.map(HeaderValue::as_bytes));
            deciding.push(b"");
        }
        deciding.push(body);
        Self::new(principal, "http", deciding)
    }
}

/// What is known about a question.
#[derive(Clone)]
enum Known {
    Answer(Arc<Answer>),
    /// Its answer is too large, or differs each time: there is nothing to wait for.
    Nothing,
}

pub(crate) struct Answer {
    pub(crate) content: Content,
    pub(crate) made: Made,
    /// What it takes.
    pub(crate) bytes: usize,
    /// When it was known to hold.
    checked: Mutex<Instant>,
    since: DateTime<Utc>,
    role: String,
    /// How often it was given again.
    hits: AtomicU64,
}

/// An answer in the words of a protocol.
pub(crate) enum Content {
    Http {
        status: StatusCode,
        headers: HeaderMap,
        bytes: Bytes,
    },
    Postgres(pg::Written),
    Flight(Vec<FlightData>),
}

#[derive(Clone)]
struct Weight;

impl Weighter<Key, Known> for Weight {
    fn weight(&self, _: &Key, known: &Known) -> u64 {
        match known {
            Known::Answer(answer) => answer.bytes as u64 + ENTRY_BYTES,
            Known::Nothing => ENTRY_BYTES,
        }
    }
}

/// Who is answering what.
type Flights = HashMap<Key, Arc<tokio::sync::Mutex<()>>>;

/// The answers.
pub(crate) struct Kept {
    /// A digest of the catalog, which defines views. Made when it is first wanted.
    catalog: OnceLock<Digest>,
    answers: Cache<Key, Known, Weight>,
    flights: Mutex<Flights>,
    /// Bytes of one answer at most; none are kept for 0.
    most: usize,
}

impl Kept {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            catalog: OnceLock::new(),
            answers: Cache::with_weighter(1024, bytes as u64, Weight),
            flights: Mutex::default(),
            most: bytes / SHARE,
        }
    }

    /// The tag of the answer from these versions, the same in every server of this catalog.
    fn tag(&self, shared: &Shared, key: &Key, inputs: &Inputs) -> HeaderValue {
        let catalog = self.catalog.get_or_init(|| {
            let catalog = serde_json::to_vec(&shared.lake.catalog().databases);
            let catalog = catalog.expect("it is served as JSON");
            digest(&SHA256, &catalog)
        });
        let mut context = Context::new(&SHA256);
        context.update(env!("CARGO_PKG_VERSION").as_bytes());
        context.update(catalog.as_ref());
        context.update(&key.0);
        context.update(inputs.tag().as_bytes());
        let digest = context.finish();
        // Weak: the bytes may be compressed, and rows without an order may come in another.
        let tag = format!("W/\"{}\"", URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16]));
        HeaderValue::from_str(&tag).expect("it holds only letters and digits")
    }

    /// How many there are.
    pub(crate) fn answers(&self) -> usize {
        let known = self.answers.iter();
        known
            .filter(|(_, known)| matches!(known, Known::Answer(_)))
            .count()
    }

    /// What they take.
    pub(crate) fn bytes(&self) -> u64 {
        self.answers.weight()
    }

    /// All of them, the newest first.
    pub(crate) fn all(&self) -> Vec<Entry> {
        let known = self.answers.iter().filter_map(|(_, known)| match known {
            Known::Answer(answer) => Some(answer),
            Known::Nothing => None,
        });
        let entry = |answer: Arc<Answer>| Entry {
            since: answer.since,
            role: answer.role.clone(),
            tables: answer.made.tables.join(", "),
            bytes: answer.bytes as u64 + ENTRY_BYTES,
            hits: answer.hits.load(Ordering::Relaxed),
            statement: answer.made.statement.clone(),
        };
        let mut entries: Vec<Entry> = known.map(entry).collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.since));
        entries
    }

    fn flights(&self) -> MutexGuard<'_, Flights> {
        // Nothing can panic while the map is held.
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The kept answer, if it holds.
    async fn valid(&self, principal: &Principal, asked: &Asked) -> Option<Arc<Answer>> {
        let Known::Answer(answer) = self.answers.get(&asked.key)? else {
            return None;
        };
        if let Some(most) = asked.max_staleness {
            let age = answer.checked().elapsed();
            return (age <= most).then_some(answer);
        }
        let began = Instant::now();
        if principal.lake.is_unchanged(&answer.made.inputs).await {
            *answer.checked() = began;
            return Some(answer);
        }
        None
    }

    /// The same as [`Self::find`] for a statement with a deadline.
    ///
    /// # Errors
    /// The deadline is over.
    pub(crate) async fn find_in_time(
        shared: &Arc<Shared>,
        principal: &Principal,
        asked: &Asked,
        deadline: Option<Duration>,
    ) -> neurolake_query::Result<Found> {
        let found = Self::find(shared, principal, asked);
        match deadline {
            Some(length) => tokio::time::timeout(length, found)
                .await
                .map_err(|_| timeout(length)),
            None => Ok(found.await),
        }
    }

    /// Looks for an answer, and waits where somebody else is about to have it.
    pub(crate) async fn find(shared: &Arc<Shared>, principal: &Principal, asked: &Asked) -> Found {
        let kept = &shared.kept;
        if let Some(answer) = kept.valid(principal, asked).await {
            return Found::Answer(answer);
        }
        let mut turn = None;
        if !kept.is_in_vain(&asked.key) {
            turn = kept.queue(&asked.key).await;
            // It may be there by now.
            if let Some(answer) = kept.valid(principal, asked).await {
                kept.land(&asked.key, turn);
                return Found::Answer(answer);
            }
        }
        let mut recorder = Recorder {
            shared: Arc::clone(shared),
            key: asked.key,
            role: principal.role().to_owned(),
            bytes: 0,
            turn,
            began: Instant::now(),
        };
        if kept.is_in_vain(&asked.key) {
            recorder.land();
        }
        Found::Nothing(recorder)
    }

    /// Whether any answer is kept.
    pub(crate) fn is_on(&self) -> bool {
        self.most > 0
    }

    fn is_in_vain(&self, key: &Key) -> bool {
        matches!(self.answers.get(key), Some(Known::Nothing))
    }

    /// Waits for whoever is answering the same.
    async fn queue(&self, key: &Key) -> Option<OwnedMutexGuard<()>> {
        let flight = Arc::clone(self.flights().entry(*key).or_default());
        let turn = tokio::time::timeout(PATIENCE, flight.lock_owned());
        turn.await.ok()
    }

    /// Lets those go on who wait for an answer.
    fn land(&self, key: &Key, turn: Option<OwnedMutexGuard<()>>) {
        drop(turn);
        let mut flights = self.flights();
        let flight = flights.get(key);
        if flight.is_some_and(|flight| Arc::strong_count(flight) == 1) {
            flights.remove(key);
        }
    }
}

/// A request as far as it decides about its answer.
pub(crate) struct Asked {
    pub(crate) key: Key,
    pub(crate) max_staleness: Option<Duration>,
}

/// What there is for a question.
pub(crate) enum Found {
    Answer(Arc<Answer>),
    /// Whoever asks is to answer, and to keep the answer.
    Nothing(Recorder),
}

/// Gives an answer that is kept, or keeps the one that is given.
pub(crate) async fn keep(client: Client, request: Request, next: Next) -> Response {
    let shared = Arc::clone(&client.shared);
    let kept = &shared.kept;
    let (parts, body) = request.into_parts();
    let Some(id) = parts.extensions.get::<RequestId>().cloned() else {
        return next.run(Request::from_parts(parts, body)).await;
    };
    let is_graphql = client.door == "graphql";
    let most = shared.settings.statement_bytes;
    let Ok(body) = to_bytes(body, most).await else {
        return match is_graphql {
            true => graphql::too_long(&parts.headers, most, &id),
            false => sql::too_long(most).respond(&id),
        };
    };
    let query = parts.uri.query().unwrap_or_default();
    let freshness = match is_graphql {
        true => sql::Freshness::usual(query),
        false => sql::Freshness::of(query),
    };
    let asked = Asked {
        key: Key::of_http(&client.principal, &parts, &freshness.rest, &body),
        max_staleness: freshness.max_staleness,
    };
    let if_none_match = parts.headers.get(header::IF_NONE_MATCH).cloned();
    let request = Request::from_parts(parts, Body::from(body));
    // Whoever asks for a version wants it looked up.
    if !kept.is_on() || freshness.has_min_version {
        return next.run(request).await;
    }
    let known = if_none_match.as_ref();
    let began = Instant::now();
    match Kept::find(&shared, &client.principal, &asked).await {
        Found::Answer(answer) => answer.respond(&client, &id, known, began),
        Found::Nothing(recorder) => recorder.record(next.run(request).await, known).await,
    }
}

impl Answer {
    fn checked(&self) -> MutexGuard<'_, Instant> {
        // Nothing can panic while it is held.
        self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is given again.
    pub(crate) fn is_used(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    fn respond(
        &self,
        client: &Client,
        id: &RequestId,
        known: Option<&HeaderValue>,
        began: Instant,
    ) -> Response {
        let Content::Http {
            status,
            headers,
            bytes,
        } = &self.content
        else {
            unreachable!("the key of an answer tells its door");
        };
        self.is_used();
        let tag = headers.get(header::ETAG);
        let is_known = tag.is_some_and(|tag| is_known(known, tag));
        let sent = if is_known { 0 } else { bytes.len() };
        let Client {
            shared, principal, ..
        } = client;
        log_kept(shared, principal, client.door, id, &self.made, sent, began);
        if is_known {
            return unchanged(headers.clone());
        }
        (*status, headers.clone(), Body::from(bytes.clone())).into_response()
    }
}

/// The client has the answer already.
fn unchanged(mut headers: HeaderMap) -> Response {
    headers.remove(header::CONTENT_TYPE);
    (StatusCode::NOT_MODIFIED, headers).into_response()
}

/// Whether the client has the answer with this tag.
fn is_known(known: Option<&HeaderValue>, tag: &HeaderValue) -> bool {
    let Some(known) = known.and_then(|known| known.to_str().ok()) else {
        return false;
    };
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let tag = tag.to_str().map(opaque).unwrap_or_default();
    known.trim() == "*" || known.split(',').any(|one| opaque(one) == tag)
}

/// Takes an answer down while it is sent.
pub(crate) struct Recorder {
    shared: Arc<Shared>,
    key: Key,
    role: String,
    /// Of the answer so far.
    bytes: usize,
    /// Others wait as long as this is held.
    turn: Option<OwnedMutexGuard<()>>,
    began: Instant,
}

impl Recorder {
    /// Lets those go on who wait for the answer.
    pub(crate) fn land(&mut self) {
        let turn = self.turn.take();
        self.shared.kept.land(&self.key, turn);
    }

    /// There is nothing to keep.
    pub(crate) fn give_up(&mut self) {
        self.shared.kept.answers.insert(self.key, Known::Nothing);
        self.land();
    }

    /// Whether an answer with so many more bytes can still be kept.
    pub(crate) fn takes(&mut self, bytes: usize) -> bool {
        self.bytes += bytes;
        let fits = self.bytes <= self.shared.kept.most;
        if !fits {
            self.give_up();
        }
        fits
    }

    /// Keeps the whole answer.
    pub(crate) fn keep(&mut self, content: Content, made: Made) {
        let answer = Answer {
            content,
            made,
            bytes: self.bytes,
            // It was made from versions that were the newest about then.
            checked: Mutex::new(self.began.checked_sub(USUAL).unwrap_or(self.began)),
            since: Utc::now(),
            role: self.role.clone(),
            hits: AtomicU64::new(0),
        };
        let answers = &self.shared.kept.answers;
        answers.insert(self.key, Known::Answer(Arc::new(answer)));
        self.land();
    }

    async fn record(mut self, mut response: Response, known: Option<&HeaderValue>) -> Response {
        if !response.status().is_success() {
            return response;
        }
        let Some(made) = response.extensions_mut().remove::<Made>() else {
            self.give_up();
            return response;
        };
        let shared = &self.shared;
        let tag = shared.kept.tag(shared, &self.key, &made.inputs);
        let is_known = is_known(known, &tag);
        let headers = response.headers_mut();
        headers.insert(header::ETAG, tag);
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("private, no-cache"),
        );
        headers.insert(
            header::VARY,
            HeaderValue::from_static("authorization, accept, prefer, range"),
        );
        if is_known {
            // Its rows are not read any further.
            made.is_known.store(true, Ordering::Relaxed);
            return unchanged(response.headers().clone());
        }
        let (parts, body) = response.into_parts();
        let (status, headers) = (parts.status, parts.headers.clone());
        // A body that is there already keeps its length.
        let length = body.size_hint().exact();
        let is_there = length.is_some_and(|length| length <= self.shared.kept.most as u64);
        let mut recording = Recording {
            recorder: self,
            taken: Some(Vec::new()),
            body: body.into_data_stream(),
            answer: Some((status, headers, made)),
        };
        if is_there {
            let mut whole = Vec::new();
            while let Some(piece) = recording.next().await {
                // Bytes that are there can't fail.
                whole.extend_from_slice(&piece.unwrap_or_default());
            }
            return Response::from_parts(parts, Body::from(whole));
        }
        let stream = futures::stream::unfold(recording, |mut recording| async move {
            let piece = recording.next().await?;
            Some((piece, recording))
        });
        Response::from_parts(parts, Body::from_stream(stream.fuse()))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.land();
    }
}

/// An answer on its way to the client.
struct Recording {
    recorder: Recorder,
    /// `None`: it is too large.
    taken: Option<Vec<u8>>,
    body: axum::body::BodyDataStream,
    answer: Option<(StatusCode, HeaderMap, Made)>,
}

impl Recording {
    async fn next(&mut self) -> Option<Result<Bytes, axum::Error>> {
        let piece = self.body.next().await;
        match &piece {
            Some(Ok(bytes)) => self.take(bytes),
            Some(Err(_)) => self.taken = None,
            None => self.end(),
        }
        piece
    }

    fn take(&mut self, bytes: &Bytes) {
        let Some(taken) = &mut self.taken else { return };
        if self.recorder.takes(bytes.len()) {
            taken.extend_from_slice(bytes);
        } else {
            self.taken = None;
        }
    }

    fn end(&mut self) {
        let (Some(bytes), Some((status, headers, made))) = (self.taken.take(), self.answer.take())
        else {
            return;
        };
        let content = Content::Http {
            status,
            headers,
            bytes: bytes.into(),
        };
        self.recorder.keep(content, made);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_weakly() {
        let tag = HeaderValue::from_static("W/\"a\"");
        for known in ["W/\"a\"", "\"a\"", "\"b\", W/\"a\"", "*"] {
            let known = HeaderValue::from_static(known);
            assert!(is_known(Some(&known), &tag), "{known:?}");
        }
        for other in ["W/\"b\"", "a\"", ""] {
            let other = HeaderValue::from_static(other);
            assert!(!is_known(Some(&other), &tag), "{other:?}");
        }
        assert!(!is_known(None, &tag));
    }
}
