//! The HTTP door: events in, acknowledgements out.
//!
//! ```text
//! POST /v1/ingest/{database}/{table}   rows of a table
//! GET  /v1/ingest                      the tables that take events, and how far they are
//! GET  /v1/ingest/{database}/{table}   one of them
//! GET  /v1/openapi.json                this, described
//! ```
//!
//! A request becomes one record of the queue, or nothing of it is kept. Whoever leaves before the
//! answer doesn't know which; sending the same again under the same key tells.
//!
//! Read in this order: `tables` (what may be sent where), `asked` (headers and parameters), `body`
//! (bytes, limited), `post` (the way of a request), `overview`, `answer`.

mod answer;
mod asked;
mod body;
mod overview;
mod post;
mod tables;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use axum::Router;
use axum::routing::{get, post};
use tokio::sync::Semaphore;

use crate::entry::Request;
use crate::metrics::Metrics;
use crate::openapi;
use crate::queue::{Appended, Key, Stream};

pub(crate) use asked::MAX_TIMEOUT;
pub use tables::{Declared, Tables};

/// What the door needs of ingestion behind it.
#[async_trait]
pub trait Accept: Send + Sync + 'static {
    /// The tables of the catalog, and what they take.
    fn tables(&self) -> &Tables;

    /// Keeps a request. When this returns, it is durable. It runs to its end even if the client
    /// leaves.
    async fn accept(
        &self,
        stream: &Stream,
        request: Request,
        key: Option<Key>,
    ) -> Result<Appended, Refused>;

    /// Waits until the rows up to an offset are in the table, and gives back a version of the table
    /// that holds them; `None` if the time is over first.
    async fn committed(
        &self,
        stream: &Stream,
        offset: u64,
        timeout: Duration,
    ) -> Result<Option<u64>, Refused>;

    /// How far a stream is.
    async fn status(&self, stream: &Stream) -> Result<Status, Refused>;
}

/// Why a request isn't kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The disk or the quota is full.
    #[error("the queue is full: {reason}")]
    Full {
        /// What is full, for the log.
        reason: String,
    },
    /// Events come faster than they are committed.
    #[error("too many events wait for their commit")]
    Pressure {
        /// When to try again.
        retry_after: Duration,
    },
    /// The key belongs to other content.
    #[error("the key was used for other content at offset {offset}")]
    KeyReused {
        /// Where that stands.
        offset: u64,
    },
    /// The record is larger than the queue takes.
    #[error("a record of {bytes} bytes is larger than the queue takes ({limit} bytes)")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The queue doesn't answer; whether the request was kept is unknown.
    #[error("the queue doesn't answer: {reason}")]
    Unavailable {
        /// When to try again.
        retry_after: Duration,
        /// What it says, for the log.
        reason: String,
    },
}

/// How far a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Status {
    /// The newest accepted offset; 0 before the first.
    pub accepted: u64,
    /// The newest offset whose rows are in the table.
    pub committed: u64,
    /// The table's version; `None` before its first commit.
    pub version: Option<u64>,
    /// How long the oldest record that is not in the table has waited; zero if all are.
    pub lag: Duration,
}

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// How the door takes requests. Memory for them is bounded by about `buffered_bytes` for bodies
/// that arrive, and `decoding` times (`body_bytes` + `memory_bytes`) for bodies that are read.
#[derive(Clone)]
pub struct Settings {
    /// Bytes of a body at most, uncompressed. Too small costs a request per few rows, too large
    /// lets one client hold up the others.
    pub body_bytes: usize,
    /// Bytes that the rows of a body may take in memory, about: a short body can be many rows.
    pub memory_bytes: usize,
    /// Bytes of all bodies that are there at the same time. Too small turns clients away that
    /// send large bodies slowly.
    pub buffered_bytes: usize,
    /// Bodies that are read at the same time. More than there are cores makes all of them slow.
    pub decoding: usize,
    /// How long a request waits for memory or for its turn before it is turned away.
    pub wait: Duration,
    /// How long a client may be silent in the middle of a body.
    pub silence: Duration,
    /// How long a body may take as a whole.
    pub upload: Duration,
    /// Says when a request was accepted.
    pub clock: Clock,
    /// Where requests are counted.
    pub metrics: Arc<Metrics>,
}

impl Settings {
    /// The defaults.
    pub fn new(clock: Clock) -> Self {
        Self {
            body_bytes: 16 << 20,
            memory_bytes: 128 << 20,
            buffered_bytes: 256 << 20,
            decoding: std::thread::available_parallelism().map_or(2, usize::from),
            wait: Duration::from_secs(2),
            silence: Duration::from_secs(15),
            upload: Duration::from_mins(5),
            clock,
            metrics: Arc::new(Metrics::new()),
        }
    }
}

/// Everything that handlers share.
struct Shared {
    ingest: Arc<dyn Accept>,
    settings: Settings,
    /// Room for bodies that arrive, in KiB.
    room: Arc<Semaphore>,
    decoding: Arc<Semaphore>,
    openapi: String,
}

type Door = Arc<Shared>;

/// The routes. They answer in the form of the other doors, with the request's `x-request-id`.
pub fn router(ingest: Arc<dyn Accept>, settings: Settings) -> Router {
    let door = Arc::new(Shared {
        openapi: openapi::document(ingest.tables(), &settings).to_string(),
        room: Arc::new(Semaphore::new(settings.buffered_bytes / 1024)),
        decoding: Arc::new(Semaphore::new(settings.decoding)),
        ingest,
        settings,
    });
    Router::new()
        .route("/v1/ingest", get(overview::all))
        .route(
            "/v1/ingest/{database}/{table}",
            post(post::post).get(overview::one),
        )
        .route("/v1/openapi.json", get(overview::openapi))
        .method_not_allowed_fallback(overview::wrong_method)
        .with_state(door)
}
