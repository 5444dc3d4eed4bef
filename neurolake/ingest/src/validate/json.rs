//! Rows from JSON: an object, an array of objects, or an object a line.
//!
//! Texts are taken apart by `serde_json` and handed over as they were sent, so that a column sees
//! every digit of a number. Each row is cut out before it is read: faults don't reach over it, and
//! a dead letter is what the client sent.

use std::fmt;

use arrow::array::cast::AsArray;
use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use serde::de::{Deserializer as _, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::columns::{Column, Reading};
use super::faults::{Fate, Faults};
use super::{Invalid, Unreadable, Validated, Validator, scalars};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const ARRAY_HINT: &str = "send an object, or an array of objects; rows that stand one on a line are `application/x-ndjson`";

/// Why reading ends before the end.
#[derive(Debug)]
pub(super) enum Halt {
    Syntax(serde_json::Error),
    TooLarge,
    Refused(Unreadable),
}

impl From<Unreadable> for Halt {
    fn from(refusal: Unreadable) -> Self {
        Self::Refused(refusal)
    }
}

/// Calls `take` with the text of each element of an array.
pub(super) fn each_element<'a>(
    array: &'a str,
    take: impl FnMut(&'a str) -> Result<(), Halt>,
) -> Result<(), Halt> {
    let mut elements = Parts { take, halt: None };
    let mut reader = serde_json::Deserializer::from_str(array);
    let outcome = reader
        .deserialize_seq(Elements(&mut elements))
        .and_then(|()| reader.end());
    elements.outcome(outcome)
}

/// Calls `take` with the name and the text of each field of an object; the name is still quoted.
pub(super) fn each_field<'a>(
    object: &'a str,
    mut take: impl FnMut(&'a str, &'a str) -> Result<(), Halt>,
) -> Result<(), Halt> {
    let take = |(name, value): (&'a str, &'a str)| take(name, value);
    let mut fields = Parts { take, halt: None };
    let mut reader = serde_json::Deserializer::from_str(object);
    let outcome = reader
        .deserialize_map(ObjectFields(&mut fields))
        .and_then(|()| reader.end());
    fields.outcome(outcome)
}

/// Takes parts until one of them ends everything.
struct Parts<F> {
    take: F,
    halt: Option<Halt>,
}

impl<F> Parts<F> {
    fn take<T>(&mut self, part: T) -> Result<(), serde_json::Error>
    where
        F: FnMut(T) -> Result<(), Halt>,
    {
        (self.take)(part).map_err(|halt| {
            self.halt = Some(halt);
            serde_json::Error::custom("halt")
        })
    }

    fn outcome(self, outcome: Result<(), serde_json::Error>) -> Result<(), Halt> {
        match self.halt {
            Some(halt) => Err(halt),
            None => outcome.map_err(Halt::Syntax),
        }
    }
}

struct Elements<'p, F>(&'p mut Parts<F>);

impl<'a, F: FnMut(&'a str) -> Result<(), Halt>> Visitor<'a> for Elements<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(element) = elements.next_element::<&'a RawValue>()? {
            self.0.take(element.get()).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

struct ObjectFields<'p, F>(&'p mut Parts<F>);

impl<'a, F: FnMut((&'a str, &'a str)) -> Result<(), Halt>> Visitor<'a> for ObjectFields<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some((name, value)) = fields.next_entry::<&'a RawValue, &'a RawValue>()? {
            let part = (name.get(), value.get());
            self.0.take(part).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

/// The rows of a body, one after the other.
struct Rows<'v> {
    validator: &'v Validator,
    column: Column<'v>,
    reading: Reading,
    fate: Fate,
    memory_bytes: usize,
}

impl<'v> Rows<'v> {
    fn new(validator: &'v Validator, invalid: Invalid, memory_bytes: usize) -> Self {
        Self {
            validator,
            column: Column::new(&validator.root),
            reading: Reading {
                faults: Faults::default(),
                room: memory_bytes,
            },
            fate: Fate::new(invalid, memory_bytes),
            memory_bytes,
        }
    }

    fn take(&mut self, row: &str, line: Option<usize>) -> Result<(), Halt> {
        self.reading.charge(self.validator.root.slot_bytes)?;
        self.column.take(row, &mut self.reading)?;
        let faults = &mut self.reading.faults;
        Ok(self.fate.judge(faults, line, || row.to_owned())?)
    }

    /// Takes a line that isn't JSON.
    fn take_broken(&mut self, bytes: &[u8], line: usize, why: String) -> Result<(), Halt> {
        self.reading.charge(self.validator.root.slot_bytes)?;
        self.column.nothing();
        self.reading.faults.note(|| why);
        self.fate.saw_broken_line();
        let payload = || String::from_utf8_lossy(bytes).into_owned();
        let faults = &mut self.reading.faults;
        Ok(self.fate.judge(faults, Some(line), payload)?)
    }

    fn refusal(&self, halt: Halt) -> Unreadable {
        match halt {
            Halt::Refused(refusal) => refusal,
            Halt::TooLarge => Unreadable::TooLarge {
                limit: self.memory_bytes,
            },
            Halt::Syntax(error) => Unreadable::Syntax {
                message: format!("the body is not JSON: {error}"),
                hint: None,
            },
        }
    }

    fn finish(mut self) -> Result<Validated, Unreadable> {
        let kept = self.fate.kept()?;
        let rows = self.column.finish().and_then(|rows| {
            let (_, columns, _) = rows.as_struct().clone().into_parts();
            let schema = self.validator.schema().clone();
            let rows = RecordBatch::try_new(schema, columns)?;
            match kept {
                None => Ok(rows),
                Some(kept) => filter_record_batch(&rows, &BooleanArray::from(kept)),
            }
        });
        Ok(Validated {
            rows: rows.map_err(|error| Unreadable::Syntax {
                message: format!("the rows don't make an Arrow batch: {error}"),
                hint: Some("this is a bug; please report it".into()),
            })?,
            dead: self.fate.dead,
            rejected: self.fate.rejected,
            errors: self.fate.errors,
        })
    }
}

/// Reads an object or an array of objects.
pub(super) fn document(
    validator: &Validator,
    body: &[u8],
    invalid: Invalid,
    memory_bytes: usize,
) -> Result<Validated, Unreadable> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    let text = std::str::from_utf8(body).map_err(|error| Unreadable::Syntax {
        message: not_text(body, error.valid_up_to()),
        hint: Some("send JSON as UTF-8".into()),
    })?;
    let mut rows = Rows::new(validator, invalid, memory_bytes);
    let taken = match text.trim_ascii_start().as_bytes().first() {
        Some(b'[') => each_element(text, |row| rows.take(row, None)),
        Some(b'{') => serde_json::from_str::<&RawValue>(text)
            .map_err(Halt::Syntax)
            .and_then(|row| rows.take(row.get(), None)),
        first => return Err(no_rows(text, first.is_none())),
    };
    match taken {
        Ok(()) => rows.finish(),
        Err(halt) => Err(rows.refusal(halt)),
    }
}

fn no_rows(text: &str, is_empty: bool) -> Unreadable {
    let message = if is_empty {
        "the body is empty".into()
    } else {
        match serde_json::from_str::<&RawValue>(text) {
            Ok(value) => format!(
                "expected an object or an array of objects, found {}",
                scalars::found(value.get())
            ),
            Err(error) => format!("the body is not JSON: {error}"),
        }
    };
    Unreadable::Syntax {
        message,
        hint: Some(ARRAY_HINT.into()),
    }
}

/// Says which byte of a body isn't text.
fn not_text(body: &[u8], at: usize) -> String {
    let line = body[..at].split(|byte| *byte == b'\n').count();
    format!("the body is not UTF-8: byte {at}, in line {line}")
}

/// Reads an object a line. Empty lines are nothing.
pub(super) fn lines(
    validator: &Validator,
    body: &[u8],
    invalid: Invalid,
    memory_bytes: usize,
) -> Result<Validated, Unreadable> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    let mut rows = Rows::new(validator, invalid, memory_bytes);
    for (bytes, line) in body.split(|byte| *byte == b'\n').zip(1..) {
        let bytes = bytes.trim_ascii();
        if bytes.is_empty() {
            continue;
        }
        let taken = match row_of(bytes) {
            Ok(row) => rows.take(row, Some(line)),
            Err(why) => rows.take_broken(bytes, line, why),
        };
        taken.map_err(|halt| rows.refusal(halt))?;
    }
    rows.finish()
}

fn row_of(line: &[u8]) -> Result<&str, String> {
    let text = std::str::from_utf8(line)
        .map_err(|error| format!("not UTF-8: byte {} of the line", error.valid_up_to()))?;
    match serde_json::from_str::<&RawValue>(text) {
        Ok(row) => Ok(row.get()),
        Err(error) => {
            let why = error.to_string();
            let why = why.split(" at line ").next().unwrap_or_default();
            Err(format!("not JSON: {why} at column {}", error.column()))
        }
    }
}
