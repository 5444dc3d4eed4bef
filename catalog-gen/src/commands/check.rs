//! `catalog-gen check`

use std::path::PathBuf;

use catalog_gen::reader::{Finding, Place, Reading};
use neurolake_declare::Code;
use neurolake_declare::diagnostic::Severity;

use super::{Failure, Outcome, Talk, read};
use crate::cli::Check;

pub(crate) fn run(arguments: &Check, talk: &Talk) -> Result<Outcome, Failure> {
    let (reader, mut reading) = read(&arguments.source)?;
    let workspace = reader.workspace();
    let committed = match (&arguments.catalog, &workspace.settings.catalog_json) {
        (Some(file), _) => Some((file.clone(), file.display().to_string())),
        (None, Some(file)) => Some((workspace.root.join(file), file.clone())),
        (None, None) => None,
    };
    if let Some((path, name)) = committed {
        reading.findings.extend(stale(&path, &name, &reading));
    }
    let least = if talk.quiet {
        Severity::Warning
    } else {
        Severity::Note
    };
    talk.findings(
        &reading.findings,
        &workspace.root,
        arguments.message_format,
        least,
    )?;
    let limit = if arguments.deny_warnings {
        Severity::Warning
    } else {
        Severity::Error
    };
    let is_bad = reading
        .findings
        .iter()
        .any(|finding| finding.severity >= limit);
    if is_bad {
        return Ok(Outcome::NotInOrder);
    }
    talk.say(&format!(
        "{} in {}: in order",
        count(reading.catalog.tables().count(), "table"),
        count(reading.catalog.databases.len(), "database"),
    ));
    Ok(Outcome::Done)
}

/// `1 table`, `2 tables`
pub(crate) fn count(number: usize, word: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {word}{plural}")
}

/// The committed catalog against the one of the source.
fn stale(path: &PathBuf, name: &str, reading: &Reading) -> Option<Finding> {
    let finding = |message: String| {
        Finding::error(Code::Stale, message, Some(Place::start_of(name)))
            .help("run `catalog-gen build` and commit the result")
    };
    match std::fs::read_to_string(path) {
        Ok(text) if text == reading.catalog.to_json() => None,
        Ok(_) => Some(finding(format!("`{name}` is not what the source says"))),
        Err(error) => Some(finding(format!("`{name}` can't be read: {error}"))),
    }
}
