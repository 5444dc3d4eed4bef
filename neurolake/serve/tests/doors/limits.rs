//! Load, patience and clients that leave.

use std::sync::Arc;
use std::time::Duration;

use futures::future::select;
use neurolake_query::Stores;
use neurolake_serve::Settings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Server, refused};

/// Goes on for longer than any test, and says nothing before its end.
const ENDLESS: &str = "select count(*) from generate_series(1, 30000000) a
                       join generate_series(1, 30000000) b on a.value <> b.value";
/// The same, but talks all the time.
const TALKATIVE: &str = "select value, 'a word' as word from generate_series(1, 1000000000000)";

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_before_the_first_row_ends_the_query() {
    let server = Server::start().await;
    let request = server.post(ENDLESS);
    let waiting = tokio::spawn(request.send());
    server.until_running(1).await;
    waiting.abort();
    server.until_running(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_in_the_middle_ends_the_query() {
    let server = Server::start().await;
    let mut response = server.post(TALKATIVE).send().await.unwrap();
    assert!(response.chunk().await.unwrap().is_some());
    assert_eq!(server.doors.running_queries(), 1);
    drop(response);
    server.until_running(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_stops_the_query_instead_of_filling_memory() {
    let server = Server::start().await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let request = format!(
        "POST /api/sql?format=ndjson HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{TALKATIVE}",
        TALKATIVE.len()
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut first = [0; 1024];
    assert!(socket.read(&mut first).await.unwrap() > 0);
    // While nobody reads, the process does not grow: what waits is bounded by queue and sockets.
    let before = resident_bytes();
    for _ in 0..20 {
        assert_eq!(server.get("/health").await.status(), 200);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 200 << 20, "{grown} bytes");
    assert_eq!(server.doors.running_queries(), 1);
    drop(socket);
    server.until_running(0).await;
}

/// Zero where the system doesn't tell.
fn resident_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or(0) * 4096
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_small_queries_answer_under_load() {
    let server = Arc::new(Server::start().await);
    let heavy: Vec<_> = (0..4)
        .map(|_| tokio::spawn(server.post(ENDLESS).send()))
        .collect();
    server.until_running(4).await;
    for _ in 0..10 {
        assert_eq!(server.get("/health").await.status(), 200);
        assert_eq!(server.get("/ready").await.status(), 200);
    }
    assert_eq!(server.text("csv", "select 1 as one").await, "one\n1\n");
    for query in &heavy {
        assert!(
            !query.is_finished(),
            "the load was too light to prove anything"
        );
        query.abort();
    }
    server.until_running(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_queries_are_turned_away_with_a_time_to_come_back() {
    let settings = Settings {
        concurrent_queries: 1,
        queued_queries: 1,
        ..Settings::default()
    };
    let server = Server::with(settings, Stores::default()).await;
    let running = tokio::spawn(server.post(ENDLESS).send());
    server.until_running(1).await;
    // One of two finds the only place in the queue taken.
    let second = tokio::spawn(server.post("select 2 as two").send());
    let third = tokio::spawn(server.post("select 3 as three").send());
    let (turned_away, waiting) = select(second, third).await.factor_first();
    let turned_away = turned_away.unwrap().unwrap();
    assert_eq!(turned_away.status(), 429);
    assert_eq!(turned_away.headers()["retry-after"], "1");
    let document: serde_json::Value = turned_away.json().await.unwrap();
    assert_eq!(document["error"]["code"], "busy");
    running.abort();
    server.until_running(0).await;
    drop(waiting);
    assert_eq!(server.text("csv", "select 1 as one").await, "one\n1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_after_the_first_byte_breaks_the_answer_off() {
    let server = Server::start().await;
    let sql = "select 1 / (5000000 - value) as quotient from generate_series(1, 6000000)";
    for format in ["json", "ndjson", "csv", "arrow"] {
        let url = server.url(&format!("/api/sql?format={format}"));
        let mut response = server.http.post(url).body(sql).send().await.unwrap();
        assert_eq!(response.status(), 200, "the first rows are good");
        let mut bytes = 0;
        let end = loop {
            match response.chunk().await {
                Ok(Some(chunk)) => bytes += chunk.len(),
                end => break end,
            }
        };
        assert!(bytes > 0, "{format}");
        assert!(end.is_err(), "{format}: a short answer that looks complete");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_before_the_first_byte_has_a_status() {
    let server = Server::start().await;
    let (status, error) =
        refused(server.post("select 1 / (value - 1) from generate_series(1, 2)")).await;
    assert_eq!(status, 400, "{error}");
    assert!(
        error["message"].as_str().unwrap().contains("ivide"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_statement_is_too_large() {
    let settings = Settings {
        statement_bytes: 2000,
        ..Settings::default()
    };
    let server = Server::with(settings, Stores::default()).await;
    let long = format!("select '{}' as text", "x".repeat(2000));
    let (status, error) = refused(server.post(long.clone())).await;
    assert_eq!((status, &error["code"]), (413, &"too_large".into()));
    let document = serde_json::json!({"sql": long});
    let (status, _) = refused(server.http.post(server.url("/api/sql")).json(&document)).await;
    assert_eq!(status, 413);
    let url = format!(
        "{}?q=select%20'{}'",
        server.url("/api/sql"),
        "x".repeat(2000)
    );
    let (status, _) = refused(server.http.get(url)).await;
    assert_eq!(status, 413);
}
