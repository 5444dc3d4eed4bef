//! A real server behind a proxy that loses requests, and answers to requests that were done.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::join_all;
use neurolake_delta::{Change, Location, Transaction};
use object_store::{BackoffConfig, RetryConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::ministack::{Ministack, client};
use crate::tables::{assert_sound, at, each_once, ids, open, rows};

#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    lost_requests: AtomicU64,
    lost_answers: AtomicU64,
}

/// Listens until the test ends.
async fn proxy(server: SocketAddr) -> (SocketAddr, Arc<Counts>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let counts = Arc::new(Counts::default());
    let seen = Arc::clone(&counts);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(server).await.unwrap();
            let counts = Arc::clone(&seen);
            // A connection that breaks is what this is for.
            tokio::spawn(async move { pass(client, server, &counts).await.ok() });
        }
    });
    (address, counts)
}

/// Of the requests that write every fifth breaks off: the request doesn't arrive, or the answer.
async fn pass(
    mut client: TcpStream,
    mut server: TcpStream,
    counts: &Counts,
) -> std::io::Result<()> {
    let (mut from_client, mut from_server) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let mut loses_answer = false;
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let bytes = &from_client[..read?];
                if bytes.is_empty() {
                    return Ok(());
                }
                if bytes.starts_with(b"PUT ") {
                    match counts.requests.fetch_add(1, Ordering::SeqCst) % 10 {
                        4 => {
                            counts.lost_requests.fetch_add(1, Ordering::SeqCst);
                            return Ok(());
                        }
                        9 => loses_answer = true,
                        _ => {}
                    }
                }
                server.write_all(bytes).await?;
            }
            read = server.read(&mut from_server) => {
                let bytes = &from_server[..read?];
                if bytes.is_empty() {
                    return Ok(());
                }
                if loses_answer {
                    counts.lost_answers.fetch_add(1, Ordering::SeqCst);
                    return Ok(());
                }
                client.write_all(bytes).await?;
            }
        }
    }
}

async fn commit(location: &Location, writer: i64, commits: i64) {
    let mut log = open(location).await;
    let application = format!("writer {writer}");
    for number in 0..commits {
        let first = (writer * commits + number) * 10;
        let step = Transaction {
            application: application.clone(),
            from: (number > 0).then_some(number),
            to: number + 1,
        };
        let files = log.write([rows(first..first + 10)]).await.unwrap();
        log.commit(Change::append(files, step)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_gets_lost_each_commit_is_made_once() {
    let server = Ministack::start().await;
    let bucket = server.bucket("lake").await;
    let address = server.endpoint.trim_start_matches("http://");
    let (address, counts) = proxy(address.parse().unwrap()).await;
    let unreliable = client(&format!("http://{address}"), "lake")
        .with_retry(RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(5),
                ..BackoffConfig::default()
            },
            ..RetryConfig::default()
        })
        .build()
        .unwrap();
    let location = at(Arc::new(unreliable));
    let writers = (0..4).map(|writer| {
        let location = location.clone();
        tokio::spawn(async move { commit(&location, writer, 10).await })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    let location = at(Arc::new(bucket));
    assert_eq!(ids(&location).await, each_once(0..400));
    assert_sound(&location).await;
    let lost = [&counts.lost_requests, &counts.lost_answers];
    let lost = lost.map(|count| count.load(Ordering::SeqCst));
    println!("{lost:?} requests and answers lost");
    assert!(lost.iter().all(|lost| *lost > 5), "{lost:?}");
}
