//! What all text formats have in common: types that are written as other types, and values that
//! can't be written.

use std::fmt;
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, ArrayRef};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::writer::NullableEncoder;
use arrow::json::{Encoder, EncoderFactory, EncoderOptions};
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// Type of the array that is written in place of one of this type.
fn written(data_type: &DataType) -> DataType {
    let field = |field: &FieldRef| -> FieldRef {
        Arc::new(Field::new(
            field.name(),
            written(field.data_type()),
            field.is_nullable(),
        ))
    };
    match data_type {
        // Nulls among the values of a dictionary would be lost otherwise.
        DataType::Dictionary(_, values) => written(values),
        DataType::RunEndEncoded(_, values) => written(values.data_type()),
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, Some("+00:00".into())),
        DataType::List(item) => DataType::List(field(item)),
        DataType::LargeList(item) => DataType::LargeList(field(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(field(item), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
        DataType::Map(entries, sorted) => DataType::Map(map_entries(entries), *sorted),
        other => other.clone(),
    }
}

/// Keys of JSON are strings.
fn map_entries(entries: &FieldRef) -> FieldRef {
    let DataType::Struct(fields) = entries.data_type() else {
        return Arc::clone(entries);
    };
    let fields: Vec<Field> = fields
        .iter()
        .enumerate()
        .map(|(index, field)| {
            let data_type = if index == 0 {
                DataType::Utf8
            } else {
                written(field.data_type())
            };
            Field::new(field.name(), data_type, field.is_nullable())
        })
        .collect();
    Arc::new(Field::new(
        entries.name(),
        DataType::Struct(fields.into()),
        entries.is_nullable(),
    ))
}

/// Fields of the schema as they are written.
pub(super) fn written_fields(schema: &SchemaRef) -> Vec<FieldRef> {
    schema
        .fields()
        .iter()
        .map(|field| {
            let data_type = written(field.data_type());
            Arc::new(Field::new(field.name(), data_type, true)) as FieldRef
        })
        .collect()
}

/// The array as it is written.
pub(super) fn as_written(array: &ArrayRef, field: &FieldRef) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == field.data_type() {
        return Ok(Arc::clone(array));
    }
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    cast_with_options(array, field.data_type(), &strict)
}

/// Formats that print a failure instead of hiding it are of no use to a program: failures are
/// remembered here, and end the answer.
pub(super) const FORMAT: FormatOptions<'static> = FormatOptions::new().with_display_error(false);

/// How values are spelled in JSON where Arrow's own way is not ours.
#[derive(Debug, Default)]
pub(super) struct Spelling {
    failure: Arc<OnceLock<String>>,
}

impl Spelling {
    /// The first value that could not be written.
    pub(super) fn check(&self) -> Result<(), ArrowError> {
        match self.failure.get() {
            Some(failure) => Err(ArrowError::JsonError(failure.clone())),
            None => Ok(()),
        }
    }
}

impl EncoderFactory for Spelling {
    fn make_default_encoder<'a>(
        &self,
        _field: &'a FieldRef,
        array: &'a dyn Array,
        _options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let data_type = array.data_type();
        if !data_type.is_temporal() && !data_type.is_decimal() {
            return Ok(None);
        }
        let quoted = Quoted {
            formatter: ArrayFormatter::try_new(array, &FORMAT)?,
            failure: Arc::clone(&self.failure),
        };
        let nulls = array.nulls().cloned();
        Ok(Some(NullableEncoder::new(Box::new(quoted), nulls)))
    }
}

struct Quoted<'a> {
    formatter: ArrayFormatter<'a>,
    failure: Arc<OnceLock<String>>,
}

impl Encoder for Quoted<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        out.push(b'"');
        if let Err(error) = self.formatter.value(row).write(&mut Bytes(out)) {
            self.failure.get_or_init(|| error.to_string());
        }
        out.push(b'"');
    }
}

/// Lets formatters write bytes.
pub(super) struct Bytes<'a>(pub(super) &'a mut Vec<u8>);

impl fmt::Write for Bytes<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
