//! What may be sent: forms, encodings, sizes.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::ipc::writer::StreamWriter;
use flate2::Compression;
use flate2::write::GzEncoder;
use neurolake_ingest::door::Settings;
use serde_json::json;

use super::server::{NOW, Server, answer, refused, settings};

const ROW: &str = r#"{"id":1,"target":null,"band_power":null}"#;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_every_form_are_kept_under_dense_offsets() {
    let server = Server::start().await;
    let queued = |accepted: usize, offset: u64| json!({"accepted": accepted, "offset": offset, "duplicate": false});
    let one = server.post(r#"{"id": 1}"#);
    assert_eq!(answer(one).await, (202, queued(1, 1)));
    let many = server.post(r#"[{"id": 2, "target": {"x": 1}}, {"id": 3, "band_power": [1.5]}]"#);
    assert_eq!(answer(many).await, (202, queued(2, 2)));
    for (content_type, offset) in [
        ("application/x-ndjson", 3),
        ("application/jsonl; charset=UTF-8", 4),
    ] {
        let lines = server
            .post_to(
                "/v1/ingest/neural/cursor_events",
                "{\"id\": 4}\n{\"id\": 5}\n",
            )
            .header("content-type", content_type);
        assert_eq!(answer(lines).await, (202, queued(2, offset)));
    }
    let id: ArrayRef = Arc::new(Int64Array::from(vec![6, 7]));
    let batch = RecordBatch::try_from_iter([("id", id)]).unwrap();
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    let arrow = server
        .post_to(
            "/v1/ingest/neural/cursor_events",
            writer.into_inner().unwrap(),
        )
        .header("content-type", "application/vnd.apache.arrow.stream");
    assert_eq!(answer(arrow).await, (202, queued(2, 5)));
    let row = |id: u8, target: &str, power: &str| {
        format!("{{\"id\":{id},\"target\":{target},\"band_power\":{power}}}")
    };
    let mut expected = vec![
        row(1, "null", "null"),
        row(2, "{\"x\":1,\"y\":null}", "null"),
        row(3, "null", "[1.5]"),
    ];
    expected.extend([4, 5, 4, 5, 6, 7].map(|id| row(id, "null", "null")));
    assert_eq!(server.rows().await, expected);
    let records = server.records().await;
    assert!(
        records
            .iter()
            .all(|record| record.received == NOW && record.dead.is_empty())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_may_be_compressed() {
    let server = Server::start().await;
    let body = b"[{\"id\": 1}]";
    for (encoding, bytes) in [
        ("gzip", gzip(body)),
        ("GZIP", gzip(body)),
        ("zstd", zstd(body)),
        ("identity", body.to_vec()),
    ] {
        let (status, _) = answer(server.post(bytes).header("content-encoding", encoding)).await;
        assert_eq!(status, 202, "{encoding}");
    }
    assert_eq!(server.rows().await, [ROW; 4]);
}

/// Concatenated gzip files are one gzip file, and so are frames of zstd. `tower_http` stops behind
/// the first gzip member and reports no error.
#[tokio::test(flavor = "multi_thread")]
async fn every_member_of_a_compressed_body_is_read() {
    let server = Server::start().await;
    let parts: [&[u8]; 2] = [b"{\"id\": 1}\n", b"{\"id\": 1}\n"];
    for (encoding, body) in [
        ("gzip", parts.map(gzip).concat()),
        ("zstd", parts.map(zstd).concat()),
    ] {
        let lines = server
            .post_to("/v1/ingest/neural/cursor_events", body)
            .header("content-type", "application/x-ndjson")
            .header("content-encoding", encoding);
        let (status, document) = answer(lines).await;
        assert_eq!(
            (status, &document["accepted"]),
            (202, &2.into()),
            "{encoding}"
        );
    }
    assert_eq!(server.rows().await, [ROW; 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_compression_keeps_nothing() {
    let server = Server::start().await;
    let lines = "{\"id\": 1}\n".repeat(1000);
    let mut wrong_sum = gzip(lines.as_bytes());
    let at = wrong_sum.len() - 6;
    wrong_sum[at] ^= 1;
    let cut = |mut bytes: Vec<u8>| {
        bytes.truncate(bytes.len() - 3);
        bytes
    };
    for (encoding, body) in [
        ("gzip", cut(gzip(lines.as_bytes()))),
        ("gzip", wrong_sum),
        ("gzip", [gzip(lines.as_bytes()), b"more".to_vec()].concat()),
        ("gzip", lines.clone().into_bytes()),
        ("gzip", Vec::new()),
        ("zstd", cut(zstd(lines.as_bytes()))),
        ("zstd", [zstd(lines.as_bytes()), b"more".to_vec()].concat()),
        ("zstd", lines.clone().into_bytes()),
    ] {
        let request = server
            .post_to("/v1/ingest/neural/cursor_events", body)
            .header("content-type", "application/x-ndjson")
            .header("content-encoding", encoding);
        let (status, code, message) = refused(request).await;
        assert_eq!((status, code.as_str()), (400, "bad_request"), "{message}");
        assert!(
            message.contains(&format!("not whole {encoding}")),
            "{message}"
        );
    }
    assert!(server.records().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_are_refused_however_they_come() {
    let limit = 100_000;
    let server = Server::with(Settings {
        body_bytes: limit,
        ..settings()
    })
    .await;
    let fits = format!("[{}{{\"id\": 1}}]", " ".repeat(limit - 11));
    assert_eq!(fits.len(), limit);
    let large = format!(" {fits}");
    let bomb = vec![b' '; 64 << 20];
    let chunks = |body: &str| {
        let parts: Vec<_> = body.as_bytes().chunks(7000).map(<[u8]>::to_vec).collect();
        reqwest::Body::wrap_stream(futures::stream::iter(
            parts.into_iter().map(Ok::<_, std::io::Error>),
        ))
    };
    let encoded =
        |encoding: &str, body: Vec<u8>| server.post(body).header("content-encoding", encoding);
    for request in [
        server.post(fits.clone()),
        server.post(chunks(&fits)),
        encoded("gzip", gzip(fits.as_bytes())),
        encoded("zstd", zstd(fits.as_bytes())),
    ] {
        assert_eq!(answer(request).await.0, 202);
    }
    for request in [
        server.post(large.clone()),
        server.post(large.repeat(100)),
        server.post(chunks(&large)),
        server.post(chunks(&large.repeat(100))),
        encoded("gzip", gzip(large.as_bytes())),
        encoded("zstd", zstd(large.as_bytes())),
        encoded("gzip", gzip(&bomb)),
        encoded("zstd", zstd(&bomb)),
    ] {
        let (status, code, message) = refused(request).await;
        assert_eq!((status, code.as_str()), (413, "too_large"), "{message}");
    }
    assert_eq!(server.records().await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_want_gigabytes_are_refused() {
    let server = Server::start().await;
    // A frame with a window of 1 GiB: magic, descriptor, window, an empty last block.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa0, 0x01, 0x00, 0x00];
    let request = server
        .post(frame.to_vec())
        .header("content-encoding", "zstd");
    let (status, _, message) = refused(request).await;
    assert_eq!(status, 400);
    assert!(message.contains("memory"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_fill_the_memory_are_refused() {
    let server = Server::with(Settings {
        memory_bytes: 10_000,
        ..settings()
    })
    .await;
    let few = "{\"id\": 1}\n".repeat(100);
    let many = "{\"id\": 1}\n".repeat(10_000);
    for (body, expected) in [(few, 202), (many, 413)] {
        let lines = server
            .post_to("/v1/ingest/neural/cursor_events", body)
            .header("content-type", "application/x-ndjson");
        assert_eq!(lines.send().await.unwrap().status(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_types_and_encodings_are_refused_with_what_is_taken() {
    let server = Server::start().await;
    let path = "/v1/ingest/neural/cursor_events";
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin1",
        "application/x-ndjson;charset=\"utf-16\"",
        "",
    ] {
        let request = server
            .post_to(path, "{\"id\": 1}")
            .header("content-type", content_type);
        let (status, document) = answer(request).await;
        assert_eq!(status, 415, "{content_type}");
        assert_eq!(document["error"]["code"], "unsupported_media_type");
        let hint = document["error"]["hint"].as_str().unwrap();
        assert!(hint.contains("application/x-ndjson"), "{hint}");
    }
    let (status, _, message) = refused(server.post_to(path, "{\"id\": 1}")).await;
    assert_eq!(status, 415);
    assert!(message.contains("`Content-Type` is missing"), "{message}");
    for encoding in ["br", "deflate", "gzip, zstd"] {
        let request = server
            .post("{\"id\": 1}")
            .header("content-encoding", encoding);
        let (status, document) = answer(request).await;
        assert_eq!(status, 415, "{encoding}");
        let hint = document["error"]["hint"].as_str().unwrap();
        assert!(hint.contains("zstd"), "{hint}");
    }
    assert!(server.records().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_do_not_fit_are_refused_skipped_or_set_aside() {
    let server = Server::start().await;
    let body = r#"[{"id": 1}, {"id": "x", "band_power": [1, "y"]}, {"id": 3}]"#;
    let (status, document) = answer(server.post(body).header("x-request-id", "r-1")).await;
    assert_eq!(status, 422);
    let errors = json!([
        {"row": 1, "path": "id", "message": "expected a whole number (int64), found a string \"x\""},
        {"row": 1, "path": "band_power[1]", "message": "expected a number (float32), found a string \"y\""},
    ]);
    assert_eq!(
        document,
        json!({"error": {
            "code": "invalid_rows",
            "message": "row 1 doesn't fit: `id` expected a whole number (int64), found a string \"x\"; 1 more in `rows`",
            "hint": "none of the rows was kept; `?invalid=skip` keeps those that fit, `?invalid=quarantine` sets the others aside",
            "request_id": "r-1",
            "rows": errors,
        }})
    );
    assert!(server.records().await.is_empty());
    let expected = |offset: u64| json!({"accepted": 2, "offset": offset, "duplicate": false, "rejected": 1, "errors": errors});
    let path = "/v1/ingest/neural/cursor_events?invalid=";
    let partial = |mode: &str, body: &'static str| {
        let path = format!("{path}{mode}");
        server
            .post_to(&path, body)
            .header("content-type", "application/json")
    };
    assert_eq!(answer(partial("skip", body)).await, (202, expected(1)));
    assert_eq!(
        answer(partial("quarantine", body)).await,
        (202, expected(2))
    );
    let records = server.records().await;
    assert!(records[0].dead.is_empty());
    let dead = &records[1].dead[0];
    assert_eq!(
        (dead.row, dead.payload.as_str()),
        (1, r#"{"id": "x", "band_power": [1, "y"]}"#)
    );
    assert!(
        dead.reason.starts_with("id: expected a whole number"),
        "{}",
        dead.reason
    );
    assert_eq!(records[1].rows.num_rows(), 2);
    // Nothing fits: nothing to keep, or only dead letters.
    let (status, document) = answer(partial("skip", "[{}]")).await;
    assert_eq!(
        (status, &document["offset"], &document["rejected"]),
        (202, &json!(null), &json!(1))
    );
    let (status, document) = answer(partial("quarantine", "[{}]")).await;
    assert_eq!(
        (status, &document["offset"], &document["accepted"]),
        (202, &json!(3), &json!(0))
    );
    assert_eq!(answer(server.post("[]")).await.1["offset"], json!(null));
    let metrics = server.metrics();
    let of = "database=\"neural\",table=\"cursor_events\"";
    for line in [
        format!("neurolake_ingest_rows_total{{{of},outcome=\"accepted\"}} 4"),
        format!("neurolake_ingest_rows_total{{{of},outcome=\"rejected\"}} 2"),
        format!("neurolake_ingest_rows_total{{{of},outcome=\"dead\"}} 2"),
        format!("neurolake_ingest_requests_total{{{of},outcome=\"invalid_rows\"}} 1"),
        format!("neurolake_ingest_requests_total{{{of},outcome=\"accepted\"}} 5"),
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}\n{metrics}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_line_says_which_it_is() {
    let server = Server::start().await;
    let request = server
        .post_to(
            "/v1/ingest/neural/cursor_events",
            "{\"id\": 1}\n\n{\"id\": 2\n",
        )
        .header("content-type", "application/x-ndjson");
    let (status, document) = answer(request).await;
    assert_eq!(
        (status, &document["error"]["code"]),
        (400, &"bad_request".into())
    );
    assert_eq!(
        document["error"]["rows"],
        json!([{"row": 1, "line": 3, "path": "", "message": "not JSON: EOF while parsing an object at column 8"}])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn large_good_bodies_are_read_off_the_threads_of_the_sockets() {
    let server = Server::start().await;
    let lines = "{\"id\": 1}\n".repeat(200_000);
    let upload = server
        .post_to("/v1/ingest/neural/cursor_events", zstd(lines.as_bytes()))
        .header("content-type", "application/x-ndjson")
        .header("content-encoding", "zstd");
    let upload = tokio::spawn(answer(upload));
    while !upload.is_finished() {
        let small = tokio::time::timeout(Duration::from_secs(5), server.post("[]").send());
        assert_eq!(small.await.unwrap().unwrap().status(), 202);
    }
    assert_eq!(upload.await.unwrap().1["accepted"], 200_000);
}
