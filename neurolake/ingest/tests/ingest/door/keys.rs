//! Requests that come again.

use serde_json::json;

use super::server::{Server, answer, refused};

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_is_kept_once() {
    let server = Server::start().await;
    let send = |body: &'static str| server.post(body).header("idempotency-key", "k-1");
    let first = json!({"accepted": 1, "offset": 1, "duplicate": false});
    let again = json!({"accepted": 1, "offset": 1, "duplicate": true});
    assert_eq!(answer(send("{\"id\": 1}")).await, (202, first));
    assert_eq!(answer(send("{\"id\": 1}")).await, (202, again.clone()));
    let other = send("{\"id\": 2}");
    let (status, code, message) = refused(other).await;
    assert_eq!((status, code.as_str()), (409, "key_reused"));
    assert!(message.contains("offset 1"), "{message}");
    // The body counts, not how it was packed.
    let packed = server
        .post(zstd::encode_all(b"{\"id\": 1}".as_slice(), 1).unwrap())
        .header("content-encoding", "zstd")
        .header("idempotency-key", "k-1");
    assert_eq!(answer(packed).await, (202, again));
    assert_eq!(server.rows().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn producers_count_their_requests() {
    let server = Server::start().await;
    let send = |producer: &str, sequence: &str| {
        server
            .post("{\"id\": 1}")
            .header("producer-id", producer)
            .header("producer-sequence", sequence)
    };
    for (producer, sequence, offset, duplicate) in [
        ("a", "1", 1, false),
        ("a", "2", 2, false),
        ("b", "1", 3, false),
        ("a", "1", 1, true),
        ("a", "18446744073709551615", 4, false),
    ] {
        let (_, document) = answer(send(producer, sequence)).await;
        assert_eq!(
            (&document["offset"], &document["duplicate"]),
            (&json!(offset), &json!(duplicate))
        );
    }
    // A key can't be mistaken for a producer's number.
    let key = server
        .post("{\"id\": 2}")
        .header("idempotency-key", "producer:a:1");
    assert_eq!(answer(key).await.1["offset"], 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_belongs_to_its_table() {
    let server = Server::start().await;
    let key = |request: reqwest::RequestBuilder| request.header("idempotency-key", "k");
    assert_eq!(answer(key(server.post("{\"id\": 1}"))).await.0, 202);
    let other = server
        .post_to(
            "/v1/ingest/neural/every_type?invalid=quarantine",
            "{\"id\": 2}",
        )
        .header("content-type", "application/json");
    assert_eq!(answer(key(other)).await.1["duplicate"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_equal_requests_at_once_one_is_kept() {
    let server = Server::start().await;
    let send = || {
        let request = server.post("{\"id\": 1}").header("idempotency-key", "k");
        tokio::spawn(answer(request))
    };
    let sent: Vec<_> = (0..50).map(|_| send()).collect();
    let mut fresh = 0;
    for sent in sent {
        let (status, document) = sent.await.unwrap();
        assert_eq!((status, &document["offset"]), (202, &json!(1)));
        fresh += usize::from(document["duplicate"] == false);
    }
    assert_eq!((fresh, server.rows().await.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_are_no_keys_are_refused() {
    let server = Server::start().await;
    let long = "x".repeat(201);
    let cases: [(&[(&str, &str)], &str); 9] = [
        (&[("idempotency-key", "")], "1 to 200 visible"),
        (&[("idempotency-key", "a b")], "1 to 200 visible"),
        (&[("idempotency-key", &long)], "1 to 200 visible"),
        (
            &[("idempotency-key", "a"), ("idempotency-key", "a")],
            "stands twice",
        ),
        (
            &[
                ("idempotency-key", "a"),
                ("producer-id", "b"),
                ("producer-sequence", "1"),
            ],
            "an `Idempotency-Key` and a producer's sequence",
        ),
        (&[("producer-id", "b")], "`Producer-Sequence` is missing"),
        (&[("producer-sequence", "1")], "`Producer-Id` is missing"),
        (
            &[("producer-id", "b"), ("producer-sequence", "-1")],
            "expected a whole number",
        ),
        (
            &[
                ("producer-id", "b"),
                ("producer-sequence", "18446744073709551616"),
            ],
            "expected a whole number",
        ),
    ];
    for (headers, expected) in cases {
        let mut request = server.post("{\"id\": 1}");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (status, code, message) = refused(request).await;
        assert_eq!((status, code.as_str()), (400, "bad_request"), "{headers:?}");
        assert!(message.contains(expected), "{message}");
    }
    let latin = reqwest::header::HeaderValue::from_bytes(b"\xe9").unwrap();
    let (status, _, _) = refused(server.post("{}").header("idempotency-key", latin)).await;
    assert_eq!(status, 400);
    assert!(server.records().await.is_empty());
}
