//! Arguments of the command, apart from what they do.

use std::path::PathBuf;

use clap::{Args, ColorChoice, Parser, Subcommand, ValueEnum};

/// Reads `#[table]` declarations from Rust source and makes a catalog site of them.
///
/// Nothing is compiled, run or connected to. The workspace is found from the current folder
/// upwards; settings stand in `[workspace.metadata.neurolake]` of its `Cargo.toml`.
#[derive(Debug, Parser)]
#[command(
    name = "catalog-gen",
    version,
    propagate_version = true,
    after_help = "Exit codes:
  0  done
  1  something is not in order: `build`, `check`, `diff` or `stubs` found errors in the
     declarations, `diff --deny` found what it denies, `stubs --check` found old stubs, `search`
     found nothing
  2  the command could not run: wrong arguments, no workspace, a file that can't be read or written"
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Whether messages are coloured.
    #[arg(long, global = true, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
    pub(crate) color: ColorChoice,
    /// Say only what is wrong.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the site.
    ///
    /// Writes only files that changed, so that a second run on the same source writes none. With
    /// errors in the declarations nothing is written, unless `--keep-going` is given.
    Build(Build),
    /// Preview the site, reloading the browser as you save.
    ///
    /// Pages are rendered when they are asked for, and nothing is written. Mistakes show over the
    /// page; the tables around them stay.
    Serve(Serve),
    /// Find mistakes without writing anything.
    ///
    /// Looks for errors in declarations, dangling links, what the workspace's policy asks for, and
    /// a committed `catalog.json` that is out of date.
    Check(Check),
    /// Say what changed between two catalogs, and whether it breaks readers.
    Diff(Diff),
    /// Search tables and columns, with the ranking of the site.
    ///
    /// Words are found anywhere in names, in any order and with typos. Facets narrow it down:
    /// `db:neural owner:signals tag:phi type:delta col:ts is:ingest is:deprecated`.
    Search(Search),
    /// List tables.
    List(List),
    /// Make types for the Python client, so that editors complete databases, tables and filters.
    ///
    /// Writes a stub package; `pip install` it next to the client. With `--check` nothing is
    /// written, and stubs that are out of date end with exit code 1.
    Stubs(Stubs),
    /// Explain a diagnostic, such as `NL0006`; without a code, list them all.
    Explain(Explain),
}

/// Which source is read.
#[derive(Debug, Args)]
pub(crate) struct Source {
    /// Manifest of the workspace, or its folder.
    #[arg(long, value_name = "PATH")]
    pub(crate) manifest_path: Option<PathBuf>,
    /// Only this package; may be repeated.
    #[arg(long, short, value_name = "NAME")]
    pub(crate) package: Vec<String>,
    /// Features that are on besides the default ones, separated by commas.
    #[arg(long, short = 'F', value_name = "NAMES", value_delimiter = ',')]
    pub(crate) features: Vec<String>,
    /// All features are on.
    #[arg(long)]
    pub(crate) all_features: bool,
    /// The default features are off.
    #[arg(long)]
    pub(crate) no_default_features: bool,
}

/// How the site looks.
#[derive(Debug, Args)]
pub(crate) struct Look {
    /// Folder of page templates that replace the built-in ones.
    #[arg(long, value_name = "DIR")]
    pub(crate) templates: Option<PathBuf>,
    /// Folder of snippet templates that replace or extend the built-in ones.
    #[arg(long, value_name = "DIR")]
    pub(crate) snippets: Option<PathBuf>,
    /// Folder of Grafana templates that replace the built-in ones.
    #[arg(long, value_name = "DIR")]
    pub(crate) grafana_templates: Option<PathBuf>,
}

impl Look {
    /// The folders that are given.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &PathBuf> {
        let folders = [&self.templates, &self.snippets, &self.grafana_templates];
        folders.into_iter().flatten()
    }
}

/// How findings are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MessageFormat {
    /// As the compiler does, on standard error.
    Human,
    /// One JSON object a line, on standard output.
    Json,
    /// Annotations of GitHub Actions, on standard output.
    Github,
}

#[derive(Debug, Args)]
pub(crate) struct Build {
    #[command(flatten)]
    pub(crate) source: Source,
    #[command(flatten)]
    pub(crate) look: Look,
    /// Folder of the site [default: setting `out`, or `target/catalog`].
    #[arg(long, short, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Commit that links to source files name [default: `GITHUB_SHA` or `CI_COMMIT_SHA`, or the
    /// newest].
    #[arg(long, value_name = "HASH")]
    pub(crate) commit: Option<String>,
    /// Address of a source file, with `{repository}`, `{commit}`, `{file}` and `{line}`.
    #[arg(long, value_name = "TEMPLATE")]
    pub(crate) source_url: Option<String>,
    /// Path under which the site is mounted; only `404.html` needs to know.
    #[arg(long, value_name = "PATH", default_value = "/")]
    pub(crate) base_path: String,
    /// Earlier `catalog.json`: adds a page of changes since then.
    #[arg(long, value_name = "FILE")]
    pub(crate) since: Option<PathBuf>,
    /// Make the site of the good tables although others have errors; the exit code stays 1.
    ///
    /// The committed `catalog.json` is left alone then.
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// Say how long each phase took.
    #[arg(long, hide = true)]
    pub(crate) timings: bool,
    /// How findings are shown.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = MessageFormat::Human)]
    pub(crate) message_format: MessageFormat,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) source: Source,
    #[command(flatten)]
    pub(crate) look: Look,
    /// Address to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) bind: String,
    /// Port to listen on; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 8321)]
    pub(crate) port: u16,
    /// Earlier `catalog.json`: adds a page of changes since then.
    #[arg(long, value_name = "FILE")]
    pub(crate) since: Option<PathBuf>,
    /// Look for changes twice a second, for file systems that don't announce them.
    #[arg(long)]
    pub(crate) poll: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) source: Source,
    /// The committed `catalog.json` [default: setting `catalog-json`].
    #[arg(long, value_name = "FILE")]
    pub(crate) catalog: Option<PathBuf>,
    /// Take warnings as errors.
    #[arg(long)]
    pub(crate) deny_warnings: bool,
    /// How findings are shown.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = MessageFormat::Human)]
    pub(crate) message_format: MessageFormat,
}

/// How a difference is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DiffFormat {
    /// For a terminal.
    Text,
    /// For programs.
    Json,
    /// For a pull request.
    Markdown,
}

/// Which difference is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Deny {
    /// What may break readers.
    Breaking,
    /// Any difference.
    Any,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// Earlier `catalog.json`; `-` is standard input.
    pub(crate) old: PathBuf,
    /// Later `catalog.json` [default: the source].
    pub(crate) new: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) source: Source,
    /// How the difference is shown.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = DiffFormat::Text)]
    pub(crate) format: DiffFormat,
    /// End with exit code 1 on such a difference.
    #[arg(long, value_name = "WHAT", value_enum)]
    pub(crate) deny: Option<Deny>,
}

#[derive(Debug, Args)]
pub(crate) struct Search {
    /// Words, parts of names, facets.
    #[arg(required = true, num_args = 1..)]
    pub(crate) query: Vec<String>,
    #[command(flatten)]
    pub(crate) source: Source,
    /// Search this `catalog.json` instead of the source.
    #[arg(long, value_name = "FILE")]
    pub(crate) catalog: Option<PathBuf>,
    /// Number of hits.
    #[arg(long, short, value_name = "N", default_value_t = 10)]
    pub(crate) limit: usize,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only tables of this database, or only this `database.table`, with its columns.
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) source: Source,
    /// List this `catalog.json` instead of the source.
    #[arg(long, value_name = "FILE")]
    pub(crate) catalog: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Stubs {
    #[command(flatten)]
    pub(crate) source: Source,
    /// Make them of this `catalog.json` instead of the source; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) catalog: Option<PathBuf>,
    /// Folder of the package [default: `target/neurolake-stubs`].
    #[arg(long, short, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Write nothing; say whether the stubs are up to date.
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The code.
    pub(crate) code: Option<String>,
}
