//! Errors as clients see them: `{"error": {"code", "message", "hint"?, "position"?, "request_id"}}`.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use neurolake_query::{Error, Kind, Position};
use serde::Serialize;

use crate::identity::RequestId;

/// Why a request is not answered.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    hint: Option<String>,
    /// In the statement that the client wrote.
    position: Option<Position>,
    /// Seconds after which it may be tried again.
    retry_after: Option<u16>,
}

#[derive(Serialize)]
struct Document<'a> {
    error: Details<'a>,
}

/// An error as clients see it.
#[derive(Serialize)]
pub(crate) struct Details<'a> {
    pub(crate) code: &'a str,
    pub(crate) message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<Place>,
    pub(crate) request_id: &'a str,
}

#[derive(Serialize)]
struct Place {
    line: u64,
    column: u64,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            hint: None,
            position: None,
            retry_after: None,
        }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    pub(crate) fn not_allowed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "not_allowed", message)
    }

    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message).with_hint(
            "send `Authorization: Bearer TOKEN`, or the account's name and its token as user and password",
        )
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    pub(crate) fn method(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            message,
        )
    }

    pub(crate) fn not_acceptable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", message)
    }

    pub(crate) fn range(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            "range_not_satisfiable",
            message,
        )
    }

    pub(crate) fn media_type(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            message,
        )
    }

    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    }

    pub(crate) fn busy() -> Self {
        let mut refusal = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "busy",
            "too many queries are running",
        )
        .with_hint("try again in a moment");
        refusal.retry_after = Some(1);
        refusal
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn with_position(mut self, position: Option<Position>) -> Self {
        self.position = position;
        self
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// For doors whose errors have a form of their own.
    pub(crate) fn details<'a>(&'a self, id: &'a RequestId) -> Details<'a> {
        Details {
            code: self.code,
            message: &self.message,
            hint: self.hint.as_deref(),
            position: self
                .position
                .map(|Position { line, column }| Place { line, column }),
            request_id: id.as_str(),
        }
    }

    /// Headers of an answer that refuses.
    pub(crate) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let ways = "Basic realm=\"neurolake\", charset=\"UTF-8\", Bearer realm=\"neurolake\"";
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(ways));
        }
        headers
    }

    pub(crate) fn respond(&self, id: &RequestId) -> Response {
        let document = Document {
            error: self.details(id),
        };
        (self.status, self.headers(), Json(document)).into_response()
    }
}

/// For extractors, whose requests have an id nonetheless: it stands in the header.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.respond(&RequestId::fresh())
    }
}

impl From<&Error> for Refusal {
    fn from(error: &Error) -> Self {
        let status = match error.kind {
            Kind::BadRequest => StatusCode::BAD_REQUEST,
            Kind::NotAllowed | Kind::Forbidden => StatusCode::FORBIDDEN,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::TooMuch => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::Timeout => StatusCode::REQUEST_TIMEOUT,
            Kind::Broken => StatusCode::BAD_GATEWAY,
            Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let mut refusal = Self::new(status, error.kind.code(), error.message.clone());
        refusal.hint.clone_from(&error.hint);
        refusal
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}
