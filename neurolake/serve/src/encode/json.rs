//! JSON: an array of objects, or one object a line.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray, StringBuilder, StructArray};
use arrow::datatypes::{Field, FieldRef, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::EncoderOptions;
use arrow::json::writer::make_encoder;
use arrow::record_batch::RecordBatch;

use super::text::{Spelling, as_written, written_fields};

pub(super) struct Json {
    fields: Fields,
    row: FieldRef,
    options: EncoderOptions,
    spelling: Arc<Spelling>,
    is_lines: bool,
    is_empty: bool,
}

impl Json {
    pub(super) fn new(schema: &SchemaRef, is_lines: bool) -> Self {
        let fields: Fields = written_fields(schema).into();
        let spelling = Arc::new(Spelling::default());
        Self {
            row: Arc::new(Field::new_struct("row", fields.clone(), false)),
            fields,
            options: options(&spelling),
            spelling,
            is_lines,
            is_empty: true,
        }
    }

    pub(super) fn encode(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        let columns: Result<Vec<_>, ArrowError> = batch
            .columns()
            .iter()
            .zip(&self.fields)
            .map(|(column, field)| as_written(column, field))
            .collect();
        let rows = StructArray::try_new_with_length(
            self.fields.clone(),
            columns?,
            None,
            batch.num_rows(),
        )?;
        let mut encoder = make_encoder(&self.row, &rows, &self.options)?;
        let mut out = Vec::new();
        for row in 0..batch.num_rows() {
            if !self.is_lines {
                out.extend_from_slice(if self.is_empty { b"[" } else { b",\n" });
            }
            self.is_empty = false;
            encoder.encode(row, &mut out);
            if self.is_lines {
                out.push(b'\n');
            }
        }
        self.spelling.check()?;
        Ok(out)
    }

    pub(super) fn finish(self) -> Vec<u8> {
        match (self.is_lines, self.is_empty) {
            (true, _) => Vec::new(),
            (false, true) => b"[]\n".to_vec(),
            (false, false) => b"]\n".to_vec(),
        }
    }
}

/// Nulls are written, and every value as we spell it.
pub(super) fn options(spelling: &Arc<Spelling>) -> EncoderOptions {
    let spelling: Arc<Spelling> = Arc::clone(spelling);
    EncoderOptions::default()
        .with_explicit_nulls(true)
        .with_encoder_factory(spelling)
}

/// Each value as JSON, for places that hold one value; a null stays null.
pub(crate) fn values(array: &ArrayRef) -> Result<StringArray, ArrowError> {
    let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new(
        "value",
        array.data_type().clone(),
        true,
    )]));
    let fields = written_fields(&schema);
    let written = as_written(array, &fields[0])?;
    let spelling = Arc::new(Spelling::default());
    let options = options(&spelling);
    let mut encoder = make_encoder(&fields[0], &written, &options)?;
    let mut texts = StringBuilder::new();
    let mut text = Vec::new();
    for row in 0..written.len() {
        if written.is_null(row) {
            texts.append_null();
            continue;
        }
        text.clear();
        encoder.encode(row, &mut text);
        texts.append_value(String::from_utf8_lossy(&text));
    }
    spelling.check()?;
    Ok(texts.finish())
}
