//! From what clients send to rows of a table: JSON, lines of JSON, or an Arrow stream.
//!
//! A declaration is compiled once ([`Validator::new`]) and then reads bodies. Whatever doesn't fit
//! is data, not an error of the program: each row tells where, what was expected and what was
//! found. Nothing is rounded, cut or replaced on the way, but decimal numbers in columns of floats.
//!
//! Read in this order: `shape` (the compiled declaration), `scalars` (one value from text),
//! `columns` (values to arrays), `json`, `arrow` with `envelope` (what a stream may claim), `render`
//! (rows back to JSON), `faults`.

mod arrow;
mod columns;
mod envelope;
mod faults;
mod json;
pub mod render;
mod scalars;
mod shape;
#[cfg(test)]
mod tests;

use ::arrow::array::RecordBatch;
use ::arrow::datatypes::SchemaRef;
use bytes::Bytes;
use neurolake_model::Column;

use crate::entry::DeadLetter;
use shape::Shape;

pub use faults::RowError;
pub(crate) use faults::shortened;
pub(crate) use scalars::range;
pub(crate) use shape::{blob, nearest};

/// Errors that an answer lists at most.
pub const REPORTED_ERRORS: usize = 100;

/// How the rows of a body are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// An object, or an array of objects.
    Json,
    /// An object a line.
    Lines,
    /// An Arrow IPC stream.
    Arrow,
}

/// What becomes of rows that don't fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invalid {
    /// One is enough to keep none of the body.
    Reject,
    /// They are reported and not kept; the others are kept.
    Skip,
    /// They become dead letters; the others are kept.
    Quarantine,
}

/// What was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Validated {
    /// The rows that fit.
    pub rows: RecordBatch,
    /// The others, with [`Invalid::Quarantine`].
    pub dead: Vec<DeadLetter>,
    /// How many don't fit.
    pub rejected: usize,
    /// Why: at most [`REPORTED_ERRORS`].
    pub errors: Vec<RowError>,
}

/// Why nothing of a body is kept.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Unreadable {
    /// The body is not what it claims to be.
    #[error("{message}")]
    Syntax {
        /// What is wrong, and where.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The body has a form that isn't taken.
    #[error("{message}")]
    Unsupported {
        /// What isn't taken.
        message: String,
        /// What is.
        hint: String,
    },
    /// Rows don't fit, or all of them lack a column.
    #[error("some rows don't fit")]
    Rows {
        /// The first [`REPORTED_ERRORS`].
        errors: Vec<RowError>,
        /// Whether one of them isn't even JSON.
        is_syntax: bool,
    },
    /// The rows take more memory than a request may.
    #[error("its rows take more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
}

/// The declared columns of a table, compiled.
#[derive(Debug)]
pub struct Validator {
    root: Shape,
    schema: SchemaRef,
}

impl Validator {
    /// Compiles declared columns.
    pub fn new(columns: &[Column]) -> Self {
        Self {
            root: Shape::row(columns),
            schema: neurolake_delta::types::arrow_schema(columns),
        }
    }

    /// The schema of what is read.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Reads a body. Its rows, read, take at most about `memory_bytes`.
    ///
    /// # Errors
    /// Nothing of the body may be kept.
    pub fn read(
        &self,
        form: Form,
        body: &Bytes,
        invalid: Invalid,
        memory_bytes: usize,
    ) -> Result<Validated, Unreadable> {
        match form {
            Form::Json => json::document(self, body, invalid, memory_bytes),
            Form::Lines => json::lines(self, body, invalid, memory_bytes),
            Form::Arrow => arrow::stream(self, body, invalid, memory_bytes),
        }
    }

    /// Reads rows that are in memory already, such as those of a file.
    ///
    /// # Errors
    /// As [`Validator::read`].
    pub fn convert(
        &self,
        rows: RecordBatch,
        invalid: Invalid,
        memory_bytes: usize,
    ) -> Result<Validated, Unreadable> {
        let schema = rows.schema();
        arrow::batches(self, &schema, vec![rows], invalid, memory_bytes)
    }
}
