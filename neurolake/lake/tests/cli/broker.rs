//! Real processes around a real NATS server: two writers, a server, and a broker, each of which is
//! killed or stopped at any moment.
//!
//! `NEUROLAKE_TEST_ROUNDS=100` makes it a long run.

use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::events::{folder, kill, query, rounds, row, send};
use crate::runs::Folder;
use crate::server::Server;
use crate::up::{Up, terminate, up};

/// How long a row may take to be accepted while things break.
const PATIENCE: Duration = Duration::from_mins(1);

/// Killed with the test.
struct Writer(Child);

impl Writer {
    fn start(folder: &Folder) -> Self {
        let mut command = folder.command(&["writer"]);
        command.stdout(std::process::Stdio::null());
        command.stderr(std::process::Stdio::null());
        Self(command.spawn().unwrap())
    }

    fn signal(&self, signal: &str) {
        let id = self.0.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends a row until it is acknowledged, as clients do.
fn deliver(up: &Up, id: u64, path: &str) {
    let begun = Instant::now();
    loop {
        let answer = send(&up.address, path, &format!("row-{id}"), &row(id));
        match answer {
            Some((200 | 202, _)) => return,
            Some((429 | 500.., _)) | None => {}
            Some((status, answer)) => panic!("{status}: {answer}"),
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "row {id} isn't taken: {answer:?}"
        );
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn two_writers_lose_and_double_nothing() {
    let mut broker = Server::start(&[]);
    let folder = folder();
    let settings = format!(
        "[ingest]\nqueue = \"{}\"\nwriter = false\nlease = \"1s\"\nflush_age = \"50ms\"\n\
         [maintenance]\ncompact_every = \"2s\"\n",
        broker.url()
    );
    folder.write("neurolake.toml", &settings);
    let mut server = up(&folder);
    let mut writers = [Writer::start(&folder), Writer::start(&folder)];
    let mut sent = 0;
    for round in 0..rounds(6) {
        let one = usize::try_from(round / 5 % 2).unwrap();
        match round % 5 {
            0 => {
                writers[one].signal("-STOP");
            }
            1 => {
                // It still believes in what it had.
                writers[1 - one].signal("-CONT");
                writers[one].signal("-CONT");
            }
            2 => {
                writers[one] = Writer::start(&folder);
            }
            3 => {
                broker.kill();
                thread::sleep(Duration::from_millis(100 * (round % 7)));
                broker.restart();
            }
            _ => {
                kill(&mut server.child);
                server = up(&folder);
            }
        }
        for _ in 0..10 {
            sent += 1;
            deliver(&server, sent, "/v1/ingest/lab/events");
            thread::sleep(Duration::from_millis(20 * (round % 4)));
        }
    }
    for writer in &writers {
        writer.signal("-CONT");
    }
    sent += 1;
    deliver(&server, sent, "/v1/ingest/lab/events?ack=committed");
    let sql = "select count(*) as n, count(distinct id) as ids, sum(id) as sum from lab.events";
    let found = query(&server.address, sql).remove(0);
    assert_eq!(found["n"], sent, "{found}");
    assert_eq!(found["ids"], sent, "{found}");
    assert_eq!(found["sum"], sent * (sent + 1) / 2, "{found}");
    // Both end when they are asked to.
    for writer in &mut writers {
        assert_eq!(terminate(&mut writer.0), Some(0));
    }
    assert_eq!(terminate(&mut server.child), Some(0));
    drop(broker);
    let alone = folder.expect(0, &["query", sql, "--format", "json"]);
    let alone: Value = serde_json::from_str(&alone.stdout).unwrap();
    assert_eq!(alone[0], found);
}
