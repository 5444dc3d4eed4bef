//! What clients see: acknowledgements, and errors as
//! `{"error": {"code", "message", "hint"?, "request_id"?, "rows"?}}`.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Refused;
use crate::validate::{RowError, Unreadable};

/// Header of the request's id, set by the server that mounts the door.
pub(super) const REQUEST_ID: &str = "x-request-id";

/// The id of a request, if it has one.
pub(super) fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (id.len() <= 64 && id.chars().all(is_plain)).then(|| id.to_owned())
}

/// An acknowledgement.
#[derive(Debug, Serialize)]
pub(super) struct Acknowledgement {
    /// Rows that are kept.
    pub(super) accepted: usize,
    /// Where; null if there was nothing to keep.
    pub(super) offset: Option<u64>,
    pub(super) duplicate: bool,
    /// Whether they are in the table; only if that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) committed: Option<bool>,
    /// A version of the table that holds them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<u64>,
    /// Rows that don't fit; only if some of the rows may be kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rejected: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) errors: Option<Vec<RowError>>,
}

impl IntoResponse for Acknowledgement {
    fn into_response(self) -> Response {
        let status = match self.committed {
            Some(true) => StatusCode::OK,
            _ => StatusCode::ACCEPTED,
        };
        let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
        (status, no_store, Json(self)).into_response()
    }
}

/// Why a request isn't answered as asked.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    message: String,
    hint: Option<String>,
    rows: Vec<RowError>,
    retry_after: Option<Duration>,
}

#[derive(Serialize)]
struct Document<'a> {
    error: Details<'a>,
}

#[derive(Serialize)]
struct Details<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    rows: &'a [RowError],
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            hint: None,
            rows: Vec::new(),
            retry_after: None,
        }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    pub(super) fn method(message: impl Into<String>) -> Self {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        Self::new(status, "method_not_allowed", message)
    }

    pub(super) fn unsupported(message: impl Into<String>) -> Self {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Self::new(status, "unsupported_media_type", message)
    }

    pub(super) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
            .with_hint("send fewer rows in one request")
    }

    pub(super) fn too_slow(message: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "timeout", message)
    }

    pub(super) fn busy(message: impl Into<String>, retry_after: Duration) -> Self {
        let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "busy", message)
            .with_hint("nothing was kept; try again after the time in `Retry-After`");
        problem.retry_after = Some(retry_after);
        problem
    }

    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn with_rows(mut self, rows: Vec<RowError>) -> Self {
        self.rows = rows;
        self
    }

    /// What a queue says, to a client. Its own words are for the log.
    pub(super) fn refused(refused: &Refused) -> Self {
        match refused {
            Refused::Full { .. } => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "full",
                "the server has no room for more events",
            )
            .with_hint("nothing was kept; try again when there is room"),
            Refused::Pressure { retry_after } => Self::busy(
                "events come faster than they can be committed",
                *retry_after,
            ),
            Refused::KeyReused { offset } => Self::new(
                StatusCode::CONFLICT,
                "key_reused",
                format!("this key was used for other content, which stands at offset {offset}"),
            )
            .with_hint("repeat a request with the very same body, and use a new key for new rows"),
            Refused::TooLarge { bytes, limit } => Self::too_large(format!(
                "the rows take {bytes} bytes, and the queue takes {limit} at once"
            )),
            Refused::Unavailable { retry_after, .. } => {
                let mut problem = Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "unavailable",
                    "the queue doesn't answer; whether the rows are kept is unknown",
                )
                .with_hint("repeat the request with the same `Idempotency-Key`");
                problem.retry_after = Some(*retry_after);
                problem
            }
        }
    }

    pub(super) fn respond(&self, request_id: Option<&str>) -> Response {
        let document = Document {
            error: Details {
                code: self.code,
                message: &self.message,
                hint: self.hint.as_deref(),
                request_id,
                rows: &self.rows,
            },
        };
        let mut response = (self.status, Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.retry_after {
            // Whole seconds, and never zero.
            let seconds = wait.as_millis().div_ceil(1000).max(1);
            let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<Unreadable> for Problem {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::Syntax { message, hint } => {
                let mut problem = Self::bad_request(message);
                problem.hint = hint;
                problem
            }
            Unreadable::Unsupported { message, hint } => Self::unsupported(message).with_hint(hint),
            Unreadable::TooLarge { limit } => Self::too_large(format!(
                "the rows take more than {limit} bytes when they are read"
            )),
            Unreadable::Rows { errors, is_syntax } => {
                let hint = "none of the rows was kept; `?invalid=skip` keeps those that fit, `?invalid=quarantine` sets the others aside";
                let message = count(&errors);
                if is_syntax {
                    Self::bad_request(message)
                } else {
                    let status = StatusCode::UNPROCESSABLE_ENTITY;
                    Self::new(status, "invalid_rows", message)
                }
                .with_hint(hint)
                .with_rows(errors)
            }
        }
    }
}

fn count(errors: &[RowError]) -> String {
    let Some(first) = errors.first() else {
        return "the rows don't fit".into();
    };
    let place = match (first.row, first.line) {
        (None, _) => "no row fits".into(),
        (Some(row), None) => format!("row {row} doesn't fit"),
        (Some(row), Some(line)) => format!("row {row} (line {line}) doesn't fit"),
    };
    let path = match first.path.as_str() {
        "" => String::new(),
        path => format!("`{path}` "),
    };
    let more = match errors.len() - 1 {
        0 => String::new(),
        more => format!("; {more} more in `rows`"),
    };
    format!("{place}: {path}{}{more}", first.message)
}
