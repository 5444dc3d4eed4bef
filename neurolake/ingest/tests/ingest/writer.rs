//! What a writer does when it breaks down by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use neurolake_delta::{Location, LogOptions};
use neurolake_ingest::entry::Request;
use neurolake_ingest::queue::Stream;
use neurolake_ingest::queue::memory::MemoryQueue;
use neurolake_ingest::writer::Observe;
use neurolake_ingest::{Ingest, Settings};
use object_store::memory::InMemory;
use serde_json::json;
use tokio::sync::watch;

use crate::catalog;

/// In one thread, so that the test keeps what the panic says to itself.
#[tokio::test]
async fn a_bug_stops_a_table_for_a_moment_only() {
    let columns = json!([{ "name": "id", "type": "int64", "nullable": false }]);
    let location = Location::new(
        "s3://lake/lab/events".parse().unwrap(),
        Arc::new(InMemory::new()),
    );
    let ingest = Ingest::new(
        &catalog(&columns, &json!([])),
        Arc::new(MemoryQueue::default()),
        Arc::new(move |_: &str, _: &str| Ok(location.clone())),
        Settings::default(),
        LogOptions::default(),
    );
    let flushes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&flushes);
    let observe: Observe = Arc::new(move |_, _| {
        assert!(counted.fetch_add(1, Ordering::SeqCst) > 0, "the bug");
    });
    let (end, ending) = watch::channel(false);
    let writing = tokio::spawn({
        let ingest = ingest.clone();
        async move { ingest.write(ending, observe, None).await }
    });
    let stream = Stream::new("lab", "events");
    for id in 1..=3 {
        let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]));
        let rows = RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(vec![id]))]);
        let request = Request {
            received: 0,
            rows: rows.unwrap(),
            dead: Vec::new(),
        };
        let appended = ingest.accept(&stream, request, None).await.unwrap();
        let patience = Duration::from_secs(30);
        let committed = ingest.committed(&stream, appended.offset, patience).await;
        committed.unwrap().expect("it goes on in time");
    }
    end.send_replace(true);
    writing.await.unwrap();
    // Each offset once: the flush that was not observed had happened.
    assert_eq!(flushes.load(Ordering::SeqCst), 3);
    let status = ingest.status(&stream).await.unwrap();
    assert_eq!((status.accepted, status.committed), (3, 3));
    assert_eq!(status.version, 3);
}
