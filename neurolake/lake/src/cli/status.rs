//! One line about events, for people who watch `up`: the last of the terminal, written again and
//! again. What is logged goes above it.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::HumanBytes;
use tokio::sync::watch;
use tracing_subscriber::fmt::MakeWriter;

const CLEAR: &[u8] = b"\r\x1b[2K";

static IS_SHOWN: AtomicBool = AtomicBool::new(false);

/// How the tables of a server are doing together.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Totals {
    /// Requests.
    pub(super) taken: u64,
    /// Of these, the ones that are not in tables yet.
    pub(super) waiting: u64,
    /// For how long the oldest of them has waited.
    pub(super) oldest: Duration,
    /// Bytes in the queue.
    pub(super) queue: u64,
    /// Tables whose queue answers.
    pub(super) known: usize,
    /// Tables whose queue doesn't.
    pub(super) unknown: usize,
}

/// Shows the line, every second as they are looked at, until it is dropped.
pub(super) async fn show(mut totals: watch::Receiver<Totals>) {
    let mut before = None;
    while totals.changed().await.is_ok() {
        let now = *totals.borrow_and_update();
        if now.unknown > 0 {
            // The sums don't hold everything.
            before = None;
            continue;
        }
        let rate = now.taken - before.unwrap_or(now.taken).min(now.taken);
        // Nothing is said before there is something to say.
        if before.is_some_and(|before| before < now.taken) || IS_SHOWN.load(Ordering::Relaxed) {
            write(&format!(
                "  events   {} requests, {rate}/s; {} waiting, {:.1} s; queue {}",
                now.taken,
                now.waiting,
                now.oldest.as_secs_f64(),
                HumanBytes(now.queue)
            ));
        }
        before = Some(now.taken);
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
