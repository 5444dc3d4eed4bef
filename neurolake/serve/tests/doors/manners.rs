//! Errors, ids, who may ask, and what never leaves.

use std::collections::BTreeMap;
use std::path::PathBuf;

use neurolake_query::{ObjectStoreSettings, PostgresSettings, Store, Stores};
use neurolake_serve::Settings;
use serde_json::{Value, json};

use crate::client::{Server, refused};

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_has_a_code_a_status_and_an_id() {
    let server = Server::start().await;
    let post = |sql: &str| server.post(sql.to_owned());
    let json = |document: Value| server.http.post(server.url("/api/sql")).json(&document);
    for (request, status, code) in [
        (post(""), 400, "bad_request"),
        (post("selec 1"), 400, "bad_request"),
        (post("select nothing"), 400, "bad_request"),
        (post("select * from nowhere.table1"), 404, "not_found"),
        (json(json!({"query": "select 1"})), 400, "bad_request"),
        (
            json(json!({"sql": "select $1", "parameters": 7})),
            400,
            "bad_request",
        ),
        (
            json(json!({"sql": "select $1", "parameters": [[1]]})),
            400,
            "bad_request",
        ),
        (server.http.get(server.url("/api/sql")), 400, "bad_request"),
        (
            server.http.get(server.url("/api/sql?sql=select")),
            400,
            "bad_request",
        ),
        (
            server
                .http
                .get(server.url("/api/sql?q=select%201&format=xml")),
            400,
            "bad_request",
        ),
        (
            post("select 1").header("accept", "image/png"),
            406,
            "not_acceptable",
        ),
        (
            server.http.put(server.url("/api/sql")),
            405,
            "method_not_allowed",
        ),
        (server.http.get(server.url("/api/other")), 404, "not_found"),
        (server.http.get(server.url("/other")), 404, "not_found"),
        (post("select 1").body(vec![0xff, 0xfe]), 400, "bad_request"),
    ] {
        let shown = format!("{request:?}");
        let (found, error) = refused(request).await;
        assert_eq!(
            (found, error["code"].as_str()),
            (status, Some(code)),
            "{shown}: {error}"
        );
        assert!(!error["message"].as_str().unwrap().is_empty());
        assert!(!error["request_id"].as_str().unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_says_where_in_the_statement_it_is() {
    let server = Server::start().await;
    for (sql, place) in [
        ("select 1,\n  froom x", json!({"line": 2, "column": 3})),
        ("select 1 +", Value::Null),
        (
            "select\n  nosuch from (select 1 as one)",
            json!({"line": 2, "column": 3}),
        ),
        ("select 1 from lab.nosuch", Value::Null),
    ] {
        let response = server.post(sql).send().await.unwrap();
        let document: Value = response.json().await.unwrap();
        assert_eq!(document["error"]["position"], place, "{sql}: {document}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_as_curl_sends_it_is_a_statement() {
    let server = Server::start().await;
    let response = server
        .post("select 'a=b&c' as text")
        .header("content-type", "application/x-www-form-urlencoded")
        .send()
        .await
        .unwrap();
    assert_eq!(
        response.json::<Value>().await.unwrap(),
        json!([{"text": "a=b&c"}])
    );
    let answer = server.get("/api/sql?q=select%201%20as%20one").await;
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(answer.json::<Value>().await.unwrap(), json!([{"one": 1}]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_keeps_its_id() {
    let server = Server::start().await;
    let request = server.post("nonsense").header("x-request-id", "mine-1");
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["x-request-id"], "mine-1");
    let document: Value = response.json().await.unwrap();
    assert_eq!(document["error"]["request_id"], "mine-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_may_not_ask() {
    let settings = Settings {
        origins: vec!["https://catalog.example".into()],
        ..Settings::default()
    };
    let server = Server::with(settings, Stores::default()).await;
    let ask = || server.post("select 1 as one");
    for request in [
        ask().header("origin", "https://evil.example"),
        ask().header("origin", "null"),
        ask().header("origin", "http://127.0.0.1:1"),
        ask().header("host", "evil.example"),
        ask()
            .header("sec-fetch-site", "cross-site")
            .header("sec-fetch-mode", "no-cors"),
    ] {
        let shown = format!("{request:?}");
        let (status, error) = refused(request).await;
        assert_eq!(
            (status, &error["code"]),
            (403, &"not_allowed".into()),
            "{shown}"
        );
    }
    let own = format!("http://{}", server.address);
    for request in [
        ask().header("origin", own),
        ask().header("host", "localhost:8080"),
        ask()
            .header("sec-fetch-site", "cross-site")
            .header("sec-fetch-mode", "navigate"),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(
            !response
                .headers()
                .contains_key("access-control-allow-origin")
        );
    }
    let known = ask()
        .header("origin", "https://catalog.example")
        .send()
        .await
        .unwrap();
    assert_eq!(
        known.headers()["access-control-allow-origin"],
        "https://catalog.example"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_are_told_without_their_secrets() {
    const CANARY: &str = "canary-6f1c";
    let secret = |name: &str| BTreeMap::from([(name.to_owned(), CANARY.into())]);
    let objects = |settings| Store::Objects(settings);
    let options = BTreeMap::from([
        ("endpoint".to_owned(), "http://127.0.0.1:9000".to_owned()),
        ("region".to_owned(), "eu".to_owned()),
        ("sse_customer_key".to_owned(), CANARY.to_owned()),
    ]);
    let stores = BTreeMap::from([
        (
            "default".to_owned(),
            objects(ObjectStoreSettings {
                local: Some(PathBuf::from("/data/buckets")),
                ..ObjectStoreSettings::default()
            }),
        ),
        (
            "ambient".to_owned(),
            objects(ObjectStoreSettings {
                options: options.clone(),
                ..ObjectStoreSettings::default()
            }),
        ),
        (
            "imaging".to_owned(),
            objects(ObjectStoreSettings {
                options,
                secrets: secret("secret_access_key"),
                ..ObjectStoreSettings::default()
            }),
        ),
        (
            "hospital".to_owned(),
            Store::Postgres(PostgresSettings {
                options: BTreeMap::from([("host".to_owned(), CANARY.to_owned())]),
                password: Some(CANARY.into()),
                pool_size: 1,
            }),
        ),
    ]);
    let server = Server::with(Settings::default(), Stores { by_name: stores }).await;
    let text = server.get("/api/stores").await.text().await.unwrap();
    assert!(!text.contains(CANARY), "{text}");
    let seen = json!({"endpoint": "http://127.0.0.1:9000", "region": "eu"});
    assert_eq!(
        serde_json::from_str::<Value>(&text).unwrap(),
        json!({"stores": {
            "default": {"kind": "objects", "direct": true, "local": "/data/buckets"},
            "ambient": {"kind": "objects", "direct": true, "options": seen},
            "imaging": {"kind": "objects", "direct": false, "options": seen},
            "hospital": {"kind": "postgres", "direct": false},
        }})
    );
    // Whoever comes through a proxy is on another machine.
    let request = server
        .http
        .get(server.url("/api/stores"))
        .header("x-forwarded-for", "10.1.1.1");
    let far: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(
        far["stores"]["default"],
        json!({"kind": "objects", "direct": false})
    );
    for path in ["/ready", "/catalog.json"] {
        assert!(
            !server
                .get(path)
                .await
                .text()
                .await
                .unwrap()
                .contains(CANARY)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalog_names_the_real_address() {
    let server = Server::start().await;
    let response = server.get("/catalog.json").await;
    let tag = response.headers()["etag"].clone();
    let catalog: Value = response.json().await.unwrap();
    assert_eq!(
        catalog["endpoints"]["http"],
        format!("http://{}", server.address)
    );
    let request = server
        .http
        .get(server.url("/catalog.json"))
        .header("if-none-match", tag);
    assert_eq!(request.send().await.unwrap().status(), 304);
}
