//! Events through a real process that is killed again and again: each stays, once.

use std::process::Child;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::runs::Folder;
use crate::up::{Up, ask, terminate, up};

const CATALOG: &str = r#"{
  "format_version": 1,
  "name": "lab",
  "databases": [{
    "name": "lab",
    "location": {"file": "src/lab.rs", "line": 1},
    "tables": [{
      "name": "events",
      "source": {"kind": "delta", "uri": "s3://lake/events"},
      "columns": [
        {"name": "id", "type": "int64", "nullable": false},
        {"name": "day", "type": "date", "nullable": false},
        {"name": "text", "type": "string", "nullable": true}
      ],
      "partition_by": [{"name": "day", "type": "date"}],
      "ingest": true,
      "rust_path": "lab::Events",
      "location": {"file": "src/lab.rs", "line": 3}
    }]
  }]
}"#;

pub(crate) fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("catalog.json", CATALOG);
    std::fs::create_dir_all(folder.path(".neurolake/buckets/lake")).unwrap();
    folder
}

pub(crate) fn row(id: u64) -> String {
    let day = id % 3 + 1;
    format!(r#"{{"id": {id}, "day": "2026-03-0{day}", "text": "it's {id}"}}"#)
}

/// Body and status of an answer; none if the connection broke.
pub(crate) fn send(address: &str, path: &str, key: &str, body: &str) -> Option<(u16, Value)> {
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         idempotency-key: {key}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let answer = ask(address, &request).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, serde_json::from_str(body).ok()?))
}

pub(crate) fn query(address: &str, sql: &str) -> Vec<Value> {
    let request = format!(
        "POST /api/sql HTTP/1.0\r\nhost: {address}\r\ncontent-length: {}\r\n\
         accept: application/x-ndjson\r\n\r\n{sql}",
        sql.len()
    );
    let answer = ask(address, &request).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 200 "), "{answer}");
    let lines = body.lines().filter(|line| line.starts_with('{'));
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

pub(crate) fn kill(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// How often something is killed: `NEUROLAKE_TEST_ROUNDS=100` makes long runs.
pub(crate) fn rounds(usual: u64) -> u64 {
    let asked = std::env::var("NEUROLAKE_TEST_ROUNDS");
    asked.map_or(usual, |rounds| rounds.parse().unwrap())
}

fn audit(up: &Up, ids: u64) {
    let sql = "select count(*) as n, count(distinct id) as ids, sum(id) as sum from lab.events";
    let found = query(&up.address, sql).remove(0);
    assert_eq!(found["n"], ids, "{found}");
    assert_eq!(found["ids"], ids);
    assert_eq!(found["sum"], ids * (ids + 1) / 2);
}

#[test]
fn what_is_acknowledged_stays_once_whatever_is_killed() {
    let folder = folder();
    let mut sent = 0;
    for round in 0..rounds(6) {
        let mut running = up(&folder);
        // Before anything new: what was there is there, whether in the table or on its way.
        if sent > 0 {
            audit(&running, sent);
        }
        for _ in 0..12 {
            sent += 1;
            let key = format!("row-{sent}");
            let (status, answer) =
                send(&running.address, "/v1/ingest/lab/events", &key, &row(sent)).unwrap();
            assert_eq!(status, 202, "{answer}");
            assert_eq!(answer["accepted"], 1);
        }
        // A client that didn't hear the answer.
        let key = format!("row-{sent}");
        let again = send(&running.address, "/v1/ingest/lab/events", &key, &row(sent)).unwrap();
        assert_eq!(again.1["duplicate"], true, "{}", again.1);
        audit(&running, sent);
        // Before, in and after the first commits.
        thread::sleep(Duration::from_millis(130 * (round % 6)));
        kill(&mut running.child);
    }
    let mut running = up(&folder);
    // Keys are remembered when their rows have long been committed.
    let again = send(&running.address, "/v1/ingest/lab/events", "row-1", &row(1)).unwrap();
    assert_eq!(again.1["duplicate"], true, "{}", again.1);
    let other = send(&running.address, "/v1/ingest/lab/events", "row-1", &row(2)).unwrap();
    assert_eq!(other.0, 409, "{}", other.1);
    sent += 1;
    let path = "/v1/ingest/lab/events?ack=committed";
    let (status, answer) = send(&running.address, path, "last", &row(sent)).unwrap();
    assert_eq!(
        (status, &answer["committed"]),
        (200, &Value::Bool(true)),
        "{answer}"
    );
    audit(&running, sent);
    let elsewhere = folder.expect(0, &["query", "select count(*) as n from lab.events"]);
    assert_eq!(elsewhere.stdout, format!("n\n{sent}\n"));
    assert_eq!(terminate(&mut running.child), Some(0));
    // Nobody serves: all of it is in the table.
    let alone = folder.expect(
        0,
        &["query", "select count(distinct id) as n from lab.events"],
    );
    assert_eq!(alone.stdout, format!("n\n{sent}\n"));
}

#[test]
fn rows_that_do_not_fit_are_set_aside_if_asked_for() {
    let folder = folder();
    let running = up(&folder);
    let body = format!(r#"[{}, {{"id": "seven", "day": "2026-03-01"}}]"#, row(1));
    let path = "/v1/ingest/lab/events";
    let (status, answer) = send(&running.address, path, "a", &body).unwrap();
    assert_eq!(status, 422, "{answer}");
    assert_eq!(answer["error"]["rows"][0]["path"], "id");
    assert_eq!(
        query(&running.address, "select count(*) as n from lab.events")[0]["n"],
        0
    );
    let path = "/v1/ingest/lab/events?invalid=quarantine&ack=committed";
    let (status, answer) = send(&running.address, path, "b", &body).unwrap();
    assert_eq!(
        (status, &answer["rejected"]),
        (200, &Value::from(1)),
        "{answer}"
    );
    audit(&running, 1);
    let dead = query(&running.address, "select * from lab.events__dead_letters");
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0]["row"], 1);
    assert!(
        dead[0]["payload"].as_str().unwrap().contains("seven"),
        "{dead:?}"
    );
}
