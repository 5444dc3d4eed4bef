//! The simulator against a door that loses answers and goes away for a while.

#![cfg(feature = "engine")]
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use neurolake::Timestamp;
use neurolake::simulation::{Progress, SimulationSettings, Totals};
use neurolake_demo::simulate;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// Requests by name, with their offsets; rows by table; how many requests came for each.
#[derive(Default)]
struct Kept {
    offsets: HashMap<String, u64>,
    rows: BTreeMap<String, Vec<Value>>,
    requests: HashMap<String, usize>,
}

type Door = Arc<Mutex<Kept>>;

/// Keeps each request once, and loses every fifth answer of each table.
async fn take(
    State(door): State<Door>,
    Path((database, table)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    let table = format!("{database}.{table}");
    let name = format!(
        "{table} {} {}",
        text("producer-id"),
        text("producer-sequence")
    );
    let rows: Vec<Value> = serde_json::Deserializer::from_slice(&body)
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap();
    let mut kept = door.lock().unwrap();
    let requests = kept.requests.entry(table.clone()).or_default();
    *requests += 1;
    let is_lost = requests.is_multiple_of(5);
    let next = kept.offsets.len() as u64 + 1;
    let accepted = rows.len();
    let known = kept.offsets.get(&name).copied();
    if known.is_none() {
        kept.offsets.insert(name, next);
        kept.rows.entry(table).or_default().extend(rows);
    }
    drop(kept);
    if is_lost {
        // Ends the task of the connection, without the report of a panic.
        std::panic::resume_unwind(Box::new(()));
    }
    let answer = json!({"accepted": accepted, "offset": known.unwrap_or(next), "duplicate": known.is_some()});
    (StatusCode::ACCEPTED, answer.to_string()).into_response()
}

async fn open(door: &Door, address: SocketAddr) -> (JoinHandle<()>, SocketAddr) {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new()
        .route("/v1/ingest/{database}/{table}", post(take))
        .with_state(Arc::clone(door));
    let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (task, address)
}

fn settings(address: SocketAddr) -> SimulationSettings {
    SimulationSettings {
        url: format!("http://{address}"),
        seed: 3,
        speed: f64::INFINITY,
        channels: 8,
        rate_hz: 1_000.0 / 15.0,
        participants: 2,
        duration: Some(Duration::from_mins(1)),
        start: Timestamp::from_micros(1_772_357_400_000_000),
    }
}

fn silent() -> Progress {
    Arc::new(|_: &Totals| ())
}

const NEVER: fn() -> neurolake::simulation::Stop = || Box::pin(std::future::pending());

/// All that was kept is what the same settings make again, each row once and in order.
fn audit(door: &Door, settings: &SimulationSettings, totals: &Totals) {
    let kept = door.lock().unwrap();
    let mut made: BTreeMap<String, Vec<(i64, i64)>> = BTreeMap::new();
    let mut sessions = simulate::sessions(settings).unwrap();
    let bins = (totals.simulated_seconds / 0.015).round() as usize;
    for _ in 0..bins {
        for bin in sessions.iter_mut().filter_map(Iterator::next) {
            let mut add = |table: &str, id| made.entry(table.into()).or_default().push(id);
            if let Some(row) = bin.power {
                add("neural.normalized_band_power", (row.session_id, row.bin));
            }
            for row in bin.cursor {
                add("behavior.cursor_events", (row.session_id, row.seq));
            }
            if let Some(row) = bin.health {
                add(
                    "telemetry.device_health",
                    (row.implant_id.into(), row.uptime),
                );
            }
        }
    }
    for (table, expected) in &made {
        let key = match table.as_str() {
            "neural.normalized_band_power" => ("session_id", "bin"),
            "behavior.cursor_events" => ("session_id", "seq"),
            _ => ("implant_id", "uptime"),
        };
        let rows = kept.rows[table].iter();
        let found: Vec<(i64, i64)> = rows
            .map(|row| (row[key.0].as_i64().unwrap(), row[key.1].as_i64().unwrap()))
            .collect();
        assert!(
            found == *expected,
            "{table}: {} rows, not {}",
            found.len(),
            expected.len()
        );
        let told = totals
            .tables
            .iter()
            .find(|told| told.table == *table)
            .unwrap();
        assert_eq!(
            (told.made, told.acknowledged),
            (expected.len() as u64, expected.len() as u64)
        );
        assert!(told.duplicates > 0 || told.requests < 5, "{told:?}");
        if key.1 != "uptime" {
            assert_eq!(told.sum, expected.iter().map(|(_, id)| id).sum::<i64>());
        }
    }
    assert_eq!(totals.tables.len(), made.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_arrives_once() {
    let door = Door::default();
    let (_task, address) = open(&door, ([127, 0, 0, 1], 0).into()).await;
    let settings = settings(address);
    let totals = simulate::run(settings.clone(), NEVER(), silent())
        .await
        .unwrap();
    assert!((totals.simulated_seconds - 60.0).abs() < 0.02, "{totals:?}");
    audit(&door, &settings, &totals);
    // Masked channels travel, too.
    let kept = door.lock().unwrap();
    let row = &kept.rows["neural.normalized_band_power"][0];
    assert_eq!(row["ts"], "2026-03-01T09:30:00Z");
    assert_eq!(row["band_power"].as_array().unwrap().len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn time_passes_as_fast_as_it_should_and_a_server_may_restart() {
    let door = Door::default();
    let (task, address) = open(&door, ([127, 0, 0, 1], 0).into()).await;
    let settings = SimulationSettings {
        speed: 20.0,
        duration: None,
        ..settings(address)
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let told: Arc<Mutex<Vec<Totals>>> = Arc::default();
    let heard = Arc::clone(&told);
    let start = Instant::now();
    let run = tokio::spawn(simulate::run(
        settings.clone(),
        Box::pin(async move { drop(stopped.await) }),
        Arc::new(move |totals: &Totals| heard.lock().unwrap().push(totals.clone())),
    ));
    sleep(Duration::from_millis(600)).await;
    task.abort();
    let _ = task.await;
    sleep(Duration::from_millis(1_200)).await;
    let (_task, _) = open(&door, address).await;
    sleep(Duration::from_millis(700)).await;
    stop.send(()).unwrap();
    let totals = timeout(Duration::from_mins(1), run)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let expected = start.elapsed().as_secs_f64() * 20.0;
    // The server's absence fits into the buffer, so time went on.
    assert!(totals.simulated_seconds > 20.0, "{totals:?}");
    assert!(totals.simulated_seconds <= expected, "{totals:?}");
    audit_prefix(&door, &settings, &totals);
    let told = told.lock().unwrap();
    let trouble = told.iter().find_map(|totals| totals.trouble.clone());
    assert!(
        trouble.is_some_and(|said| said.contains("can't reach")),
        "{told:?}"
    );
}

/// The last bin may have been cut by the stop.
fn audit_prefix(door: &Door, settings: &SimulationSettings, totals: &Totals) {
    let kept = door.lock().unwrap();
    for told in &totals.tables {
        assert_eq!(told.made, told.acknowledged);
        assert_eq!(told.made as usize, kept.rows[&told.table].len());
    }
    let mut sessions = simulate::sessions(settings).unwrap();
    let mut expected = Vec::new();
    while expected.len() < kept.rows["behavior.cursor_events"].len() {
        for bin in sessions.iter_mut().filter_map(Iterator::next) {
            expected.extend(bin.cursor.into_iter().map(|row| (row.session_id, row.seq)));
        }
    }
    let found = kept.rows["behavior.cursor_events"].iter();
    let found: Vec<(i64, i64)> = found
        .map(|row| {
            (
                row["session_id"].as_i64().unwrap(),
                row["seq"].as_i64().unwrap(),
            )
        })
        .collect();
    assert!(found == expected[..found.len()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_reports_what_the_server_took() {
    let door = Door::default();
    let (_task, address) = open(&door, ([127, 0, 0, 1], 0).into()).await;
    let run = move || {
        std::process::Command::new(env!("CARGO_BIN_EXE_neurolake-demo"))
            .args([
                "simulate",
                "--duration",
                "10s",
                "--speed",
                "max",
                "--channels",
                "4",
            ])
            .args(["--format", "json", "--url", &format!("http://{address}")])
            .output()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap().unwrap();
    assert!(output.status.success(), "{output:?}");
    let totals: Value = serde_json::from_slice(&output.stdout).unwrap();
    let kept = door.lock().unwrap();
    for (index, table) in [
        "neural.normalized_band_power",
        "behavior.cursor_events",
        "telemetry.device_health",
    ]
    .into_iter()
    .enumerate()
    {
        let told = &totals["tables"][index];
        assert_eq!(told["table"], table);
        assert_eq!(told["acknowledged"], kept.rows[table].len());
        assert_eq!(told["made"], told["acknowledged"]);
    }
    let bins = kept.rows["neural.normalized_band_power"].iter();
    let sum: i64 = bins.map(|row| row["bin"].as_i64().unwrap()).sum();
    assert_eq!(totals["tables"][0]["sum"], sum);
}

#[tokio::test]
async fn a_refusal_ends_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let body =
        json!({"error": {"code": "not_found", "message": "it takes no events", "request_id": "r"}});
    let answer = move || async move { (StatusCode::NOT_FOUND, body.to_string()) };
    let router = Router::new().fallback(answer);
    let _task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let run = simulate::run(settings(address), NEVER(), silent());
    let error = timeout(Duration::from_secs(30), run)
        .await
        .unwrap()
        .unwrap_err();
    assert!(error.to_string().contains("it takes no events"), "{error}");
}
