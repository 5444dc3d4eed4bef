//! One line about events, for people who watch `up`: the last of the terminal, written again and
//! again. What is logged goes above it.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use neurolake_ingest::Ingest;
use tokio::time::sleep;
use tracing_subscriber::fmt::MakeWriter;

use super::maintain::size;

const INTERVAL: Duration = Duration::from_secs(1);
const CLEAR: &[u8] = b"\r\x1b[2K";

static IS_SHOWN: AtomicBool = AtomicBool::new(false);

/// Shows the line until it is dropped.
pub(super) async fn show(ingest: Ingest) {
    let mut before = None;
    loop {
        let (mut taken, mut waiting, mut oldest) = (0, 0, 0);
        for (stream, _) in ingest.streams() {
            if let Ok(status) = ingest.status(stream).await {
                taken += status.accepted;
                waiting += status.accepted.saturating_sub(status.committed);
                oldest = oldest.max(status.lag_milliseconds);
            }
        }
        let rate = taken - before.unwrap_or(taken).min(taken);
        // Nothing is said before there is something to say.
        if before.is_some_and(|before| before < taken) || IS_SHOWN.load(Ordering::Relaxed) {
            let seconds = Duration::from_millis(oldest).as_secs_f64();
            write(&format!(
                "  events   {taken} requests, {rate}/s; {waiting} waiting, {seconds:.1} s; queue {}",
                size(ingest.queue_bytes())
            ));
        }
        before = Some(taken);
        sleep(INTERVAL).await;
    }
}

fn write(line: &str) {
    IS_SHOWN.store(true, Ordering::Relaxed);
    let mut out = io::stderr().lock();
    let _ = out.write_all(CLEAR);
    let _ = out.write_all(line.as_bytes());
    let _ = out.flush();
}

/// Takes the line away.
pub(super) fn clear() {
    if IS_SHOWN.swap(false, Ordering::Relaxed) {
        let _ = io::stderr().write_all(CLEAR);
    }
}

/// Standard error without the line, which comes again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Above;

impl<'a> MakeWriter<'a> for Above {
    type Writer = io::StderrLock<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        let mut out = io::stderr().lock();
        if IS_SHOWN.load(Ordering::Relaxed) {
            let _ = out.write_all(CLEAR);
        }
        out
    }
}
