//! Slow clients, clients that leave, a queue that refuses.

use std::time::Duration;

use neurolake_ingest::door::{Refused, Settings};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::server::{Server, answer, refused, settings, until};

/// Begins a request by hand.
async fn begin(server: &Server, headers: &str, part: &str) -> TcpStream {
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /v1/ingest/neural/cursor_events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{headers}\r\n\r\n{part}"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket
}

/// Everything until the server closes the connection.
async fn rest(mut socket: TcpStream) -> String {
    let mut text = Vec::new();
    let _ = socket.read_to_end(&mut text).await;
    String::from_utf8(text).unwrap()
}

fn impatient() -> Settings {
    Settings {
        silence: Duration::from_millis(300),
        upload: Duration::from_millis(1500),
        wait: Duration::from_millis(200),
        ..settings()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_falls_silent_is_sent_away() {
    let server = Server::with(impatient()).await;
    let silent = begin(&server, "content-length: 100", "[{\"id\": 1}").await;
    // Others don't wait for it.
    assert_eq!(answer(server.post("{\"id\": 2}")).await.0, 202);
    let text = rest(silent).await;
    assert!(text.starts_with("HTTP/1.1 408"), "{text}");
    assert!(text.contains("the body stopped after 10 bytes"), "{text}");
    assert_eq!(server.records().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_drips_is_sent_away_in_the_end() {
    let server = Server::with(impatient()).await;
    let mut slow = begin(&server, "content-length: 100000", "[").await;
    let mut answered = [0; 12];
    loop {
        tokio::select! {
            read = slow.read_exact(&mut answered) => {
                read.unwrap();
                break;
            }
            () = tokio::time::sleep(Duration::from_millis(100)) => {
                slow.write_all(b" ").await.unwrap();
            }
        }
    }
    assert_eq!(&answered, b"HTTP/1.1 408");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_keeps_nothing() {
    let server = Server::start().await;
    for (headers, part) in [
        ("content-length: 100", "[{\"id\": 1}]"),
        ("transfer-encoding: chunked", "b\r\n[{\"id\": 1}]\r\n"),
        (
            "transfer-encoding: chunked",
            "zz\r\n[{\"id\": 1}]\r\n0\r\n\r\n",
        ),
    ] {
        let mut socket = begin(&server, headers, part).await;
        socket.shutdown().await.unwrap();
        let text = rest(socket).await;
        assert!(
            text.is_empty() || text.starts_with("HTTP/1.1 400"),
            "{text}"
        );
    }
    assert!(server.records().await.is_empty());
    let cancelled = "outcome=\"cancelled\"";
    let broken = "outcome=\"bad_request\"";
    let metrics = server.metrics();
    assert!(
        metrics.contains(cancelled) || metrics.contains(broken),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_reaches_a_client_that_has_not_finished_sending() {
    let server = Server::start().await;
    let large = "x".repeat(8 << 20);
    for _ in 0..5 {
        let request = server.post_to("/v1/ingest/neural/nothing", large.clone());
        assert_eq!(refused(request).await.0, 404);
        let request = server.post(large.repeat(3));
        assert_eq!(refused(request).await.0, 413);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_to_be_asked_is_answered_at_once() {
    let server = Server::start().await;
    let headers = "content-length: 99999999\r\nexpect: 100-continue";
    let mut socket = begin(&server, headers, "").await;
    let mut answered = [0; 12];
    let answer = socket.read_exact(&mut answered);
    tokio::time::timeout(Duration::from_secs(1), answer)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&answered, b"HTTP/1.1 413");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_goes_to_its_end_without_its_client() {
    let server = Server::start().await;
    let permits = server.ingest.gate.forget_permits(usize::MAX >> 3);
    let send = || {
        server
            .post("{\"id\": 1}")
            .header("idempotency-key", "k")
            .send()
    };
    let leaving = tokio::spawn(send());
    server.until_arrived(1).await;
    leaving.abort();
    assert!(leaving.await.is_err());
    until(async || server.metrics().contains("outcome=\"cancelled\"")).await;
    assert!(server.records().await.is_empty());
    server.ingest.gate.add_permits(permits);
    until(async || !server.records().await.is_empty()).await;
    // The client that doesn't know asks again.
    let again = server.post("{\"id\": 1}").header("idempotency-key", "k");
    let (_, document) = answer(again).await;
    assert_eq!(
        (&document["offset"], &document["duplicate"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(server.rows().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_the_queue_say_what_to_do() {
    let server = Server::start().await;
    let retry_after = Duration::from_millis(2100);
    let secret = "disk /var/secret".to_owned();
    for (refusal, status, code, seconds) in [
        (
            Refused::Full {
                reason: secret.clone(),
            },
            507,
            "full",
            None,
        ),
        (Refused::Pressure { retry_after }, 429, "busy", Some("3")),
        (Refused::KeyReused { offset: 7 }, 409, "key_reused", None),
        (
            Refused::TooLarge { bytes: 9, limit: 8 },
            413,
            "too_large",
            None,
        ),
        (
            Refused::Unavailable {
                retry_after: Duration::ZERO,
                reason: secret,
            },
            503,
            "unavailable",
            Some("1"),
        ),
    ] {
        *server.ingest.refusal.lock().unwrap() = Some(refusal);
        let response = server.post("{\"id\": 1}").send().await.unwrap();
        assert_eq!(response.status(), status);
        let wait = response
            .headers()
            .get("retry-after")
            .map(|wait| wait.to_str().unwrap());
        assert_eq!(wait, seconds, "{code}");
        let document: serde_json::Value = response.json().await.unwrap();
        assert_eq!(document["error"]["code"], code);
        assert!(document["error"]["hint"].is_string(), "{document}");
        assert!(!document.to_string().contains("secret"), "{document}");
    }
    *server.ingest.refusal.lock().unwrap() = None;
    assert_eq!(answer(server.post("{\"id\": 1}")).await.0, 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_behind_the_door_is_an_error_of_one_request() {
    let server = Server::start().await;
    server.ingest.gate.close();
    let (status, code, message) = refused(server.post("{\"id\": 1}")).await;
    assert_eq!((status, code.as_str()), (500, "internal"));
    assert!(message.contains("unknown"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_bodies_than_can_be_read_are_turned_away() {
    let busy = Server::with(Settings {
        decoding: 0,
        ..impatient()
    })
    .await;
    let response = busy.post("{\"id\": 1}").send().await.unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "1");
    let full = Server::with(Settings {
        buffered_bytes: 64 << 10,
        ..impatient()
    })
    .await;
    let holds = "x".repeat(60 << 10);
    let holding = begin(&full, "content-length: 70000", &holds).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let (status, code, _) = refused(full.post(" ".repeat(10 << 10))).await;
    assert_eq!((status, code.as_str()), (429, "busy"));
    // What a client held is free again when it is gone.
    drop(holding);
    let body = format!("{}{{\"id\": 1}}", " ".repeat(10 << 10));
    until(async || answer(full.post(body.clone())).await.0 == 202).await;
}
