//! Values as clients write them, to values of a column's own type.

use std::fmt::Write as _;
use std::sync::Arc;

use neurolake_query::datafusion::arrow::array::{Array, ArrayRef, StringArray};
use neurolake_query::datafusion::arrow::compute::{CastOptions, cast_with_options};
use neurolake_query::datafusion::arrow::datatypes::{DataType, TimeUnit};
use neurolake_query::datafusion::common::ScalarValue;
use serde_json::Value as Json;

use super::Input;

/// The value, where it is one of this type. Nothing is rounded.
pub(super) fn read(input: &Input, data_type: &DataType) -> Option<ScalarValue> {
    match input {
        Input::Text(text) => from_text(text, data_type),
        Input::Json(json) => from_json(json, data_type),
    }
}

/// The type of the values themselves, however they are stored.
pub(super) fn plain(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => plain(values),
        DataType::RunEndEncoded(_, values) => plain(values.data_type()),
        other => other,
    }
}

pub(super) fn is_text(data_type: &DataType) -> bool {
    matches!(
        plain(data_type),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

/// The type of a list's elements.
pub(super) fn element(data_type: &DataType) -> Option<&DataType> {
    match plain(data_type) {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            Some(item.data_type())
        }
        _ => None,
    }
}

/// Whether a text stands for one value of this type.
pub(crate) fn is_scalar(data_type: &DataType) -> bool {
    !plain(data_type).is_nested()
}

fn from_json(json: &Json, data_type: &DataType) -> Option<ScalarValue> {
    let data_type = plain(data_type);
    let is_bool = *data_type == DataType::Boolean;
    match json {
        Json::Bool(value) if is_bool => Some(ScalarValue::Boolean(Some(*value))),
        Json::Number(number) if data_type.is_numeric() => from_text(&number.to_string(), data_type),
        // Text also says what a number can't: days, large integers, exact decimals.
        Json::String(text) if !is_bool && is_scalar(data_type) => from_text(text, data_type),
        Json::Array(items) => {
            let item = element(data_type)?;
            let values = items.iter().map(|json| match json {
                Json::Null => ScalarValue::try_from(item).ok(),
                json => from_json(json, item),
            });
            list(&values.collect::<Option<Vec<_>>>()?, data_type)
        }
        _ => None,
    }
}

fn from_text(text: &str, data_type: &DataType) -> Option<ScalarValue> {
    let data_type = plain(data_type);
    match data_type {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => binary(text, data_type),
        DataType::FixedSizeBinary(_) => binary(text, &DataType::Binary),
        DataType::Boolean => boolean(text),
        DataType::Decimal128(precision, scale) => decimal(text, *precision, *scale),
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal256(..) => {
            decimal(text, 0, 0)
        }
        // Other forms are read as well, and lose their time of day.
        DataType::Date32 | DataType::Date64 if text.len() != "2026-03-01".len() => None,
        DataType::Timestamp(unit, zone) if fraction_digits(text) > digits(*unit) => cast(
            text,
            &DataType::Timestamp(TimeUnit::Nanosecond, zone.clone()),
        ),
        other if is_scalar(other) => cast(text, other),
        other => {
            let items = items(text)?.into_iter();
            let item = element(other)?;
            let values = items.map(|text| match text {
                Some(text) => from_text(&text, item),
                None => ScalarValue::try_from(item).ok(),
            });
            list(&values.collect::<Option<Vec<_>>>()?, other)
        }
    }
}

/// A list of this type. Its elements are not rounded either.
fn list(values: &[ScalarValue], data_type: &DataType) -> Option<ScalarValue> {
    let item = element(data_type)?;
    if values.iter().any(|value| value.data_type() != *item) {
        return None;
    }
    let list = ScalarValue::List(ScalarValue::new_list(values, item, true));
    list.cast_to(data_type).ok()
}

/// `{a,"b,c",null}`, as PostgreSQL writes lists; a quoted `null` is a text.
fn items(text: &str) -> Option<Vec<Option<String>>> {
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    let mut items = Vec::new();
    let mut rest = inner;
    while !rest.is_empty() || !items.is_empty() {
        let (item, behind) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (item, behind) = unquoted(quoted)?;
                (Some(item), behind)
            }
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let item = &rest[..end];
                let is_null = item.eq_ignore_ascii_case("null");
                ((!is_null).then(|| item.to_owned()), &rest[end..])
            }
        };
        items.push(item);
        match behind.strip_prefix(',') {
            Some(more) => rest = more,
            None if behind.is_empty() => break,
            None => return None,
        }
    }
    Some(items)
}

/// The text up to the closing quotation mark, and what is behind it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut item = String::new();
    let mut letters = text.char_indices();
    while let Some((index, letter)) = letters.next() {
        match letter {
            '"' => return Some((item, &text[index + 1..])),
            '\\' => item.push(letters.next()?.1),
            letter => item.push(letter),
        }
    }
    None
}

fn cast(text: &str, data_type: &DataType) -> Option<ScalarValue> {
    // Arrow skips spaces around some values, and reads an empty text as null.
    let is_text = is_text(data_type);
    if !is_text && (text.is_empty() || text.trim() != text) {
        return None;
    }
    let array: ArrayRef = Arc::new(StringArray::from(vec![text]));
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let array = cast_with_options(&array, data_type, &options).ok()?;
    if array.is_null(0) {
        return None;
    }
    ScalarValue::try_from_array(&array, 0).ok()
}

fn boolean(text: &str) -> Option<ScalarValue> {
    let value = match text.to_ascii_lowercase().as_str() {
        "true" | "t" => true,
        "false" | "f" => false,
        _ => return None,
    };
    Some(ScalarValue::Boolean(Some(value)))
}

/// Hexadecimal digits, with PostgreSQL's `\x` before them or without.
fn binary(text: &str, data_type: &DataType) -> Option<ScalarValue> {
    let digits = text.strip_prefix("\\x").unwrap_or(text).as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let nibble = |digit: u8| (digit as char).to_digit(16).map(|value| value as u8);
    let bytes = digits
        .chunks_exact(2)
        .map(|pair| Some(nibble(pair[0])? << 4 | nibble(pair[1])?))
        .collect::<Option<Vec<u8>>>()?;
    ScalarValue::Binary(Some(bytes)).cast_to(data_type).ok()
}

/// With all of its digits: the engine compares decimals of different scales exactly.
fn decimal(text: &str, precision: u8, scale: i8) -> Option<ScalarValue> {
    const MOST: u8 = 38;
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = is_digits(whole) && is_digits(fraction) && whole.len() + fraction.len() > 0;
    if !is_number {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let scale = fraction.len().max(usize::try_from(scale).unwrap_or(0));
    let digits = whole.trim_start_matches('0').len() + scale;
    let precision = if digits <= usize::from(precision) {
        precision
    } else {
        MOST
    };
    if digits > usize::from(precision) {
        return None;
    }
    let value: i128 = format!("{whole}{fraction:0<scale$}").parse().ok()?;
    let value = if text.starts_with('-') { -value } else { value };
    Some(ScalarValue::Decimal128(
        Some(value),
        precision,
        i8::try_from(scale).ok()?,
    ))
}

/// The text that is read as this value again. `None`: there is no such text.
pub(crate) fn to_text(value: &ScalarValue) -> Option<String> {
    let text = match value {
        ScalarValue::Dictionary(_, value) => return to_text(value),
        ScalarValue::Binary(Some(bytes))
        | ScalarValue::LargeBinary(Some(bytes))
        | ScalarValue::BinaryView(Some(bytes))
        | ScalarValue::FixedSizeBinary(_, Some(bytes)) => {
            bytes.iter().fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            })
        }
        other => match other.cast_to(&DataType::Utf8).ok()? {
            ScalarValue::Utf8(text) => text?,
            _ => return None,
        },
    };
    let again = from_text(&text, &value.data_type())?;
    (again.cast_to(&value.data_type()).ok()? == *value).then_some(text)
}

fn fraction_digits(text: &str) -> usize {
    let Some((_, fraction)) = text.split_once('.') else {
        return 0;
    };
    let digits = fraction
        .find(|letter: char| !letter.is_ascii_digit())
        .map_or(fraction, |end| &fraction[..end]);
    digits.trim_end_matches('0').len()
}

fn digits(unit: TimeUnit) -> usize {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UTC_MICROSECONDS: fn() -> DataType =
        || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));

    #[test]
    fn text_is_read_by_the_type_of_the_column() {
        let instant = Some(1_772_368_200_000_000);
        for (text, data_type, expected) in [
            ("-7", DataType::Int8, ScalarValue::Int8(Some(-7))),
            ("007", DataType::Int64, ScalarValue::Int64(Some(7))),
            (
                "18446744073709551615",
                DataType::UInt64,
                ScalarValue::UInt64(Some(u64::MAX)),
            ),
            ("1.5", DataType::Float32, ScalarValue::Float32(Some(1.5))),
            ("1e3", DataType::Float64, ScalarValue::Float64(Some(1000.0))),
            (
                "-inf",
                DataType::Float64,
                ScalarValue::Float64(Some(f64::NEG_INFINITY)),
            ),
            ("true", DataType::Boolean, ScalarValue::Boolean(Some(true))),
            ("", DataType::Utf8, ScalarValue::Utf8(Some(String::new()))),
            (
                " a' ",
                DataType::Utf8View,
                ScalarValue::Utf8View(Some(" a' ".into())),
            ),
            (
                "2026-03-01",
                DataType::Date32,
                ScalarValue::Date32(Some(20_513)),
            ),
            (
                "2026-03-01T12:30:00Z",
                UTC_MICROSECONDS(),
                ScalarValue::TimestampMicrosecond(instant, Some("UTC".into())),
            ),
            (
                "2026-03-01 13:30:00+01:00",
                UTC_MICROSECONDS(),
                ScalarValue::TimestampMicrosecond(instant, Some("UTC".into())),
            ),
            (
                "1.50",
                DataType::Decimal128(10, 2),
                ScalarValue::Decimal128(Some(150), 10, 2),
            ),
            (
                "-1.505",
                DataType::Decimal128(10, 2),
                ScalarValue::Decimal128(Some(-1505), 10, 3),
            ),
            (
                "\\x00Ff",
                DataType::Binary,
                ScalarValue::Binary(Some(vec![0, 255])),
            ),
            (
                "word",
                DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
                ScalarValue::Utf8(Some("word".into())),
            ),
        ] {
            assert_eq!(
                from_text(text, &data_type),
                Some(expected),
                "{text}: {data_type}"
            );
        }
    }

    #[test]
    fn what_does_not_fit_is_nothing_and_never_rounded() {
        for (text, data_type) in [
            ("128", DataType::Int8),
            ("1.5", DataType::Int32),
            ("", DataType::Int32),
            (" 1", DataType::Int32),
            ("-1", DataType::UInt16),
            ("x", DataType::Float64),
            ("yes", DataType::Boolean),
            ("2026-02-30", DataType::Date32),
            ("2026-03-01T12:00", DataType::Date32),
            ("soon", UTC_MICROSECONDS()),
            ("1.2.3", DataType::Decimal128(10, 2)),
            ("", DataType::Decimal128(10, 2)),
            ("1e3", DataType::Decimal128(10, 2)),
            ("abc", DataType::Binary),
            ("xy", DataType::Binary),
            ("1", DataType::new_list(DataType::Int32, true)),
            ("{1,x}", DataType::new_list(DataType::Int32, true)),
            ("{1,}", DataType::new_list(DataType::Int32, true)),
            ("{\"1\"2}", DataType::new_list(DataType::Int32, true)),
            ("{\"1}", DataType::new_list(DataType::Int32, true)),
        ] {
            assert_eq!(from_text(text, &data_type), None, "{text}: {data_type}");
        }
    }

    #[test]
    fn a_list_is_read_element_by_element() {
        let texts = DataType::new_list(DataType::Utf8, true);
        let numbers = DataType::new_list(DataType::Int32, true);
        let list = |values: &[ScalarValue], item: &DataType| {
            ScalarValue::List(ScalarValue::new_list(values, item, true))
        };
        let text = |text: Option<&str>| ScalarValue::Utf8(text.map(str::to_owned));
        let words = [
            text(Some("a")),
            text(Some("b,\"c")),
            text(None),
            text(Some("null")),
        ];
        let number = |number| ScalarValue::Int32(Some(number));
        for (read, data_type, expected) in [
            ("{}", &texts, list(&[], &DataType::Utf8)),
            (
                "{1,-2}",
                &numbers,
                list(&[number(1), number(-2)], &DataType::Int32),
            ),
            (
                "{a,\"b,\\\"c\",NULL,\"null\"}",
                &texts,
                list(&words, &DataType::Utf8),
            ),
        ] {
            assert_eq!(from_text(read, data_type), Some(expected), "{read}");
        }
        let json = serde_json::json!(["a", "b,\"c", null, "null"]);
        assert_eq!(
            from_json(&json, &texts),
            Some(list(&words, &DataType::Utf8))
        );
        assert_eq!(from_json(&serde_json::json!("{a}"), &texts), None);
    }

    #[test]
    fn an_instant_keeps_more_digits_than_its_column() {
        let value = from_text("2026-03-01T12:30:00.0000001Z", &UTC_MICROSECONDS());
        let nanoseconds =
            ScalarValue::TimestampNanosecond(Some(1_772_368_200_000_000_100), Some("UTC".into()));
        assert_eq!(value, Some(nanoseconds));
    }

    #[test]
    fn a_value_is_read_again_from_its_text() {
        for value in [
            ScalarValue::Int64(Some(i64::MIN)),
            ScalarValue::UInt64(Some(u64::MAX)),
            ScalarValue::Float32(Some(0.1)),
            ScalarValue::Float64(Some(f64::MIN_POSITIVE)),
            ScalarValue::Float64(Some(-0.0)),
            ScalarValue::Float64(Some(f64::NAN)),
            ScalarValue::Float64(Some(f64::INFINITY)),
            ScalarValue::Boolean(Some(false)),
            ScalarValue::Utf8(Some(" a\u{e9}'\n".into())),
            ScalarValue::Utf8(Some(String::new())),
            ScalarValue::Binary(Some(vec![0, 255])),
            ScalarValue::Date32(Some(-1)),
            ScalarValue::TimestampMicrosecond(Some(1_772_368_200_000_001), Some("UTC".into())),
            ScalarValue::TimestampNanosecond(Some(1_772_368_200_000_000_001), None),
            ScalarValue::Decimal128(Some(-1505), 10, 3),
        ] {
            let text = to_text(&value).unwrap();
            let again = from_text(&text, &value.data_type());
            assert_eq!(again, Some(value), "{text}");
        }
        assert_eq!(to_text(&ScalarValue::Utf8(None)), None);
    }

    #[test]
    fn json_is_read_by_the_type_of_the_column() {
        for (json, data_type, expected) in [
            (
                serde_json::json!(7),
                DataType::Int16,
                Some(ScalarValue::Int16(Some(7))),
            ),
            (
                serde_json::json!("7"),
                DataType::Int64,
                Some(ScalarValue::Int64(Some(7))),
            ),
            (serde_json::json!(7), DataType::Utf8, None),
            (serde_json::json!(1.5), DataType::Int16, None),
            (
                serde_json::json!(true),
                DataType::Boolean,
                Some(ScalarValue::Boolean(Some(true))),
            ),
            (serde_json::json!("true"), DataType::Boolean, None),
            (serde_json::json!(null), DataType::Utf8, None),
        ] {
            assert_eq!(
                from_json(&json, &data_type),
                expected,
                "{json}: {data_type}"
            );
        }
    }
}
