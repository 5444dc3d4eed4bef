//! A server over a queue in memory, and a client for it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use neurolake_ingest::door::{Accept, Refused, Settings, Status, Tables, router};
use neurolake_ingest::entry;
use neurolake_ingest::metrics::Metrics;
use neurolake_ingest::queue::memory::MemoryQueue;
use neurolake_ingest::queue::{Appended, Key, Queue, Record, Stream};
use neurolake_ingest::validate::render;
use neurolake_model::Catalog;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// A table that takes events, one that doesn't, and one with every type.
pub(super) fn catalog() -> Catalog {
    let column = |name: &str, data_type: Value, nullable: bool| json!({"name": name, "type": data_type, "nullable": nullable});
    let table = |name: &str, ingest: bool, columns: Vec<Value>| {
        json!({
            "name": name,
            "docs": format!("About {name}."),
            "source": {"kind": "delta", "uri": format!("memory://{name}")},
            "columns": columns,
            "ingest": ingest,
            "rust_path": format!("demo::neural::{name}"),
            "location": {"file": "lib.rs", "line": 1},
        })
    };
    let point = json!({"struct": {"fields": [
        column("x", json!("float64"), false),
        column("y", json!("float64"), true),
    ]}});
    let cursor = vec![
        column("id", json!("int64"), false),
        column("target", point.clone(), true),
        json!({"name": "band_power", "type": {"list": {"item": "float32", "nullable": false}},
               "nullable": true, "docs": "Power per channel.", "unit": "z"}),
    ];
    let scalars = [
        "bool",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "float32",
        "float64",
        "string",
        "binary",
        "date",
        "timestamp",
        "blob",
    ];
    let mut every: Vec<Value> = scalars
        .iter()
        .map(|name| column(&format!("a_{name}"), json!(name), *name == "string"))
        .collect();
    every.extend([
        column(
            "a_decimal",
            json!({"decimal": {"precision": 10, "scale": 2}}),
            false,
        ),
        column(
            "a_list",
            json!({"list": {"item": point.clone(), "nullable": true}}),
            false,
        ),
        column(
            "a_map",
            json!({"map": {"key": "int32", "value": "date", "nullable": true}}),
            false,
        ),
        column(
            "a_text_map",
            json!({"map": {"key": "string", "value": point, "nullable": false}}),
            true,
        ),
    ]);
    let tables = vec![
        table("cursor_events", true, cursor),
        table("every_type", true, every),
        table("spikes", false, vec![column("id", json!("int64"), false)]),
    ];
    let document = json!({
        "format_version": 1,
        "name": "demo",
        "databases": [{
            "name": "neural",
            "location": {"file": "lib.rs", "line": 1},
            "tables": tables,
        }],
    });
    Catalog::from_json(&document.to_string()).unwrap()
}

/// Of requests, by stream and key, with their offsets.
type Fingerprints = HashMap<(Stream, String), ([u8; 32], u64)>;

/// Ingestion without a writer: what is accepted stays in the queue.
pub(super) struct Ingest {
    tables: Tables,
    pub(super) queue: MemoryQueue,
    fingerprints: Mutex<Fingerprints>,
    /// Appends wait here; closed by tests that look into the middle of one.
    pub(super) gate: Semaphore,
    pub(super) arrived: AtomicUsize,
    /// What the next appends are refused with.
    pub(super) refusal: Mutex<Option<Refused>>,
    pub(super) committed: Mutex<Result<Option<u64>, Refused>>,
}

impl Ingest {
    fn new() -> Self {
        Self {
            tables: Tables::new(&catalog()),
            queue: MemoryQueue::default(),
            fingerprints: Mutex::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            arrived: AtomicUsize::new(0),
            refusal: Mutex::new(None),
            committed: Mutex::new(Ok(Some(57))),
        }
    }
}

#[async_trait]
impl Accept for Ingest {
    fn tables(&self) -> &Tables {
        &self.tables
    }

    async fn accept(
        &self,
        stream: &Stream,
        request: entry::Request,
        key: Option<Key>,
    ) -> Result<Appended, Refused> {
        self.arrived.fetch_add(1, Ordering::SeqCst);
        let _permit = self.gate.acquire().await.unwrap();
        if let Some(refusal) = self.refusal.lock().unwrap().clone() {
            return Err(refusal);
        }
        let mut fingerprints = self.fingerprints.lock().unwrap();
        let name = key.as_ref().map(|key| (stream.clone(), key.name.clone()));
        if let (Some(key), Some(name)) = (&key, &name)
            && let Some((fingerprint, offset)) = fingerprints.get(name).copied()
        {
            return if fingerprint == key.content {
                Ok(Appended {
                    offset,
                    duplicate: true,
                })
            } else {
                Err(Refused::KeyReused { offset })
            };
        }
        let record = Record {
            payload: request.encode().unwrap(),
            key: None,
        };
        // A queue in memory never waits.
        let appended = futures::executor::block_on(self.queue.append(stream, record)).unwrap();
        if let (Some(key), Some(name)) = (key, name) {
            fingerprints.insert(name, (key.content, appended.offset));
        }
        Ok(appended)
    }

    async fn committed(
        &self,
        _stream: &Stream,
        _offset: u64,
        _timeout: Duration,
    ) -> Result<Option<u64>, Refused> {
        self.committed.lock().unwrap().clone()
    }

    async fn status(&self, stream: &Stream) -> Result<Status, Refused> {
        let bounds = self.queue.bounds(stream).await.unwrap();
        Ok(Status {
            accepted: bounds.last,
            committed: bounds.trimmed,
            version: None,
            lag: Duration::from_millis(1500),
        })
    }
}

/// 2026-03-01 09:30
pub(super) const NOW: i64 = 1_772_357_400_000_000;

pub(super) fn settings() -> Settings {
    Settings::new(Arc::new(|| {
        UNIX_EPOCH + Duration::from_micros(NOW.unsigned_abs())
    }))
}

pub(super) struct Server {
    metrics: Arc<Metrics>,
    pub(super) address: SocketAddr,
    pub(super) ingest: Arc<Ingest>,
    pub(super) http: Client,
}

impl Server {
    pub(super) async fn start() -> Self {
        Self::with(settings()).await
    }

    pub(super) async fn with(settings: Settings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ingest = Arc::new(Ingest::new());
        let metrics = Arc::clone(&settings.metrics);
        let router = router(Arc::clone(&ingest) as _, settings);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            ingest,
            metrics,
            http: Client::new(),
        }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Rows for `neural.cursor_events`, as JSON.
    pub(super) fn post(&self, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.post_to("/v1/ingest/neural/cursor_events", body)
            .header("content-type", "application/json")
    }

    pub(super) fn post_to(&self, path: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.http.post(self.url(path)).body(body)
    }

    /// Everything that is kept for `neural.cursor_events`.
    pub(super) async fn records(&self) -> Vec<entry::Request> {
        let stream = Stream::new("neural", "cursor_events");
        let entries = self
            .ingest
            .queue
            .read(&stream, 0, usize::MAX)
            .await
            .unwrap();
        entries
            .iter()
            .map(|entry| entry::Request::decode(&entry.payload).unwrap())
            .collect()
    }

    /// Rows that are kept, as JSON.
    pub(super) async fn rows(&self) -> Vec<String> {
        let records = self.records().await;
        let rows = records.iter().flat_map(|record| {
            (0..record.rows.num_rows()).map(|row| render::row(&record.rows, row))
        });
        rows.collect()
    }

    pub(super) async fn until_arrived(&self, count: usize) {
        until(async || self.ingest.arrived.load(Ordering::SeqCst) >= count).await;
    }

    pub(super) fn metrics(&self) -> String {
        self.metrics.text()
    }
}

/// Status and document of an answer.
pub(super) async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap())
}

/// Status, code and message of an error.
pub(super) async fn refused(request: RequestBuilder) -> (u16, String, String) {
    let (status, document) = answer(request).await;
    let text = |key: &str| {
        document["error"][key]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    (status, text("code"), text("message"))
}

/// Waits for something that must happen soon.
pub(super) async fn until(mut has_happened: impl AsyncFnMut() -> bool) {
    for _ in 0..2000 {
        if has_happened().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it didn't happen within 10 s");
}
