//! `/api/sql`: one read-only statement, rows as they come.

use axum::Extension;
use axum::body::to_bytes;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use neurolake_query as query;
use serde::Deserialize;
use serde_json::Value;

use crate::doors::Doors;
use crate::encode::Format;
use crate::format;
use crate::identity::RequestId;
use crate::parameters;
use crate::refusal::Refusal;
use crate::turn::{Manner, Turn};

const EXAMPLE: &str = "send the statement as the body, or {\"sql\": \"select ...\", \"parameters\": [..]} as application/json";

/// What may stand behind `?`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    q: Option<String>,
    parameters: Option<String>,
    format: Option<String>,
}

/// A JSON body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    sql: String,
    #[serde(default)]
    parameters: Value,
    format: Option<String>,
}

struct Asked {
    request: query::Request,
    format: Format,
}

pub(crate) async fn get(
    State(doors): State<Doors>,
    Extension(id): Extension<RequestId>,
    request: Request,
) -> Response {
    let asked = from_address(&doors, &request);
    answer(&doors, id, asked).await
}

pub(crate) async fn post(
    State(doors): State<Doors>,
    Extension(id): Extension<RequestId>,
    request: Request,
) -> Response {
    let asked = from_body(&doors, request).await;
    answer(&doors, id, asked).await
}

fn options(request: &Request) -> Result<Options, Refusal> {
    let options = Query::<Options>::try_from_uri(request.uri());
    options.map(|Query(options)| options).map_err(|error| {
        Refusal::bad_request(format!(
            "can't read what stands behind `?`: {}",
            error.body_text()
        ))
        .with_hint("use `q`, `parameters` and `format`")
    })
}

fn from_address(doors: &Doors, request: &Request) -> Result<Asked, Refusal> {
    let length = request.uri().query().map_or(0, str::len);
    check_length(doors, length)?;
    let options = options(request)?;
    let sql = options.q.ok_or_else(|| {
        Refusal::bad_request("no statement")
            .with_hint("write it behind `?q=`, with spaces as `%20`, or send it with POST")
    })?;
    let values = match &options.parameters {
        None => Value::Null,
        Some(text) => serde_json::from_str(text)
            .map_err(|error| Refusal::bad_request(format!("`parameters` is not JSON: {error}")))?,
    };
    asked(sql, values, options.format.as_deref(), request.headers())
}

async fn from_body(doors: &Doors, request: Request) -> Result<Asked, Refusal> {
    let options = options(&request)?;
    if options.q.is_some() || options.parameters.is_some() {
        return Err(
            Refusal::bad_request("the statement stands behind `?` of a POST").with_hint(EXAMPLE),
        );
    }
    let (parts, body) = request.into_parts();
    let most = doors.shared.settings.statement_bytes;
    let bytes = to_bytes(body, most).await;
    // Its only other error is a connection that is gone.
    let bytes = bytes.map_err(|_| too_long(most))?;
    if is_json(&parts.headers) {
        let document: Document = serde_json::from_slice(&bytes).map_err(|error| {
            Refusal::bad_request(format!("can't read the JSON body: {error}")).with_hint(EXAMPLE)
        })?;
        let format = options.format.or(document.format);
        return asked(
            document.sql,
            document.parameters,
            format.as_deref(),
            &parts.headers,
        );
    }
    let sql = String::from_utf8(bytes.into()).map_err(|_| {
        Refusal::bad_request("the statement is not UTF-8").with_hint("send it as UTF-8 text")
    })?;
    asked(sql, Value::Null, options.format.as_deref(), &parts.headers)
}

fn asked(
    sql: String,
    values: Value,
    named: Option<&str>,
    headers: &HeaderMap,
) -> Result<Asked, Refusal> {
    if sql.trim().is_empty() {
        return Err(Refusal::bad_request("the statement is empty").with_hint(EXAMPLE));
    }
    Ok(Asked {
        format: format::wanted(named, headers)?,
        request: query::Request {
            parameters: parameters::from_json(values)?,
            ..query::Request::new(sql)
        },
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = media_type.and_then(|value| value.split(';').next());
    media_type.is_some_and(|value| value.trim().eq_ignore_ascii_case("application/json"))
}

fn check_length(doors: &Doors, length: usize) -> Result<(), Refusal> {
    let most = doors.shared.settings.statement_bytes;
    if length > most {
        Err(too_long(most))
    } else {
        Ok(())
    }
}

fn too_long(most: usize) -> Refusal {
    Refusal::too_large(format!("the statement is longer than {most} bytes"))
        .with_hint("join with a table instead of listing many values")
}

async fn answer(doors: &Doors, id: RequestId, asked: Result<Asked, Refusal>) -> Response {
    let turn = match asked {
        Ok(asked) => Turn::begin(doors, &id).await.map(|turn| (turn, asked)),
        Err(refusal) => Err(refusal),
    };
    match turn {
        Ok((turn, Asked { request, format })) => {
            turn.answer(request, format, Manner::default()).await
        }
        Err(refusal) => refusal.respond(&id),
    }
}
