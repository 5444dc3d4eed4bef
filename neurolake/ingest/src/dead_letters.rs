//! Rows that can't become rows of their table, kept in a table of their own beside it.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use neurolake_delta::Location;

use crate::entry::DeadLetter;

/// What is set aside, with where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// Offset of the request in the stream.
    pub offset: u64,
    /// When the request was accepted, in microseconds since 1970.
    pub received: i64,
    /// The row.
    pub letter: DeadLetter,
}

/// Where the dead letters of a table lie.
pub fn location(table: &Location) -> Location {
    let mut url = table.url.clone();
    let path = format!("{}__dead_letters/", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Location {
        url,
        ..table.clone()
    }
}

/// Columns of each table of dead letters.
pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("offset", DataType::Int64, false),
        Field::new("row", DataType::Int32, false),
        Field::new(
            "received",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            false,
        ),
        Field::new("reason", DataType::Utf8, false),
        Field::new("payload", DataType::Utf8, false),
    ]))
}

/// Dead letters as rows.
///
/// # Errors
/// Never in practice: the columns are those of [`schema`].
pub fn rows(letters: &[SetAside]) -> Result<RecordBatch, ArrowError> {
    let text = |text: fn(&SetAside) -> &str| {
        Arc::new(StringArray::from_iter_values(letters.iter().map(text))) as ArrayRef
    };
    let offsets = letters.iter().map(|aside| aside.offset.cast_signed());
    let numbers = letters.iter().map(|aside| aside.letter.row);
    let received = letters.iter().map(|aside| aside.received);
    RecordBatch::try_new(
        schema(),
        vec![
            Arc::new(Int64Array::from_iter_values(offsets)),
            Arc::new(Int32Array::from_iter_values(numbers)),
            Arc::new(TimestampMicrosecondArray::from_iter_values(received).with_timezone("UTC")),
            text(|aside| &aside.letter.reason),
            text(|aside| &aside.letter.payload),
        ],
    )
}
