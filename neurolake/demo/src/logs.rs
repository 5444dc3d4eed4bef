//! Logs: what apps, robots and firmware wrote down, and how they died.
//!
//! About 200 GB a day, kept for two years in the cold archive. A query without a day and a service
//! is refused by the row limit long before it is done.

use std::collections::BTreeMap;

use neurolake::prelude::*;

/// Log lines of all applications and devices, one row per line.
///
/// Shipped every minute as Parquet in Hive folders. Lines that are not valid JSON are kept with
/// their text in [`Self::message`] and no [`Self::fields`]. Personal data is removed before
/// shipping; report a leak to the owner at once.
#[table(
    parquet = "s3://cold-archive/logs/app/",
    store = "cold",
    partitioning = hive,
    partition_by(service, day),
    sort_by(ts),
    owner = "devices",
    tags("logs"),
    freshness = "5m",
    example(service = "robot-control", day = "2026-02-24", level = "error")
)]
#[doc(alias = "syslog")]
#[doc(alias = "traces")]
pub struct AppLogs {
    /// Service, such as `robot-control`, `participant-app` or `implant-firmware`.
    pub service: String,
    /// UTC day of [`Self::ts`].
    pub day: Date,
    /// Time of the line, clock of the writer.
    pub ts: Timestamp,
    /// `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// Machine or implant that wrote the line.
    pub host: String,
    /// The text, without its fields.
    pub message: String,
    /// Structured fields of the line, values as text.
    pub fields: Option<BTreeMap<String, String>>,
    /// Links the lines of one request across services.
    pub trace_id: Option<String>,
}

/// One call in a stack trace.
#[derive(Columns)]
pub struct Frame {
    /// Function, demangled; `??` without symbols.
    pub function: String,
    /// Source file.
    pub file: Option<String>,
    /// Line in the file, from 1.
    pub line: Option<i32>,
}

/// Crashes of applications and firmware, one row each, with symbolized stack and core dump.
///
/// Written by the crash collector, minutes after the crash or when the device is back online.
/// A negative [`Self::exit_code`] is the signal that ended the process: -11 is an invalid memory
/// access, -6 an abort.
#[table(
    delta = "s3://lake/logs/crashes",
    sort_by(crashed_at),
    unique_by(crash_id),
    owner = "devices",
    tags("logs", "quality"),
    freshness = "15m",
    inputs(AppLogs),
    example(service = "participant-app", exit_code = -11)
)]
#[doc(alias = "core dumps")]
#[doc(alias = "panics")]
pub struct Crashes {
    /// Number of the crash.
    pub crash_id: i64,
    /// Service, as in [`AppLogs::service`].
    pub service: String,
    /// Version that crashed.
    pub version: String,
    /// When it happened, clock of the machine.
    pub crashed_at: Timestamp,
    /// Exit code; negative for signals.
    pub exit_code: i32,
    /// Hash of the top frames: equal for crashes with the same cause.
    pub fingerprint: String,
    /// Stack of the crashing thread, innermost first.
    pub stack: Vec<Frame>,
    /// Last lines of the log before the crash.
    pub log_tail: Option<Vec<String>>,
    /// Compressed core dump; dropped after 30 days.
    pub core: Option<Blob>,
}
