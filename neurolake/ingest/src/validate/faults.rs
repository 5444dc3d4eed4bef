//! What is wrong with rows.

use serde::Serialize;

use super::{Invalid, REPORTED_ERRORS, Unreadable};
use crate::entry::DeadLetter;

/// Faults of one row that are told; a row with more says how many.
const TOLD: usize = 20;
/// Characters of a value that are quoted.
const QUOTED: usize = 40;

/// Why a row doesn't fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RowError {
    /// Its number in the body, counted from 0. None where all rows are meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<usize>,
    /// Its line in the body, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The value, such as `target.x`, `band_power[3]`, `attributes["k"]`. Empty: the row itself.
    pub path: String,
    /// What was expected, what was found.
    pub message: String,
}

/// Faults of the row at hand.
#[derive(Debug, Default)]
pub(super) struct Faults {
    list: Vec<(String, String)>,
    untold: usize,
}

impl Faults {
    /// Notes a fault of the value at hand.
    pub(super) fn note(&mut self, message: impl FnOnce() -> String) {
        self.note_at(String::new, message);
    }

    /// Notes a fault of a part of the value at hand.
    pub(super) fn note_at(
        &mut self,
        path: impl FnOnce() -> String,
        message: impl FnOnce() -> String,
    ) {
        if self.list.len() < TOLD {
            self.list.push((path(), message()));
        } else {
            self.untold += 1;
        }
    }

    /// How many are told so far; for [`Faults::within`].
    pub(super) fn mark(&self) -> usize {
        self.list.len()
    }

    /// Says where the values lie whose faults were noted since `mark`. Paths are put together only
    /// for rows that have faults.
    pub(super) fn within(&mut self, mark: usize, step: impl Fn() -> String) {
        for (path, _) in &mut self.list[mark..] {
            path.insert_str(0, &step());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// The step from an object to its field.
pub(super) fn field(name: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || c == '_';
    if !name.is_empty() && name.chars().all(is_plain) {
        format!(".{}", shortened(name))
    } else {
        key(name)
    }
}

/// The step from a map to a value.
pub(super) fn key(key: &str) -> String {
    format!("[{:?}]", shortened(key))
}

/// The step from a list to an element.
pub(super) fn element(index: usize) -> String {
    format!("[{index}]")
}

/// The text, or its beginning.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(QUOTED) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}

/// What becomes of the rows of a body.
#[derive(Debug)]
pub(super) struct Fate {
    invalid: Invalid,
    pub(super) errors: Vec<RowError>,
    pub(super) dead: Vec<DeadLetter>,
    pub(super) rejected: usize,
    /// Which of the rows so far fit. Empty as long as all do.
    keep: Vec<bool>,
    rows: usize,
    is_syntax: bool,
    memory_bytes: usize,
    /// What dead letters take: a body of short rows with long reasons would fill the memory.
    dead_bytes: usize,
}

impl Fate {
    pub(super) fn new(invalid: Invalid, memory_bytes: usize) -> Self {
        Self {
            invalid,
            errors: Vec::new(),
            dead: Vec::new(),
            rejected: 0,
            keep: Vec::new(),
            rows: 0,
            is_syntax: false,
            memory_bytes,
            dead_bytes: 0,
        }
    }

    /// Whether a fault has to be told to anyone.
    pub(super) fn is_told(&self) -> bool {
        self.invalid == Invalid::Quarantine || self.errors.len() < REPORTED_ERRORS
    }

    /// Counts a row that fits.
    pub(super) fn good(&mut self) {
        self.rows += 1;
        if !self.keep.is_empty() {
            self.keep.push(true);
        }
    }

    /// Judges a row by its faults, which are taken.
    ///
    /// # Errors
    /// As many as an answer lists are found, and nothing will be kept.
    pub(super) fn judge(
        &mut self,
        faults: &mut Faults,
        line: Option<usize>,
        payload: impl FnOnce() -> String,
    ) -> Result<(), Unreadable> {
        if faults.is_empty() {
            self.good();
            return Ok(());
        }
        let Faults { mut list, untold } = std::mem::take(faults);
        if untold > 0 {
            list.push((String::new(), format!("{untold} more faults in this row")));
        }
        for (path, _) in &mut list {
            if path.starts_with('.') {
                path.remove(0);
            }
        }
        let row = self.rows;
        if self.invalid == Invalid::Quarantine {
            self.bury(row, reason(&list), payload())?;
        }
        self.rejected += 1;
        if self.keep.is_empty() {
            self.keep = vec![true; row];
        }
        self.keep.push(false);
        self.rows += 1;
        let room = REPORTED_ERRORS - self.errors.len();
        let told = list.into_iter().take(room);
        self.errors.extend(told.map(|(path, message)| RowError {
            row: Some(row),
            line,
            path,
            message,
        }));
        if self.invalid == Invalid::Reject && self.errors.len() == REPORTED_ERRORS {
            return Err(self.refusal());
        }
        Ok(())
    }

    fn bury(&mut self, row: usize, reason: String, payload: String) -> Result<(), Unreadable> {
        self.dead_bytes += size_of::<DeadLetter>() + reason.len() + payload.len();
        if self.dead_bytes > self.memory_bytes {
            return Err(Unreadable::TooLarge {
                limit: self.memory_bytes,
            });
        }
        self.dead.push(DeadLetter {
            row: i32::try_from(row).unwrap_or(i32::MAX),
            reason,
            payload,
        });
        Ok(())
    }

    /// Says that a line is not even JSON.
    pub(super) fn saw_broken_line(&mut self) {
        self.is_syntax = true;
    }

    /// The rows to keep, or `None` for all.
    ///
    /// # Errors
    /// Nothing may be kept.
    pub(super) fn kept(&mut self) -> Result<Option<Vec<bool>>, Unreadable> {
        match (self.rejected, self.invalid) {
            (0, _) => Ok(None),
            (_, Invalid::Reject) => Err(self.refusal()),
            _ => Ok(Some(std::mem::take(&mut self.keep))),
        }
    }

    fn refusal(&mut self) -> Unreadable {
        Unreadable::Rows {
            errors: std::mem::take(&mut self.errors),
            is_syntax: self.is_syntax,
        }
    }
}

fn reason(list: &[(String, String)]) -> String {
    let mut text = String::new();
    for (path, message) in list {
        if !text.is_empty() {
            text.push_str("; ");
        }
        if !path.is_empty() {
            text.push_str(path);
            text.push_str(": ");
        }
        text.push_str(message);
    }
    text
}
