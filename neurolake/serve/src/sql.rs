//! `/api/sql`: one read-only statement, rows as they come.

use std::time::Duration;

use axum::Extension;
use axum::body::to_bytes;
use axum::extract::{Query, Request};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use neurolake_query::{self as query, MinVersion};
use serde::Deserialize;
use serde_json::Value;

use crate::accounts::Client;
use crate::encode::Format;
use crate::format;
use crate::identity::RequestId;
use crate::kept::USUAL;
use crate::parameters;
use crate::refusal::Refusal;
use crate::turn::{Manner, Turn};

const EXAMPLE: &str = "send the statement as the body, or {\"sql\": \"select ...\", \"parameters\": [..]} as application/json";

/// What may stand behind `?`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    q: Option<String>,
    parameters: Option<String>,
    format: Option<String>,
    max_staleness: Option<String>,
    min_version: Option<String>,
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
    client: Client,
    Extension(id): Extension<RequestId>,
    request: Request,
) -> Response {
    let asked = from_address(&client, &request);
    answer(&client, id, asked).await
}

pub(crate) async fn post(
    client: Client,
    Extension(id): Extension<RequestId>,
    request: Request,
) -> Response {
    let asked = from_body(&client, request).await;
    answer(&client, id, asked).await
}

fn options(request: &Request) -> Result<Options, Refusal> {
    let options = Query::<Options>::try_from_uri(request.uri());
    options.map(|Query(options)| options).map_err(|error| {
        Refusal::bad_request(format!(
            "can't read what stands behind `?`: {}",
            error.body_text()
        ))
        .with_hint("use `q`, `parameters`, `format`, `max_staleness` and `min_version`")
    })
}

fn from_address(client: &Client, request: &Request) -> Result<Asked, Refusal> {
    let length = request.uri().query().map_or(0, str::len);
    check_length(client, length)?;
    let options = options(request)?;
    let sql = options.q.clone().ok_or_else(|| {
        Refusal::bad_request("no statement")
            .with_hint("write it behind `?q=`, with spaces as `%20`, or send it with POST")
    })?;
    let values = match &options.parameters {
        None => Value::Null,
        Some(text) => serde_json::from_str(text)
            .map_err(|error| Refusal::bad_request(format!("`parameters` is not JSON: {error}")))?,
    };
    asked(sql, values, &options, None, request.headers())
}

async fn from_body(client: &Client, request: Request) -> Result<Asked, Refusal> {
    let options = options(&request)?;
    if options.q.is_some() || options.parameters.is_some() {
        return Err(
            Refusal::bad_request("the statement stands behind `?` of a POST").with_hint(EXAMPLE),
        );
    }
    let (parts, body) = request.into_parts();
    let most = client.shared.settings.statement_bytes;
    let bytes = to_bytes(body, most).await;
    // Its only other error is a connection that is gone.
    let bytes = bytes.map_err(|_| too_long(most))?;
    if is_json(&parts.headers) {
        let document: Document = serde_json::from_slice(&bytes).map_err(|error| {
            Refusal::bad_request(format!("can't read the JSON body: {error}")).with_hint(EXAMPLE)
        })?;
        return asked(
            document.sql,
            document.parameters,
            &options,
            document.format.as_deref(),
            &parts.headers,
        );
    }
    let sql = String::from_utf8(bytes.into()).map_err(|_| {
        Refusal::bad_request("the statement is not UTF-8").with_hint("send it as UTF-8 text")
    })?;
    asked(sql, Value::Null, &options, None, &parts.headers)
}

fn asked(
    sql: String,
    values: Value,
    options: &Options,
    named: Option<&str>,
    headers: &HeaderMap,
) -> Result<Asked, Refusal> {
    if sql.trim().is_empty() {
        return Err(Refusal::bad_request("the statement is empty").with_hint(EXAMPLE));
    }
    let named = options.format.as_deref().or(named);
    Ok(Asked {
        format: format::wanted(named, headers)?,
        request: query::Request {
            parameters: parameters::from_json(values)?,
            // More is for answers that are kept: they say when they were right.
            max_staleness: max_staleness(options.max_staleness.as_deref())?
                .filter(|most| *most < USUAL),
            min_versions: min_versions(options.min_version.as_deref())?,
            ..query::Request::new(sql)
        },
    })
}

/// `500ms`, `2s`, `5m`.
fn max_staleness(text: Option<&str>) -> Result<Option<Duration>, Refusal> {
    let Some(text) = text else { return Ok(None) };
    match duration(text) {
        Some(most) => Ok(Some(most)),
        None => Err(
            Refusal::bad_request(format!("`max_staleness` is `{text}`, which is no time"))
                .with_hint("write it like 500ms, 2s or 5m"),
        ),
    }
}

fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        _ => return None,
    };
    number.checked_mul(milliseconds).map(Duration::from_millis)
}

/// `neural.spikes@12`, several with commas between them.
fn min_versions(text: Option<&str>) -> Result<Vec<MinVersion>, Refusal> {
    let texts = text.into_iter().flat_map(|text| text.split(','));
    texts
        .map(|text| {
            min_version(text.trim()).ok_or_else(|| {
                Refusal::bad_request(format!("`min_version` is `{text}`, which is no version"))
                    .with_hint("write it like neural.spikes@12")
            })
        })
        .collect()
}

fn min_version(text: &str) -> Option<MinVersion> {
    let (name, version) = text.rsplit_once('@')?;
    let (database, table) = name.split_once('.')?;
    Some(MinVersion {
        database: database.to_owned(),
        table: table.to_owned(),
        version: version.parse().ok()?,
    })
}

/// What an address says about how new its answer must be.
pub(crate) struct Freshness {
    /// The address without that.
    pub(crate) rest: String,
    pub(crate) max_staleness: Option<Duration>,
    pub(crate) has_min_version: bool,
}

impl Freshness {
    /// An address that can't say.
    pub(crate) fn usual(query: &str) -> Self {
        Self {
            rest: query.to_owned(),
            max_staleness: None,
            has_min_version: false,
        }
    }

    pub(crate) fn of(query: &str) -> Self {
        let mut found = Self::usual("");
        for pair in query.split('&') {
            let parts = pair.split_once('=');
            // What is no time is for the door to refuse.
            if let Some(("max_staleness", value)) = parts
                && let Some(most) = duration(value)
            {
                found.max_staleness = Some(most);
                continue;
            }
            found.has_min_version |= matches!(parts, Some(("min_version", _)));
            found.rest.push_str(pair);
            found.rest.push('&');
        }
        found
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = media_type.and_then(|value| value.split(';').next());
    media_type.is_some_and(|value| value.trim().eq_ignore_ascii_case("application/json"))
}

fn check_length(client: &Client, length: usize) -> Result<(), Refusal> {
    let most = client.shared.settings.statement_bytes;
    if length > most {
        Err(too_long(most))
    } else {
        Ok(())
    }
}

pub(crate) fn too_long(most: usize) -> Refusal {
    Refusal::too_large(format!("the statement is longer than {most} bytes"))
        .with_hint("join with a table instead of listing many values")
}

async fn answer(client: &Client, id: RequestId, asked: Result<Asked, Refusal>) -> Response {
    let turn = match asked {
        Ok(asked) => Turn::begin(client, &id).await.map(|turn| (turn, asked)),
        Err(refusal) => Err(refusal),
    };
    match turn {
        Ok((turn, Asked { request, format })) => {
            turn.answer(request, format, Manner::default()).await
        }
        Err(refusal) => refusal.respond(&id),
    }
}
