//! Real processes around a real NATS server: two writers, a server, and a broker, each of which is
//! killed or stopped at any moment.
//!
//! An ordinary run stops and kills writers; `NEUROLAKE_TEST_ROUNDS=100` also the broker and the server.

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
        command.stderr(folder.log("writers.log"));
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

/// Starts writers that are gone until they stay: one that finds no broker ends.
fn supervise(folder: &Folder, writers: &mut [Writer; 2]) {
    let begun = Instant::now();
    loop {
        let gone = |writer: &mut Writer| writer.0.try_wait().unwrap().is_some();
        let mut gone: Vec<_> = writers
            .iter_mut()
            .filter_map(|w| gone(w).then_some(w))
            .collect();
        if gone.is_empty() {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{}", folder.read("writers.log"));
        for writer in &mut gone {
            **writer = Writer::start(folder);
        }
        thread::sleep(Duration::from_millis(500));
    }
}

/// Who has the newest lease.
fn holder<'a>(folder: &Folder, writers: &'a [Writer; 2]) -> &'a Writer {
    let leases = std::fs::read_dir(folder.path(".neurolake/buckets/lake/events/_neurolake/writer"));
    let leases = leases.unwrap().map(|lease| lease.unwrap().path());
    let newest = leases.filter(|path| path.extension().is_some_and(|name| name == "json"));
    let content = std::fs::read_to_string(newest.max().unwrap()).unwrap();
    let found = writers.iter().find(|writer| {
        let who = format!("process {} on", writer.0.id());
        content.contains(&who)
    });
    found.unwrap_or_else(|| panic!("{content}"))
}

/// Sends a row until it is acknowledged, as clients do.
fn deliver(up: &Up, id: u64, path: &str) {
    let begun = Instant::now();
    loop {
        let answer = send(&up.address, path, &format!("row-{id}"), &row(id));
        match answer {
            // 202 where more was asked for: it takes longer than the server waits.
            Some((status @ (200 | 202), _)) => {
                if status == 200 || !path.contains("committed") {
                    return;
                }
            }
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
fn a_server_starts_before_its_broker() {
    let mut broker = Server::start(&["--user", "lab", "--pass", "hunter2"]);
    let folder = folder();
    let settings = |password| {
        format!(
            "[ingest]\nqueue = \"{}\"\nuser = \"lab\"\npassword = \"file:{password}\"\n\
             stream_bytes = \"64KiB\"\nflush_age = \"50ms\"\n",
            broker.url()
        )
    };
    folder.write("right", "hunter2");
    folder.write("wrong", "hunter3");
    // Who isn't let in is told so at once.
    folder.write("neurolake.toml", &settings("wrong"));
    let refused = folder.expect(4, &["up", "--http", "127.0.0.1:0"]).stderr;
    assert!(refused.contains("authorization"), "{refused}");
    assert!(!refused.contains("hunter"), "{refused}");
    folder.write("neurolake.toml", &settings("right"));
    let shown = folder.expect(0, &["config"]).stdout;
    assert!(shown.contains("stream_bytes = 65536"), "{shown}");
    assert!(!shown.contains("hunter"), "{shown}");
    broker.kill();
    let mut server = up(&folder);
    let answer = send(&server.address, "/v1/ingest/lab/events", "row-1", &row(1));
    assert_eq!(
        answer.as_ref().map(|(status, _)| *status),
        Some(503),
        "{answer:?}"
    );
    broker.restart();
    deliver(&server, 1, "/v1/ingest/lab/events?ack=committed");
    // What is in its table makes room.
    let mut sent = 1;
    for _ in 0..200 {
        sent += 1;
        deliver(&server, sent, "/v1/ingest/lab/events");
    }
    assert_eq!(terminate(&mut server.child), Some(0));
    drop(broker);
    let sql = "select count(*) as n, count(distinct id) as ids from lab.events";
    let alone = folder.expect(0, &["query", sql]);
    assert_eq!(alone.stdout, format!("n,ids\n{sent},{sent}\n"));
}

#[test]
fn two_writers_lose_and_double_nothing() {
    let mut broker = Server::start(&[]);
    let folder = folder();
    let settings = format!(
        "[ingest]\nqueue = \"{}\"\nwriter = false\nlease = \"1s\"\nlag = \"8s\"\nflush_age = \"50ms\"\n\
         [maintenance]\ncompact_every = \"2s\"\n",
        broker.url()
    );
    folder.write("neurolake.toml", &settings);
    let mut server = up(&folder);
    let mut writers = [Writer::start(&folder), Writer::start(&folder)];
    let mut sent = 0;
    for round in 0..rounds(3) {
        match round % 5 {
            0 => {
                supervise(&folder, &mut writers);
                sent += 1;
                deliver(&server, sent, "/v1/ingest/lab/events?ack=committed");
                let holder = holder(&folder, &writers);
                holder.signal("-STOP");
                // Somebody else takes over.
                sent += 1;
                deliver(&server, sent, "/v1/ingest/lab/events?ack=committed");
                // It still believes in what it had.
                holder.signal("-CONT");
            }
            1 => holder(&folder, &writers).signal("-KILL"),
            2 => supervise(&folder, &mut writers),
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
    sent += 1;
    deliver(&server, sent, "/v1/ingest/lab/events?ack=committed");
    let sql = "select count(*) as n, count(distinct id) as ids, sum(id) as sum from lab.events";
    let found = query(&server.address, sql).remove(0);
    assert_eq!(found["n"], sent, "{found}");
    assert_eq!(found["ids"], sent, "{found}");
    assert_eq!(found["sum"], sent * (sent + 1) / 2, "{found}");
    // They end when they are asked to.
    for writer in &mut writers {
        if writer.0.try_wait().unwrap().is_none() {
            assert_eq!(terminate(&mut writer.0), Some(0));
        }
    }
    assert_eq!(terminate(&mut server.child), Some(0));
    drop(broker);
    let alone = folder.expect(0, &["query", sql, "--format", "json"]);
    let alone: Value = serde_json::from_str(&alone.stdout).unwrap();
    assert_eq!(alone[0], found);
}
