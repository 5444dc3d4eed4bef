//! Sends events to a running platform. A declared struct is the row.
//!
//! ```no_run
//! pub mod neural {
//!     use neurolake::prelude::*;
//!
//!     /// Spike-band power per channel.
//!     #[table(delta = "s3://lake/neural/band_power", partition_by(implant_id))]
//!     #[derive(serde::Serialize)]
//!     pub struct BandPower {
//!         /// Start of the bin.
//!         pub ts: Timestamp,
//!         /// Which implant.
//!         pub implant_id: i32,
//!         /// Power per channel.
//!         pub band_power: Vec<f32>,
//!     }
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), neurolake::ingest::IngestError> {
//! use neural::BandPower;
//! use neurolake::ingest::Client;
//!
//! let client = Client::new("http://127.0.0.1:8080")?;
//! let rows = [BandPower {
//!     ts: neurolake::Timestamp::from_micros(1_772_357_400_000_000),
//!     implant_id: 7,
//!     band_power: vec![0.5; 1_024],
//! }];
//! let accepted = client.table::<BandPower>().send(&rows).await?;
//! assert_eq!(accepted.accepted, 1);
//! # Ok(())
//! # }
//! ```
//!
//! Each request has a name and is repeated with the same name when the server is busy, can't be
//! reached, or its answer is lost; the server takes it once. What stays to be decided is what
//! happens when this program ends in between: [`Producer::send_with_key`] takes a name that the
//! program can find again.
//!
//! A device that makes one event after the other hands them to a [`Sender`], which sends them in
//! batches and never holds more than it may.
//!
//! This room knows the door's forms and when to repeat a request; it refuses to know how rows are
//! kept. Read in this order: [`Client`], [`Producer`], [`Sender`], `post` (repeats), `json`.

mod error;
mod json;
mod post;
mod sender;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use neurolake_model::Column;
use reqwest::Url;
use serde::{Deserialize, Serialize};

pub use error::{IngestError, Refusal, RowError};
pub use sender::{Batching, Delivery, Sender};

use self::post::{Post, checked, piece_name};
use crate::registry::{self, Table};

const CONNECT: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_mins(1);
const COMMIT: Duration = Duration::from_secs(30);
/// Requests larger than this are cut in pieces.
const PIECE_BYTES: usize = 4 << 20;

/// When rows count as taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ack {
    /// As soon as they are kept durably and queries see them: milliseconds.
    #[default]
    Queued,
    /// When they are in the table: up to a second more.
    Committed,
}

/// What happens to rows that don't fit the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Invalid {
    /// One of them and none of the request's rows is taken.
    #[default]
    Reject,
    /// They are named in [`Accepted::errors`] and not kept.
    Skip,
    /// They go to the table's dead letters.
    Quarantine,
}

impl Invalid {
    fn parameter(self) -> Option<&'static str> {
        match self {
            Self::Reject => None,
            Self::Skip => Some("skip"),
            Self::Quarantine => Some("quarantine"),
        }
    }
}

/// What the server said of rows that it took.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Accepted {
    /// How many rows it took.
    pub accepted: u64,
    /// Where they stand in the table's stream: the last piece's, if they were sent in pieces.
    /// `None` if there was nothing to keep.
    pub offset: Option<u64>,
    /// All of them were there already, under the same name.
    pub duplicate: bool,
    /// Whether they are in the table. With [`Ack::Committed`], `false` means that this took longer
    /// than the client wanted to wait; they are safe in the queue.
    pub committed: bool,
    /// Version of the table that has them, if they are [`Self::committed`].
    pub version: Option<u64>,
    /// Rows that don't fit; see [`Invalid`].
    pub rejected: u64,
    /// Why they don't, at most 100 of a request.
    pub errors: Vec<RowError>,
}

/// A server that takes events. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    ack: Ack,
    invalid: Invalid,
    commit_timeout: Duration,
    patience: Duration,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("url", &self.shown_url())
            .field("ack", &self.ack)
            .field("invalid", &self.invalid)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client of the server at this address. Nothing is sent yet.
    ///
    /// # Errors
    /// [`IngestError::Address`], [`IngestError::Client`].
    pub fn new(url: &str) -> Result<Self, IngestError> {
        let wrong = || IngestError::Address {
            url: url.rsplit('@').next().unwrap_or_default().to_owned(),
        };
        let mut base: Url = url.parse().map_err(|_| wrong())?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(wrong());
        }
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            // A redirected POST would become a GET.
            .redirect(reqwest::redirect::Policy::none());
        if is_loopback(&base) {
            // A proxy for the world knows nothing of this machine.
            builder = builder.no_proxy();
        }
        base.set_query(None);
        base.set_fragment(None);
        let http = builder
            .build()
            .map_err(|error| IngestError::Client(Arc::new(error)))?;
        Ok(Self {
            http,
            base,
            ack: Ack::default(),
            invalid: Invalid::default(),
            commit_timeout: COMMIT,
            patience: PATIENCE,
        })
    }

    /// When rows count as taken.
    #[must_use]
    pub fn ack(mut self, ack: Ack) -> Self {
        self.ack = ack;
        self
    }

    /// What happens to rows that don't fit.
    #[must_use]
    pub fn invalid(mut self, invalid: Invalid) -> Self {
        self.invalid = invalid;
        self
    }

    /// How long [`Ack::Committed`] waits for the commit: whole seconds, at most 300, and 30
    /// otherwise. After that the answer says that rows are not [`Accepted::committed`] yet.
    #[must_use]
    pub fn commit_timeout(mut self, timeout: Duration) -> Self {
        self.commit_timeout = timeout;
        self
    }

    /// For how long a request is repeated that found a busy server, or none: 60 s otherwise.
    /// `Duration::ZERO` tries once, `Duration::MAX` as long as it takes.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The address without user and password, which `reqwest` sends in a header.
    fn shown_url(&self) -> String {
        let mut url = self.base.clone();
        // These fail only for addresses that can't have them.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.to_string()
    }

    /// Where rows of this struct go.
    pub fn table<T: Table + Serialize>(&self) -> Producer<T> {
        let declared = registry::declared::<T>();
        let target = Target {
            database: declared.database().unwrap_or_default().to_owned(),
            table: declared.declaration.table.name,
            item: declared.declaration.item,
            columns: declared.columns,
        };
        Producer {
            client: self.clone(),
            target: Arc::new(target),
            piece_bytes: PIECE_BYTES,
            rows: PhantomData,
        }
    }
}

/// Where rows go, and what they are.
#[derive(Debug)]
struct Target {
    database: String,
    table: String,
    item: String,
    columns: Vec<Column>,
}

impl Target {
    fn path(&self) -> Result<String, IngestError> {
        if self.database.is_empty() {
            return Err(IngestError::NoDatabase {
                item: self.item.clone(),
            });
        }
        Ok(format!("v1/ingest/{}/{}", self.database, self.table))
    }
}

/// Sends rows of one table.
pub struct Producer<T> {
    client: Client,
    target: Arc<Target>,
    piece_bytes: usize,
    rows: PhantomData<fn(&T)>,
}

impl<T> Clone for Producer<T> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            target: Arc::clone(&self.target),
            piece_bytes: self.piece_bytes,
            rows: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("client", &self.client)
            .field("database", &self.target.database)
            .field("table", &self.target.table)
            .finish_non_exhaustive()
    }
}

impl<T: Table + Serialize> Producer<T> {
    /// Where rows go: `database.table`.
    pub fn table(&self) -> String {
        format!("{}.{}", self.target.database, self.target.table)
    }

    /// Requests are at most about this large, 4 MiB otherwise: more rows are sent in several
    /// pieces. The server has a limit too; a smaller piece is taken or rejected as a whole sooner.
    #[must_use]
    pub fn max_request_bytes(mut self, bytes: usize) -> Self {
        self.piece_bytes = bytes.max(1);
        self
    }

    /// Sends rows and waits until they are taken.
    ///
    /// Up to 4 MiB of JSON are one request, of which all rows or none are taken. Of more rows, the
    /// first pieces may be taken when a later one is refused.
    ///
    /// # Errors
    /// [`IngestError::Row`], [`IngestError::Refused`], [`IngestError::Busy`],
    /// [`IngestError::Unreachable`], [`IngestError::Foreign`], [`IngestError::NoDatabase`].
    pub async fn send(&self, rows: &[T]) -> Result<Accepted, IngestError> {
        let key = uuid::Uuid::new_v4().simple().to_string();
        self.send_with_key(&key, rows).await
    }

    /// The same under a name of the caller's, such as the name of the file that the rows are from.
    /// The same rows under the same name are taken once, also by another process, and however
    /// often they are sent within the server's memory of names.
    ///
    /// # Errors
    /// Those of [`Self::send`]; [`IngestError::Key`]; [`IngestError::Refused`] with status 409 if
    /// the name was used for other rows.
    pub async fn send_with_key(&self, key: &str, rows: &[T]) -> Result<Accepted, IngestError> {
        checked(key)?;
        let path = self.target.path()?;
        let pieces = self.pieces(rows)?;
        let last = pieces.len().saturating_sub(1);
        let mut all = Accepted::default();
        for (number, piece) in pieces.into_iter().enumerate() {
            let post = Post {
                client: &self.client,
                path: &path,
                name: piece_name(key, number)?,
                // Commits keep the order, so the last piece speaks for all.
                ack: if number == last {
                    self.client.ack
                } else {
                    Ack::Queued
                },
                body: piece.body.clone(),
                trouble: &|_| (),
            };
            let accepted = post.send().await.map_err(|error| piece.place(error))?;
            all.add(accepted, piece.first_row, number == 0);
        }
        Ok(all)
    }

    /// Takes rows one at a time and sends them in batches, in the background.
    ///
    /// # Errors
    /// [`IngestError::Key`] for the name of the producer, [`IngestError::NoDatabase`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn sender(&self, batching: Batching) -> Result<Sender<T>, IngestError> {
        Sender::start(self.client.clone(), &self.target, batching)
    }

    fn pieces(&self, rows: &[T]) -> Result<Vec<Piece>, IngestError> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut lines = Vec::new();
        let mut first_row = 0;
        let mut line = Vec::new();
        for (number, row) in rows.iter().enumerate() {
            line.clear();
            write_line(&mut line, row, &self.target, number)?;
            if !lines.is_empty() && lines.len() + line.len() > self.piece_bytes {
                pieces.push(Piece::new(&mut lines, first_row));
                first_row = number;
            }
            lines.extend_from_slice(&line);
        }
        if !lines.is_empty() {
            pieces.push(Piece::new(&mut lines, first_row));
        }
        Ok(pieces)
    }
}

fn write_line<T: Serialize>(
    line: &mut Vec<u8>,
    row: &T,
    target: &Target,
    number: usize,
) -> Result<(), IngestError> {
    json::write_row(line, row, &target.columns).map_err(|error| IngestError::Row {
        row: number,
        reason: error.to_string(),
    })?;
    line.push(b'\n');
    Ok(())
}

/// Rows of one request.
struct Piece {
    body: Bytes,
    first_row: usize,
}

impl Piece {
    fn new(lines: &mut Vec<u8>, first_row: usize) -> Self {
        Self {
            body: std::mem::take(lines).into(),
            first_row,
        }
    }

    /// Numbers of rows as the caller counts them.
    fn place(&self, mut error: IngestError) -> IngestError {
        if let IngestError::Refused(refusal) = &mut error {
            for row in &mut refusal.rows {
                row.place(self.first_row);
            }
        }
        error
    }
}

impl Accepted {
    fn add(&mut self, piece: Self, first_row: usize, is_first: bool) {
        self.accepted += piece.accepted;
        self.offset = piece.offset.or(self.offset);
        self.duplicate = piece.duplicate && (is_first || self.duplicate);
        self.committed = piece.committed;
        self.version = piece.version;
        self.rejected += piece.rejected;
        let first = self.errors.len();
        self.errors.extend(piece.errors);
        for error in &mut self.errors[first..] {
            error.place(first_row);
        }
    }
}

impl RowError {
    /// Counts rows as the caller does, not as one piece.
    fn place(&mut self, first_row: usize) {
        self.row = self.row.map(|row| row + first_row as u64);
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address: Result<std::net::IpAddr, _> = host.trim_matches(['[', ']']).parse();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
