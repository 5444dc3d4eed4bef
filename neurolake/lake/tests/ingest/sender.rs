//! Batches in the background.

use std::time::Duration;

use axum::http::StatusCode;
use neurolake::ingest::{Batching, Client, IngestError, Sender};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use super::door::{Door, Fault};
use super::lab::Readings;
use super::reading;

fn sender(url: &str, batching: Batching) -> Sender<Readings> {
    let client = Client::new(url).unwrap().patience(Duration::MAX);
    client.table::<Readings>().sender(batching).unwrap()
}

/// Bytes of a row whose number has two digits.
const ROW: usize = 115;

#[tokio::test]
async fn batches_keep_the_order_and_are_numbered() {
    let door = Door::new([Fault::LoseAnswer, Fault::Break, Fault::LoseAnswer]);
    let running = door.open().await;
    let sender = sender(
        &running.url,
        Batching {
            producer: Some("rig-4".into()),
            max_rows: 10,
            ..Batching::default()
        },
    );
    for number in 0..95 {
        sender.push(&reading(number)).await.unwrap();
    }
    let delivery = sender.close().await.unwrap();
    assert_eq!(door.numbers(), (0..95).collect::<Vec<_>>());
    assert_eq!(
        (delivery.acknowledged, delivery.batches, delivery.offset),
        (95, 10, 10)
    );
    assert!(delivery.duplicates >= 1);
    assert_eq!(delivery.trouble, None);
    let names: Vec<String> = door
        .taken()
        .into_iter()
        .map(|request| request.name)
        .collect();
    let expected: Vec<String> = (1..=10).map(|n| format!("rig-4#{n}")).collect();
    assert_eq!(names, expected);
}

#[tokio::test]
async fn a_batch_is_small_enough() {
    let door = Door::new([]);
    let running = door.open().await;
    let batching = Batching {
        max_bytes: 5 * ROW,
        max_age: Duration::from_mins(1),
        ..Batching::default()
    };
    let sender = sender(&running.url, batching);
    let mut large = reading(3);
    large.raw = vec![7; 4_096];
    for number in 0..3 {
        sender.push(&reading(number)).await.unwrap();
    }
    sender.push(&large).await.unwrap();
    for number in 4..16 {
        sender.push(&reading(number)).await.unwrap();
    }
    sender.flush().await.unwrap();
    let sizes: Vec<usize> = door.taken().iter().map(|r| r.rows.len()).collect();
    assert_eq!(sizes, [3, 1, 5, 5, 2]);
    assert_eq!(door.numbers(), (0..16).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_row_waits_no_longer_than_it_may() {
    let door = Door::new([]);
    let running = door.open().await;
    let batching = Batching {
        max_age: Duration::from_millis(150),
        ..Batching::default()
    };
    let sender = sender(&running.url, batching);
    let start = Instant::now();
    sender.push(&reading(1)).await.unwrap();
    sender.push(&reading(2)).await.unwrap();
    let mut watch = sender.watch();
    watch
        .wait_for(|delivery| delivery.acknowledged == 2)
        .await
        .unwrap();
    assert!(start.elapsed() >= Duration::from_millis(150));
    assert_eq!(door.taken().len(), 1);
    // A flush doesn't wait.
    let start = Instant::now();
    sender.push(&reading(3)).await.unwrap();
    assert_eq!(sender.flush().await.unwrap().acknowledged, 3);
    assert!(start.elapsed() < Duration::from_millis(150));
    assert_eq!(sender.flush().await.unwrap().batches, 2, "nothing to flush");
}

#[tokio::test]
async fn a_stuck_server_holds_the_pusher_back() {
    let door = Door::gated();
    let running = door.open().await;
    let batching = Batching {
        max_rows: 5,
        max_age: Duration::ZERO,
        buffer_bytes: 10 * ROW + ROW / 2,
        ..Batching::default()
    };
    let sender = sender(&running.url, batching);
    for number in 0..10 {
        assert!(sender.try_push(&reading(number)).unwrap(), "{number}");
    }
    assert!(!sender.try_push(&reading(10)).unwrap());
    let row = reading(10);
    let mut push = Box::pin(sender.push(&row));
    assert!(
        timeout(Duration::from_millis(100), &mut push)
            .await
            .is_err()
    );
    assert!(door.taken().is_empty());
    // One batch makes room.
    door.gate.add_permits(1);
    push.await.unwrap();
    door.gate.close();
    assert_eq!(sender.close().await.unwrap().acknowledged, 11);
    assert_eq!(door.numbers(), (0..11).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_server_that_comes_back_gets_everything_once() {
    let door = Door::new([]);
    let running = door.open().await;
    let sender = sender(&running.url, Batching::default());
    sender.push(&reading(0)).await.unwrap();
    sender.flush().await.unwrap();
    let address = running.end().await;
    for number in 1..50 {
        sender.push(&reading(number)).await.unwrap();
    }
    let mut watch = sender.watch();
    let trouble = watch.wait_for(|delivery| delivery.trouble.is_some()).await;
    let said = trouble.unwrap().trouble.clone().unwrap();
    assert!(said.contains("can't reach the server"), "{said}");
    let _running = door.open_at(address).await;
    let delivery = sender.close().await.unwrap();
    assert_eq!(delivery.trouble, None);
    assert_eq!(door.numbers(), (0..50).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_refused_batch_is_not_lost_in_silence() {
    let body = json!({"error": {"code": "not_found", "message": "no such table"}}).to_string();
    let door = Door::new([Fault::Answer(StatusCode::NOT_FOUND, None, body)]);
    let running = door.open().await;
    let batching = Batching {
        buffer_bytes: 2 * ROW + 10,
        ..Batching::default()
    };
    let sender = sender(&running.url, batching);
    sender.push(&reading(0)).await.unwrap();
    sender.push(&reading(1)).await.unwrap();
    // Waits for room, and wakes with the error.
    let error = sender.push(&reading(2)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the sender gave up: the server refused the rows: no such table (404)"
    );
    sleep(Duration::from_millis(20)).await;
    assert!(matches!(
        sender.try_push(&reading(3)),
        Err(IngestError::Stopped(_))
    ));
    assert!(matches!(sender.flush().await, Err(IngestError::Stopped(_))));
    assert!(matches!(sender.close().await, Err(IngestError::Stopped(_))));
    assert!(door.taken().is_empty());
}
