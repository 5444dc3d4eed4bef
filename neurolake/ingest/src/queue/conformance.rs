//! What every queue must do, as tests that an implementation calls.
//!
//! [`run`] holds for every queue, [`survives`] for those that outlive their process. They panic
//! when a promise is broken.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::{Appended, Bounds, Entry, Key, Queue, QueueError, Record, Stream};

/// How long anything may take that must happen at all.
const PATIENCE: Duration = Duration::from_mins(1);

/// Every promise of [`Queue`], each on a queue of its own.
///
/// # Panics
/// A promise is broken.
pub async fn run<Q: Queue + 'static>(make: impl AsyncFn() -> Q) {
    let make = async || Arc::new(make().await);
    a_stream_begins_empty(&*make().await).await;
    offsets_are_dense(&*make().await).await;
    producers_together(make().await).await;
    streams_are_apart(&*make().await).await;
    a_key_is_kept_once(&*make().await).await;
    a_key_is_kept_once_among_many(make().await).await;
    a_key_names_one_content(&*make().await).await;
    odd_keys(&*make().await).await;
    keys_outlive_records(&*make().await).await;
    pages(&*make().await).await;
    large_records(&*make().await).await;
    trimming(&*make().await).await;
    a_reader_between_producers_and_trims(make().await).await;
    a_reader_behind_the_trims(make().await).await;
    waiting(make().await).await;
    stored_bytes_follow(&*make().await).await;
}

/// That a queue holds after `reopen` what it held before: `reopen` is given none to open the
/// first time, then the one before, to close it and open it anew.
///
/// # Panics
/// A promise is broken.
pub async fn survives<Q: Queue>(reopen: impl AsyncFn(Option<Q>) -> Q) {
    let queue = reopen(None).await;
    let identity = queue
        .identity(&stream("survives"))
        .await
        .expect("it has one");
    let (stream, other) = (stream("survives"), Stream::new("db", "other"));
    let large = Bytes::from(vec![7; 300_000.min(queue.max_record_bytes())]);
    append(&queue, &stream, "1").await;
    append_keyed(&queue, &stream, "2", "key", "sent").await;
    append_bytes(&queue, &stream, large.clone()).await;
    append(&queue, &other, "other 1").await;

    let queue = reopen(Some(queue)).await;
    assert_eq!(queue.identity(&stream).await.expect("it has one"), identity);
    assert_eq!(bounds(&queue, &stream).await, (0, 3));
    let entries = read_all(&queue, &stream, 0).await;
    assert_eq!(entries[0].payload, "1");
    assert_eq!(entries[1].payload, "2");
    assert_eq!(entries[2].payload, large);
    assert_eq!(texts(&queue, &other, 0).await, ["other 1"]);
    let again = append_keyed(&queue, &stream, "2", "key", "sent").await;
    assert_eq!((again.offset, again.duplicate), (2, true));
    assert_eq!(append(&queue, &stream, "4").await, 4);
    queue.trim(&stream, 3).await.expect("trims");

    let queue = reopen(Some(queue)).await;
    assert_eq!(bounds(&queue, &stream).await, (3, 4));
    // After some restarts, too.
    assert_eq!(queue.identity(&stream).await.expect("it has one"), identity);
    assert_eq!(texts(&queue, &stream, 3).await, ["4"]);
    expect_trimmed(&queue, &stream, 2, 3).await;
    queue.trim(&stream, 4).await.expect("trims");

    let queue = reopen(Some(queue)).await;
    assert_eq!(bounds(&queue, &stream).await, (4, 4), "all is trimmed");
    assert_eq!(queue.identity(&stream).await.expect("it has one"), identity);
    assert!(read_all(&queue, &stream, 4).await.is_empty());
    assert_eq!(append(&queue, &stream, "5").await, 5, "offsets go on");
    assert_eq!(bounds(&queue, &other).await, (0, 1));
}

async fn a_stream_begins_empty(queue: &dyn Queue) {
    let stream = stream("empty");
    assert_eq!(bounds(queue, &stream).await, (0, 0));
    assert!(read_all(queue, &stream, 0).await.is_empty());
    let beyond = queue.read(&stream, 7, 100).await;
    assert!(beyond.expect("reads").is_empty(), "nothing beyond the end");
    queue.trim(&stream, 7).await.expect("trims");
    assert_eq!(bounds(queue, &stream).await, (0, 0), "nothing was trimmed");
    assert_eq!(append(queue, &stream, "first").await, 1);
}

async fn offsets_are_dense(queue: &dyn Queue) {
    let stream = stream("dense");
    for number in 1..=20 {
        let payload = format!("record {number}");
        let appended = queue.append(&stream, record(&payload)).await;
        let expected = Appended {
            offset: number,
            duplicate: false,
        };
        assert_eq!(appended.expect("appends"), expected);
        // Durable and readable at once.
        assert_eq!(bounds(queue, &stream).await, (0, number));
        assert_eq!(texts(queue, &stream, number - 1).await, [payload]);
    }
    append_bytes(queue, &stream, Bytes::new()).await;
    let last = read_all(queue, &stream, 20).await;
    assert_eq!(last[0].payload, "", "an empty record is a record");
}

async fn producers_together<Q: Queue + 'static>(queue: Arc<Q>) {
    const PRODUCERS: u64 = 8;
    const RECORDS: u64 = 40;
    let stream = stream("together");
    let mut producers = JoinSet::new();
    for producer in 0..PRODUCERS {
        let (queue, stream) = (Arc::clone(&queue), stream.clone());
        producers.spawn(async move {
            let mut given = Vec::new();
            for number in 0..RECORDS {
                let payload = format!("{producer} {number}");
                given.push((append(&*queue, &stream, &payload).await, payload));
            }
            given
        });
    }
    let given = producers.join_all().await;
    for own in &given {
        assert!(own.is_sorted_by(|a, b| a.0 < b.0), "order of a producer");
    }
    let given: BTreeMap<u64, String> = given.into_iter().flatten().collect();
    let all: Vec<u64> = (1..=PRODUCERS * RECORDS).collect();
    assert!(given.keys().copied().eq(all), "no gap, no offset twice");
    assert!(
        texts(&*queue, &stream, 0).await.iter().eq(given.values()),
        "each record stands where its producer was told"
    );
}

async fn streams_are_apart(queue: &dyn Queue) {
    let mut streams = vec![
        Stream::new("a", "b_c"),
        Stream::new("a_b", "c"),
        Stream::new("a", "b.c"),
        Stream::new("a.b", "c"),
        Stream::new("a", "b-c"),
        Stream::new("a-b", "c"),
        Stream::new("a", "b=2Dc"),
        Stream::new("ü", "naïve table"),
        Stream::new("*", ">"),
    ];
    streams.extend((0..6).map(|number| Stream::new("many", &format!("t{number}"))));
    for round in 1..=3 {
        for stream in &streams {
            assert_eq!(
                append(queue, stream, &format!("{stream} {round}")).await,
                round
            );
        }
    }
    queue.trim(&streams[0], 2).await.expect("trims");
    assert_eq!(bounds(queue, &streams[0]).await, (2, 3));
    for stream in &streams[1..] {
        assert_eq!(bounds(queue, stream).await, (0, 3), "{stream}");
        let expected = [1, 2, 3].map(|round| format!("{stream} {round}"));
        assert_eq!(texts(queue, stream, 0).await, expected);
    }
}

async fn a_key_is_kept_once(queue: &dyn Queue) {
    let stream = stream("once");
    let first = append_keyed(queue, &stream, "received at 9", "key", "sent").await;
    assert_eq!((first.offset, first.duplicate), (1, false));
    append(queue, &stream, "between").await;
    // Another payload, but what the client sent is the same.
    let again = append_keyed(queue, &stream, "received at 10", "key", "sent").await;
    assert_eq!((again.offset, again.duplicate), (1, true));
    let other = append_keyed(queue, &stream, "another", "other key", "sent").await;
    assert_eq!((other.offset, other.duplicate), (3, false));
    let elsewhere = Stream::new("db", "elsewhere");
    let apart = append_keyed(queue, &elsewhere, "apart", "key", "sent").await;
    assert_eq!((apart.offset, apart.duplicate), (1, false));
    assert_eq!(
        texts(queue, &stream, 0).await,
        ["received at 9", "between", "another"]
    );
}

async fn a_key_is_kept_once_among_many<Q: Queue + 'static>(queue: Arc<Q>) {
    let stream = stream("race");
    for round in 1..=10 {
        let mut producers = JoinSet::new();
        for _ in 0..8 {
            let (queue, stream) = (Arc::clone(&queue), stream.clone());
            producers.spawn(async move {
                let key = format!("key {round}");
                append_keyed(&*queue, &stream, "payload", &key, "sent").await
            });
        }
        let given = producers.join_all().await;
        assert!(given.iter().all(|given| given.offset == round), "{given:?}");
        let kept = given.iter().filter(|given| !given.duplicate).count();
        assert_eq!(kept, 1, "exactly one of them was kept");
    }
    assert_eq!(bounds(&*queue, &stream).await, (0, 10));
}

async fn a_key_names_one_content(queue: &dyn Queue) {
    let stream = stream("reused");
    append(queue, &stream, "before").await;
    append_keyed(queue, &stream, "payload", "key", "sent").await;
    let reused = queue
        .append(&stream, keyed("payload", "key", "something else"))
        .await;
    match reused.expect_err("the key is used") {
        QueueError::KeyReused { key, offset } => {
            assert_eq!((key.as_str(), offset), ("key", 2));
        }
        other => panic!("{other}"),
    }
    assert_eq!(bounds(queue, &stream).await, (0, 2), "nothing was kept");
    let again = append_keyed(queue, &stream, "payload", "key", "sent").await;
    assert_eq!((again.offset, again.duplicate), (2, true));
}

async fn odd_keys(queue: &dyn Queue) {
    let stream = stream("odd");
    let long = "long ".repeat(1000);
    let keys = ["", " ", "a\r\nb: c", "a\0b", "ключ", "KEY", "key", &long];
    for (key, offset) in keys.iter().zip(1..) {
        let first = append_keyed(queue, &stream, key, key, key).await;
        assert_eq!((first.offset, first.duplicate), (offset, false), "{key:?}");
    }
    for (key, offset) in keys.iter().zip(1..) {
        let again = append_keyed(queue, &stream, key, key, key).await;
        assert_eq!((again.offset, again.duplicate), (offset, true), "{key:?}");
    }
}

async fn keys_outlive_records(queue: &dyn Queue) {
    let stream = stream("outlive");
    append_keyed(queue, &stream, "payload", "key", "sent").await;
    append(queue, &stream, "2").await;
    queue.trim(&stream, 2).await.expect("trims");
    let again = append_keyed(queue, &stream, "payload", "key", "sent").await;
    assert_eq!((again.offset, again.duplicate), (1, true));
    assert_eq!(bounds(queue, &stream).await, (2, 2));
}

async fn pages(queue: &dyn Queue) {
    const RECORDS: u64 = 100;
    const BYTES: usize = 1000;
    let stream = stream("pages");
    for number in 1..=RECORDS {
        append_bytes(queue, &stream, numbered(number, BYTES)).await;
    }
    for page_bytes in [0, 1, BYTES, 3 * BYTES + 1, 1 << 20] {
        let mut after = 0;
        while after < RECORDS {
            let page = queue.read(&stream, after, page_bytes).await.expect("reads");
            assert!(!page.is_empty(), "at least one if there is one");
            let bytes = page.iter().map(|entry| entry.payload.len()).sum::<usize>();
            assert!(bytes < page_bytes + 2 * BYTES, "{bytes} of {page_bytes}");
            for entry in &page {
                after += 1;
                assert_eq!(entry.offset, after);
                assert_eq!(entry.payload, numbered(after, BYTES));
            }
        }
        assert!(read_all(queue, &stream, after).await.is_empty());
    }
    let whole = queue.read(&stream, 0, 1 << 20).await.expect("reads");
    assert!(whole.len() > 1, "many records are read at a time");
}

async fn large_records(queue: &dyn Queue) {
    let stream = stream("large");
    let limit = queue.max_record_bytes();
    append(queue, &stream, "small").await;
    let largest = Bytes::from(vec![42; limit]);
    append_bytes(queue, &stream, largest.clone()).await;
    let record = Record {
        payload: Bytes::from(vec![42; limit + 1]),
        key: Some(Key::new("k".repeat(1000), b"sent")),
    };
    match queue.append(&stream, record).await.expect_err("too large") {
        QueueError::TooLarge {
            bytes,
            limit: named,
        } => assert_eq!((bytes, named), (limit + 1, limit)),
        other => panic!("{other}"),
    }
    append(queue, &stream, "small again").await;
    let entries = read_all(queue, &stream, 0).await;
    assert_eq!(entries.len(), 3);
    assert!(entries[1].payload == largest, "the largest record is whole");
    assert_eq!(entries[2].payload, "small again");
    // A key takes none of the room that a record may have.
    let record = Record {
        payload: largest,
        key: Some(Key::new("k".repeat(1000), b"sent")),
    };
    let appended = queue.append(&stream, record).await.expect("appends");
    assert_eq!(appended.offset, 4);
}

async fn trimming(queue: &dyn Queue) {
    let stream = stream("trim");
    for number in 1..=10 {
        append(queue, &stream, &number.to_string()).await;
    }
    queue.trim(&stream, 0).await.expect("trims");
    assert_eq!(bounds(queue, &stream).await, (0, 10));
    for through in [4, 4, 2] {
        queue.trim(&stream, through).await.expect("trims");
        assert_eq!(bounds(queue, &stream).await, (4, 10), "never goes back");
    }
    for after in 0..4 {
        expect_trimmed(queue, &stream, after, 4).await;
    }
    assert_eq!(
        texts(queue, &stream, 4).await,
        ["5", "6", "7", "8", "9", "10"]
    );
    assert_eq!(texts(queue, &stream, 9).await, ["10"]);
    queue.trim(&stream, 1000).await.expect("trims");
    assert_eq!(
        bounds(queue, &stream).await,
        (10, 10),
        "what isn't there yet isn't trimmed"
    );
    assert!(read_all(queue, &stream, 10).await.is_empty());
    expect_trimmed(queue, &stream, 9, 10).await;
    assert_eq!(append(queue, &stream, "11").await, 11);
    assert_eq!(texts(queue, &stream, 10).await, ["11"]);
    queue.trim(&stream, 11).await.expect("trims");
    assert_eq!(bounds(queue, &stream).await, (11, 11));
}

/// A reader that keeps up sees everything once and in order, and trims what it has seen.
async fn a_reader_between_producers_and_trims<Q: Queue + 'static>(queue: Arc<Q>) {
    const PRODUCERS: u64 = 4;
    const RECORDS: u64 = 100;
    let stream = stream("between");
    let mut producers = JoinSet::new();
    for producer in 0..PRODUCERS {
        let (queue, stream) = (Arc::clone(&queue), stream.clone());
        producers.spawn(async move {
            for number in 0..RECORDS {
                append(&*queue, &stream, &format!("{producer} {number}")).await;
            }
        });
    }
    let mut after = 0;
    let mut seen = BTreeSet::new();
    let read = async {
        while after < PRODUCERS * RECORDS {
            queue.wait(&stream, after).await.expect("waits");
            for entry in queue.read(&stream, after, 300).await.expect("reads") {
                after += 1;
                assert_eq!(entry.offset, after);
                assert!(seen.insert(entry.payload), "each record once");
            }
            queue.trim(&stream, after).await.expect("trims");
        }
    };
    in_time("all records are read", read).await;
    producers.join_all().await;
    assert_eq!(bounds(&*queue, &stream).await, (after, after));
}

/// A reader that is overtaken is told so. It never sees a gap.
async fn a_reader_behind_the_trims<Q: Queue + 'static>(queue: Arc<Q>) {
    const RECORDS: u64 = 300;
    let stream = stream("behind");
    for number in 1..=RECORDS {
        append_bytes(&*queue, &stream, numbered(number, 100)).await;
    }
    let trims = tokio::spawn({
        let (queue, stream) = (Arc::clone(&queue), stream.clone());
        async move {
            for through in (0..=RECORDS).step_by(10) {
                queue.trim(&stream, through).await.expect("trims");
            }
        }
    });
    while !trims.is_finished() {
        let after = bounds(&*queue, &stream).await.0;
        match queue.read(&stream, after, 10_000).await {
            Ok(entries) => {
                for (entry, offset) in entries.iter().zip(after + 1..) {
                    assert_eq!(entry.offset, offset);
                    assert_eq!(entry.payload, numbered(offset, 100));
                }
            }
            Err(QueueError::Trimmed { trimmed, .. }) => assert!(trimmed > after),
            Err(other) => panic!("{other}"),
        }
    }
    trims.await.expect("trims");
    assert_eq!(bounds(&*queue, &stream).await, (RECORDS, RECORDS));
}

async fn waiting<Q: Queue + 'static>(queue: Arc<Q>) {
    let stream = stream("wait");
    let waiter = |after: u64| {
        let (queue, stream) = (Arc::clone(&queue), stream.clone());
        tokio::spawn(async move {
            let mut early = 0;
            loop {
                queue.wait(&stream, after).await.expect("waits");
                if bounds(&*queue, &stream).await.1 > after {
                    return early;
                }
                early += 1;
            }
        })
    };
    // Before the stream exists, several at once, and beyond the next record.
    let waiters = [waiter(0), waiter(0), waiter(1)];
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiters.iter().any(tokio::task::JoinHandle::is_finished));
    append(&*queue, &stream, "1").await;
    let [first, second, third] = waiters;
    for waiter in [first, second] {
        let early = in_time("a waiter wakes up", waiter).await.expect("waits");
        assert!(early < 20, "it returned early {early} times");
    }
    append(&*queue, &stream, "2").await;
    in_time("a waiter wakes up", third).await.expect("waits");
    // What is there already isn't waited for, even if it is trimmed.
    in_time("no wait", queue.wait(&stream, 0))
        .await
        .expect("waits");
    queue.trim(&stream, 2).await.expect("trims");
    in_time("no wait", queue.wait(&stream, 1))
        .await
        .expect("waits");
}

async fn stored_bytes_follow(queue: &dyn Queue) {
    let stream = stream("bytes");
    let before = queue.stored_bytes().await.expect("counts");
    for number in 1..=10 {
        append_bytes(queue, &stream, numbered(number, 10_000)).await;
    }
    let filled = queue.stored_bytes().await.expect("counts");
    assert!(filled >= before + 100_000, "{before} became {filled}");
    queue.trim(&stream, 10).await.expect("trims");
    let trimmed = queue.stored_bytes().await.expect("counts");
    assert!(trimmed <= before + 10_000, "{filled} became {trimmed}");
}

fn stream(table: &str) -> Stream {
    Stream::new("db", table)
}

fn record(payload: &str) -> Record {
    Record {
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        key: None,
    }
}

fn keyed(payload: &str, key: &str, sent: &str) -> Record {
    Record {
        key: Some(Key::new(key, sent.as_bytes())),
        ..record(payload)
    }
}

/// A payload that says which it is.
fn numbered(number: u64, bytes: usize) -> Bytes {
    number
        .to_le_bytes()
        .into_iter()
        .cycle()
        .take(bytes)
        .collect()
}

async fn append(queue: &dyn Queue, stream: &Stream, payload: &str) -> u64 {
    append_bytes(queue, stream, Bytes::copy_from_slice(payload.as_bytes())).await
}

async fn append_bytes(queue: &dyn Queue, stream: &Stream, payload: Bytes) -> u64 {
    let record = Record { payload, key: None };
    let appended = in_time("an append", queue.append(stream, record)).await;
    appended.expect("appends").offset
}

async fn append_keyed(
    queue: &dyn Queue,
    stream: &Stream,
    payload: &str,
    key: &str,
    sent: &str,
) -> Appended {
    let appended = in_time("an append", queue.append(stream, keyed(payload, key, sent))).await;
    appended.expect("appends")
}

async fn bounds(queue: &dyn Queue, stream: &Stream) -> (u64, u64) {
    let Bounds { trimmed, last } = queue.bounds(stream).await.expect("has bounds");
    (trimmed, last)
}

async fn read_all(queue: &dyn Queue, stream: &Stream, mut after: u64) -> Vec<Entry> {
    let mut all = Vec::new();
    loop {
        let page = queue.read(stream, after, 1 << 16).await.expect("reads");
        let Some(last) = page.last() else {
            return all;
        };
        after = last.offset;
        all.extend(page);
    }
}

async fn texts(queue: &dyn Queue, stream: &Stream, after: u64) -> Vec<String> {
    let entries = read_all(queue, stream, after).await;
    for (entry, offset) in entries.iter().zip(after + 1..) {
        assert_eq!(entry.offset, offset);
    }
    let text = |entry: &Entry| String::from_utf8_lossy(&entry.payload).into_owned();
    entries.iter().map(text).collect()
}

async fn expect_trimmed(queue: &dyn Queue, of: &Stream, after: u64, through: u64) {
    match queue.read(of, after, 100).await {
        Err(QueueError::Trimmed { stream, trimmed }) => {
            assert_eq!((&stream, trimmed), (of, through));
        }
        other => panic!("after {after}: {other:?}"),
    }
}

async fn in_time<T>(what: &str, happens: impl Future<Output = T>) -> T {
    let happened = tokio::time::timeout(PATIENCE, happens).await;
    happened.unwrap_or_else(|_| panic!("{what} took longer than {PATIENCE:?}"))
}
