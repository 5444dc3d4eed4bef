//! Why a command could not do its work.

use std::fmt;
use std::io;
use std::path::Path;

use super::exit::Exit;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A failed command, for the person who ran it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// Lower case, no final stop.
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    cause: Option<Cause>,
    /// Nobody is there to read it.
    pub(crate) is_silent: bool,
}

impl Failure {
    fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hint: None,
            cause: None,
            is_silent: false,
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The command worked, and what it looked at is not in order.
    pub(crate) fn finding(message: impl Into<String>) -> Self {
        Self::new(Exit::Findings, message)
    }

    pub(crate) fn system(message: impl Into<String>) -> Self {
        Self::new(Exit::System, message)
    }

    pub(crate) fn unanswered(message: impl Into<String>) -> Self {
        Self::new(Exit::Unanswered, message)
    }

    pub(crate) fn read(path: &Path, error: io::Error) -> Self {
        Self::system(format!("can't read `{}`", path.display())).caused_by(error)
    }

    pub(crate) fn write(path: &Path, error: io::Error) -> Self {
        Self::system(format!("can't write `{}`", path.display())).caused_by(error)
    }

    /// Standard output failed; when its reader is gone, as `head` is, nobody wants to hear of it.
    pub(crate) fn print(error: io::Error) -> Self {
        let is_silent = error.kind() == io::ErrorKind::BrokenPipe;
        let mut failure = Self::system("can't write to standard output").caused_by(error);
        if is_silent {
            failure.is_silent = true;
            failure.exit = Exit::Done;
        }
        failure
    }

    pub(crate) fn interrupted() -> Self {
        let mut failure = Self::new(Exit::Interrupted, "interrupted");
        failure.is_silent = true;
        failure
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn caused_by(mut self, cause: impl Into<Cause>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// What happened, and below it why.
    pub(crate) fn with_causes(&self) -> String {
        let mut text = self.message.clone();
        let cause: Option<&dyn std::error::Error> = match &self.cause {
            Some(cause) => Some(&**cause),
            None => None,
        };
        let mut last = self.message.clone();
        for cause in std::iter::successors(cause, |cause| cause.source()) {
            let line = cause.to_string();
            // Wrappers often repeat what they wrap.
            if !last.contains(&line) {
                text.push_str("\n  caused by: ");
                text.push_str(&line);
                last = line;
            }
        }
        text
    }
}

impl From<neurolake_query::Error> for Failure {
    fn from(error: neurolake_query::Error) -> Self {
        let mut failure = Self::new(error.kind.into(), error.message);
        failure.hint = error.hint;
        failure.cause = error.source;
        failure
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
