//! A turn at the engine: the one way in for every door.
//!
//! A door begins a turn, may ask for the columns of a table and for a few rows, and answers with the
//! rows of one statement. A turn counts as one query, however many statements it takes.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};

use arrow::datatypes::SchemaRef;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use neurolake_query::{Request, Result};

use crate::accounts::Client;
use crate::admission::Admitted;
use crate::encode::Format;
use crate::identity::RequestId;
use crate::kept::Made;
use crate::refusal::Refusal;
use crate::running::{Rows, Running, Task, gather};

/// Statements of one answer are named up to this length.
const LONGEST: usize = 4096;

/// What an answer was made from so far.
#[derive(Default)]
pub(crate) struct Noted {
    made: Option<Made>,
    has_changing: bool,
}

impl Noted {
    fn add(&mut self, made: Option<Made>) {
        match (made, &mut self.made) {
            (None, _) => self.has_changing = true,
            (Some(made), None) => self.made = Some(made),
            (Some(made), Some(before)) => {
                before.inputs.add(&made.inputs);
                before.tables.extend(made.tables);
                before.tables.sort();
                before.tables.dedup();
                if before.statement.len() < LONGEST {
                    before.statement.push_str("; ");
                    before.statement.push_str(&made.statement);
                }
            }
        }
    }

    /// Also made from what another turn has read.
    pub(crate) fn merge(&mut self, other: Self) {
        if let Some(made) = other.made {
            self.add(Some(made));
        }
        self.has_changing |= other.has_changing;
    }

    /// Made from something that has no versions.
    pub(crate) fn changes(&mut self) {
        self.has_changing = true;
    }

    /// Says it with the answer, for whoever keeps it.
    pub(crate) fn attach(&self, mut response: Response) -> Response {
        if let (Some(made), false) = (&self.made, self.has_changing) {
            response.extensions_mut().insert(made.clone());
        }
        response
    }
}

/// The right to ask, for one client's request.
pub(crate) struct Turn {
    client: Client,
    /// What its statements were made from.
    noted: Mutex<Noted>,
    id: RequestId,
    admitted: Admitted,
}

impl Turn {
    /// Waits for a turn.
    pub(crate) async fn begin(client: &Client, id: &RequestId) -> Result<Self, Refusal> {
        match client.shared.admission.admit().await {
            Ok(admitted) => Ok(Self {
                client: client.clone(),
                noted: Mutex::default(),
                id: id.clone(),
                admitted,
            }),
            Err(_) => Err(Refusal::busy()),
        }
    }

    /// The columns of a table, whose name may hold a version.
    pub(crate) async fn schema(&self, database: &str, table: &str) -> Result<SchemaRef> {
        let (database, table) = (database.to_owned(), table.to_owned());
        let (client, id) = (self.client.clone(), self.id.clone());
        self.on_queries(async move {
            let outcome = client.principal.lake.schema(&database, &table).await;
            if let Err(error) = &outcome {
                let health = &client.shared.health;
                health
                    .saw_table(&client.shared.lake, &database, &table, error)
                    .await;
                // A statement that is fine has its line when it runs.
                let log = client.log(&id, "", &format!("describe {database}.{table}"));
                log.end(&outcome, false);
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
        let gathered =
            self.on_queries(async move { gather(&client, request, format, id, finish).await });
        let (made, outcome) = gathered.await?;
        self.noted().add(made);
        Ok(outcome)
    }

    /// The rows as they come.
    pub(crate) async fn answer(self, request: Request, format: Format, manner: Manner) -> Response {
        let id = self.id.clone();
        let is_sql = self.client.door == "sql";
        // Nothing can panic while it is held.
        let mut noted = self
            .noted
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let running = Running::start(&self.client, request, format, self.admitted, self.id);
        match running.body().await {
            Ok((made, body)) => {
                noted.add(made);
                noted.attach(manner.respond(content_type(format), body))
            }
            Err(error) => {
                // Statements of other doors are not what the client wrote.
                let position = error.position.filter(|_| is_sql);
                Refusal::from(&error).with_position(position).respond(&id)
            }
        }
    }

    /// What its statements were made from.
    pub(crate) fn into_noted(self) -> Noted {
        self.noted
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what a response was made from.
    pub(crate) fn made(&self, response: Response) -> Response {
        self.noted().attach(response)
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Work that would keep the sockets waiting.
    pub(crate) async fn on_queries<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        Task::start(&self.client.shared, work).outcome().await
    }
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
