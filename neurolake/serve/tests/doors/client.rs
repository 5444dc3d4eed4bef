//! A server of its own for each test.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use neurolake_model::{Catalog, Endpoints};
use neurolake_query::{Lake, Stores};
use neurolake_serve::{Doors, Settings};
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

pub(crate) struct Server {
    pub doors: Doors,
    pub address: SocketAddr,
    pub http: reqwest::Client,
    _end: oneshot::Sender<()>,
}

pub(crate) fn catalog(json: &str) -> Catalog {
    Catalog::from_json(json).unwrap()
}

pub(crate) const EMPTY: &str = r#"{"format_version": 1, "name": "lab", "databases": []}"#;

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(Settings::default(), Stores::default()).await
    }

    pub(crate) async fn with(settings: Settings, stores: Stores) -> Self {
        let lake = Lake::builder(catalog(EMPTY))
            .stores(stores)
            .build()
            .unwrap();
        Self::over(lake, settings).await
    }

    pub(crate) async fn over(lake: Lake, mut settings: Settings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        settings.endpoints = Endpoints {
            http: format!("http://{address}"),
            ..Endpoints::default()
        };
        let doors = Doors::new(lake, settings).unwrap();
        let (end, ended) = oneshot::channel::<()>();
        tokio::spawn(doors.clone().serve(listener, async {
            let _ = ended.await;
        }));
        Self {
            doors,
            address,
            http: reqwest::Client::new(),
            _end: end,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn post(&self, sql: impl Into<String>) -> RequestBuilder {
        self.http.post(self.url("/api/sql")).body(sql.into())
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.http.get(self.url(path)).send().await.unwrap()
    }

    /// The answer to a statement as text of this format.
    pub(crate) async fn text(&self, format: &str, sql: &str) -> String {
        let url = self.url(&format!("/api/sql?format={format}"));
        let response = self
            .http
            .post(url)
            .body(sql.to_owned())
            .send()
            .await
            .unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert_eq!(status, 200, "{sql}: {text}");
        text
    }

    pub(crate) async fn json(&self, sql: &str) -> Value {
        serde_json::from_str(&self.text("json", sql).await).unwrap()
    }

    /// Waits until so many queries run.
    pub(crate) async fn until_running(&self, queries: usize) {
        until(|| self.doors.running_queries() == queries).await;
    }
}

/// Waits for a condition; a test that waits in vain fails.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_mins(1), "it never came");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Status and error of a refused request.
pub(crate) async fn refused(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let document: Value = response.json().await.unwrap();
    (status, document["error"].clone())
}
