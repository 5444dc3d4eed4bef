//! What the command does. Data goes to standard output, talk to standard error.

mod build;
mod check;
mod diff;
mod explain;
mod http;
mod list;
mod search;
mod serve;
mod state;
mod stubs;
mod watch;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use catalog_gen::output::OutputError;
use catalog_gen::reader::{Finding, ReadOptions, Reader, Reading, WorkspaceError};
use catalog_gen::report::{self, Reporter};
use catalog_gen::site::SiteError;
use catalog_gen::snippets::SnippetError;
use clap::ColorChoice;
use neurolake_declare::diagnostic::Severity;
use neurolake_model::{Catalog, LoadError};

use crate::cli::{Cli, Command, MessageFormat, Source};

/// How a command ended that could run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Exit code 0.
    Done,
    /// Exit code 1.
    NotInOrder,
}

/// Why a command could not run: exit code 2.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error(transparent)]
    Site(#[from] SiteError),
    #[error(transparent)]
    Snippet(#[from] SnippetError),
    #[error("can't read `{}`: {error}", .path.display())]
    Read { path: PathBuf, error: io::Error },
    #[error("can't load `{}`: {error}", .path.display())]
    Load { path: PathBuf, error: LoadError },
    #[error("can't listen on {address}: {error}")]
    Listen { address: String, error: io::Error },
    #[error("can't watch for changes: {0}")]
    Watch(#[from] notify::Error),
    #[error("unknown {what} `{name}`")]
    Unknown {
        what: &'static str,
        name: String,
        near: Option<String>,
    },
    #[error("can't write to standard output: {0}")]
    Print(io::Error),
    /// The reader of our output went away, as `head` does.
    #[error("standard output was closed")]
    Closed,
}

impl Failure {
    /// What happened, and below it why.
    fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            text.push_str("\n  caused by: ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        text
    }

    /// What to do about it.
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Workspace(WorkspaceError::NoWorkspace(_)) => {
                "run it in a Cargo workspace, or name one with `--manifest-path`".into()
            }
            Self::Workspace(WorkspaceError::UnknownPackage { name, known }) => {
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                match neurolake_declare::names::nearest(name, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("the workspace has {}", known.join(", ")),
                }
            }
            Self::Output(OutputError::NotOurs(_)) => {
                "choose an empty or new folder with `--out`, or empty this one yourself".into()
            }
            Self::Listen { .. } => {
                "choose another port with `--port`, or a free one with `--port 0`".into()
            }
            Self::Watch(_) => "try `--poll`".into(),
            Self::Unknown {
                near: Some(near), ..
            } => format!("did you mean `{near}`?"),
            _ => return None,
        })
    }
}

/// Runs the command and gives its exit code.
pub(crate) fn run(cli: Cli) -> ExitCode {
    let talk = Talk {
        quiet: cli.quiet,
        colors: match cli.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
            }
        },
    };
    let outcome = match cli.command {
        Command::Build(arguments) => build::run(&arguments, &talk),
        Command::Serve(arguments) => serve::run(&arguments, &talk),
        Command::Check(arguments) => check::run(&arguments, &talk),
        Command::Diff(arguments) => diff::run(&arguments, &talk),
        Command::Search(arguments) => search::run(&arguments, &talk),
        Command::List(arguments) => list::run(&arguments, &talk),
        Command::Stubs(arguments) => stubs::run(&arguments, &talk),
        Command::Explain(arguments) => explain::run(&arguments),
    };
    match outcome {
        Ok(Outcome::Done) | Err(Failure::Closed) => ExitCode::SUCCESS,
        Ok(Outcome::NotInOrder) => ExitCode::from(1),
        Err(failure) => {
            talk.failure(&failure);
            ExitCode::from(2)
        }
    }
}

/// Standard error.
pub(crate) struct Talk {
    pub(crate) quiet: bool,
    pub(crate) colors: bool,
}

impl Talk {
    /// A line about what was done.
    pub(crate) fn say(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// Progress of long work on a terminal, on one line that the next one overwrites.
    pub(crate) fn progress(&self, text: &str) {
        if !self.quiet && io::stderr().is_terminal() {
            let _ = write!(io::stderr(), "\r\x1b[2K{text}");
            let _ = io::stderr().flush();
        }
    }

    fn failure(&self, failure: &Failure) {
        let mut text = failure.with_causes();
        if let Some(hint) = failure.hint() {
            text.push_str("\nhint: ");
            text.push_str(&hint);
        }
        self.error(&text);
    }

    /// What is wrong.
    pub(crate) fn error(&self, text: &str) {
        let error = if self.colors {
            "\x1b[1;31merror\x1b[0m"
        } else {
            "error"
        };
        let _ = writeln!(io::stderr(), "{error}: {text}");
    }

    /// Shows findings from `least` upwards, and a line that counts them.
    pub(crate) fn findings(
        &self,
        findings: &[Finding],
        root: &Path,
        format: MessageFormat,
        least: Severity,
    ) -> Result<(), Failure> {
        let mut reporter = Reporter::new(root, self.colors);
        let shown = findings.iter().filter(|finding| finding.severity >= least);
        for finding in shown {
            match format {
                MessageFormat::Human => {
                    let _ = writeln!(io::stderr(), "{}\n", reporter.human(finding));
                }
                MessageFormat::Json => print(&report::json(finding).to_string())?,
                MessageFormat::Github => print(&report::github(finding))?,
            }
        }
        let count = |severity| findings.iter().filter(|f| f.severity == severity).count();
        let errors = count(Severity::Error);
        let warnings = count(Severity::Warning);
        if errors + warnings > 0 {
            let parts: Vec<String> = [(errors, "error"), (warnings, "warning")]
                .into_iter()
                .filter(|(number, _)| *number > 0)
                .map(|(number, word)| check::count(number, word))
                .collect();
            let _ = writeln!(io::stderr(), "{}", parts.join(", "));
            if let Some(first) = findings.iter().find(|f| f.severity == Severity::Error) {
                self.say(&format!(
                    "hint: `catalog-gen explain {}` says more",
                    first.code
                ));
            }
        }
        Ok(())
    }
}

/// A line of data.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    writeln!(io::stdout(), "{text}").map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Closed,
        _ => Failure::Print(error),
    })
}

pub(crate) fn read_options(source: &Source) -> ReadOptions {
    ReadOptions {
        manifest_path: source.manifest_path.clone(),
        packages: source.package.clone(),
        features: source.features.clone(),
        all_features: source.all_features,
        no_default_features: source.no_default_features,
        declared: false,
    }
}

/// Opens and reads a workspace.
pub(crate) fn read(source: &Source) -> Result<(Reader, Reading), Failure> {
    let mut reader = Reader::open(read_options(source))?;
    let reading = reader.read(false);
    Ok((reader, reading))
}

/// Reads the source and shows its errors to people.
pub(crate) fn read_aloud(source: &Source, talk: &Talk) -> Result<(Reader, Reading), Failure> {
    let (reader, reading) = read(source)?;
    talk.findings(
        &reading.findings,
        &reader.workspace().root,
        MessageFormat::Human,
        Severity::Error,
    )?;
    Ok((reader, reading))
}

/// Loads a `catalog.json`.
pub(crate) fn load(path: &Path) -> Result<Catalog, Failure> {
    let text = if path == Path::new("-") {
        io::read_to_string(io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.map_err(|error| Failure::Read {
        path: path.to_owned(),
        error,
    })?;
    Catalog::from_json(&text).map_err(|error| Failure::Load {
        path: path.to_owned(),
        error,
    })
}

/// The catalog of a file, or of the source with its errors shown.
pub(crate) fn catalog(
    file: Option<&Path>,
    source: &Source,
    talk: &Talk,
) -> Result<Catalog, Failure> {
    if let Some(file) = file {
        return load(file);
    }
    let (_, reading) = read_aloud(source, talk)?;
    Ok(reading.catalog)
}
