//! Addresses, parameters, acknowledgements, and what can be read.

use neurolake_ingest::door::Refused;
use serde_json::{Value, json};

use super::server::{Server, answer, refused};

#[tokio::test(flavor = "multi_thread")]
async fn unknown_tables_are_named_with_the_nearest() {
    let server = Server::start().await;
    for (path, message, hint) in [
        (
            "/v1/ingest/neural/cursor_event",
            "there is no table `neural.cursor_event`",
            "did you mean `neural.cursor_events`?",
        ),
        (
            "/v1/ingest/zzz/qqq",
            "there is no table `zzz.qqq`",
            "`GET /v1/ingest` lists the tables that take events",
        ),
        (
            "/v1/ingest/neural/spikes",
            "`neural.spikes` takes no events",
            "add `ingest` to its `#[table(...)]`; `GET /v1/ingest` lists those that do",
        ),
    ] {
        let expected = json!({"error": {"code": "not_found", "message": message, "hint": hint}});
        assert_eq!(
            answer(server.post_to(path, "{}")).await,
            (404, expected.clone())
        );
        assert_eq!(
            answer(server.http.get(server.url(path))).await,
            (404, expected)
        );
    }
    let put = server
        .http
        .put(server.url("/v1/ingest/neural/cursor_events"));
    let (status, code, _) = refused(put).await;
    assert_eq!((status, code.as_str()), (405, "method_not_allowed"));
    let broken = server.post_to("/v1/ingest/neural/%ff", "{}");
    assert_eq!(refused(broken).await.0, 400);
    // Strangers add no labels.
    let metrics = server.metrics();
    assert!(!metrics.contains("zzz"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_parameters_are_refused() {
    let server = Server::start().await;
    for (query, expected) in [
        ("ack=durable", "`ack` can't be \"durable\""),
        ("invalid=ignore", "`invalid` can't be \"ignore\""),
        ("timeout=-1", "`timeout` can't be \"-1\""),
        ("timeout=301", "at most 300"),
        ("acknowledge=queued", "no parameter \"acknowledge\""),
        ("ack=queued&ack=committed", "`ack` stands twice"),
    ] {
        let path = format!("/v1/ingest/neural/cursor_events?{query}");
        let request = server
            .post_to(&path, "{\"id\": 1}")
            .header("content-type", "application/json");
        let (status, code, message) = refused(request).await;
        assert_eq!((status, code.as_str()), (400, "bad_request"), "{query}");
        assert!(message.contains(expected), "{message}");
    }
    assert!(server.records().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_can_be_waited_for() {
    let server = Server::start().await;
    let send = |body: &'static str| {
        let path = "/v1/ingest/neural/cursor_events?ack=committed&timeout=1";
        server
            .post_to(path, body)
            .header("content-type", "application/json")
    };
    let expected =
        json!({"accepted": 1, "offset": 1, "duplicate": false, "committed": true, "version": 57});
    assert_eq!(answer(send("{\"id\": 1}")).await, (200, expected));
    *server.ingest.committed.lock().unwrap() = Ok(None);
    let late = json!({"accepted": 1, "offset": 2, "duplicate": false, "committed": false});
    assert_eq!(answer(send("{\"id\": 1}")).await, (202, late));
    // The rows are kept: an error would make the client send them again.
    *server.ingest.committed.lock().unwrap() = Err(Refused::Unavailable {
        retry_after: std::time::Duration::from_secs(1),
        reason: "gone".into(),
    });
    let unclear = json!({"accepted": 1, "offset": 3, "duplicate": false, "committed": false});
    assert_eq!(answer(send("{\"id\": 1}")).await, (202, unclear));
    let nothing = json!({"accepted": 0, "offset": null, "duplicate": false, "committed": true});
    assert_eq!(answer(send("[]")).await, (200, nothing));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tables_say_how_far_they_are() {
    let server = Server::start().await;
    server.post("{\"id\": 1}").send().await.unwrap();
    let cursor = json!({
        "database": "neural", "table": "cursor_events",
        "accepted": 1, "committed": 0, "version": null, "lag_seconds": 1.5,
    });
    let (status, all) = answer(server.http.get(server.url("/v1/ingest"))).await;
    assert_eq!(status, 200);
    let names: Vec<&str> = all["tables"]
        .as_array()
        .unwrap()
        .iter()
        .map(|table| table["table"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["cursor_events", "every_type"]);
    assert_eq!(all["tables"][0], cursor);
    let one = server
        .http
        .get(server.url("/v1/ingest/neural/cursor_events"));
    assert_eq!(answer(one).await, (200, cursor));
}

/// Every reference leads somewhere, every operation is named once, every table is there.
#[tokio::test(flavor = "multi_thread")]
async fn the_description_holds_together() {
    let server = Server::start().await;
    let (_, document) = answer(server.http.get(server.url("/v1/openapi.json"))).await;
    if let Ok(path) = std::env::var("NEUROLAKE_OPENAPI") {
        std::fs::write(path, document.to_string()).unwrap();
    }
    assert_eq!(document["openapi"], "3.1.0");
    let mut names = Vec::new();
    walk(&document, &mut |key, value| {
        if key == "$ref" {
            let place = value.as_str().unwrap().strip_prefix('#').unwrap();
            assert!(document.pointer(place).is_some(), "{place} is not there");
        }
        if key == "operationId" {
            names.push(value.as_str().unwrap().to_owned());
        }
    });
    names.sort();
    assert_eq!(
        names,
        [
            "ingest_neural_cursor_events",
            "ingest_neural_every_type",
            "status_neural_cursor_events",
            "status_neural_every_type",
            "tables",
        ]
    );
    let row = &document["components"]["schemas"]["neural.cursor_events"];
    assert_eq!(row["required"], json!(["id"]));
    assert_eq!(row["additionalProperties"], false);
    assert_eq!(
        row["properties"]["band_power"]["description"],
        "Power per channel.\n\nUnit: z.\n\nStored as list<float32>."
    );
    // The door takes what its description shows.
    for table in ["cursor_events", "every_type"] {
        let path = format!("/v1/ingest/neural/{table}");
        let content = &document["paths"][&path]["post"]["requestBody"]["content"];
        for content_type in ["application/json", "application/x-ndjson"] {
            let example = match &content[content_type]["example"] {
                Value::String(text) => text.clone(),
                example => example.to_string(),
            };
            let request = server
                .post_to(&path, example)
                .header("content-type", content_type);
            let (status, document) = answer(request).await;
            assert_eq!(status, 202, "{document}");
        }
    }
}

fn walk(value: &Value, see: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                see(key, value);
                walk(value, see);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| walk(value, see)),
        _ => {}
    }
}
