//! Errors as clients see them: `{"error": {"code", "message", "hint"?, "request_id"}}`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use neurolake_query::{Error, Kind};
use serde::Serialize;

use crate::identity::RequestId;

/// Why a request is not answered.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    hint: Option<String>,
    /// Seconds after which it may be tried again.
    retry_after: Option<u16>,
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
    request_id: &'a str,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            hint: None,
            retry_after: None,
        }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    pub(crate) fn not_allowed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "not_allowed", message)
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

    pub(crate) fn no_such_format(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", message)
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

    pub(crate) fn respond(&self, id: &RequestId) -> Response {
        let document = Document {
            error: Details {
                code: self.code,
                message: &self.message,
                hint: self.hint.as_deref(),
                request_id: id.as_str(),
            },
        };
        let mut response = (self.status, Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<&Error> for Refusal {
    fn from(error: &Error) -> Self {
        let (status, code) = match error.kind {
            Kind::BadRequest => (StatusCode::BAD_REQUEST, "bad_request"),
            Kind::NotAllowed => (StatusCode::FORBIDDEN, "not_allowed"),
            Kind::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            Kind::TooMuch => (StatusCode::PAYLOAD_TOO_LARGE, "too_much"),
            Kind::Timeout => (StatusCode::REQUEST_TIMEOUT, "timeout"),
            Kind::Broken => (StatusCode::BAD_GATEWAY, "broken"),
            Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        let mut refusal = Self::new(status, code, error.message.clone());
        refusal.hint.clone_from(&error.hint);
        refusal
    }
}
