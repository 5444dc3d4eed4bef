//! A turn at the engine: the one way in for every door.
//!
//! A door begins a turn, may ask for the columns of a table and for a few rows, and answers with the
//! rows of one statement. A turn counts as one query, however many statements it takes.

use std::future::Future;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use neurolake_query::{Request, Result};

use crate::admission::Admitted;
use crate::doors::{Doors, Shared};
use crate::encode::Format;
use crate::identity::RequestId;
use crate::refusal::Refusal;
use crate::running::{Rows, Running, Task, gather};

/// The right to ask, for one client's request.
pub(crate) struct Turn {
    shared: Arc<Shared>,
    id: RequestId,
    admitted: Admitted,
}

impl Turn {
    /// Waits for a turn.
    pub(crate) async fn begin(doors: &Doors, id: &RequestId) -> Result<Self, Refusal> {
        match doors.shared.admission.admit().await {
            Ok(admitted) => Ok(Self {
                shared: Arc::clone(&doors.shared),
                id: id.clone(),
                admitted,
            }),
            Err(_) => Err(Refusal::busy()),
        }
    }

    /// The columns of a table, whose name may hold a version.
    pub(crate) async fn schema(&self, database: &str, table: &str) -> Result<SchemaRef> {
        let (database, table) = (database.to_owned(), table.to_owned());
        let shared = Arc::clone(&self.shared);
        self.on_queries(async move {
            let outcome = shared.lake.schema(&database, &table).await;
            if let Err(error) = &outcome {
                let health = &shared.health;
                health
                    .saw_table(&shared.lake, &database, &table, error)
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
        let shared = Arc::clone(&self.shared);
        let id = self.id.clone();
        self.on_queries(async move { gather(&shared, request, format, id, finish).await })
            .await
    }

    /// The rows as they come.
    pub(crate) async fn answer(self, request: Request, format: Format, manner: Manner) -> Response {
        let id = self.id.clone();
        let running = Running::start(&self.shared, request, format, self.admitted, self.id);
        match running.body().await {
            Ok(body) => manner.respond(content_type(format), body),
            Err(error) => Refusal::from(&error).respond(&id),
        }
    }

    /// Work that would keep the sockets waiting.
    pub(crate) async fn on_queries<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        Task::start(&self.shared, work).outcome().await
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
