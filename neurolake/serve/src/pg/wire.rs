//! Types and values on the wire.
//!
//! Types that PostgreSQL doesn't have, structs and maps and lists of them, are sent as `json`, in
//! the same words as by the HTTP doors: clients read names of fields there, and few can read rows in
//! rows.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, DictionaryArray, Int32Array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow_pg::datatypes::df::deserialize_parameters_with_server_types;
use arrow_pg::datatypes::{
    PG_OID_ALIAS_KEY, field_into_pg_type, into_pg_type, pg_type_for_alias_kind,
};
use arrow_pg::row_encoder::RowEncoder;
use neurolake_query::datafusion::common::{ParamValues, ScalarValue};
use neurolake_query::pg::{Parameter, type_modifier, without_number};
use neurolake_query::spelling::{intervals, is_spelled, spell};
use neurolake_query::{Error, Kind, Result};
use pgwire::api::Type;
use pgwire::api::portal::{Format, Portal};
use pgwire::api::results::{FieldFormat, FieldInfo};
use pgwire::api::stmt::StoredStatement;
use pgwire::error::PgWireResult;
use pgwire::messages::data::DataRow;

use super::error::{code, error, error_with_hint};
use super::numeric::{self, Numeric};
use super::statement::Prepared;
use crate::encode::json;

/// The columns of an answer as they are sent.
#[derive(Clone)]
pub(super) struct Columns {
    pub(super) fields: Arc<Vec<FieldInfo>>,
    /// The same for the encoder: what is spelled already is text to it.
    written: Arc<Vec<FieldInfo>>,
    schema: SchemaRef,
    forms: Arc<[Form]>,
}

/// What is done to a column before it is sent.
#[derive(Debug, Clone, PartialEq)]
enum Form {
    Keep,
    Cast(DataType),
    Interval,
    /// Written as PostgreSQL writes it.
    Spell,
    /// The same in the binary form of numbers.
    Numeric,
    Json,
}

impl Columns {
    pub(super) fn new(schema: &Schema, format: &Format) -> PgWireResult<Self> {
        check(format, schema.fields().len())?;
        let forms: Arc<[Form]> = schema
            .fields()
            .iter()
            .enumerate()
            .map(|(index, field)| {
                let is_text = format.format_for(index) == FieldFormat::Text;
                match form(field.data_type()) {
                    Form::Keep | Form::Interval if is_text && is_spelled(field.data_type()) => {
                        Form::Spell
                    }
                    Form::Keep if !is_text && is_number(field.data_type()) => Form::Numeric,
                    form => form,
                }
            })
            .collect();
        let sent: Vec<FieldRef> = schema
            .fields()
            .iter()
            .zip(forms.iter())
            .map(|(field, form)| sent(field, form))
            .collect();
        let fields: PgWireResult<Vec<FieldInfo>> = sent
            .iter()
            .zip(schema.fields().iter().zip(forms.iter()))
            .enumerate()
            .map(|(index, (sent, (field, form)))| {
                // What is written here keeps its type.
                let described = match form {
                    Form::Spell | Form::Numeric => field,
                    _ => sent,
                };
                describe(described, form, format.format_for(index))
            })
            .collect();
        let fields = fields?;
        let written = fields
            .iter()
            .zip(forms.iter())
            .map(|(field, form)| match form {
                Form::Spell => text_column(field.name(), field.format()),
                // Bytes are sent as they are.
                Form::Numeric => bytes_column(field.name()),
                _ => field.clone(),
            });
        Ok(Self {
            written: Arc::new(written.collect()),
            fields: Arc::new(fields),
            schema: Arc::new(Schema::new(sent)),
            forms,
        })
    }

    /// The same columns with the names that PostgreSQL gives to those without one.
    pub(super) fn named(mut self, names: &[Option<String>]) -> Self {
        let fields = self.fields.iter().enumerate().map(|(index, field)| {
            let name = match names.get(index) {
                Some(Some(name)) => name,
                _ => without_number(field.name()),
            };
            if name == field.name() {
                return field.clone();
            }
            FieldInfo::new(
                name.to_owned(),
                None,
                None,
                field.datatype().clone(),
                field.format(),
            )
            .with_type_size(field.type_size())
            .with_type_modifier(field.type_modifier())
        });
        self.fields = Arc::new(fields.collect());
        self
    }

    /// The rows of a batch, each as one message.
    pub(super) fn encode(&self, batch: &RecordBatch) -> Result<Vec<DataRow>> {
        let columns: Result<Vec<ArrayRef>> = batch
            .columns()
            .iter()
            .zip(self.forms.iter())
            .map(|(column, form)| convert(column, form))
            .collect();
        let options =
            arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns?, &options)
            .map_err(unwritable)?;
        let mut rows = Vec::with_capacity(batch.num_rows());
        let mut encoder = RowEncoder::new(batch, Arc::clone(&self.written));
        while let Some(row) = encoder.next_row() {
            rows.push(row.map_err(unwritable)?);
        }
        Ok(rows)
    }
}

fn unwritable(failed: impl std::fmt::Display) -> Error {
    Error::new(
        Kind::BadRequest,
        format!("the answer can't be written: {failed}"),
    )
    .with_hint("cast the column in the statement")
}

/// A client names formats for no column, for all at once or for each.
fn check(format: &Format, columns: usize) -> PgWireResult<()> {
    match format {
        Format::Individual(formats) if formats.len() != columns => Err(error(
            code::PROTOCOL,
            format!(
                "bind message has {} result formats but query has {columns} columns",
                formats.len()
            ),
        )),
        _ => Ok(()),
    }
}

fn form(data_type: &DataType) -> Form {
    match data_type {
        DataType::Float16 => Form::Cast(DataType::Float32),
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            Form::Cast(DataType::Decimal128(*precision, *scale))
        }
        // A null that has no type is text.
        DataType::Decimal256(..) | DataType::Null => Form::Cast(DataType::Utf8),
        DataType::Interval(_) | DataType::Duration(_) => Form::Interval,
        DataType::FixedSizeBinary(_) => Form::Cast(DataType::Binary),
        DataType::Dictionary(_, values) => inner(values),
        DataType::RunEndEncoded(_, values) => inner(values.data_type()),
        DataType::Struct(_) | DataType::Map(..) | DataType::Union(..) => Form::Json,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => list(data_type, item),
        _ => Form::Keep,
    }
}

fn is_number(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal128(_, scale) if *scale >= 0)
}

/// Of values that are wrapped in another type.
fn inner(values: &DataType) -> Form {
    match form(values) {
        Form::Keep | Form::Interval => Form::Cast(values.clone()),
        other => other,
    }
}

fn list(list: &DataType, item: &FieldRef) -> Form {
    if item.data_type().is_nested() {
        return Form::Json;
    }
    let values = match form(item.data_type()) {
        Form::Interval => INTERVAL,
        Form::Keep => item.data_type().clone(),
        Form::Cast(values) => values,
        Form::Spell | Form::Numeric | Form::Json => return Form::Json,
    };
    match list {
        DataType::List(_) if values == *item.data_type() => Form::Keep,
        _ => Form::Cast(DataType::List(Arc::new(Field::new(
            item.name(),
            values,
            item.is_nullable(),
        )))),
    }
}

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// The encoder looks for nulls in all but intervals: they go into what it looks at.
fn with_nulls() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(INTERVAL))
}

fn sent(field: &FieldRef, form: &Form) -> FieldRef {
    let data_type = match form {
        Form::Keep => return Arc::new(field.as_ref().clone().with_nullable(true)),
        Form::Cast(data_type) => data_type.clone(),
        Form::Interval => with_nulls(),
        Form::Spell | Form::Json => DataType::Utf8,
        Form::Numeric => DataType::Binary,
    };
    Arc::new(Field::new(field.name(), data_type, true))
}

fn convert(column: &ArrayRef, form: &Form) -> Result<ArrayRef> {
    match form {
        Form::Keep => Ok(Arc::clone(column)),
        Form::Cast(data_type) => {
            let strict = CastOptions {
                safe: false,
                ..CastOptions::default()
            };
            cast_with_options(column, data_type, &strict).map_err(unwritable)
        }
        Form::Interval => {
            let is_there = column.logical_nulls();
            let is_there = |row| is_there.as_ref().is_none_or(|nulls| nulls.is_valid(row));
            let keys = (0_i32..).zip(0..column.len());
            let keys: Int32Array = keys
                .map(|(key, row)| is_there(row).then_some(key))
                .collect();
            let values = DictionaryArray::try_new(keys, intervals(column).map_err(unwritable)?);
            Ok(Arc::new(values.map_err(unwritable)?))
        }
        Form::Spell => Ok(Arc::new(spell(column).map_err(unwritable)?)),
        Form::Numeric => {
            let binary = numeric::binary(column);
            Ok(Arc::new(
                binary.ok_or_else(|| unwritable("it is no number"))?,
            ))
        }
        Form::Json => Ok(Arc::new(json::values(column).map_err(unwritable)?)),
    }
}

fn describe(field: &FieldRef, form: &Form, format: FieldFormat) -> PgWireResult<FieldInfo> {
    let data_type = match form {
        Form::Json => Type::JSON,
        Form::Interval => Type::INTERVAL,
        _ => field_into_pg_type(field)?,
    };
    let size = size(&data_type);
    Ok(
        FieldInfo::new(field.name().clone(), None, None, data_type, format)
            .with_type_size(size)
            .with_type_modifier(type_modifier(field.data_type())),
    )
}

/// `pg_type.typlen`.
fn size(data_type: &Type) -> i16 {
    match *data_type {
        Type::BOOL | Type::CHAR => 1,
        Type::INT2 => 2,
        Type::INT4 | Type::FLOAT4 | Type::DATE | Type::OID => 4,
        Type::INT8 | Type::FLOAT8 | Type::TIME | Type::TIMESTAMP | Type::TIMESTAMPTZ => 8,
        Type::INTERVAL => 16,
        _ => -1,
    }
}

/// One column of text, such as the answer to `show`.
pub(super) fn text_column(name: &str, format: FieldFormat) -> FieldInfo {
    FieldInfo::new(name.to_owned(), None, None, Type::TEXT, format).with_type_size(-1)
}

/// One column of bytes.
fn bytes_column(name: &str) -> FieldInfo {
    let format = FieldFormat::Binary;
    FieldInfo::new(name.to_owned(), None, None, Type::BYTEA, format).with_type_size(-1)
}

/// Type of a parameter that its client said nothing about.
pub(super) fn parameter_type(parameter: &Parameter) -> PgWireResult<Type> {
    let alias = parameter.field.as_ref().and_then(|field| {
        let kind = field.metadata().get(PG_OID_ALIAS_KEY)?;
        (*field.data_type() == DataType::Int32).then(|| pg_type_for_alias_kind(kind))?
    });
    match (alias, &parameter.data_type) {
        (Some(alias), _) => Ok(alias),
        (None, Some(DataType::Null) | None) => Ok(Type::TEXT),
        (None, Some(data_type)) => into_pg_type(data_type),
    }
}

/// What the statement wants of a value, where that is how the client's type is to be read. A number
/// stays what the client says: `7 / $1` is another one for 2.0 than for 2.
fn inferred<'a>(said: Option<&Type>, wanted: &'a Parameter) -> Option<&'a DataType> {
    let data_type = wanted.data_type.as_ref()?;
    let is_read_so = match said {
        Some(&(Type::INT2 | Type::INT4 | Type::INT8 | Type::FLOAT4 | Type::FLOAT8)) => false,
        Some(&Type::NUMERIC) => matches!(data_type, DataType::Decimal128(..)),
        Some(&(Type::TIMESTAMP | Type::TIMESTAMPTZ)) => {
            matches!(data_type, DataType::Timestamp(..))
        }
        Some(&Type::DATE) => matches!(data_type, DataType::Date32),
        _ => true,
    };
    is_read_so.then_some(data_type)
}

/// An integer as the statement wants it, if it fits.
fn fitted(value: &mut ScalarValue, wanted: &Parameter) {
    if let Some(data_type) = &wanted.data_type
        && data_type.is_integer()
        && value.data_type().is_integer()
        && let Ok(fitted) = value.cast_to(data_type)
        && fitted.is_null() == value.is_null()
    {
        *value = fitted;
    }
}

/// Types of the values to come, by what the client says and else by what the statement wants.
pub(super) fn types_of(
    given: &[Option<Type>],
    wanted: &[Parameter],
) -> PgWireResult<Vec<DataType>> {
    // As the library reads values: nulls have types, too.
    let statement = StoredStatement::new(String::new(), (), given.to_vec());
    let mut nulls = Portal::new_cursor(String::new(), Arc::new(statement));
    nulls.parameters = vec![None; wanted.len()];
    let types: PgWireResult<Vec<Type>> = wanted.iter().map(parameter_type).collect();
    let types = types?;
    let types: Vec<Option<&Type>> = types.iter().map(Some).collect();
    let said = |index| given.get(index).and_then(Option::as_ref);
    let arrow: Vec<Option<&DataType>> = (0..)
        .zip(wanted)
        .map(|(index, parameter)| inferred(said(index), parameter))
        .collect();
    match deserialize_parameters_with_server_types(&nulls, &arrow, &types)? {
        ParamValues::List(values) => Ok(values
            .into_iter()
            .zip(wanted)
            .map(|(mut value, wanted)| {
                fitted(&mut value.value, wanted);
                value.value.data_type()
            })
            .collect()),
        ParamValues::Map(_) => Ok(Vec::new()),
    }
}

/// A number that a client has bound, if it is compared with one. arrow-pg reads it as one of 96 bits, and
/// would move the point of a longer one without a word.
fn number(
    portal: &Portal<Arc<Prepared>>,
    index: usize,
    data_type: Option<&DataType>,
) -> PgWireResult<Option<ScalarValue>> {
    let Some(Some(bytes)) = portal.parameters.get(index) else {
        return Ok(None);
    };
    if !matches!(data_type, None | Some(DataType::Decimal128(..))) {
        return Ok(None);
    }
    let number = if portal.parameter_format.is_binary(index) {
        Numeric::of_binary(bytes)
    } else {
        Numeric::of_text(&String::from_utf8_lossy(bytes))
    };
    let number = number.ok_or_else(|| {
        error_with_hint(
            "22003",
            format!("parameter ${} is no number of up to 38 digits", index + 1),
            "bind it as text and cast it in the statement",
        )
    })?;
    Ok(Some(number.value(data_type)))
}

/// Refuses a list of texts that would become another one: pgwire forgets which elements stand in
/// quotes, and takes an empty text and the word `NULL` for nulls.
fn check_texts(portal: &Portal<Arc<Prepared>>, index: usize) -> PgWireResult<()> {
    let Some(Some(bytes)) = portal.parameters.get(index) else {
        return Ok(());
    };
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let is_lost = text.contains("\"\"") || text.contains("\"null\"");
    if !portal.parameter_format.is_binary(index) && is_lost {
        return Err(error_with_hint(
            code::FEATURE,
            format!(
                "parameter ${} is a list that holds an empty text",
                index + 1
            ),
            "bind the texts one by one: `array[$1, $2]`",
        ));
    }
    Ok(())
}

/// The values that a client has bound.
pub(super) fn parameters(
    portal: &Portal<Arc<Prepared>>,
    wanted: &[Parameter],
) -> PgWireResult<Option<ParamValues>> {
    let given = portal.parameter_len();
    if given != wanted.len() {
        return Err(error(
            code::PROTOCOL,
            format!(
                "bind message supplies {given} parameters, but the statement requires {}",
                wanted.len()
            ),
        ));
    }
    if let Format::Individual(formats) = &portal.parameter_format
        && formats.len() != given
    {
        return Err(error(
            code::PROTOCOL,
            format!(
                "bind message has {} parameter formats but {given} parameters",
                formats.len()
            ),
        ));
    }
    if given == 0 {
        return Ok(None);
    }
    let types: PgWireResult<Vec<Type>> = wanted.iter().map(parameter_type).collect();
    let types = types?;
    let mut known = Vec::new();
    // The same for the library, but for the numbers.
    let mut rest = Portal::new_cursor(portal.name.clone(), Arc::clone(&portal.statement));
    rest.parameter_format = portal.parameter_format.clone();
    rest.parameters.clone_from(&portal.parameters);
    for (index, (data_type, wanted)) in types.iter().zip(wanted).enumerate() {
        let said = portal.statement.parameter_types.get(index);
        let said = said.and_then(Option::as_ref);
        match *said.unwrap_or(data_type) {
            Type::NUMERIC => {
                if let Some(number) = number(portal, index, inferred(said, wanted))? {
                    rest.parameters[index] = None;
                    known.push((index, number));
                }
            }
            Type::TEXT_ARRAY | Type::VARCHAR_ARRAY => check_texts(portal, index)?,
            _ => {}
        }
    }
    let types: Vec<Option<&Type>> = types.iter().map(Some).collect();
    let said = |index| {
        let types = &portal.statement.parameter_types;
        types.get(index).and_then(Option::as_ref)
    };
    let arrow: Vec<Option<&DataType>> = (0..)
        .zip(wanted)
        .map(|(index, parameter)| inferred(said(index), parameter))
        .collect();
    let mut values = deserialize_parameters_with_server_types(&rest, &arrow, &types)?;
    if let ParamValues::List(values) = &mut values {
        for (index, number) in known {
            values[index].value = number;
        }
        for (value, wanted) in values.iter_mut().zip(wanted) {
            fitted(&mut value.value, wanted);
        }
    }
    Ok(Some(values))
}
