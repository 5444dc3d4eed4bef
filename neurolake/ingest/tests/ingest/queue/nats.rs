//! The queue in NATS JetStream, with a real server.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_nats::jetstream::stream::PeerInfo;
use neurolake_ingest::queue::{
    NatsCredentials, NatsQueue, NatsSettings, Queue, QueueError, conformance,
};
use tokio::task::JoinSet;

use super::server::Server;
use super::{append, keyed, read_all, record, stream, until};

fn settings(server: &Server) -> NatsSettings {
    NatsSettings {
        max_stream_bytes: 32 << 20,
        timeout: Duration::from_secs(2),
        ..NatsSettings::new(server.url())
    }
}

async fn connect(settings: NatsSettings) -> NatsQueue {
    until(async || NatsQueue::connect(settings.clone()).await).await
}

/// The broker says what it has when JetStream is up, a little after it takes connections.
async fn ready(queue: &NatsQueue) {
    until(async || queue.bounds(&stream()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_every_promise() {
    let server = Server::start(&[]);
    let number = AtomicU64::new(0);
    conformance::run(async || {
        let number = number.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("test{number}");
        connect(NatsSettings {
            prefix,
            ..settings(&server)
        })
        .await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn survives_its_server() {
    let server = std::sync::Mutex::new(Server::start(&[]));
    conformance::survives(async |before: Option<NatsQueue>| {
        let settings = {
            let mut server = server.lock().expect("a server");
            if before.is_some() {
                server.kill();
                server.restart();
            }
            settings(&server)
        };
        let queue = connect(settings).await;
        ready(&queue).await;
        queue
    })
    .await;
}

/// With three servers that keep each record, any of which may be lost.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_survive_a_server() {
    let mut servers = Server::cluster();
    let urls = servers.each_ref().map(Server::url);
    let settings = NatsSettings {
        url: urls.join(","),
        replicas: 3,
        max_stream_bytes: 8 << 20,
        // Three servers and all other tests on one machine.
        timeout: Duration::from_secs(30),
        ..NatsSettings::new("")
    };
    ready(&connect(settings.clone()).await).await;
    let number = AtomicU64::new(0);
    conformance::run(async || {
        let number = number.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("test{number}");
        connect(NatsSettings {
            prefix,
            ..settings.clone()
        })
        .await
    })
    .await;
    let timeout = Duration::from_secs(2);
    let queue = connect(NatsSettings {
        timeout,
        ..settings
    })
    .await;
    for (server, last) in servers.iter_mut().zip([10, 20, 30]) {
        for number in last - 9..=last {
            let payload = number.to_string();
            until(async || queue.append(&stream(), keyed(&payload)).await).await;
        }
        server.kill();
        // Without one of them, and while others take its place.
        let bounds = until(async || queue.bounds(&stream()).await).await;
        assert_eq!(bounds.last, last);
        let mut after = 0;
        while after < last {
            for entry in until(async || queue.read(&stream(), after, 1 << 20).await).await {
                after += 1;
                assert_eq!(entry.payload, after.to_string());
            }
        }
        server.restart();
        until(async || queue.append(&stream(), keyed(&last.to_string())).await).await;
        // One of three may be lost, not a second one while the first is still catching up.
        until(async || are_in_step(&urls).await).await;
    }
}

/// Whether all replicas have what their leader has.
async fn are_in_step(urls: &[String]) -> Result<(), QueueError> {
    let look = async {
        let client = async_nats::connect(urls).await?;
        let context = async_nats::jetstream::new(client);
        let stream = context.get_stream("neurolake-db-events").await?;
        let cluster = stream.cached_info().cluster.clone();
        let cluster = cluster.filter(|cluster| cluster.leader.is_some());
        let cluster = cluster.ok_or("it has no leader")?;
        let is_current = |peer: &PeerInfo| peer.current && !peer.offline;
        match cluster.replicas.len() == 2 && cluster.replicas.iter().all(is_current) {
            true => Ok(()),
            false => Err(format!("{:?}", cluster.replicas).into()),
        }
    };
    let looked: Result<(), async_nats::Error> = look.await;
    looked.map_err(|error| QueueError::Unavailable {
        reason: error.to_string(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_stream_refuses_and_trimming_makes_room() {
    let server = Server::start(&[]);
    let queue = connect(NatsSettings {
        max_stream_bytes: 100_000,
        ..settings(&server)
    })
    .await;
    let mut kept = 0;
    let refused = loop {
        match queue.append(&stream(), record(vec![1; 1000])).await {
            Ok(appended) => kept = appended.offset,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, QueueError::Full { .. }), "{refused}");
    let refused = queue.append(&stream(), keyed("refused")).await;
    assert!(
        matches!(refused, Err(QueueError::Full { .. }) | Ok(_)),
        "{refused:?}"
    );
    let kept = kept + u64::from(refused.is_ok());
    assert_eq!(
        read_all(&queue).await.len() as u64,
        kept,
        "old records stay"
    );
    queue.trim(&stream(), kept / 2).await.expect("trims");
    assert_eq!(
        append(&queue, record("on")).await.offset,
        kept + 1,
        "without a gap"
    );
}

/// Producers repeat with the same key what they weren't told, as clients do. However often the
/// server is killed, each record is there once.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_server_is_killed() {
    let mut server = Server::start(&[]);
    let queue = Arc::new(connect(settings(&server)).await);
    ready(&queue).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(AtomicU64::new(0));
    let mut producers = JoinSet::new();
    for producer in 0..6 {
        let (queue, is_over) = (Arc::clone(&queue), Arc::clone(&is_over));
        let acknowledged = Arc::clone(&acknowledged);
        producers.spawn(async move {
            let mut kept = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                let payload = format!("{producer} {}", kept.len());
                let offset = loop {
                    match queue.append(&stream(), keyed(&payload)).await {
                        Ok(appended) => break appended.offset,
                        Err(QueueError::Unavailable { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                };
                kept.push((offset, payload));
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            kept
        });
    }
    for _ in 0..5 {
        let before = acknowledged.load(Ordering::Relaxed);
        while acknowledged.load(Ordering::Relaxed) < before + 100 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server.kill();
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.restart();
    }
    is_over.store(true, Ordering::Relaxed);
    let kept: Vec<(u64, String)> = producers.join_all().await.into_iter().flatten().collect();
    let all = until(async || {
        queue.bounds(&stream()).await?;
        Ok(read_all(&*queue).await)
    })
    .await;
    assert_eq!(all.len(), kept.len(), "each record once");
    for (offset, payload) in kept {
        assert_eq!(all[&offset], payload);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_said_to_be() {
    let mut server = Server::start(&[]);
    let queue = connect(settings(&server)).await;
    ready(&queue).await;
    append(&queue, record("1")).await;
    server.kill();
    let begun = Instant::now();
    let unavailable = |answer: Result<(), QueueError>| {
        assert!(
            matches!(answer, Err(QueueError::Unavailable { .. })),
            "{answer:?}"
        );
    };
    unavailable(queue.append(&stream(), keyed("2")).await.map(|_| ()));
    unavailable(queue.read(&stream(), 0, 100).await.map(|_| ()));
    unavailable(queue.bounds(&stream()).await.map(|_| ()));
    unavailable(queue.wait(&stream(), 1).await);
    unavailable(queue.trim(&stream(), 1).await);
    assert!(begun.elapsed() < Duration::from_secs(30));
    server.restart();
    // The same queue finds it again. What was said to be unknown is there once.
    until(async || queue.append(&stream(), keyed("2")).await).await;
    let all = read_all(&queue).await;
    assert_eq!(all.len(), 2);
    assert_eq!(all[&2], "2");
}

/// Another process appends, and those who wait here hear of it.
#[tokio::test(flavor = "multi_thread")]
async fn word_gets_around() {
    let server = Server::start(&[]);
    let here = connect(settings(&server)).await;
    let there = connect(settings(&server)).await;
    ready(&here).await;
    let mut waits = Vec::new();
    for last in 0..9 {
        let waited = async {
            here.wait(&stream(), last).await.expect("waits");
            Instant::now()
        };
        let appended = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let begun = Instant::now();
            append(&there, record("word")).await;
            begun
        };
        let (woken, begun) = tokio::join!(waited, appended);
        assert_eq!(read_all(&here).await.len() as u64, last + 1);
        waits.push(woken.saturating_duration_since(begun));
    }
    waits.sort();
    assert!(waits[4] < Duration::from_millis(400), "{waits:?}");
}

/// Nobody makes a gap by accident, and one that is made on purpose is seen.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_record_is_noticed() {
    let server = Server::start(&[]);
    let queue = connect(settings(&server)).await;
    for number in 1..=5 {
        append(&queue, record(number.to_string())).await;
    }
    let client = async_nats::connect(server.url()).await.expect("connects");
    let context = async_nats::jetstream::new(client);
    let handle = context
        .get_stream("neurolake-db-events")
        .await
        .expect("a stream");
    handle.delete_message(3).await.expect_err("it is denied");
    assert_eq!(read_all(&queue).await.len(), 5);
    context
        .delete_stream("neurolake-db-events")
        .await
        .expect("deletes");
    let read = queue.read(&stream(), 0, 100).await;
    assert!(matches!(read, Err(QueueError::Damaged { .. })), "{read:?}");
    let appended = queue.append(&stream(), record("6")).await;
    assert!(
        matches!(appended, Err(QueueError::Unavailable { .. })),
        "{appended:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_we_are_is_kept_to_ourselves() {
    let server = Server::start(&["--user", "writer", "--pass", "hunter2@/"]);
    let by_url = NatsSettings {
        url: format!("nats://writer:hunter2%40%2F@{}", server.address()),
        ..settings(&server)
    };
    let by_settings = NatsSettings {
        credentials: Some(NatsCredentials::User {
            name: "writer".into(),
            password: "hunter2@/".into(),
        }),
        ..settings(&server)
    };
    for settings in [by_url, by_settings] {
        let shown = format!("{settings:?} {:?}", settings.credentials);
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains(&server.address()), "{shown}");
        let queue = connect(settings).await;
        ready(&queue).await;
        assert!(!format!("{queue:?}").contains("hunter2"));
    }
    for url in [
        format!("nats://writer:hunter3@{}", server.address()),
        "nats://writer:hunter3@not a host".into(),
    ] {
        let refused = NatsQueue::connect(NatsSettings::new(url)).await;
        let refused = refused.expect_err("it doesn't know us");
        assert!(
            matches!(refused, QueueError::Unavailable { .. }),
            "{refused}"
        );
        assert!(!refused.to_string().contains("hunter3"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_lets_us_in() {
    let server = Server::start(&["--auth", "s3cret"]);
    let by_url = NatsSettings {
        url: format!("nats://s3cret@{}", server.address()),
        ..settings(&server)
    };
    let by_settings = NatsSettings {
        credentials: Some(NatsCredentials::Token("s3cret".into())),
        ..settings(&server)
    };
    for settings in [by_url, by_settings] {
        assert!(!format!("{settings:?} {:?}", settings.credentials).contains("s3cret"));
        let queue = connect(settings).await;
        ready(&queue).await;
        append(&queue, record("1")).await;
    }
}

fn pem(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/ingest/queue/tls")
        .join(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connection_is_encrypted_if_asked() {
    let (certificate, key) = (pem("server.pem"), pem("server-key.pem"));
    let server = Server::start(&[
        "--tls",
        "--tlscert",
        certificate.to_str().expect("text"),
        "--tlskey",
        key.to_str().expect("text"),
    ]);
    let strangers = NatsSettings {
        url: format!("tls://{}", server.address()),
        ..settings(&server)
    };
    let friends = NatsSettings {
        root_certificates: Some(pem("authority.pem")),
        ..strangers.clone()
    };
    let queue = connect(friends).await;
    ready(&queue).await;
    append(&queue, record("1")).await;
    let refused = NatsQueue::connect(strangers).await;
    assert!(
        matches!(refused, Err(QueueError::Unavailable { .. })),
        "{refused:?}"
    );
}
