//! Rows as JSON, in the forms that the door takes: a dead letter that was sent as Arrow can be
//! mended and sent again as JSON.

use arrow::array::cast::AsArray;
use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Fields, Float16Type, Float32Type, Float64Type, TimeUnit,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};

use super::faults::shortened;

/// A row as a JSON object.
pub fn row(batch: &RecordBatch, row: usize) -> String {
    let mut out = String::new();
    let schema = batch.schema_ref();
    object(&mut out, schema.fields(), batch.columns(), row);
    out
}

/// A value as a message quotes it.
pub(super) fn text(array: &dyn Array, index: usize) -> String {
    let mut out = String::new();
    value(&mut out, array, index);
    match out.strip_prefix('"').and_then(|out| out.strip_suffix('"')) {
        Some(text) => shortened(text),
        None => shortened(&out),
    }
}

fn object(out: &mut String, fields: &Fields, columns: &[impl AsRef<dyn Array>], row: usize) {
    out.push('{');
    for (number, (field, column)) in fields.iter().zip(columns).enumerate() {
        if number > 0 {
            out.push(',');
        }
        quoted(out, field.name());
        out.push(':');
        value(out, column.as_ref(), row);
    }
    out.push('}');
}

fn quoted(out: &mut String, text: &str) {
    // A string can always be written.
    out.push_str(&serde_json::Value::from(text).to_string());
}

fn float(out: &mut String, value: f64, shortest: &str) {
    match value {
        value if value.is_finite() => out.push_str(shortest),
        value if value.is_nan() => out.push_str("\"NaN\""),
        value if value > 0.0 => out.push_str("\"Infinity\""),
        _ => out.push_str("\"-Infinity\""),
    }
}

fn list(out: &mut String, values: &dyn Array, elements: impl Iterator<Item = usize>) {
    out.push('[');
    for (number, index) in elements.enumerate() {
        if number > 0 {
            out.push(',');
        }
        value(out, values, index);
    }
    out.push(']');
}

fn value(out: &mut String, array: &dyn Array, row: usize) {
    if array.is_null(row) {
        out.push_str("null");
        return;
    }
    match array.data_type() {
        DataType::Null => out.push_str("null"),
        DataType::Float16 => {
            let value = array.as_primitive::<Float16Type>().value(row);
            float(out, value.to_f64(), &value.to_f64().to_string());
        }
        DataType::Float32 => {
            let value = array.as_primitive::<Float32Type>().value(row);
            float(out, value.into(), &value.to_string());
        }
        DataType::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(row);
            float(out, value, &value.to_string());
        }
        DataType::Utf8 => quoted(out, array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => quoted(out, array.as_string::<i64>().value(row)),
        DataType::Utf8View => quoted(out, array.as_string_view().value(row)),
        DataType::Binary => binary(out, array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => binary(out, array.as_binary::<i64>().value(row)),
        DataType::BinaryView => binary(out, array.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => binary(out, array.as_fixed_size_binary().value(row)),
        DataType::Date32 => {
            let count = array.as_primitive::<Date32Type>().value(row);
            match Date32Type::to_naive_date_opt(count) {
                Some(day) => quoted(out, &day.to_string()),
                None => out.push_str(&count.to_string()),
            }
        }
        DataType::Date64 => {
            let count = array.as_primitive::<Date64Type>().value(row);
            instant(out, count, DateTime::from_timestamp_millis(count));
        }
        DataType::Timestamp(unit, _) => timestamp(out, array, *unit, row),
        DataType::Dictionary(_, _) => {
            // The keys of all rows are counted otherwise.
            let one = array.slice(row, 1);
            let dictionary = one.as_any_dictionary();
            let key = dictionary.normalized_keys()[0];
            value(out, dictionary.values().as_ref(), key);
        }
        DataType::List(_) => {
            let offsets = array.as_list::<i32>().value_offsets();
            let elements = offsets[row] as usize..offsets[row + 1] as usize;
            list(out, array.as_list::<i32>().values(), elements);
        }
        DataType::LargeList(_) => {
            let offsets = array.as_list::<i64>().value_offsets();
            let elements = offsets[row] as usize..offsets[row + 1] as usize;
            list(out, array.as_list::<i64>().values(), elements);
        }
        DataType::FixedSizeList(_, size) => {
            let size = *size as usize;
            let elements = row * size..(row + 1) * size;
            list(out, array.as_fixed_size_list().values(), elements);
        }
        DataType::Map(_, _) => {
            let map = array.as_map();
            let entries = map.entries();
            out.push('[');
            for index in map.offsets()[row] as usize..map.offsets()[row + 1] as usize {
                if index > map.offsets()[row] as usize {
                    out.push(',');
                }
                out.push_str("{\"key\":");
                value(out, entries.column(0), index);
                out.push_str(",\"value\":");
                value(out, entries.column(1), index);
                out.push('}');
            }
            out.push(']');
        }
        DataType::Struct(fields) => object(out, fields, array.as_struct().columns(), row),
        data_type => {
            let display = ArrayFormatter::try_new(array, &FormatOptions::default());
            let display = display.map(|display| display.value(row).to_string());
            let text = display.unwrap_or_default();
            if data_type.is_integer() || matches!(data_type, DataType::Boolean) {
                out.push_str(&text);
            } else {
                quoted(out, &text);
            }
        }
    }
}

fn binary(out: &mut String, bytes: &[u8]) {
    out.push('"');
    STANDARD.encode_string(bytes, out);
    out.push('"');
}

/// Whatever zone a time was sent with, it is an instant.
fn timestamp(out: &mut String, array: &dyn Array, unit: TimeUnit, row: usize) {
    use arrow::datatypes::{
        TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
        TimestampSecondType,
    };
    let (count, time): (i64, Option<DateTime<Utc>>) = match unit {
        TimeUnit::Second => {
            let count = array.as_primitive::<TimestampSecondType>().value(row);
            (count, DateTime::from_timestamp(count, 0))
        }
        TimeUnit::Millisecond => {
            let count = array.as_primitive::<TimestampMillisecondType>().value(row);
            (count, DateTime::from_timestamp_millis(count))
        }
        TimeUnit::Microsecond => {
            let count = array.as_primitive::<TimestampMicrosecondType>().value(row);
            (count, DateTime::from_timestamp_micros(count))
        }
        TimeUnit::Nanosecond => {
            let count = array.as_primitive::<TimestampNanosecondType>().value(row);
            (count, Some(DateTime::from_timestamp_nanos(count)))
        }
    };
    instant(out, count, time);
}

fn instant(out: &mut String, count: i64, instant: Option<DateTime<Utc>>) {
    match instant {
        Some(instant) => quoted(out, &instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
        None => out.push_str(&count.to_string()),
    }
}
