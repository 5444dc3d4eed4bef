//! What stands in a record of the queue: the rows of one request, and those that were set aside.

use std::sync::Arc;

use arrow::array::cast::AsArray;
use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;

/// First byte of a record. Another one is another form.
const FORM: u8 = 1;
/// Form, time, length of the rows.
const HEAD: usize = 1 + 8 + 8;
const CHECKSUM: usize = 4;

/// One accepted request.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// When it was accepted, in microseconds since 1970, by the door's clock.
    pub received: i64,
    /// Its rows, in the declared schema of that time.
    pub rows: RecordBatch,
    /// Rows that don't fit, which the client asked to keep.
    pub dead: Vec<DeadLetter>,
}

/// A row that can't become a row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its number in the request, counted from 0.
    pub row: i32,
    /// Why it doesn't fit.
    pub reason: String,
    /// What was sent.
    pub payload: String,
}

/// Why a record is not a request.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// Some of it is missing.
    #[error("it is cut off after {0} bytes")]
    Short(usize),
    /// A later version wrote it.
    #[error("it has the form {0}, which this version doesn't know")]
    Form(u8),
    /// It isn't what was written.
    #[error("its checksum is wrong")]
    Checksum,
    /// The rows can't be read.
    #[error("its rows can't be read: {0}")]
    Rows(#[from] ArrowError),
}

impl Request {
    /// The bytes of a record.
    ///
    /// # Errors
    /// Arrow can't write the rows.
    pub fn encode(&self) -> Result<Bytes, ArrowError> {
        let mut bytes = Vec::with_capacity(1024);
        bytes.push(FORM);
        bytes.extend(self.received.to_le_bytes());
        bytes.extend([0; 8]);
        write(&mut bytes, &self.rows)?;
        let length = (bytes.len() - HEAD) as u64;
        bytes[HEAD - 8..HEAD].copy_from_slice(&length.to_le_bytes());
        if !self.dead.is_empty() {
            write(&mut bytes, &letters(&self.dead)?)?;
        }
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        Ok(bytes.into())
    }

    /// Reads a record.
    ///
    /// # Errors
    /// It is damaged, or of a later version.
    pub fn decode(bytes: &Bytes) -> Result<Self, Damage> {
        let short = || Damage::Short(bytes.len());
        let (content, checksum) = bytes.split_last_chunk::<CHECKSUM>().ok_or_else(short)?;
        let (head, body) = content.split_first_chunk::<HEAD>().ok_or_else(short)?;
        if crc32fast::hash(content) != u32::from_le_bytes(*checksum) {
            return Err(Damage::Checksum);
        }
        if head[0] != FORM {
            return Err(Damage::Form(head[0]));
        }
        let number = |from: usize| {
            let mut number = [0; 8];
            number.copy_from_slice(&head[from..from + 8]);
            u64::from_le_bytes(number)
        };
        let length = usize::try_from(number(HEAD - 8)).unwrap_or(usize::MAX);
        let (rows, dead) = body.split_at_checked(length).ok_or_else(short)?;
        Ok(Self {
            received: number(1) as i64,
            rows: read(rows)?,
            dead: match dead {
                [] => Vec::new(),
                dead => dead_letters(&read(dead)?),
            },
        })
    }
}

fn write(bytes: &mut Vec<u8>, rows: &RecordBatch) -> Result<(), ArrowError> {
    let mut writer = StreamWriter::try_new(bytes, &rows.schema())?;
    writer.write(rows)?;
    writer.finish()
}

fn read(bytes: &[u8]) -> Result<RecordBatch, ArrowError> {
    let mut reader = StreamReader::try_new(bytes, None)?;
    let schema = reader.schema();
    match reader.next() {
        Some(rows) => rows,
        None => Ok(RecordBatch::new_empty(schema)),
    }
}

fn letters_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("row", DataType::Int32, false),
        Field::new("reason", DataType::Utf8, false),
        Field::new("payload", DataType::Utf8, false),
    ]))
}

fn letters(dead: &[DeadLetter]) -> Result<RecordBatch, ArrowError> {
    let text = |text: fn(&DeadLetter) -> &str| {
        Arc::new(StringArray::from_iter_values(dead.iter().map(text))) as ArrayRef
    };
    let rows = Int32Array::from_iter_values(dead.iter().map(|letter| letter.row));
    RecordBatch::try_new(
        letters_schema(),
        vec![
            Arc::new(rows),
            text(|letter| &letter.reason),
            text(|letter| &letter.payload),
        ],
    )
}

fn dead_letters(batch: &RecordBatch) -> Vec<DeadLetter> {
    let rows = batch.column(0).as_primitive::<Int32Type>();
    let text = |column: usize, row| {
        batch
            .column(column)
            .as_string::<i32>()
            .value(row)
            .to_owned()
    };
    (0..batch.num_rows())
        .map(|row| DeadLetter {
            row: rows.value(row),
            reason: text(1, row),
            payload: text(2, row),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        let schema = Schema::new(vec![Field::new("n", DataType::Int32, false)]);
        let column: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3]));
        Request {
            received: 1_770_000_000_000_000,
            rows: RecordBatch::try_new(Arc::new(schema), vec![column]).unwrap(),
            dead: vec![DeadLetter {
                row: 3,
                reason: "no number".into(),
                payload: r#"{"n": "x"}"#.into(),
            }],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let with = request();
        assert_eq!(Request::decode(&with.encode().unwrap()).unwrap(), with);
        let without = Request {
            dead: Vec::new(),
            rows: with.rows.slice(0, 0),
            ..with
        };
        assert_eq!(
            Request::decode(&without.encode().unwrap()).unwrap(),
            without
        );
    }

    #[test]
    fn every_changed_or_missing_byte_is_seen() {
        let bytes = request().encode().unwrap();
        for position in 0..bytes.len() {
            let mut changed = bytes.to_vec();
            changed[position] ^= 0x10;
            assert!(Request::decode(&changed.into()).is_err(), "{position}");
            assert!(
                Request::decode(&bytes.slice(..position)).is_err(),
                "{position}"
            );
        }
    }
}
