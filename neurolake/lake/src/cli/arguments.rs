//! Arguments of the command, apart from what they do.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ColorChoice, Parser, Subcommand, ValueEnum};

use super::{exit, simulate};
use crate::Timestamp;

/// Every declared table as a lazy data frame: on a laptop, with the code of production.
///
/// Tables come from the program itself, or from a `catalog.json` (`--catalog`). Where data lies is
/// said in `neurolake.toml`, which is found from the current folder upwards; without it, data lies
/// in the folder `.neurolake`.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, after_help = exit::HELP)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// File of settings [default: NEUROLAKE_CONFIG, or `neurolake.toml` here or in a folder above].
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Tables of this `catalog.json` [default: NEUROLAKE_CATALOG, or those of the program].
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) catalog: Option<PathBuf>,
    /// Folder of data and of what `up` writes [default: NEUROLAKE_DATA, or `.neurolake`].
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Whether messages are coloured.
    #[arg(long, global = true, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
    pub(crate) color: ColorChoice,
    /// Say only what is wrong.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve everything: the catalog's site, every door for queries, and ingestion.
    ///
    /// One process. Prints where everything is, and writes it to `endpoints.json` in the folder of
    /// data; the file is gone when the process is. Ctrl-C ends it.
    Up(Up),
    /// Answer queries, and nothing else.
    ///
    /// For production: it takes no events, writes no file, and needs nothing that it would share with
    /// others, so any number may run behind a balancer. A hangup signal (`kill -HUP`) lets it read
    /// accounts and roles again. Ctrl-C ends it.
    Serve(Serve),
    /// Ask in SQL; tables are named `database.table`.
    Query(Query),
    /// List tables.
    Tables(Tables),
    /// Say everything about a table.
    Describe(Describe),
    /// Open every table and report what is broken.
    Doctor(Doctor),
    /// Make up data, so that every table can be tried.
    Demo(Demo),
    /// Send made-up events to a running server, as live sessions would.
    ///
    /// Ends after `--duration`, or on Ctrl-C; sends then what it has made and says how many rows
    /// the server took. While the server is down it waits.
    Simulate(Simulate),
    /// Add the rows of files to a Delta table, in one commit, once for each job.
    ///
    /// Every row is checked against the declaration first; if one doesn't fit, nothing is written.
    /// The table is made if it isn't there. A job that was written already is not written again,
    /// so that a scheduler may repeat it.
    Write(Write),
    /// Take events from a broker to their tables.
    ///
    /// For production, where servers run with `ingest.writer = false`. Any number may run: for each
    /// table one writes at a time, and another follows when it is gone. Ctrl-C ends it.
    Writer(Writer),
    /// Rewrite small files of Delta tables into larger ones, and keep their logs short.
    ///
    /// May run at any time, also beside writers and other compactions; readers see the same rows
    /// throughout. Servers do this by themselves for tables that take events.
    Compact(Compact),
    /// Delete files that no version of a Delta table needs any more.
    Vacuum(Vacuum),
    /// Print the settings in force, or all there are.
    Config(ShowConfig),
}

/// Where the doors listen.
#[derive(Debug, Args)]
pub(crate) struct Listen {
    /// Address to listen on; port 0 takes a free one [default: setting `http.listen`, or
    /// 127.0.0.1:8080].
    ///
    /// An address of a network needs accounts: see `[accounts.NAME]` in `config --reference`.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) http: Option<String>,
    /// Address for clients of PostgreSQL; port 0 takes a free one, `none` answers none [default:
    /// setting `pg.listen`, or 127.0.0.1:6543 if that is free].
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) pg: Option<String>,
    /// Address for clients of Arrow Flight SQL; port 0 takes a free one, `none` answers none
    /// [default: setting `flight.listen`, or 127.0.0.1:32010 if that is free].
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) flight: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) listen: Listen,
    /// Let the program's simulator send events, so that there is something new to see.
    #[arg(long)]
    pub(crate) simulate: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) listen: Listen,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum QueryFormat {
    /// For people.
    Table,
    /// An array of objects.
    Json,
    /// One object a line.
    Ndjson,
    /// With a header.
    Csv,
    /// Arrow IPC stream.
    Arrow,
    /// A Parquet file.
    Parquet,
}

#[derive(Debug, Args)]
pub(crate) struct Query {
    /// The statement; `-` reads it from standard input.
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    pub(crate) sql: Option<String>,
    /// Read the statement from a file.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Value of `$NAME` (or of `$1`) in the statement; may be repeated.
    ///
    /// `7`, `0.5`, `true` and `null` are what they look like, everything else is text; quotes
    /// (`id="7"`) make a text of a number.
    #[arg(long, short, value_name = "NAME=VALUE")]
    pub(crate) param: Vec<String>,
    /// How rows are written [default: by the name of `--output`; `table` on a terminal, else `csv`].
    #[arg(long, short, value_name = "FORMAT", value_enum)]
    pub(crate) format: Option<QueryFormat>,
    /// Write to this file, which appears when it is complete.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Rows that `table` shows at most; 0 shows all.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) rows: usize,
}

/// Text or JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Tables {
    /// Part of a name, or a pattern with `*`.
    pub(crate) pattern: Option<String>,
    /// How tables are listed.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = ReportFormat::Text)]
    pub(crate) format: ReportFormat,
}

#[derive(Debug, Args)]
pub(crate) struct Describe {
    /// The table, as `database.table`.
    pub(crate) table: String,
    /// How it is described; `json` is its part of `catalog.json`.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = ReportFormat::Text)]
    pub(crate) format: ReportFormat,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Only these tables, as `database.table`.
    pub(crate) tables: Vec<String>,
    /// How findings are shown.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = ReportFormat::Text)]
    pub(crate) format: ReportFormat,
    /// Prove for each bucket that of several writers of the same version one wins, which all Delta
    /// tables rest on. Writes and deletes about a thousand small objects in each; where the store has
    /// a `lock`, twenty, and makes the lock's table if there is none.
    #[arg(long, conflicts_with = "tables")]
    pub(crate) prove_commits: bool,
    /// Seconds that one table may take to open.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) patience: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// How much: 1 is for a laptop, 10 is ten times as much.
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    pub(crate) size: f64,
    /// Another seed gives other values; the same seed and size give the same.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Make up again what is there already; changes to it are lost.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// Address of the server [default: the one that serves the folder of data, or
    /// http://127.0.0.1:8080].
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Another seed gives other values; the same seed, start and settings give the same.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Simulated seconds in a second; `max` sends as fast as the server takes it.
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = simulate::speed)]
    pub(crate) speed: f64,
    /// Channels of an implant.
    #[arg(long, value_name = "N", default_value_t = 1_024)]
    pub(crate) channels: usize,
    /// Rows of signals a second and implant [default: one every 15 ms].
    #[arg(long, value_name = "HZ", default_value_t = 1_000.0 / 15.0, hide_default_value = true)]
    pub(crate) rate: f64,
    /// Implants that record at the same time.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) participants: usize,
    /// How long, in simulated time: `90s`, `5m`, `1h` [default: until Ctrl-C].
    #[arg(long, value_name = "TIME", value_parser = simulate::duration)]
    pub(crate) duration: Option<Duration>,
    /// The simulated time at which it begins, such as `2026-03-01T09:30:00Z` [default: now].
    #[arg(long, value_name = "TIME")]
    pub(crate) start: Option<Timestamp>,
    /// How the totals are shown in the end.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = ReportFormat::Text)]
    pub(crate) format: ReportFormat,
}

/// How files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FileForm {
    /// Parquet.
    Parquet,
    /// With a header; empty cells are null.
    Csv,
    /// An object, or an array of objects.
    Json,
    /// An object a line.
    Ndjson,
    /// Arrow IPC, file or stream.
    Arrow,
}

#[derive(Debug, Args)]
pub(crate) struct Write {
    /// The table, as `database.table`.
    pub(crate) table: String,
    /// Files with its rows; columns are found by name.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Name of the job, of which the table remembers that it was written [default: made of the
    /// files' contents].
    #[arg(long, value_name = "NAME")]
    pub(crate) job: Option<String>,
    /// How the files are read [default: by their names].
    #[arg(long, value_name = "FORM", value_enum)]
    pub(crate) form: Option<FileForm>,
    /// Only check the rows.
    #[arg(long)]
    pub(crate) check: bool,
    /// How it is reported.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = ReportFormat::Text)]
    pub(crate) format: ReportFormat,
}

#[derive(Debug, Args)]
pub(crate) struct Writer {
    /// Serve `/metrics`, `/health` and `/ready` at this address.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) http: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Compact {
    /// Only these tables, as `database.table` [default: all that take events].
    pub(crate) tables: Vec<String>,
    /// Size of a file that is large enough, such as `128MiB` [default: setting
    /// `maintenance.target_bytes`].
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) target: Option<u64>,
    /// Go on, and do it again after this time, such as `1m`.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) every: Option<Duration>,
    /// How it is reported, a line for each table.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = ReportFormat::Text)]
    pub(crate) format: ReportFormat,
}

#[derive(Debug, Args)]
pub(crate) struct Vacuum {
    /// Only these tables, as `database.table` [default: all that take events].
    pub(crate) tables: Vec<String>,
    /// Keep what a version needed within this time, such as `72h`; at least an hour [default:
    /// setting `maintenance.keep_files`].
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) keep: Option<Duration>,
    /// Only say what would be deleted.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Go on, and do it again after this time, such as `24h`.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) every: Option<Duration>,
    /// How it is reported, a line for each table.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = ReportFormat::Text)]
    pub(crate) format: ReportFormat,
}

/// As in settings.
fn time(text: &str) -> Result<Duration, String> {
    let time = super::config::duration(text).filter(|time| *time > Duration::ZERO);
    time.ok_or_else(|| "expected a time, such as 30s, 5m or 24h".to_owned())
}

fn size(text: &str) -> Result<u64, String> {
    let bytes = super::config::bytes(text).filter(|bytes| *bytes > 0);
    let bytes = bytes.ok_or("expected a size, such as 128MiB")?;
    Ok(bytes as u64)
}

#[derive(Debug, Args)]
pub(crate) struct ShowConfig {
    /// Print every setting and environment variable there is, as a file with explanations.
    #[arg(long)]
    pub(crate) reference: bool,
}
