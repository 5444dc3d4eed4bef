//! CSV: what a spreadsheet reads. Arrow's own writer knows no nested types, and writes null and the
//! empty string alike.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{FieldRef, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::EncoderOptions;
use arrow::json::writer::{NullableEncoder, make_encoder};
use arrow::record_batch::RecordBatch;
use arrow::util::display::ArrayFormatter;

use super::json::options;
use super::text::{Bytes, FORMAT, Spelling, as_written, written_fields};

pub(super) struct Csv {
    fields: Vec<FieldRef>,
    options: EncoderOptions,
    spelling: Arc<Spelling>,
    has_header: bool,
}

enum Column<'a> {
    Plain(&'a dyn Array, ArrayFormatter<'a>),
    Nested(&'a dyn Array, NullableEncoder<'a>),
}

impl Csv {
    pub(super) fn new(schema: &SchemaRef) -> Self {
        let spelling = Arc::new(Spelling::default());
        Self {
            fields: written_fields(schema),
            options: options(&spelling),
            spelling,
            has_header: false,
        }
    }

    pub(super) fn encode(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        let mut out = self.header();
        let arrays: Result<Vec<ArrayRef>, ArrowError> = batch
            .columns()
            .iter()
            .zip(&self.fields)
            .map(|(column, field)| as_written(column, field))
            .collect();
        let arrays = arrays?;
        let columns: Result<Vec<Column<'_>>, ArrowError> = arrays
            .iter()
            .zip(&self.fields)
            .map(|(array, field)| self.column(array, field))
            .collect();
        let mut columns = columns?;
        let mut cell = Vec::new();
        for row in 0..batch.num_rows() {
            for (index, column) in columns.iter_mut().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                if column.write(row, &mut cell)? {
                    push_cell(&cell, &mut out);
                }
            }
            out.push(b'\n');
        }
        self.spelling.check()?;
        Ok(out)
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.header()
    }

    fn header(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        if std::mem::replace(&mut self.has_header, true) {
            return out;
        }
        for (index, field) in self.fields.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            push_cell(field.name().as_bytes(), &mut out);
        }
        out.push(b'\n');
        out
    }

    fn column<'a>(
        &'a self,
        array: &'a ArrayRef,
        field: &'a FieldRef,
    ) -> Result<Column<'a>, ArrowError> {
        Ok(if field.data_type().is_nested() {
            Column::Nested(array, make_encoder(field, array, &self.options)?)
        } else {
            Column::Plain(array, ArrayFormatter::try_new(array, &FORMAT)?)
        })
    }
}

impl Column<'_> {
    /// Puts the value in place of `cell`; false for a null.
    fn write(&mut self, row: usize, cell: &mut Vec<u8>) -> Result<bool, ArrowError> {
        cell.clear();
        match self {
            Self::Plain(array, _) | Self::Nested(array, _) if array.is_null(row) => {
                return Ok(false);
            }
            // Has no null buffer, but nothing else than nulls.
            Self::Plain(array, _) if array.data_type().is_null() => return Ok(false),
            Self::Plain(_, formatter) => formatter.value(row).write(&mut Bytes(cell))?,
            Self::Nested(_, encoder) => encoder.encode(row, cell),
        }
        Ok(true)
    }
}

/// Quoted where it must be; an empty string always, because nothing at all is a null.
fn push_cell(cell: &[u8], out: &mut Vec<u8>) {
    let is_special = |byte: &u8| matches!(byte, b',' | b'"' | b'\n' | b'\r');
    if !cell.is_empty() && !cell.iter().any(is_special) {
        out.extend_from_slice(cell);
        return;
    }
    out.push(b'"');
    for byte in cell {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}
