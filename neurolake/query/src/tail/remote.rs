//! Tails of another process, over HTTP.

use std::collections::HashMap;
use std::fmt;
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::reader::StreamReader;
use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode};
use url::Url;

use super::{Tail, TailError, Tails};
use crate::error::{Error, Kind, Result, chain};

/// The offsets of the first and the last record in an answer, such as `12-40`.
const OFFSETS: &str = "neurolake-offsets";
/// The application of the table's transactions for the queue that answers.
const APPLICATION: &str = "neurolake-application";
/// With 410: the last offset that is no longer kept.
const TRIMMED: &str = "neurolake-trimmed";
/// How a stream of Arrow ends. Its reader takes the end of the bytes for it as well.
const END_OF_STREAM: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// How long to wait for another process.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For the connection. Too short fails in slow networks, too long hides a process that is gone.
    pub connect: Duration,
    /// For the whole answer. Too short fails while many rows are on their way, too long holds up
    /// every query of a table while the process hangs.
    pub answer: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            answer: Duration::from_secs(10),
        }
    }
}

/// The tails of the process that takes a lake's events: `GET {url}/v1/tail/{database}/{table}`.
#[derive(Debug, Clone)]
pub struct RemoteTails {
    client: reqwest::Client,
    url: Url,
    tails: Arc<Mutex<KnownTails>>,
}

/// By database and table.
type KnownTails = HashMap<(String, String), Arc<RemoteTail>>;

impl RemoteTails {
    /// The process at this address. Connections are made when needed, and kept.
    ///
    /// # Errors
    /// It is not an address of HTTP.
    pub fn new(url: Url, timeouts: Timeouts) -> Result<Self> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Error::new(
                Kind::Broken,
                format!(
                    "rows on their way can't be read from a `{}:` address",
                    url.scheme()
                ),
            )
            .with_hint("write the address of the server that takes events, such as `http://127.0.0.1:7777`"));
        }
        let client = reqwest::Client::builder()
            .connect_timeout(timeouts.connect)
            .timeout(timeouts.answer)
            .redirect(reqwest::redirect::Policy::none())
            // The process is one of ours, and near.
            .no_proxy()
            .user_agent("neurolake")
            .build()
            .map_err(|error| Error::new(Kind::Broken, "HTTP can't be used").with_source(error))?;
        Ok(Self {
            client,
            url,
            tails: Arc::default(),
        })
    }
}

impl Tails for RemoteTails {
    fn tail(&self, database: &str, table: &str) -> Option<Arc<dyn Tail>> {
        let key = (database.to_owned(), table.to_owned());
        // Nothing can panic while the map is held.
        let mut tails = self.tails.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tail) = tails.get(&key) {
            return Some(Arc::clone(tail) as _);
        }
        let mut url = self.url.clone();
        url.path_segments_mut()
            .ok()?
            .pop_if_empty()
            .extend(["v1", "tail", database, table]);
        let tail = Arc::new(RemoteTail {
            client: self.client.clone(),
            url,
            application: Mutex::default(),
        });
        tails.insert(key, Arc::clone(&tail));
        Some(tail)
    }
}

struct RemoteTail {
    client: reqwest::Client,
    url: Url,
    /// What was last heard of. Each answer says it anew.
    application: Mutex<Option<String>>,
}

impl fmt::Debug for RemoteTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the whole address: it may hold a password.
        f.debug_tuple("RemoteTail").field(&self.url.path()).finish()
    }
}

#[async_trait]
impl Tail for RemoteTail {
    async fn application(&self) -> Result<String, TailError> {
        if let Some(known) = self.known().clone() {
            return Ok(known);
        }
        let response = self.ask(None).await?;
        if !response.status().is_success() {
            return Err(self.refused(response).await);
        }
        self.heard(response.headers())
    }

    async fn rows(&self, application: &str, after: u64) -> Result<Vec<RecordBatch>, TailError> {
        let response = self.ask(Some(after)).await?;
        match response.status() {
            StatusCode::OK | StatusCode::NO_CONTENT => {}
            StatusCode::GONE => {
                // Of another queue, maybe.
                *self.known() = None;
                return Err(TailError::Gone {
                    trimmed: number(response.headers(), TRIMMED)
                        .unwrap_or(0)
                        .max(after + 1),
                });
            }
            _ => return Err(self.refused(response).await),
        }
        if self.heard(response.headers())? != application {
            return Err(TailError::Anew);
        }
        // Nothing between what was asked for and what is there.
        if let Some(first) = number(response.headers(), OFFSETS)
            && first > after + 1
        {
            return Err(TailError::Gone { trimmed: first - 1 });
        }
        let body = response.bytes().await;
        let body = body.map_err(|error| self.unavailable(&error.without_url()))?;
        batches(&body).map_err(|error| self.unavailable(&error))
    }
}

impl RemoteTail {
    async fn ask(&self, after: Option<u64>) -> Result<Response, TailError> {
        let request = self.client.get(self.url.clone());
        let request = match after {
            Some(after) => request.query(&[("after", after)]),
            None => request,
        };
        let response = request.send().await;
        response.map_err(|error| self.unavailable(&error.without_url()))
    }

    fn known(&self) -> MutexGuard<'_, Option<String>> {
        // Nothing can panic while it is held.
        self.application
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The application that an answer belongs to.
    fn heard(&self, headers: &HeaderMap) -> Result<String, TailError> {
        let value = headers.get(APPLICATION);
        let Some(application) = value.and_then(|value| value.to_str().ok()) else {
            return Err(TailError::Unavailable(format!(
                "{} doesn't say which queue it has",
                self.server()
            )));
        };
        *self.known() = Some(application.to_owned());
        Ok(application.to_owned())
    }
}

impl RemoteTail {
    fn unavailable(&self, error: &dyn std::error::Error) -> TailError {
        TailError::Unavailable(format!("{}: {}", self.server(), chain(error)))
    }

    /// Without user and password.
    fn server(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    async fn refused(&self, response: Response) -> TailError {
        #[derive(serde::Deserialize)]
        struct Refusal {
            error: Said,
        }
        #[derive(serde::Deserialize)]
        struct Said {
            message: String,
        }
        let status = response.status();
        let said = response.json::<Refusal>().await;
        let said = said.map_or_else(
            |_| String::new(),
            |said| format!(": {}", said.error.message),
        );
        TailError::Unavailable(format!("{} answered {status}{said}", self.server()))
    }
}

/// The first number in a header.
fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    let text = headers.get(name)?.to_str().ok()?;
    text.split('-').next()?.trim().parse().ok()
}

/// The batches of one stream, or of several behind each other: a stream has only one schema.
fn batches(body: &[u8]) -> Result<Vec<RecordBatch>, ArrowError> {
    if !body.is_empty() && !body.ends_with(&END_OF_STREAM) {
        return Err(ArrowError::IpcError("the answer breaks off".to_owned()));
    }
    let mut rest = body;
    let mut batches = Vec::new();
    while !rest.is_empty() {
        let reader = StreamReader::try_new(rest.by_ref(), None)?;
        for batch in reader {
            batches.push(batch?);
        }
    }
    Ok(batches)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray};
    use datafusion::arrow::ipc::writer::StreamWriter;

    use super::*;

    fn stream(batch: &RecordBatch) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = StreamWriter::try_new(&mut bytes, &batch.schema()).expect("a writer");
        writer.write(batch).expect("a batch");
        writer.write(batch).expect("a batch");
        writer.finish().expect("an end");
        drop(writer);
        bytes
    }

    fn batch(name: &str, column: ArrayRef) -> RecordBatch {
        RecordBatch::try_from_iter([(name, column)]).expect("a batch")
    }

    #[test]
    fn streams_of_several_schemas_are_read_and_a_cut_is_seen() {
        let numbers = batch("a", Arc::new(Int64Array::from(vec![1, 2])));
        let texts = batch("b", Arc::new(StringArray::from(vec!["x"])));
        let body = [stream(&numbers), stream(&texts)].concat();
        let read = batches(&body).expect("batches");
        assert_eq!(read, [numbers.clone(), numbers, texts.clone(), texts]);
        assert!(batches(&[]).expect("nothing").is_empty());
        for end in 1..body.len() {
            let whole = end == stream(&read[0]).len();
            assert_eq!(batches(&body[..end]).is_ok(), whole, "{end}");
        }
    }

    #[test]
    fn an_address_is_extended_and_hides_its_password() {
        let url = Url::parse("http://u:secret@here:1/base/").expect("a url");
        let tails = RemoteTails::new(url, Timeouts::default()).expect("tails");
        let tail = tails.tail("d b", "t").expect("a tail");
        assert_eq!(
            format!("{tail:?}"),
            r#"RemoteTail("/base/v1/tail/d%20b/t")"#
        );
        let file = Url::parse("file:///tmp").expect("a url");
        assert!(RemoteTails::new(file, Timeouts::default()).is_err());
    }
}
