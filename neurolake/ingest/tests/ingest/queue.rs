//! Every queue keeps the promises of the trait, and each what it says of itself.

mod embedded;
mod kill;
mod memory;
mod nats;
mod server;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use neurolake_ingest::queue::{Appended, Entry, Key, Queue, QueueError, Record, Stream};

fn stream() -> Stream {
    Stream::new("db", "events")
}

fn record(payload: impl Into<Bytes>) -> Record {
    Record {
        payload: payload.into(),
        key: None,
    }
}

/// A record whose key and content are its payload.
fn keyed(payload: &str) -> Record {
    Record {
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        key: Some(Key::new(payload, payload.as_bytes())),
    }
}

async fn append(queue: &dyn Queue, record: Record) -> Appended {
    queue.append(&stream(), record).await.expect("appends")
}

/// Everything that isn't trimmed.
async fn read_all(queue: &dyn Queue) -> BTreeMap<u64, Bytes> {
    let mut after = queue.bounds(&stream()).await.expect("bounds").trimmed;
    let mut all = BTreeMap::new();
    loop {
        let page = queue.read(&stream(), after, 1 << 20).await.expect("reads");
        if page.is_empty() {
            return all;
        }
        for Entry { offset, payload } in page {
            after += 1;
            assert_eq!(offset, after, "no gap");
            all.insert(offset, payload);
        }
    }
}

/// Repeats what may have failed only for now.
async fn until<T>(mut attempt: impl AsyncFnMut() -> Result<T, QueueError>) -> T {
    let begun = tokio::time::Instant::now();
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(error) if begun.elapsed() > Duration::from_mins(1) => panic!("{error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
