//! A door that keeps each named request once, and does what a test tells it.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// What happens to a request.
pub(crate) enum Fault {
    /// It isn't taken, and the connection breaks.
    Break,
    /// It is taken, and the answer is lost.
    LoseAnswer,
    /// It isn't taken, with this answer.
    Answer(StatusCode, Option<&'static str>, String),
    /// It is taken, with this answer.
    Say(String),
}

#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) name: String,
    pub(crate) headers: HeaderMap,
    pub(crate) rows: Vec<Value>,
}

#[derive(Default)]
struct Inner {
    faults: VecDeque<Fault>,
    /// All requests, also those that weren't taken.
    seen: Vec<Request>,
    taken: Vec<Request>,
    offsets: HashMap<String, (u64, Bytes)>,
}

/// Held by the test and by the server, so that what was taken outlives a server.
#[derive(Clone)]
pub(crate) struct Door {
    inner: Arc<Mutex<Inner>>,
    /// A permit for each request that may be answered; closed: all may.
    pub(crate) gate: Arc<Semaphore>,
}

pub(crate) struct Running {
    pub(crate) url: String,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Running {
    /// Ends the server and gives the address for another one.
    pub(crate) async fn end(self) -> SocketAddr {
        self.task.abort();
        let _ = self.task.await;
        self.address
    }
}

impl Door {
    pub(crate) fn new(faults: impl IntoIterator<Item = Fault>) -> Self {
        let gate = Semaphore::new(0);
        gate.close();
        Self {
            inner: Arc::new(Mutex::new(Inner {
                faults: faults.into_iter().collect(),
                ..Inner::default()
            })),
            gate: Arc::new(gate),
        }
    }

    /// One that answers only as far as the gate lets it.
    pub(crate) fn gated() -> Self {
        Self {
            gate: Arc::new(Semaphore::new(0)),
            ..Self::new([])
        }
    }

    pub(crate) async fn open(&self) -> Running {
        self.open_at(([127, 0, 0, 1], 0).into()).await
    }

    pub(crate) async fn open_at(&self, address: SocketAddr) -> Running {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/v1/ingest/{database}/{table}", post(take))
            .with_state(self.clone());
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Running {
            url: format!("http://{address}"),
            address,
            task,
        }
    }

    pub(crate) fn seen(&self) -> Vec<Request> {
        self.inner.lock().unwrap().seen.clone()
    }

    pub(crate) fn taken(&self) -> Vec<Request> {
        self.inner.lock().unwrap().taken.clone()
    }

    /// Numbers of the rows that were taken, in their order.
    pub(crate) fn numbers(&self) -> Vec<i64> {
        let taken = self.taken();
        let rows = taken.iter().flat_map(|request| &request.rows);
        rows.map(|row| row["number"].as_i64().unwrap()).collect()
    }
}

async fn take(
    State(door): State<Door>,
    Path((database, table)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Ok(permit) = door.gate.acquire().await {
        permit.forget();
    }
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
    let name = match (text("idempotency-key"), text("producer-id")) {
        (Some(key), None) => key.to_owned(),
        (None, Some(producer)) => format!("{producer}#{}", text("producer-sequence").unwrap()),
        other => panic!("a request has one name, not {other:?}"),
    };
    let rows: Vec<Value> = serde_json::Deserializer::from_slice(&body)
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap();
    let request = Request {
        path: format!("{database}.{table}"),
        query: query.unwrap_or_default(),
        name: name.clone(),
        headers: headers.clone(),
        rows,
    };
    let mut inner = door.inner.lock().unwrap();
    inner.seen.push(request.clone());
    let fault = inner.faults.pop_front();
    match fault {
        // Ends the task of the connection, without the report of a panic.
        Some(Fault::Break) => {
            drop(inner);
            std::panic::resume_unwind(Box::new(()));
        }
        Some(Fault::Answer(status, retry_after, body)) => {
            let mut response = (status, body).into_response();
            if let Some(after) = retry_after {
                let after = after.parse().unwrap();
                response.headers_mut().insert("retry-after", after);
            }
            return response;
        }
        Some(Fault::LoseAnswer | Fault::Say(_)) | None => (),
    }
    let accepted = request.rows.len();
    let mut duplicate = false;
    if let Some((_, content)) = inner.offsets.get(&name) {
        assert_eq!(content, &body, "the key was used for other content");
        duplicate = true;
    } else {
        let offset = inner.taken.len() as u64 + 1;
        inner.offsets.insert(name.clone(), (offset, body));
        inner.taken.push(request.clone());
    }
    let offset = inner.offsets[&name].0;
    let answer = match fault {
        Some(Fault::LoseAnswer) => {
            drop(inner);
            std::panic::resume_unwind(Box::new(()));
        }
        Some(Fault::Say(answer)) => answer,
        _ if request.query.contains("ack=committed") => {
            json!({"accepted": accepted, "offset": offset, "duplicate": duplicate, "committed": true, "version": 40 + offset}).to_string()
        }
        _ => json!({"accepted": accepted, "offset": offset, "duplicate": duplicate}).to_string(),
    };
    (StatusCode::ACCEPTED, answer).into_response()
}
