//! Why events weren't taken.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

/// A row that the server didn't take, and why.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RowError {
    /// Number of the row among those that were sent together, counted from 0. `None` where all of
    /// them are meant.
    #[serde(default)]
    pub row: Option<u64>,
    /// The value in it, such as `band_power[3]`; empty for the row itself.
    #[serde(default)]
    pub path: String,
    /// What was expected, and what was found.
    pub message: String,
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.row, self.path.as_str()) {
            (None, "") => f.write_str(&self.message),
            (None, path) => write!(f, "`{path}`: {}", self.message),
            (Some(row), "") => write!(f, "row {row}: {}", self.message),
            (Some(row), path) => write!(f, "row {row}, `{path}`: {}", self.message),
        }
    }
}

/// What the server said when it refused.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Refusal {
    /// Status of HTTP.
    #[serde(skip)]
    pub status: u16,
    /// For programs, such as `invalid_rows`.
    #[serde(default)]
    pub code: String,
    /// For people.
    pub message: String,
    /// What to do about it.
    #[serde(default)]
    pub hint: Option<String>,
    /// Names the request in the server's log.
    #[serde(default)]
    pub request_id: Option<String>,
    /// Rows that don't fit.
    #[serde(default)]
    pub rows: Vec<RowError>,
}

/// So many rows are named in a message; the others are in the field.
const SHOWN_ROWS: usize = 3;

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.status)?;
        // The message may tell of the first row already.
        let untold = || {
            let rows = self.rows.iter();
            rows.filter(|row| !self.message.contains(&row.message))
        };
        for row in untold().take(SHOWN_ROWS) {
            write!(f, "\n  {row}")?;
        }
        match untold().count().saturating_sub(SHOWN_ROWS) {
            0 => (),
            more => write!(f, "\n  and {more} more")?,
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

/// Why events weren't taken.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum IngestError {
    /// Not the address of a server. Mend it.
    #[error("`{url}` is no address of a server, such as `http://127.0.0.1:8080`")]
    Address {
        /// As given.
        url: String,
    },
    /// The struct is declared at the root of a crate, so its table is in no database.
    #[error("`{item}` is declared outside of a module, so it is in no database")]
    NoDatabase {
        /// The struct.
        item: String,
    },
    /// A key, or the name of a producer, that can't stand in a header.
    #[error("`{key}` can't name a request: a key is 1 to 180 visible ASCII characters")]
    Key {
        /// As given.
        key: String,
    },
    /// A row can't be written as JSON. Nothing was sent of the rows that were given with it.
    #[error("row {row} can't be written: {reason}")]
    Row {
        /// Its number, counted from 0.
        row: usize,
        /// What of it.
        reason: String,
    },
    /// The server doesn't take the rows: they don't fit (status 422), the table is unknown (404),
    /// the key was used for other rows (409), they are too many at once (413). Sending them again
    /// changes nothing.
    #[error("the server refused the rows: {0}")]
    Refused(Box<Refusal>),
    /// The server can't take rows at the moment (429, 503...), for longer than the client is
    /// patient. Send them again with the same key.
    #[error("the server takes no rows, asked {} in {}: {refusal}", Times(*.attempts), Seconds(*.waited))]
    Busy {
        /// The last answer.
        refusal: Box<Refusal>,
        /// How often it was asked.
        attempts: u32,
        /// For how long.
        waited: Duration,
    },
    /// The server can't be reached, or its answers were lost, for longer than the client is
    /// patient. Whether it took the rows is unknown. Send them again with the same key.
    #[error("can't reach the server at {url}, tried {} in {}", Times(*.attempts), Seconds(*.waited))]
    Unreachable {
        /// Its address.
        url: String,
        /// How often it was tried.
        attempts: u32,
        /// For how long.
        waited: Duration,
        /// What was wrong the last time.
        source: Arc<reqwest::Error>,
    },
    /// What answers isn't this door.
    #[error("{url} doesn't answer as a neurolake server ({status})")]
    Foreign {
        /// Its address.
        url: String,
        /// Status of HTTP.
        status: u16,
    },
    /// The client couldn't be made.
    #[error("can't set up an HTTP client")]
    Client(#[source] Arc<reqwest::Error>),
    /// A [`Sender`](super::Sender) that gave up earlier, for this reason. It takes no more rows.
    #[error("the sender gave up: {0}")]
    Stopped(Arc<IngestError>),
    /// The runtime that a [`Sender`](super::Sender) works on has ended.
    #[error("the sender was stopped before it had sent everything")]
    Ended,
}

struct Times(u32);

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("once"),
            times => write!(f, "{times} times"),
        }
    }
}

struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} s", self.0.as_secs_f64())
    }
}
