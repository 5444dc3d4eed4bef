//! What a request asks for, by its headers and parameters.

use std::time::Duration;

use axum::extract::Query;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};

use super::answer::Problem;
use crate::validate::{Form, Invalid};

/// Characters of a key or of a producer's name at most.
pub(crate) const KEY_CHARACTERS: usize = 200;
/// Seconds that a client may wait for a commit.
pub(crate) const MAX_TIMEOUT: u64 = 300;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const PRODUCER_ID: HeaderName = HeaderName::from_static("producer-id");
const PRODUCER_SEQUENCE: HeaderName = HeaderName::from_static("producer-sequence");

const PARAMETERS: &str =
    "known are `ack=queued|committed`, `invalid=reject|skip|quarantine`, `timeout=SECONDS`";
const TYPES: &str =
    "send `application/json`, `application/x-ndjson` or `application/vnd.apache.arrow.stream`";

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

/// A request without its body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) form: Form,
    pub(super) encoding: Encoding,
    pub(super) invalid: Invalid,
    /// How long to wait for the commit; `None`: not at all.
    pub(super) commit: Option<Duration>,
    pub(super) key: Option<String>,
}

impl Asked {
    pub(super) fn of(parts: &Parts) -> Result<Self, Problem> {
        let (invalid, commit) = parameters(parts)?;
        Ok(Self {
            form: form(&parts.headers)?,
            encoding: encoding(&parts.headers)?,
            invalid,
            commit,
            key: key(&parts.headers)?,
        })
    }
}

fn parameters(parts: &Parts) -> Result<(Invalid, Option<Duration>), Problem> {
    let wrong = |message: String| Problem::bad_request(message).with_hint(PARAMETERS);
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
        .map_err(|error| wrong(format!("can't read what stands behind `?`: {error}")))?;
    let (mut ack, mut invalid, mut timeout) = (None, None, None);
    for (name, value) in &pairs {
        let parameter = match name.as_str() {
            "ack" => &mut ack,
            "invalid" => &mut invalid,
            "timeout" => &mut timeout,
            other => return Err(wrong(format!("there is no parameter {other:?}"))),
        };
        if parameter.replace(value.as_str()).is_some() {
            return Err(wrong(format!("the parameter `{name}` stands twice")));
        }
    }
    let invalid = match invalid {
        None | Some("reject") => Invalid::Reject,
        Some("skip") => Invalid::Skip,
        Some("quarantine") => Invalid::Quarantine,
        Some(other) => return Err(wrong(format!("`invalid` can't be {other:?}"))),
    };
    let timeout = match timeout {
        None => DEFAULT_TIMEOUT,
        Some(text) => match text.parse::<u64>() {
            Ok(seconds) if seconds <= MAX_TIMEOUT => Duration::from_secs(seconds),
            _ => {
                let expected = format!("expected whole seconds, at most {MAX_TIMEOUT}");
                return Err(wrong(format!("`timeout` can't be {text:?}; {expected}")));
            }
        },
    };
    match ack {
        None | Some("queued") => Ok((invalid, None)),
        Some("committed") => Ok((invalid, Some(timeout))),
        Some(other) => Err(wrong(format!("`ack` can't be {other:?}"))),
    }
}

/// A header's text; an error if it stands there twice.
fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        let message = format!("the header `{name}` stands twice");
        return Err(Problem::bad_request(message));
    }
    let not_text = || Problem::bad_request(format!("the header `{name}` is not ASCII text"));
    first
        .map(|value| value.to_str().map_err(|_| not_text()))
        .transpose()
}

fn form(headers: &HeaderMap) -> Result<Form, Problem> {
    let wrong = |message: String| Problem::unsupported(message).with_hint(TYPES);
    let Some(value) = text(headers, &header::CONTENT_TYPE)? else {
        return Err(wrong(
            "the request doesn't say what it sends: `Content-Type` is missing".into(),
        ));
    };
    let mut parts = value.split(';').map(str::trim);
    let form = match parts
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase()
        .as_str()
    {
        "application/json" => Form::Json,
        "application/x-ndjson" | "application/jsonl" => Form::Lines,
        "application/vnd.apache.arrow.stream" => return Ok(Form::Arrow),
        other => return Err(wrong(format!("bodies of the type {other:?} aren't taken"))),
    };
    for parameter in parts {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = value.trim_matches('"').to_ascii_lowercase();
        let is_charset = name.eq_ignore_ascii_case("charset");
        if is_charset && !["utf-8", "utf8", "us-ascii"].contains(&value.as_str()) {
            return Err(wrong(format!("JSON is UTF-8, not {value:?}")));
        }
    }
    Ok(form)
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Problem> {
    match text(headers, &header::CONTENT_ENCODING)? {
        None => Ok(Encoding::Identity),
        Some(value) => match value.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Encoding::Identity),
            "gzip" | "x-gzip" => Ok(Encoding::Gzip),
            "zstd" => Ok(Encoding::Zstd),
            other => Err(
                Problem::unsupported(format!("bodies encoded as {other:?} aren't taken"))
                    .with_hint("compress with `gzip` or `zstd`, or not at all"),
            ),
        },
    }
}

/// Names of the two kinds can't be mistaken for each other.
fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let key = name(headers, &IDEMPOTENCY_KEY)?;
    let producer = name(headers, &PRODUCER_ID)?;
    let sequence = text(headers, &PRODUCER_SEQUENCE)?;
    let hint = "send `Idempotency-Key`, or `Producer-Id` together with `Producer-Sequence`";
    match (key, producer, sequence) {
        (None, None, None) => Ok(None),
        (Some(key), None, None) => Ok(Some(format!("key:{key}"))),
        (None, Some(producer), Some(sequence)) => match sequence.parse::<u64>() {
            Ok(sequence) => Ok(Some(format!("producer:{producer}:{sequence}"))),
            Err(_) => Err(Problem::bad_request(format!(
                "`Producer-Sequence` is {sequence:?}; expected a whole number of 64 bits"
            ))),
        },
        (Some(_), _, _) => Err(Problem::bad_request(
            "the request has an `Idempotency-Key` and a producer's sequence",
        )
        .with_hint(hint)),
        (None, Some(_), None) => {
            Err(Problem::bad_request("`Producer-Sequence` is missing").with_hint(hint))
        }
        (None, None, Some(_)) => {
            Err(Problem::bad_request("`Producer-Id` is missing").with_hint(hint))
        }
    }
}

fn name<'h>(headers: &'h HeaderMap, header: &HeaderName) -> Result<Option<&'h str>, Problem> {
    let Some(text) = text(headers, header)? else {
        return Ok(None);
    };
    let is_name = (1..=KEY_CHARACTERS).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_name {
        return Err(Problem::bad_request(format!(
            "`{header}` must be 1 to {KEY_CHARACTERS} visible ASCII characters"
        )));
    }
    Ok(Some(text))
}
