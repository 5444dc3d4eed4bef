//! What HTTP carries: documents with their variables in, answers out, as the draft "GraphQL over
//! HTTP" has it.

use async_graphql::Variables;
use axum::body::to_bytes;
use axum::extract::{Query, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;

use super::answer::{Fault, write_errors};
use crate::accounts::Client;
use crate::format::best;
use crate::identity::RequestId;
use crate::refusal::Refusal;
use crate::turn::Manner;

const EXAMPLE: &str = "send {\"query\": \"{ ... }\", \"variables\": {..}} as application/json";

/// A document that came in.
pub(crate) struct Incoming {
    pub(crate) query: String,
    pub(crate) operation: Option<String>,
    pub(crate) variables: Variables,
    /// Whether the method promises that nothing is changed.
    pub(crate) is_get: bool,
}

/// What may stand in a body. Other keys are for others.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    query: Option<String>,
    operation_name: Option<String>,
    #[serde(default)]
    variables: Variables,
}

/// What may stand behind `?`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Options {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Option<String>,
    #[serde(rename = "extensions")]
    _extensions: Option<String>,
}

impl Incoming {
    pub(crate) fn from_address(client: &Client, request: &Request) -> Result<Self, Refusal> {
        let most = client.shared.settings.statement_bytes;
        if request.uri().query().map_or(0, str::len) > most {
            return Err(too_long(most));
        }
        let options = Query::<Options>::try_from_uri(request.uri());
        let Query(options) = options.map_err(|error| {
            let message = format!("can't read what stands behind `?`: {}", error.body_text());
            Refusal::bad_request(message).with_hint("use `query`, `operationName` and `variables`")
        })?;
        let variables = options.variables.as_deref().unwrap_or("null");
        let variables = serde_json::from_str(variables).map_err(|error| {
            Refusal::bad_request(format!("`variables` is no JSON object: {error}"))
        })?;
        Ok(Self {
            query: options.query.ok_or_else(no_document)?,
            operation: options.operation_name,
            variables,
            is_get: true,
        })
    }

    pub(crate) async fn from_body(client: &Client, request: Request) -> Result<Self, Refusal> {
        check_content_type(request.headers())?;
        let most = client.shared.settings.statement_bytes;
        let bytes = to_bytes(request.into_body(), most).await;
        // Its only other error is a connection that is gone.
        let bytes = bytes.map_err(|_| too_long(most))?;
        if bytes.trim_ascii_start().starts_with(b"[") {
            return Err(
                Refusal::bad_request("a list of documents where one is allowed")
                    .with_hint("send each by itself, or several fields in one document"),
            );
        }
        let body: Body = serde_json::from_slice(&bytes).map_err(|error| {
            Refusal::bad_request(format!("can't read the JSON body: {error}")).with_hint(EXAMPLE)
        })?;
        Ok(Self {
            query: body.query.ok_or_else(no_document)?,
            operation: body.operation_name,
            variables: body.variables,
            is_get: false,
        })
    }
}

fn no_document() -> Refusal {
    Refusal::bad_request("there is no `query`").with_hint(EXAMPLE)
}

pub(super) fn too_long(most: usize) -> Refusal {
    Refusal::too_large(format!("the document is longer than {most} bytes"))
        .with_hint("send several, or ask for less")
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let media_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Refusal::media_type("the body is not `application/json`").with_hint(EXAMPLE))
}

/// The media type of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    /// For clients that take any other status than 200 for a broken server.
    Json,
    /// For clients that know GraphQL's own.
    GraphQl,
}

impl Media {
    pub(crate) fn wanted(headers: &HeaderMap) -> Result<Self, Refusal> {
        let accepted: Vec<&str> = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect();
        if accepted.is_empty() {
            return Ok(Self::Json);
        }
        best(&accepted.join(","), Self::of).ok_or_else(|| {
            Refusal::not_acceptable("none of the media types in `Accept` can be served")
                .with_hint("accept `application/graphql-response+json` or `application/json`")
        })
    }

    fn of(media_type: &str) -> Option<(Self, u8)> {
        Some(match media_type {
            "*/*" => (Self::Json, 0),
            "application/*" => (Self::Json, 1),
            "application/json" => (Self::Json, 2),
            "application/graphql-response+json" => (Self::GraphQl, 2),
            _ => return None,
        })
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "application/json; charset=utf-8",
            Self::GraphQl => "application/graphql-response+json; charset=utf-8",
        })
    }

    /// The status of a document that can't be answered.
    pub(crate) fn status(self, faults: &[Fault]) -> StatusCode {
        let own = faults
            .first()
            .map_or(StatusCode::BAD_REQUEST, |fault| fault.refusal.status());
        match own {
            // It matters to whoever asks again, and to whatever stands between.
            StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::INTERNAL_SERVER_ERROR => own,
            _ if self == Self::Json => StatusCode::OK,
            _ => own,
        }
    }

    /// An answer of which perhaps some fields are missing.
    pub(crate) fn answer(self, data: &[u8], faults: &[Fault], id: &RequestId) -> Response {
        let mut text = Vec::with_capacity(data.len() + 16);
        text.extend_from_slice(b"{\"data\":");
        text.extend_from_slice(data);
        if !faults.is_empty() {
            text.extend_from_slice(b",\"errors\":");
            text.extend_from_slice(&write_errors(faults, id));
        }
        text.extend_from_slice(b"}\n");
        Manner::default().respond(self.content_type(), text)
    }

    /// No answer.
    pub(crate) fn refuse(self, status: StatusCode, faults: &[Fault], id: &RequestId) -> Response {
        let mut text = b"{\"errors\":".to_vec();
        text.extend_from_slice(&write_errors(faults, id));
        text.extend_from_slice(b"}\n");
        let headers = faults.first().map(|fault| fault.refusal.headers());
        let manner = Manner {
            status,
            headers: headers.unwrap_or_default(),
        };
        manner.respond(self.content_type(), text)
    }
}
