//! Requests: what they say, and when they are repeated.

use std::time::Duration;

use axum::http::StatusCode;
use neurolake::ingest::{Ack, Client, IngestError, Invalid};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::door::{Door, Fault};
use super::lab::{Place, Readings};
use super::{reading, readings};

fn client(url: &str) -> Client {
    Client::new(url).unwrap().patience(Duration::from_secs(20))
}

fn refusal(status: StatusCode, code: &str, message: &str) -> Fault {
    let body = json!({"error": {"code": code, "message": message, "request_id": "r-7"}});
    Fault::Answer(status, None, body.to_string())
}

#[tokio::test]
async fn rows_arrive_in_the_doors_forms() {
    let door = Door::new([]);
    let running = door.open().await;
    let mut row = reading(7);
    row.place = Some(Place {
        marks: vec![None, Some(vec![]), Some(vec![255])],
    });
    let producer = client(&running.url).table::<Readings>();
    let accepted = producer.send(&[row, reading(8)]).await.unwrap();
    assert_eq!((accepted.accepted, accepted.offset), (2, Some(1)));
    assert!(!accepted.duplicate && !accepted.committed && accepted.version.is_none());

    let request = door.taken().remove(0);
    assert_eq!(request.path, "lab.readings");
    assert_eq!(request.query, "");
    assert_eq!(request.headers["content-type"], "application/x-ndjson");
    assert_eq!(
        request.rows[0],
        json!({
            "ts": "2026-03-01T09:30:00.000107Z", "day": "2026-03-01", "number": 7,
            "values": [0.5, "NaN"], "raw": "AQID", "place": {"marks": [null, "", "/w=="]},
        })
    );
    assert_eq!(request.rows[1]["place"], json!(null));
    assert_eq!(producer.send(&[]).await.unwrap().accepted, 0);
    assert_eq!(door.seen().len(), 1, "nothing to send, no request");
}

#[tokio::test]
async fn the_client_says_what_it_wants() {
    let door = Door::new([]);
    let running = door.open().await;
    let client = client(&running.url)
        .ack(Ack::Committed)
        .commit_timeout(Duration::from_millis(2_500))
        .invalid(Invalid::Quarantine);
    let accepted = client
        .table::<Readings>()
        .send(&[reading(1)])
        .await
        .unwrap();
    assert!(accepted.committed);
    assert_eq!(accepted.version, Some(41));
    let request = door.taken().remove(0);
    assert_eq!(request.query, "ack=committed&timeout=3&invalid=quarantine");
}

#[tokio::test]
async fn whatever_happens_rows_are_taken_once() {
    let busy = |status, after| Fault::Answer(status, after, "later".into());
    let door = Door::new([
        Fault::Break,
        busy(StatusCode::SERVICE_UNAVAILABLE, None),
        Fault::LoseAnswer,
        busy(StatusCode::BAD_GATEWAY, None),
        busy(StatusCode::INSUFFICIENT_STORAGE, Some("0")),
        Fault::LoseAnswer,
    ]);
    let running = door.open().await;
    let producer = client(&running.url).table::<Readings>();
    let accepted = producer.send(&readings(0..3)).await.unwrap();
    assert!(accepted.duplicate, "it was there before its answer");
    assert_eq!((accepted.accepted, accepted.offset), (3, Some(1)));
    assert_eq!(door.numbers(), [0, 1, 2]);
    let seen = door.seen();
    assert_eq!(seen.len(), 7);
    assert!(seen.iter().all(|request| request.name == seen[0].name));
    // Other rows have another name.
    producer.send(&readings(3..4)).await.unwrap();
    assert_eq!(door.numbers(), [0, 1, 2, 3]);
}

#[tokio::test]
async fn a_busy_server_says_when_to_come_back() {
    let busy = json!({"error": {"code": "busy", "message": "the queue is behind"}}).to_string();
    let door = Door::new([Fault::Answer(
        StatusCode::TOO_MANY_REQUESTS,
        Some("1"),
        busy,
    )]);
    let running = door.open().await;
    let start = Instant::now();
    let producer = client(&running.url).table::<Readings>();
    producer.send(&[reading(1)]).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(door.seen().len(), 2);
}

#[tokio::test]
async fn a_server_that_comes_back_is_found() {
    let door = Door::new([]);
    let running = door.open().await;
    let producer = client(&running.url).table::<Readings>();
    producer.send(&[reading(1)]).await.unwrap();
    let address = running.end().await;
    let rows = [reading(2)];
    let send = tokio::spawn(async move { producer.send(&rows).await });
    sleep(Duration::from_millis(300)).await;
    assert!(!send.is_finished());
    let _running = door.open_at(address).await;
    send.await.unwrap().unwrap();
    assert_eq!(door.numbers(), [1, 2]);
}

#[tokio::test]
async fn what_is_refused_is_not_repeated() {
    let rows = json!({"error": {
        "code": "invalid_rows", "request_id": "r-7",
        "message": "row 0 (line 1) doesn't fit: `values[1]` expected float32, found \"x\"; 2 more in `rows`",
        "hint": "none of the rows was kept",
        "rows": [
            {"row": 0, "line": 1, "path": "values[1]", "message": "expected float32, found \"x\""},
            {"row": 2, "line": 3, "path": "", "message": "`tss` is no column; did you mean `ts`?"},
            {"path": "day", "message": "expected date32 (date), found utf8"},
        ],
    }});
    let unprocessable = StatusCode::UNPROCESSABLE_ENTITY;
    let door = Door::new([
        Fault::Answer(unprocessable, None, rows.to_string()),
        refusal(
            StatusCode::NOT_FOUND,
            "not_found",
            "no table `lab.readings`",
        ),
        refusal(StatusCode::INSUFFICIENT_STORAGE, "full", "the disk is full"),
    ]);
    let running = door.open().await;
    let producer = client(&running.url).table::<Readings>();
    let error = producer.send(&readings(0..3)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the server refused the rows: row 0 (line 1) doesn't fit: `values[1]` expected float32, found \"x\"; \
         2 more in `rows` (422)\n  \
         row 2: `tss` is no column; did you mean `ts`?\n  \
         `day`: expected date32 (date), found utf8\n\
         hint: none of the rows was kept"
    );
    let IngestError::Refused(refusal) = error else {
        panic!("{error:?}");
    };
    assert_eq!(refusal.code, "invalid_rows");
    assert_eq!(refusal.request_id.as_deref(), Some("r-7"));
    let rows: Vec<Option<u64>> = refusal.rows.iter().map(|row| row.row).collect();
    assert_eq!(rows, [Some(0), Some(2), None]);
    for (status, words) in [(404, "no table"), (507, "the disk is full")] {
        let error = producer.send(&readings(0..3)).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(matches!(error, IngestError::Refused(refusal) if refusal.status == status));
    }
    assert_eq!(door.seen().len(), 3);
    assert!(door.taken().is_empty());
}

#[tokio::test]
async fn many_rows_are_sent_in_pieces() {
    let refused = json!({"error": {"code": "invalid_rows", "message": "1 row doesn't fit",
        "rows": [{"row": 1, "path": "number", "message": "too large"}]}});
    let door = Door::new([
        Fault::Say(json!({"accepted": 1, "offset": 1, "rejected": 1, "errors": [{"row": 1, "path": "raw", "message": "no"}]}).to_string()),
        Fault::Say(json!({"accepted": 1, "offset": 2, "rejected": 1, "errors": [{"row": 0, "path": "raw", "message": "no"}]}).to_string()),
        Fault::Answer(StatusCode::UNPROCESSABLE_ENTITY, None, refused.to_string()),
    ]);
    let running = door.open().await;
    // Two rows have about 240 bytes, three don't fit.
    let producer = client(&running.url)
        .table::<Readings>()
        .max_request_bytes(300);
    let accepted = producer
        .send_with_key("job-7", &readings(0..4))
        .await
        .unwrap();
    assert_eq!(
        (accepted.accepted, accepted.rejected, accepted.offset),
        (2, 2, Some(2))
    );
    let rows: Vec<Option<u64>> = accepted.errors.iter().map(|error| error.row).collect();
    assert_eq!(rows, [Some(1), Some(2)]);
    let seen = door.seen();
    assert_eq!(
        seen.iter().map(|r| r.name.as_str()).collect::<Vec<_>>(),
        ["job-7/0", "job-7/1"]
    );

    // The first piece is there already, so only the last one is new to the door.
    let error = producer
        .send_with_key("job-8", &readings(0..2))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("row 1, `number`"), "{error}");
    let accepted = producer
        .send_with_key("job-7", &readings(0..5))
        .await
        .unwrap();
    assert!(!accepted.duplicate, "the last row is new");
    assert_eq!(door.numbers(), [0, 1, 2, 3, 4]);
    let accepted = producer
        .send_with_key("job-7", &readings(0..5))
        .await
        .unwrap();
    assert!(accepted.duplicate);
    assert_eq!(door.numbers().len(), 5);
}

#[tokio::test]
async fn nothing_kept_has_no_offset() {
    let answer = json!({"accepted": 0, "offset": null, "duplicate": false, "rejected": 1,
        "errors": [{"path": "day", "message": "expected a day"}]});
    let door = Door::new([Fault::Say(answer.to_string())]);
    let running = door.open().await;
    let producer = client(&running.url)
        .invalid(Invalid::Skip)
        .table::<Readings>();
    let accepted = producer.send(&[reading(1)]).await.unwrap();
    assert_eq!((accepted.offset, accepted.rejected), (None, 1));
    assert_eq!(accepted.errors[0].to_string(), "`day`: expected a day");
}

#[tokio::test]
async fn only_the_last_piece_waits_for_a_commit() {
    let door = Door::new([]);
    let running = door.open().await;
    let producer = client(&running.url)
        .ack(Ack::Committed)
        .table::<Readings>()
        .max_request_bytes(300);
    let accepted = producer.send(&readings(0..5)).await.unwrap();
    assert_eq!((accepted.committed, accepted.version), (true, Some(43)));
    let seen = door.seen();
    let queries: Vec<&str> = seen.iter().map(|request| request.query.as_str()).collect();
    assert_eq!(queries, ["", "", "ack=committed&timeout=30"]);
}

#[tokio::test]
async fn patience_has_an_end() {
    let busy = || Fault::Answer(StatusCode::SERVICE_UNAVAILABLE, Some("1"), String::new());
    let door = Door::new([busy(), busy()]);
    let running = door.open().await;
    let hasty = Client::new(&running.url).unwrap().patience(Duration::ZERO);
    let error = hasty
        .table::<Readings>()
        .send(&[reading(1)])
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the server takes no rows, asked once in 0.0 s: service unavailable (503)"
    );
    // A pause that is longer than the patience isn't begun.
    let start = Instant::now();
    let soon = Client::new(&running.url)
        .unwrap()
        .patience(Duration::from_millis(500));
    let error = soon
        .table::<Readings>()
        .send(&[reading(1)])
        .await
        .unwrap_err();
    assert!(
        matches!(error, IngestError::Busy { attempts: 1, .. }),
        "{error:?}"
    );
    assert!(start.elapsed() < Duration::from_millis(500));

    let address = running.end().await;
    let url = format!("http://someone:secret-word@{address}/base");
    let gone = Client::new(&url)
        .unwrap()
        .patience(Duration::from_millis(400));
    let error = gone
        .table::<Readings>()
        .send(&[reading(1)])
        .await
        .unwrap_err();
    let IngestError::Unreachable { attempts, .. } = &error else {
        panic!("{error:?}");
    };
    assert!((2..10).contains(attempts), "{attempts}");
    let said = format!("{error} {error:?} {gone:?}");
    assert!(said.contains(&address.to_string()));
    assert!(!said.contains("secret-word"), "{said}");
}

#[tokio::test]
async fn credentials_go_to_the_server() {
    let door = Door::new([]);
    let running = door.open().await;
    let url = running
        .url
        .replace("http://", "http://someone:secret%20word@");
    client(&url)
        .table::<Readings>()
        .send(&[reading(1)])
        .await
        .unwrap();
    // base64 of `someone:secret word`
    assert_eq!(
        door.taken()[0].headers["authorization"],
        "Basic c29tZW9uZTpzZWNyZXQgd29yZA=="
    );
}

#[tokio::test]
async fn what_is_no_door_is_told() {
    let page = |status| Fault::Answer(status, None, "<html>".into());
    let door = Door::new([page(StatusCode::OK), page(StatusCode::NOT_FOUND)]);
    let running = door.open().await;
    let producer = client(&running.url).table::<Readings>();
    for status in [200, 404] {
        let error = producer.send(&[reading(1)]).await.unwrap_err();
        let IngestError::Foreign { status: found, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(found, status);
    }
    for url in ["", "localhost:8080", "ftp://a", "http://", "/v1"] {
        assert!(
            matches!(Client::new(url), Err(IngestError::Address { .. })),
            "{url}"
        );
    }
    for key in ["", "two words", "ümlaut", "a\nb", &"x".repeat(181)] {
        let error = producer
            .send_with_key(key, &[reading(1)])
            .await
            .unwrap_err();
        assert!(matches!(error, IngestError::Key { .. }), "{key}");
    }
}
