//! One request until it has an answer: with the same name, so that the server takes it once.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use super::error::{IngestError, Refusal};
use super::{Accepted, Ack, Client};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A queue answers in milliseconds, a stuck machine never.
const ANSWER: Duration = Duration::from_secs(30);
/// The server takes names of 200 characters, and numbers of pieces stand behind them.
const LONGEST_KEY: usize = 180;

/// What names a request, so that it isn't taken twice.
#[derive(Debug, Clone)]
pub(super) enum Name {
    Key(HeaderValue),
    Sequence(HeaderValue, u64),
}

/// What names a piece of the rows that a key names.
pub(super) fn piece_name(key: &str, number: usize) -> Result<Name, IngestError> {
    let text = format!("{key}/{number}");
    let value = HeaderValue::from_str(&text);
    value
        .map(Name::Key)
        .map_err(|_| IngestError::Key { key: text })
}

/// A value for a header, if it may be one.
pub(super) fn checked(key: &str) -> Result<HeaderValue, IngestError> {
    let is_visible = key.bytes().all(|byte| byte.is_ascii_graphic());
    let value = HeaderValue::from_str(key).ok();
    value
        .filter(|_| is_visible && (1..=LONGEST_KEY).contains(&key.len()))
        .ok_or_else(|| IngestError::Key {
            key: key.chars().take(LONGEST_KEY).collect(),
        })
}

/// A request that can be repeated.
pub(super) struct Post<'a> {
    pub(super) client: &'a Client,
    pub(super) path: &'a str,
    pub(super) name: Name,
    pub(super) ack: Ack,
    pub(super) body: Bytes,
    /// Hears why a request is repeated, and that it no longer is.
    pub(super) trouble: &'a (dyn Fn(Option<String>) + Sync),
}

/// Why an attempt gave no answer to keep.
enum Trouble {
    Final(IngestError),
    Busy(Refusal, Option<Duration>),
    Lost(reqwest::Error),
}

impl Post<'_> {
    /// Sends it until it is answered, or the client's patience is over.
    pub(super) async fn send(&self) -> Result<Accepted, IngestError> {
        let start = Instant::now();
        let end = start.checked_add(self.client.patience);
        let mut pause = FIRST_PAUSE;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let trouble = match self.attempt().await {
                Ok(accepted) => {
                    (self.trouble)(None);
                    return Ok(accepted);
                }
                Err(Trouble::Final(error)) => return Err(error),
                Err(trouble) => trouble,
            };
            let asked = match &trouble {
                Trouble::Busy(_, after) => *after,
                _ => None,
            };
            // Many clients that were sent away together shouldn't come back together.
            let wait = asked.unwrap_or_default().max(pause.mul_f64(0.5 + chance()));
            pause = (pause * 2).min(LONGEST_PAUSE);
            let error = self.give_up(trouble, attempts, start.elapsed());
            if end.is_some_and(|end| Instant::now() + wait > end) {
                return Err(error);
            }
            (self.trouble)(Some(with_cause(&error)));
            sleep(wait).await;
        }
    }

    async fn attempt(&self) -> Result<Accepted, Trouble> {
        let response = self.request().send().await.map_err(lost)?;
        let status = response.status();
        if status.is_success() {
            // An answer that breaks off is lost; the next one says that this is a duplicate.
            let body = response.bytes().await.map_err(lost)?;
            return serde_json::from_slice(&body).map_err(|_| Trouble::Final(self.foreign(status)));
        }
        Err(self.refused(response).await)
    }

    fn request(&self) -> RequestBuilder {
        let client = self.client;
        let mut url = client.base.clone();
        url.set_path(&format!(
            "{}/{}",
            url.path().trim_end_matches('/'),
            self.path
        ));
        let mut answer = ANSWER;
        {
            let mut query = url.query_pairs_mut();
            if self.ack == Ack::Committed {
                let partial = u64::from(client.commit_timeout.subsec_nanos() > 0);
                let seconds = client.commit_timeout.as_secs().saturating_add(partial);
                query.append_pair("ack", "committed");
                query.append_pair("timeout", &seconds.to_string());
                answer = answer.saturating_add(client.commit_timeout);
            }
            if let Some(invalid) = client.invalid.parameter() {
                query.append_pair("invalid", invalid);
            }
        }
        if url.query() == Some("") {
            url.set_query(None);
        }
        let ndjson = HeaderValue::from_static("application/x-ndjson");
        let request = client
            .http
            .post(url)
            .timeout(answer)
            .header(CONTENT_TYPE, ndjson);
        let request = match &self.name {
            Name::Key(key) => request.header(HeaderName::from_static("idempotency-key"), key),
            Name::Sequence(producer, number) => request
                .header(HeaderName::from_static("producer-id"), producer)
                .header(HeaderName::from_static("producer-sequence"), *number),
        };
        request.body(self.body.clone())
    }

    async fn refused(&self, response: Response) -> Trouble {
        #[derive(Deserialize)]
        struct Document {
            error: Refusal,
        }
        let status = response.status();
        let after = response.headers().get(RETRY_AFTER).and_then(seconds);
        // A proxy says "not now" in words of its own.
        let is_passing = after.is_some()
            || matches!(
                status,
                StatusCode::REQUEST_TIMEOUT
                    | StatusCode::TOO_MANY_REQUESTS
                    | StatusCode::BAD_GATEWAY
                    | StatusCode::SERVICE_UNAVAILABLE
                    | StatusCode::GATEWAY_TIMEOUT
            );
        let body = match response.bytes().await {
            Ok(body) => body,
            Err(error) => return lost(error),
        };
        let document: Option<Document> = serde_json::from_slice(&body).ok();
        let is_ours = document.is_some();
        let mut refusal = document.map_or_else(
            || Refusal {
                message: status
                    .canonical_reason()
                    .unwrap_or("refused")
                    .to_lowercase(),
                ..Refusal::default()
            },
            |document| document.error,
        );
        refusal.status = status.as_u16();
        match (is_passing, is_ours) {
            (true, _) => Trouble::Busy(refusal, after),
            (false, true) => Trouble::Final(IngestError::Refused(Box::new(refusal))),
            (false, false) => Trouble::Final(self.foreign(status)),
        }
    }

    fn give_up(&self, trouble: Trouble, attempts: u32, waited: Duration) -> IngestError {
        match trouble {
            Trouble::Final(error) => error,
            Trouble::Busy(refusal, _) => IngestError::Busy {
                refusal: Box::new(refusal),
                attempts,
                waited,
            },
            Trouble::Lost(error) => IngestError::Unreachable {
                url: self.client.shown_url(),
                attempts,
                waited,
                source: Arc::new(error),
            },
        }
    }

    fn foreign(&self, status: StatusCode) -> IngestError {
        IngestError::Foreign {
            url: self.client.shown_url(),
            status: status.as_u16(),
        }
    }
}

/// The address is said elsewhere, and there without a password.
fn lost(error: reqwest::Error) -> Trouble {
    let error = error.without_url();
    if error.is_builder() {
        return Trouble::Final(IngestError::Client(Arc::new(error)));
    }
    Trouble::Lost(error)
}

/// The other form of the header, a date, would need the server's clock.
fn seconds(value: &HeaderValue) -> Option<Duration> {
    let seconds: u32 = value.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.into()))
}

/// From 0 to 1.
fn chance() -> f64 {
    f64::from((uuid::Uuid::new_v4().as_u128() & 0xffff) as u16) / 65_536.0
}

fn with_cause(error: &IngestError) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    match causes.last() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
