//! Small files into large ones, old files away: beside the server, or as `compact` and `vacuum`.

use std::fmt::Write;
use std::time::Duration;

use futures::future::join_all;
use indicatif::HumanBytes;
use neurolake_delta::compact::{CompactOptions, Compacted, compact};
use neurolake_delta::lease::Lease;
use neurolake_delta::maintenance::{LogUpkeep, keep_log};
use neurolake_delta::vacuum::{Scope, VacuumOptions, vacuum};
use neurolake_delta::{Error, Location, LogOptions};
use neurolake_ingest::queue::Stream;
use neurolake_ingest::writer::{Candidate, causes};
use neurolake_ingest::{Ingest, dead_letters};
use neurolake_model::Catalog;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use super::arguments::{Compact, ReportFormat, Vacuum};
use super::config::Maintenance;
use super::exit::Exit;
use super::failure::Failure;
use super::ingest::persist;
use super::query::count;
use super::talk::{json, print};
use super::{Context, Outcome, listen, open};

/// When the first vacuum comes at the latest.
const FIRST_VACUUM: Duration = Duration::from_mins(10);
/// Whoever holds the lease of it maintains the table.
const ROLE: &str = "maintenance";

/// Keeps the tables that take events small and quick, one at a time. Where other processes could do
/// that as well, this one is a candidate among them.
pub(super) async fn keep(ingest: Ingest, settings: Maintenance, candidate: Option<Candidate>) {
    let streams: Vec<Stream> = ingest.streams().map(|(stream, _)| stream.clone()).collect();
    // Rewriting takes memory.
    let turn = Semaphore::new(1);
    let (ingest, settings, candidate, turn) = (&ingest, &settings, &candidate, &turn);
    let keep = |stream| async move {
        let Ok(location) = ingest.locate(stream) else {
            return;
        };
        loop {
            let lease = match candidate {
                Some(candidate) => Some(lease(ingest, stream, &location, candidate).await),
                None => None,
            };
            keep_one(stream, &location, settings, lease.as_ref(), turn).await;
        }
    };
    let persist = |stream| persist("maintenance", move || keep(stream));
    join_all(streams.iter().map(persist)).await;
}

async fn lease(
    ingest: &Ingest,
    stream: &Stream,
    location: &Location,
    candidate: &Candidate,
) -> Lease {
    loop {
        // As long as nothing has come there is nothing to maintain.
        if ingest
            .bounds(stream)
            .await
            .is_ok_and(|bounds| bounds.last > 0)
        {
            match Lease::acquire(location, ROLE, &candidate.who, candidate.terms).await {
                Ok(lease) => return lease,
                Err(error) => tracing::warn!(
                    table = %stream,
                    error = causes(&error),
                    "no lease for maintenance"
                ),
            }
        }
        sleep(candidate.terms.time_to_live).await;
    }
}

/// Returns when the lease is lost.
async fn keep_one(
    stream: &Stream,
    location: &Location,
    settings: &Maintenance,
    lease: Option<&Lease>,
    turn: &Semaphore,
) {
    let places = [location.clone(), dead_letters::location(location)];
    let (compaction, upkeep, vacuuming) =
        (compaction(settings), upkeep(settings), vacuuming(settings));
    // A process that is started anew each day vacuums as well.
    let first = |every: Duration| Instant::now() + every.min(FIRST_VACUUM);
    let mut vacuum_at = settings.vacuum_every.map(first);
    loop {
        sleep(settings.compact_every).await;
        if lease.is_some_and(|lease| !lease.is_held()) {
            return;
        }
        let vacuums = vacuum_at.is_some_and(|at| Instant::now() >= at);
        let _turn = turn.acquire().await;
        for place in &places {
            // One of them may fail without the others.
            let compacted = compact(place, &compaction).await.map(drop);
            let kept = keep_log(place, &upkeep).await.map(drop);
            let vacuumed = match vacuums {
                true => vacuum(place, &vacuuming).await.map(drop),
                false => Ok(()),
            };
            for done in [compacted, kept, vacuumed] {
                match done {
                    // Nothing was sent to it yet.
                    Ok(()) | Err(Error::NotATable { .. }) => {}
                    Err(error) => {
                        tracing::warn!(table = %stream, error = causes(&error), "maintenance failed");
                    }
                }
            }
        }
        if vacuums {
            vacuum_at = settings.vacuum_every.map(|every| Instant::now() + every);
        }
    }
}

fn compaction(settings: &Maintenance) -> CompactOptions {
    CompactOptions {
        target_bytes: settings.target_bytes,
        ..CompactOptions::default()
    }
}

fn upkeep(settings: &Maintenance) -> LogUpkeep {
    LogUpkeep {
        checkpoint_every: settings.checkpoint_every,
        retention: settings.keep_log,
        clock: LogOptions::default().clock,
    }
}

fn vacuuming(settings: &Maintenance) -> VacuumOptions {
    VacuumOptions {
        retention: settings.keep_files,
        scope: Scope::Everything,
        clock: LogOptions::default().clock,
        ..VacuumOptions::default()
    }
}

/// What became of one table.
#[derive(Debug, Default, Serialize)]
struct Report {
    table: String,
    /// Files that went, or would go.
    files_removed: usize,
    /// Files that came in their place.
    files_added: usize,
    /// Size of the files that went.
    bytes_removed: u64,
    /// Size of the files that came.
    bytes_added: u64,
    /// Files that could not be rewritten, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_alone: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// `compact`
pub(super) async fn run_compact(context: &Context<'_>, arguments: &Compact) -> Outcome {
    let settings = Maintenance {
        target_bytes: arguments
            .target
            .unwrap_or(context.config.maintenance.target_bytes),
        ..context.config.maintenance.clone()
    };
    let pass = async |table: String, location: Location| {
        let done = async {
            let options = CompactOptions {
                // Nobody waits for a minute here, and nothing that is older is settled later.
                settle: Duration::ZERO,
                ..compaction(&settings)
            };
            let done = compact(&location, &options).await?;
            keep_log(&location, &upkeep(&settings)).await?;
            Ok(done)
        };
        Report::of(table, done.await.map(Report::from))
    };
    repeat(
        context,
        &arguments.tables,
        arguments.every,
        arguments.format,
        "rewritten",
        pass,
    )
    .await
}

/// `vacuum`
pub(super) async fn run_vacuum(context: &Context<'_>, arguments: &Vacuum) -> Outcome {
    let settings = &context.config.maintenance;
    let options = VacuumOptions {
        retention: arguments.keep.unwrap_or(settings.keep_files),
        dry_run: arguments.dry_run,
        ..vacuuming(settings)
    };
    let word = match arguments.dry_run {
        true => "to delete",
        false => "deleted",
    };
    let pass = async |table: String, location: Location| {
        let done = vacuum(&location, &options).await.map(|done| Report {
            files_removed: done.files.len(),
            bytes_removed: done.bytes,
            ..Report::default()
        });
        Report::of(table, done)
    };
    repeat(
        context,
        &arguments.tables,
        arguments.every,
        arguments.format,
        word,
        pass,
    )
    .await
}

/// Goes over the tables once, or again and again until it is asked to end.
async fn repeat(
    context: &Context<'_>,
    names: &[String],
    every: Option<Duration>,
    format: ReportFormat,
    word: &str,
    mut pass: impl AsyncFnMut(String, Location) -> Report,
) -> Outcome {
    let catalog = open::catalog(context)?;
    let tables = tables(&catalog, names)?;
    let lake = open::lake_with(context, catalog, None, None)?;
    let mut located = Vec::new();
    for (database, table) in tables {
        let location = lake.engine().location(&database, &table)?;
        located.push((format!("{database}.{table}"), location));
    }
    let mut end = Box::pin(listen::asked_to_end()?);
    loop {
        let mut is_good = true;
        for (name, location) in &located {
            // Both can be left at any line.
            let report = tokio::select! {
                report = pass(name.clone(), location.clone()) => report,
                () = &mut end => return Ok(ended(every)),
            };
            is_good &= report.error.is_none();
            report.print(format, word)?;
        }
        let Some(every) = every else {
            return Ok(match is_good {
                true => Exit::Done,
                false => Exit::Findings,
            });
        };
        tokio::select! {
            () = sleep(every) => {}
            () = &mut end => return Ok(Exit::Done),
        }
    }
}

/// What runs for ever is meant to be ended.
fn ended(every: Option<Duration>) -> Exit {
    match every {
        Some(_) => Exit::Done,
        None => Exit::Interrupted,
    }
}

/// Those that are named, or those that take events.
fn tables(catalog: &Catalog, names: &[String]) -> Result<Vec<(String, String)>, Failure> {
    if names.is_empty() {
        let taking = catalog.tables().filter(|(_, table)| table.ingest);
        return Ok(taking
            .map(|(database, table)| (database.name.clone(), table.name.clone()))
            .collect());
    }
    let mut found = Vec::new();
    for name in names {
        let (database, table) = open::find_delta(catalog, name)?;
        found.push((database.name.clone(), table.name.clone()));
    }
    Ok(found)
}

impl From<Compacted> for Report {
    fn from(done: Compacted) -> Self {
        let left = done.left_alone.into_iter();
        Self {
            files_removed: done.files_removed,
            files_added: done.files_added,
            bytes_removed: done.bytes_read,
            bytes_added: done.bytes_written,
            left_alone: left
                .map(|left| format!("{}: {}", count(left.files, "file"), left.reason))
                .collect(),
            ..Self::default()
        }
    }
}

impl Report {
    fn of(table: String, done: Result<Self, Error>) -> Self {
        let (done, error) = match done {
            Ok(done) => (done, None),
            // Nothing was written to it yet.
            Err(Error::NotATable { .. }) => (Self::default(), None),
            Err(error) => (Self::default(), Some(causes(&error))),
        };
        Self {
            table,
            error,
            ..done
        }
    }

    fn print(&self, format: ReportFormat, word: &str) -> Result<(), Failure> {
        match format {
            ReportFormat::Text => print(&self.text(word)),
            ReportFormat::Json => print(&json(self)?),
        }
    }

    fn text(&self, word: &str) -> String {
        let mut text = format!("{}: ", self.table);
        if let Some(error) = &self.error {
            let _ = write!(text, "failed: {error}");
        } else {
            let files = count(self.files_removed, "file");
            let _ = write!(text, "{files} {word}, {}", HumanBytes(self.bytes_removed));
            if self.files_added > 0 {
                let files = count(self.files_added, "file");
                let _ = write!(text, ", into {files}, {}", HumanBytes(self.bytes_added));
            }
        }
        for left in &self.left_alone {
            let _ = write!(text, "\n  left alone: {left}");
        }
        text.push('\n');
        text
    }
}
