//! Delta Lake tables: the only room that imports deltalake.
//!
//! It knows snapshots, their files and statistics, and how a commit is made. It refuses to plan a query.
//!
//! Read in this order: [`location`] (where a table lies), [`snapshots`] (one cached snapshot per
//! table, shared by all sessions), [`snapshot`] (one version of a table), [`files`] (its files and
//! what is known about their rows), `history` (which versions there are), `fallback` (deltalake's
//! own scan), [`log`] (commits), [`commits`] (how one becomes the only one of its version),
//! [`mod@write`] (small tables for demos and tests), [`time`] (pauses and deadlines), [`error`].

pub mod atomicity;
pub mod commits;
pub mod compact;
pub mod error;
mod fallback;
pub mod files;
mod history;
pub mod lease;
pub mod location;
pub mod lock;
pub mod log;
pub mod maintenance;
pub mod snapshot;
pub mod snapshots;
pub mod time;
pub mod types;
pub mod vacuum;
pub mod write;

pub use commits::{Commits, ConditionalPut, Put};
pub use compact::{COMPACTED, CompactOptions, Compacted, compact};
pub use error::{Available, Error, Result};
pub use files::Files;
pub use lease::Lease;
pub use location::{At, Location};
pub use lock::{Arbiter, LockedCommits};
pub use log::{Change, Clock, Committed, DataFiles, FileWriter, Log, LogOptions, Transaction};
pub use maintenance::{LogKept, LogUpkeep, keep_log};
pub use neurolake_model::dead_letters;
pub use snapshot::Snapshot;
pub use snapshots::{Pace, Snapshots, Status};
pub use vacuum::{Scope, VacuumOptions, Vacuumed, vacuum};
pub use write::Writer;

/// Beginning of [`ingested_by`].
pub const INGESTED: &str = "neurolake/ingest";

/// The application of the transactions that say how far a table has taken a queue: the version is
/// the last offset whose rows the table holds. A queue that begins anew has another identity.
pub fn ingested_by(queue: &str) -> String {
    format!("{INGESTED}/{queue}")
}
