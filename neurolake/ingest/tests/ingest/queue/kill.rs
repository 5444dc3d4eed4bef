//! `kill -9` of a process with a queue in a folder: what it acknowledged is there.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use neurolake_ingest::queue::{Key, Queue, Record, Stream};
use tokio::task::JoinSet;

use super::embedded::open;
use super::{append, keyed, read_all, stream, until};

const FOLDER: &str = "NEUROLAKE_TEST_QUEUE";
const ROUND: &str = "NEUROLAKE_TEST_ROUND";
const BYTES: &str = "NEUROLAKE_TEST_BYTES";

/// A record that says which it is, padded to a length.
fn labelled(label: &str, bytes: usize) -> Record {
    Record {
        payload: format!("{label:bytes$}").into(),
        key: Some(Key::new(label, label.as_bytes())),
    }
}

fn label(payload: &[u8]) -> &str {
    std::str::from_utf8(payload).expect("text").trim_end()
}

fn spawn(folder: &Path, round: usize, bytes: usize) -> Child {
    let program = std::env::current_exe().expect("this program");
    Command::new(program)
        .args(["--exact", "queue::kill::the_process_that_is_killed"])
        .args(["--ignored", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(ROUND, round.to_string())
        .env(BYTES, bytes.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("spawns")
}

/// Appends and trims until it is killed, and says what was acknowledged.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the other tests of this module run it, in a process of its own"]
async fn the_process_that_is_killed() {
    let folder = std::env::var_os(FOLDER).expect("a folder");
    let round = std::env::var(ROUND).expect("a round");
    let bytes = std::env::var(BYTES).expect("a length");
    let bytes = bytes.parse().expect("a number");
    let queue = Arc::new(until(async || open(Path::new(&folder)).await).await);
    let mut producers = JoinSet::new();
    for producer in 0..6 {
        let (queue, round) = (Arc::clone(&queue), round.clone());
        producers.spawn(async move {
            for number in 0.. {
                let label = format!("{round}-{producer}-{number}");
                let appended = append(&*queue, labelled(&label, bytes)).await;
                say(&format!("ack {} {label}", appended.offset));
                if number % 7 == 0 {
                    let stream = Stream::new("db", &format!("other{producer}"));
                    let other = queue.append(&stream, keyed(&label)).await;
                    other.expect("appends");
                }
                if producer == 0 && number % 10 == 9 {
                    let through = appended.offset.saturating_sub(100);
                    queue.trim(&stream(), through).await.expect("trims");
                    say(&format!("trim {through} -"));
                }
            }
        });
    }
    producers.join_all().await;
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").expect("somebody listens");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost() {
    kill_and_look(12, 0, |round| 20 + 37 * round).await;
}

/// Enough at a time that journals change and tables are written and merged.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_while_tables_are_written() {
    kill_and_look(6, 60_000, |round| 700 + 170 * round).await;
}

/// Kills a process after so many acknowledgements, and looks what is there.
async fn kill_and_look(rounds: usize, bytes: usize, killed_after: impl Fn(usize) -> usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut acknowledged = BTreeMap::new();
    for round in 0..rounds {
        let mut child = spawn(folder.path(), round, bytes);
        let lines = BufReader::new(child.stdout.take().expect("an output")).lines();
        let killed_after = killed_after(round);
        let mut trimmed = 0;
        let mut seen = 0;
        for line in lines {
            let line = line.expect("text");
            let mut words = line.split(' ');
            match (words.next(), words.next(), words.next()) {
                (Some("ack"), Some(offset), Some(label)) => {
                    let offset: u64 = offset.parse().expect("a number");
                    let twice = acknowledged.insert(offset, label.to_owned());
                    assert_eq!(twice, None, "each offset once");
                    seen += 1;
                }
                (Some("trim"), Some(through), _) => {
                    trimmed = through.parse().expect("a number");
                }
                _ => {}
            }
            // What it says after that still counts: the pipe is read to its end.
            if seen == killed_after {
                child.kill().expect("kills");
            }
        }
        child.wait().expect("ends");
        assert!(seen >= killed_after, "it ended by itself");

        let queue = open(folder.path()).await.expect("opens");
        let bounds = queue.bounds(&stream()).await.expect("has bounds");
        assert!(bounds.trimmed >= trimmed, "what was trimmed stays so");
        let all = read_all(&queue).await;
        for (offset, expected) in acknowledged.range(bounds.trimmed + 1..) {
            assert_eq!(label(&all[offset]), expected, "round {round}");
        }
        let newest = acknowledged
            .last_key_value()
            .map_or(0, |(offset, _)| *offset);
        assert!(bounds.last >= newest);
        // A client that repeats what was kept is told where, also of what it wasn't told.
        for (offset, payload) in &all {
            assert!(payload.len() >= bytes, "it is whole");
            let label = label(payload);
            let again = append(&queue, labelled(label, bytes)).await;
            assert_eq!((again.offset, again.duplicate), (*offset, true));
            acknowledged.insert(*offset, label.to_owned());
        }
        for producer in 0..6 {
            let other = Stream::new("db", &format!("other{producer}"));
            let last = queue.bounds(&other).await.expect("has bounds").last;
            let entries = queue.read(&other, 0, 1 << 20).await.expect("reads");
            assert_eq!(entries.len() as u64, last);
        }
        queue.close().await;
    }
}

/// Also while the folder is being made.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_half_made_can_be_opened() {
    for round in 0..12 {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("queue");
        let mut child = spawn(&path, round, 0);
        // Until it has begun, and a little longer each time.
        while !path.exists() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(4 * round as u64)).await;
        child.kill().expect("kills");
        child.wait().expect("ends");
        let queue = open(&path).await.expect("opens");
        let last = queue.bounds(&stream()).await.expect("has bounds").last;
        read_all(&queue).await;
        assert_eq!(append(&queue, keyed("on")).await.offset, last + 1);
    }
}
