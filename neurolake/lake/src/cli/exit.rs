//! Exit codes.

use std::process::ExitCode;

use neurolake_query::Kind;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It is done.
    Done = 0,
    /// The command worked, and what it looked at is not in order, or nothing was found.
    Findings = 1,
    /// Arguments, settings or the statement are wrong.
    Usage = 2,
    /// A table is broken, or a limit was reached.
    Unanswered = 3,
    /// The machine refused: a file, a port, a thread.
    System = 4,
    /// Ctrl-C.
    Interrupted = 130,
}

/// End of `--help`.
pub(crate) const HELP: &str = "Exit codes:
  0    done
  1    something is not in order: `doctor` found broken tables, `tables` found none, rows for
       `write` don't fit, `compact` or `vacuum` failed for a table
  2    arguments, settings or the statement are wrong
  3    no answer: a table that the statement names is broken, or a limit was reached
  4    the machine refused: a file can't be read or written, a port is taken
  130  interrupted

Environment:
  NEUROLAKE_CONFIG   file of settings
  NEUROLAKE_CATALOG  `catalog.json` to use in place of the program's own tables
  NEUROLAKE_DATA     folder of data
  NEUROLAKE_LOG      what is logged to standard error, such as `info` or `neurolake_serve=debug`
  NEUROLAKE_LOG_FORMAT  `json`: an object a line
  NO_COLOR           no colours";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<Kind> for Exit {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::BadRequest | Kind::NotAllowed | Kind::Forbidden | Kind::NotFound => Self::Usage,
            Kind::TooMuch | Kind::Timeout | Kind::Broken | Kind::Internal => Self::Unanswered,
        }
    }
}
