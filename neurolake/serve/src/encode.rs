//! Rows to bytes, batch by batch.
//!
//! | Arrow type | JSON, NDJSON | CSV |
//! |---|---|---|
//! | integers | number, however large | the same |
//! | floats | number; `null` for NaN and infinities | the same; `NaN`, `inf`, `-inf` |
//! | decimals | string, because a number would be rounded by most readers | digits |
//! | dates, times | string `2026-03-01`, `12:30:00` | the same |
//! | timestamps with a time zone | string in UTC, `2026-03-01T12:30:00.5Z` | the same |
//! | timestamps without one | string `2026-03-01T12:30:00.5` | the same |
//! | binary | string of hexadecimal digits, as in SQL's `x'..'` | the same |
//! | lists, structs | list, object | JSON |
//! | maps | object; keys as text | JSON |
//! | dictionaries, views, run-ends | as their values | the same |
//! | null | `null`, never left out | nothing; an empty string is `""` |
//!
//! Arrow keeps every type as it is; so does Parquet, with the schema of Arrow that stands in its footer.

mod csv;
pub(crate) mod json;
mod text;

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use neurolake_query::{Error, Kind, Result};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use self::csv::Csv;
use self::json::Json;

/// Memory of the rows that are encoded at once; bounds what one answer holds besides its batch.
const PIECE_BYTES: usize = 1 << 20;

/// Encoded rows that are collected for a row group of Parquet: all of it is held until it is written.
const ROW_GROUP_BYTES: usize = 16 << 20;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Arrow IPC stream.
    Arrow,
    /// A Parquet file. It is readable once its last byte is there.
    Parquet,
    /// An array of objects.
    Json,
    /// One object a line.
    NdJson,
    /// A header and one record a line, RFC 4180 with `\n`.
    Csv,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 5] = [
        Self::Arrow,
        Self::Parquet,
        Self::Json,
        Self::NdJson,
        Self::Csv,
    ];

    /// Short name, as in `?format=`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Arrow => "arrow",
            Self::Parquet => "parquet",
            Self::Json => "json",
            Self::NdJson => "ndjson",
            Self::Csv => "csv",
        }
    }

    /// The format of this short name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Media type, without parameters.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::Parquet => "application/vnd.apache.parquet",
            Self::Json => "application/json",
            Self::NdJson => "application/x-ndjson",
            Self::Csv => "text/csv",
        }
    }
}

/// Writes one answer: a few calls of [`Encoder::encode`], then one of [`Encoder::finish`].
pub struct Encoder(Inner);

enum Inner {
    Arrow(Box<StreamWriter<Vec<u8>>>),
    Parquet(Box<ArrowWriter<Vec<u8>>>),
    Json(Json),
    Csv(Csv),
}

impl Encoder {
    /// An encoder of rows of this schema.
    ///
    /// # Errors
    /// The format can't say what the schema holds: an object can't have two values of one name.
    pub fn new(format: Format, schema: &SchemaRef) -> Result<Self> {
        Ok(Self(match format {
            Format::Arrow => {
                let writer = StreamWriter::try_new(Vec::new(), schema).map_err(unwritable)?;
                Inner::Arrow(Box::new(writer))
            }
            Format::Parquet => {
                check_names(schema)?;
                let level = ZstdLevel::default();
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(level))
                    .build();
                let writer =
                    ArrowWriter::try_new(Vec::new(), SchemaRef::clone(schema), Some(properties));
                Inner::Parquet(Box::new(writer.map_err(unstorable)?))
            }
            Format::Json | Format::NdJson => {
                check_names(schema)?;
                Inner::Json(Json::new(schema, format == Format::NdJson))
            }
            Format::Csv => Inner::Csv(Csv::new(schema)),
        }))
    }

    /// The bytes of these rows, and of whatever comes before the first.
    ///
    /// # Errors
    /// A value can't be written, such as a day outside of the calendar.
    pub fn encode(&mut self, batch: &RecordBatch) -> Result<Vec<u8>> {
        match &mut self.0 {
            Inner::Arrow(writer) => {
                writer.write(batch).map_err(unwritable)?;
                Ok(std::mem::take(writer.get_mut()))
            }
            Inner::Parquet(writer) => {
                writer.write(batch).map_err(unstorable)?;
                if writer.in_progress_size() >= ROW_GROUP_BYTES {
                    writer.flush().map_err(unstorable)?;
                }
                Ok(std::mem::take(writer.inner_mut()))
            }
            Inner::Json(json) => json.encode(batch).map_err(unwritable),
            Inner::Csv(csv) => csv.encode(batch).map_err(unwritable),
        }
    }

    /// The bytes after the last row. An answer without them is cut off.
    ///
    /// # Errors
    /// As for [`Encoder::encode`].
    pub fn finish(self) -> Result<Vec<u8>> {
        match self.0 {
            Inner::Arrow(writer) => writer.into_inner_after_end().map_err(unwritable),
            Inner::Parquet(writer) => writer.into_inner().map_err(unstorable),
            Inner::Json(json) => Ok(json.finish()),
            Inner::Csv(csv) => Ok(csv.finish()),
        }
    }
}

/// `into_inner` ends the stream too, but says so nowhere.
trait End {
    fn into_inner_after_end(self) -> std::result::Result<Vec<u8>, ArrowError>;
}

impl End for Box<StreamWriter<Vec<u8>>> {
    fn into_inner_after_end(mut self) -> std::result::Result<Vec<u8>, ArrowError> {
        self.finish()?;
        self.into_inner()
    }
}

#[expect(clippy::needless_pass_by_value, reason = "given to `map_err`")]
fn unwritable(error: ArrowError) -> Error {
    Error::new(
        Kind::BadRequest,
        format!("the answer can't be written: {error}"),
    )
    .with_hint("choose another format, or cast the column in the statement")
}

#[expect(clippy::needless_pass_by_value, reason = "given to `map_err`")]
fn unstorable(error: ParquetError) -> Error {
    Error::new(
        Kind::BadRequest,
        format!("the answer can't be written as Parquet: {error}"),
    )
    .with_hint("cast the column in the statement, or choose another format")
}

fn check_names(schema: &Schema) -> Result<()> {
    let mut names: Vec<&str> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        None => Ok(()),
        Some(pair) => Err(Error::new(
            Kind::BadRequest,
            format!("two columns of the answer are called `{}`", pair[0]),
        )
        .with_hint("give one another name with `as`, or ask for `arrow` or `csv`")),
    }
}

/// Parts of a batch that are small enough to be written at once.
pub fn pieces(batch: &RecordBatch) -> impl Iterator<Item = RecordBatch> + '_ {
    let rows = batch.num_rows();
    let bytes: usize = batch
        .columns()
        .iter()
        .map(|column| column.to_data().get_slice_memory_size().unwrap_or(0))
        .sum();
    let parts = bytes.div_ceil(PIECE_BYTES).clamp(1, rows.max(1));
    let step = rows.div_ceil(parts).max(1);
    (0..rows)
        .step_by(step)
        .map(move |start| batch.slice(start, step.min(rows - start)))
}
/// The rows with columns as promised.
pub(crate) fn conform(promised: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch> {
    let changed = || -> std::result::Result<RecordBatch, ArrowError> {
        let strict = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        let columns = promised.fields().iter().zip(batch.columns());
        let columns: std::result::Result<Vec<ArrayRef>, _> = columns
            .map(|(field, column)| {
                if field.data_type() == column.data_type() {
                    return Ok(Arc::clone(column));
                }
                cast_with_options(column, field.data_type(), &strict)
            })
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(promised), columns?, &options)
    };
    changed().map_err(|error| {
        Error::new(Kind::Internal, "the answer is not what was promised").with_source(error)
    })
}
