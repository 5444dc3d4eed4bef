//! Diagnostics with their place in a file.

use std::sync::Arc;

use neurolake_declare::diagnostic::{Diagnostic, Severity, SpanRange};
use neurolake_declare::{Code, secret};

/// A range in a source file. Lines and columns count from 1, columns in characters; `end` is the
/// first character behind the range.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Path relative to the workspace root, with `/`.
    pub file: Arc<str>,
    /// First line.
    pub line: u32,
    /// First column.
    pub column: u32,
    /// Last line.
    pub end_line: u32,
    /// Column behind the last character.
    pub end_column: u32,
}

impl Place {
    /// The start of a file, for findings about the file itself.
    pub fn start_of(file: impl Into<Arc<str>>) -> Self {
        Self::at(file, Range::default())
    }

    pub(crate) fn at(file: impl Into<Arc<str>>, range: Range) -> Self {
        Self {
            file: file.into(),
            line: range.line,
            column: range.column,
            end_line: range.end_line,
            end_column: range.end_column,
        }
    }
}

/// A place without its file: what a scan of one file can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) end_line: u32,
    pub(crate) end_column: u32,
}

impl Default for Range {
    fn default() -> Self {
        Self {
            line: 1,
            column: 1,
            end_line: 1,
            end_column: 1,
        }
    }
}

impl From<SpanRange> for Range {
    fn from(span: SpanRange) -> Self {
        let start = span.start.start();
        let end = span.end.end();
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        Self {
            line: number(start.line),
            column: number(start.column + 1),
            end_line: number(end.line),
            end_column: number(end.column + 1),
        }
    }
}

/// One finding of the reader, ready to be shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Which rule.
    pub code: Code,
    /// What it means for the exit code.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// Where. `None` where no file is to blame.
    pub place: Option<Place>,
    /// Other places, each with what it shows.
    pub related: Vec<(Place, String)>,
    /// What to do, one line each.
    pub help: Vec<String>,
    /// Text that would be right at `place`.
    pub replacement: Option<String>,
}

impl Finding {
    /// An error.
    pub fn error(code: Code, message: impl Into<String>, place: Option<Place>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            place,
            related: Vec::new(),
            help: Vec::new(),
            replacement: None,
        }
    }

    /// The same as a warning or a note.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Adds a line of help.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Takes away the text of a finding that would repeat a credential.
    pub(crate) fn redact(&mut self) {
        let labels = self.related.iter().map(|(_, label)| label);
        let texts = [&self.message].into_iter().chain(&self.help).chain(labels);
        let secret = texts
            .chain(&self.replacement)
            .find_map(|text| secret::find(text));
        if let Some(secret) = secret {
            self.code = Code::Secret;
            self.message = format!("the source holds {secret}");
            self.help = vec!["remove it, and revoke it: it is in your version control".into()];
            self.replacement = None;
            self.related.clear();
        }
    }

    /// Adds another place.
    #[must_use]
    pub fn related(mut self, place: Place, label: impl Into<String>) -> Self {
        self.related.push((place, label.into()));
        self
    }
}

/// A finding of [`scan`](super::scan): it doesn't know the file's name yet.
#[derive(Debug, Clone)]
pub(crate) struct LocalFinding {
    pub(crate) diagnostic: Finding,
    pub(crate) range: Range,
}

impl LocalFinding {
    pub(crate) fn new(code: Code, message: impl Into<String>, range: Range) -> Self {
        Self {
            diagnostic: Finding::error(code, message, None),
            range,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.diagnostic.help.push(help.into());
        self
    }

    pub(crate) fn in_file(&self, file: &Arc<str>) -> Finding {
        let mut finding = self.diagnostic.clone();
        finding.place = Some(Place::at(file.clone(), self.range));
        finding
    }
}

impl From<Diagnostic> for LocalFinding {
    fn from(diagnostic: Diagnostic) -> Self {
        let range = diagnostic.span.into();
        let mut finding = Finding::error(diagnostic.code, diagnostic.message, None);
        finding.help = diagnostic.help;
        finding.replacement = diagnostic.replacement;
        Self {
            diagnostic: finding,
            range,
        }
    }
}
