//! How long the queue in a folder takes, against what an append to a plain file takes on the same
//! disk: `cargo run --release --example queue_bench [FOLDER]`. With `NEUROLAKE_NATS=URL`, a broker
//! as well.
//!
//! The target is an acknowledgement to 16 clients of 1 KB records in at most 10 times (p50) what
//! it takes to append 2 KB to a file and sync it.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use neurolake_ingest::queue::{
    EmbeddedQueue, EmbeddedSettings, Key, NatsQueue, NatsSettings, Queue, Record, Stream,
};
use tokio::task::JoinSet;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const CLIENTS: usize = 16;
const RECORD_BYTES: usize = 1024;
/// Records that are under way together where one client doesn't wait for each.
const PIPELINED: usize = 512;
const TIME: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Outcome<()> {
    let folder = std::env::args_os().nth(1);
    let folder = folder.map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(folder)?;
    let floor = plain_file(folder.path())?;
    report("append of 2 KB to a file, and sync", &floor, None);
    let floor = quantile(&floor, 0.5);

    let clock = Arc::new(SystemTime::now);
    let settings = EmbeddedSettings::default();
    let queue = EmbeddedQueue::open(folder.path().join("queue"), settings, clock).await?;
    bench("folder", Arc::new(queue), floor).await?;
    if let Ok(url) = std::env::var("NEUROLAKE_NATS") {
        let prefix = format!("bench-{}", std::process::id());
        let settings = NatsSettings {
            prefix,
            ..NatsSettings::new(url)
        };
        bench(
            "broker",
            Arc::new(NatsQueue::connect(settings).await?),
            floor,
        )
        .await?;
    }
    Ok(())
}

fn plain_file(folder: &Path) -> Outcome<Vec<Duration>> {
    let mut file = File::create(folder.join("plain"))?;
    let record = [1; 2 * RECORD_BYTES];
    let begun = Instant::now();
    let mut took = Vec::new();
    while begun.elapsed() < TIME {
        let begun = Instant::now();
        file.write_all(&record)?;
        file.sync_data()?;
        took.push(begun.elapsed());
    }
    took.sort();
    Ok(took)
}

async fn bench<Q: Queue + 'static>(name: &str, queue: Arc<Q>, floor: Duration) -> Outcome<()> {
    for (kind, clients) in [
        ("1 client", 1),
        ("16 clients", CLIENTS),
        ("pipelined", PIPELINED),
    ] {
        let stream = Stream::new("bench", kind);
        let begun = Instant::now();
        let mut running = JoinSet::new();
        for client in 0..clients {
            running.spawn(client_of(
                Arc::clone(&queue),
                stream.clone(),
                client,
                begun + TIME,
            ));
        }
        let mut took = Vec::new();
        for client in running.join_all().await {
            took.extend(client?);
        }
        let rate = took.len() as f64 / begun.elapsed().as_secs_f64();
        took.sort();
        report(
            &format!("{name}, {kind}: {rate:.0} records/s"),
            &took,
            Some(floor),
        );

        let begun = Instant::now();
        let mut after = 0;
        loop {
            let page = queue.read(&stream, after, 4 << 20).await?;
            let Some(last) = page.last() else {
                break;
            };
            after = last.offset;
        }
        let rate = after as f64 / begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        queue.trim(&stream, after).await?;
        println!(
            "  read back {rate:.0} records/s, trimmed in {:?}",
            begun.elapsed()
        );
    }
    Ok(())
}

async fn client_of<Q: Queue>(
    queue: Arc<Q>,
    stream: Stream,
    client: usize,
    until: Instant,
) -> Outcome<Vec<Duration>> {
    let mut took = Vec::new();
    while Instant::now() < until {
        let key = format!("{client} {}", took.len());
        let record = Record {
            payload: Bytes::from(vec![client as u8; RECORD_BYTES]),
            key: Some(Key::new(key, b"sent")),
        };
        let begun = Instant::now();
        queue.append(&stream, record).await?;
        took.push(begun.elapsed());
    }
    Ok(took)
}

fn quantile(sorted: &[Duration], part: f64) -> Duration {
    let at = (sorted.len().saturating_sub(1) as f64 * part) as usize;
    sorted.get(at).copied().unwrap_or_default()
}

fn report(what: &str, sorted: &[Duration], floor: Option<Duration>) {
    let (half, most) = (quantile(sorted, 0.5), quantile(sorted, 0.99));
    print!("{what}: p50 {half:?}, p99 {most:?}");
    if let Some(floor) = floor {
        let times = |took: Duration| took.as_secs_f64() / floor.as_secs_f64();
        print!(
            " = {:.1} and {:.1} times the file's p50",
            times(half),
            times(most)
        );
    }
    println!();
}
