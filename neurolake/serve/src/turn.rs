//! A turn at the engine: the one way in for every door.
//!
//! A door begins a turn, may ask for the columns of a table and for a few rows, and answers with the
//! rows of one statement. A turn counts as one query, however many statements it takes.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use neurolake_query::{Inputs, Request, Result};

use crate::accounts::Client;
use crate::admission::Admitted;
use crate::encode::Format;
use crate::identity::RequestId;
use crate::kept::Made;
use crate::redact::without_literals;
use crate::refusal::Refusal;
use crate::running::{Rows, Running, Task, gather};

/// What an answer was made from so far. `None`: nothing yet.
#[derive(Default)]
struct Noted {
    inputs: Option<Inputs>,
    has_changing: bool,
    statement: String,
}

/// The right to ask, for one client's request.
pub(crate) struct Turn {
    client: Client,
    /// What its statements were made from.
    made: Arc<Mutex<Noted>>,
    id: RequestId,
    admitted: Admitted,
}

impl Turn {
    /// Waits for a turn.
    pub(crate) async fn begin(client: &Client, id: &RequestId) -> Result<Self, Refusal> {
        match client.shared.admission.admit().await {
            Ok(admitted) => Ok(Self {
                client: client.clone(),
                made: Arc::default(),
                id: id.clone(),
                admitted,
            }),
            Err(_) => Err(Refusal::busy()),
        }
    }

    /// The columns of a table, whose name may hold a version.
    pub(crate) async fn schema(&self, database: &str, table: &str) -> Result<SchemaRef> {
        let (database, table) = (database.to_owned(), table.to_owned());
        let client = self.client.clone();
        self.on_queries(async move {
            let outcome = client.principal.lake.schema(&database, &table).await;
            if let Err(error) = &outcome {
                let health = &client.shared.health;
                health
                    .saw_table(&client.shared.lake, &database, &table, error)
                    .await;
            }
            outcome
        })
        .await
    }

    /// Every row of a small answer, and what `finish` makes of them, both on the threads of queries.
    ///
    /// # Errors
    /// The query fails, its rows need too much memory at once, or `finish` fails.
    pub(crate) async fn collect<T: Send + Sync + 'static>(
        &self,
        request: Request,
        format: Format,
        finish: impl FnOnce(Rows) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let client = self.client.clone();
        let id = self.id.clone();
        let made = Arc::clone(&self.made);
        self.on_queries(async move {
            let statement = without_literals(&request.sql);
            let (inputs, outcome) = gather(&client, request, format, id, finish).await?;
            add(&made, inputs, statement);
            Ok(outcome)
        })
        .await
    }

    /// The rows as they come.
    pub(crate) async fn answer(self, request: Request, format: Format, manner: Manner) -> Response {
        let id = self.id.clone();
        let statement = without_literals(&request.sql);
        let running = Running::start(&self.client, request, format, self.admitted, self.id);
        match running.body().await {
            Ok((inputs, body)) => {
                add(&self.made, inputs, statement);
                let response = manner.respond(content_type(format), body);
                made(&self.made, response)
            }
            Err(error) => Refusal::from(&error).respond(&id),
        }
    }

    /// Says what a response was made from.
    pub(crate) fn made(&self, response: Response) -> Response {
        made(&self.made, response)
    }

    /// Work that would keep the sockets waiting.
    pub(crate) async fn on_queries<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        Task::start(&self.client.shared, work).outcome().await
    }
}

fn add(noted: &Mutex<Noted>, inputs: Option<Inputs>, statement: String) {
    // Nothing can panic while it is held.
    let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
    match inputs {
        Some(inputs) => noted.inputs.get_or_insert_default().add(&inputs),
        None => noted.has_changing = true,
    }
    noted.statement = statement;
}

fn made(noted: &Mutex<Noted>, mut response: Response) -> Response {
    let noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
    if let (Some(inputs), false) = (&noted.inputs, noted.has_changing) {
        response.extensions_mut().insert(Made {
            inputs: inputs.clone(),
            statement: noted.statement.clone(),
        });
    }
    response
}

/// How an answer is sent, besides its rows.
#[derive(Debug, Default)]
pub(crate) struct Manner {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
}

impl Manner {
    pub(crate) fn respond(self, content_type: HeaderValue, body: impl Into<Body>) -> Response {
        let headers = [
            (header::CONTENT_TYPE, content_type),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (
                header::X_CONTENT_TYPE_OPTIONS,
                HeaderValue::from_static("nosniff"),
            ),
        ];
        (self.status, headers, self.headers, body.into()).into_response()
    }
}

/// The media type with what a reader has to know about it.
pub(crate) fn content_type(format: Format) -> HeaderValue {
    HeaderValue::from_static(match format {
        Format::Csv => "text/csv; charset=utf-8; header=present",
        other => other.media_type(),
    })
}
