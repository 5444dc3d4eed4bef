//! Values as text, where PostgreSQL's own text is another than the libraries': no zeros at the end of
//! fractions, and exponents where PostgreSQL has them.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, IntervalMonthDayNanoArray, PrimitiveArray, StringArray, StringBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, ArrowTimestampType, DataType, DurationMicrosecondType, FieldRef,
    Float32Type, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
    Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use arrow::error::ArrowError;
use arrow::temporal_conversions::as_datetime;
use chrono::{Datelike, NaiveDateTime, Timelike};

/// Whether values of this type are spelled here.
#[must_use]
pub fn is_spelled(data_type: &DataType) -> bool {
    match data_type {
        DataType::Float32
        | DataType::Float64
        | DataType::Timestamp(..)
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Interval(_)
        | DataType::Duration(_)
        | DataType::Decimal128(..) => true,
        DataType::List(item) => !item.data_type().is_nested() && is_spelled(item.data_type()),
        _ => false,
    }
}

/// The values as text.
///
/// # Errors
/// They are of a type that isn't spelled here.
pub fn spell(column: &ArrayRef) -> Result<StringArray, ArrowError> {
    if column.data_type().is_list() {
        return lists(column);
    }
    if let DataType::Decimal128(..) = column.data_type() {
        return Ok(cast(column, &DataType::Utf8)?.as_string::<i32>().clone());
    }
    let mut out = StringBuilder::new();
    match column.data_type() {
        DataType::Float32 => {
            let values = column.as_primitive::<Float32Type>();
            each(values, &mut out, |value| {
                number(&format!("{value:e}"), SINGLE_DIGITS)
            });
        }
        DataType::Float64 => {
            let values = column.as_primitive::<Float64Type>();
            each(values, &mut out, |value| {
                number(&format!("{value:e}"), DOUBLE_DIGITS)
            });
        }
        DataType::Timestamp(unit, zone) => {
            let has_zone = zone.is_some();
            match unit {
                TimeUnit::Second => instants::<TimestampSecondType>(column, has_zone, &mut out),
                TimeUnit::Millisecond => {
                    instants::<TimestampMillisecondType>(column, has_zone, &mut out);
                }
                TimeUnit::Microsecond => {
                    instants::<TimestampMicrosecondType>(column, has_zone, &mut out);
                }
                TimeUnit::Nanosecond => {
                    instants::<TimestampNanosecondType>(column, has_zone, &mut out);
                }
            }
        }
        DataType::Time32(TimeUnit::Second) => {
            let values = column.as_primitive::<Time32SecondType>();
            each(values, &mut out, |value| time(i64::from(value) * 1_000_000));
        }
        DataType::Time32(_) => {
            let values = column.as_primitive::<Time32MillisecondType>();
            each(values, &mut out, |value| time(i64::from(value) * 1_000));
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            let values = column.as_primitive::<Time64MicrosecondType>();
            each(values, &mut out, time);
        }
        DataType::Time64(_) => {
            let values = column.as_primitive::<Time64NanosecondType>();
            each(values, &mut out, |value| time(value / 1_000));
        }
        DataType::Duration(_) | DataType::Interval(_) => {
            let values = intervals(column)?;
            each(
                values.as_primitive::<IntervalMonthDayNanoType>(),
                &mut out,
                |value| {
                    interval(
                        i64::from(value.months),
                        i64::from(value.days),
                        value.nanoseconds / 1_000,
                    )
                },
            );
        }
        other => {
            return Err(ArrowError::NotYetImplemented(format!("{other} as text")));
        }
    }
    Ok(out.finish())
}

/// Lengths of time as intervals of months, days and nanoseconds. What two instants are apart has days, as
/// in PostgreSQL.
///
/// # Errors
/// They are none.
pub fn intervals(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    const DAY: i64 = 86_400_000_000;
    if !matches!(column.data_type(), DataType::Duration(_)) {
        return cast(column, &DataType::Interval(IntervalUnit::MonthDayNano));
    }
    let apart = cast(column, &DataType::Duration(TimeUnit::Microsecond))?;
    let apart = apart.as_primitive::<DurationMicrosecondType>().iter();
    let intervals = apart.map(|apart| {
        let apart = apart?;
        // Far fewer than there are days.
        let days = i32::try_from(apart / DAY).ok()?;
        Some(IntervalMonthDayNano::new(0, days, apart % DAY * 1_000))
    });
    Ok(Arc::new(intervals.collect::<IntervalMonthDayNanoArray>()))
}

/// `1 year 2 mons -3 days +04:05:06`: a part behind a negative one has a sign.
fn interval(months: i64, days: i64, microseconds: i64) -> String {
    let mut text = String::new();
    let mut is_behind_negative = false;
    for (count, name) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if count != 0 {
            let blank = if text.is_empty() { "" } else { " " };
            let plus = if is_behind_negative && count > 0 {
                "+"
            } else {
                ""
            };
            let plural = if count == 1 { "" } else { "s" };
            let _ = write!(text, "{blank}{plus}{count} {name}{plural}");
            is_behind_negative = count < 0;
        }
    }
    if microseconds != 0 || text.is_empty() {
        let blank = if text.is_empty() { "" } else { " " };
        let sign = match microseconds {
            ..0 => "-",
            _ if is_behind_negative => "+",
            _ => "",
        };
        let _ = write!(text, "{blank}{sign}{}", time(microseconds.saturating_abs()));
    }
    text
}

fn each<T: ArrowPrimitiveType>(
    values: &PrimitiveArray<T>,
    out: &mut StringBuilder,
    spell: impl Fn(T::Native) -> String,
) {
    for value in values {
        out.append_option(value.map(&spell));
    }
}

/// `{a,"b c",NULL}`
fn lists(column: &ArrayRef) -> Result<StringArray, ArrowError> {
    let mut out = StringBuilder::new();
    let column = cast(column, &DataType::List(items(column.data_type())?))?;
    for list in column.as_list::<i32>().iter() {
        let Some(list) = list else {
            out.append_null();
            continue;
        };
        let values = match list.data_type() {
            of if is_spelled(of) => spell(&list)?,
            _ => cast(&list, &DataType::Utf8)?.as_string::<i32>().clone(),
        };
        let is_truth = *list.data_type() == DataType::Boolean;
        let mut text = String::from("{");
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            match value {
                None => text.push_str("NULL"),
                Some(value) if is_truth => text.push_str(&value[..1]),
                Some(value) if needs_quotes(value) => {
                    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
                    let _ = write!(text, "\"{value}\"");
                }
                Some(value) => text.push_str(value),
            }
        }
        text.push('}');
        out.append_value(text);
    }
    Ok(out.finish())
}

/// The items of any kind of list.
fn items(list: &DataType) -> Result<FieldRef, ArrowError> {
    match list {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => Ok(FieldRef::clone(item)),
        other => Err(ArrowError::NotYetImplemented(format!("{other} as text"))),
    }
}

fn needs_quotes(value: &str) -> bool {
    value.is_empty()
        || value.eq_ignore_ascii_case("null")
        || value.contains(|character: char| {
            matches!(character, '{' | '}' | ',' | '"' | '\\') || character.is_ascii_whitespace()
        })
}

/// Numbers of so many digits and more in front of the point have an exponent.
const SINGLE_DIGITS: i32 = 6;
const DOUBLE_DIGITS: i32 = 15;

/// From Rust's shortest form with an exponent, `1.5e-7`, to PostgreSQL's, `1.5e-07`.
fn number(text: &str, digits: i32) -> String {
    let Some((mantissa, exponent)) = text.split_once('e') else {
        return match text {
            "inf" => "Infinity".to_owned(),
            "-inf" => "-Infinity".to_owned(),
            other => other.to_owned(),
        };
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..digits).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let figures: String = mantissa.chars().filter(|figure| *figure != '.').collect();
    let Ok(whole) = usize::try_from(exponent + 1) else {
        let zeros = "0".repeat(usize::try_from(-exponent - 1).unwrap_or(0));
        return format!("{sign}0.{zeros}{figures}");
    };
    if whole == 0 {
        return format!("{sign}0.{figures}");
    }
    if figures.len() <= whole {
        return format!("{sign}{figures}{}", "0".repeat(whole - figures.len()));
    }
    let (front, back) = figures.split_at(whole);
    format!("{sign}{front}.{back}")
}

fn instants<T: ArrowTimestampType>(column: &ArrayRef, has_zone: bool, out: &mut StringBuilder) {
    let zone = if has_zone { "+00" } else { "" };
    for value in column.as_primitive::<T>() {
        let instant = value.and_then(as_datetime::<T>);
        out.append_option(instant.map(|instant| spell_instant(&instant, zone)));
    }
}

fn spell_instant(instant: &NaiveDateTime, zone: &str) -> String {
    let (year, era) = match instant.year() {
        year if year > 0 => (year, ""),
        year => (1 - year, " BC"),
    };
    let mut text = format!(
        "{year:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        instant.month(),
        instant.day(),
        instant.hour(),
        instant.minute(),
        instant.second(),
    );
    fraction(&mut text, i64::from(instant.nanosecond() / 1_000));
    text.push_str(zone);
    text.push_str(era);
    text
}

/// Of microseconds since midnight.
fn time(value: i64) -> String {
    let seconds = value / 1_000_000;
    let mut text = format!(
        "{:02}:{:02}:{:02}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    );
    fraction(&mut text, value % 1_000_000);
    text
}

fn fraction(text: &mut String, microseconds: i64) {
    if microseconds != 0 {
        let digits = format!("{microseconds:06}");
        text.push('.');
        text.push_str(digits.trim_end_matches('0'));
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float32Array, Float64Array, TimestampMicrosecondArray};

    use super::*;

    fn spelled(column: impl Array + 'static) -> Vec<String> {
        let column: ArrayRef = Arc::new(column);
        let texts = spell(&column).expect("it is spelled");
        texts
            .iter()
            .map(|text| text.unwrap_or("NULL").to_owned())
            .collect()
    }

    /// As `select 100000::float4` and so on of PostgreSQL 15.
    #[test]
    fn numbers_look_as_in_postgres() {
        let single = Float32Array::from(vec![
            1.0,
            -0.0,
            1.5,
            100_000.0,
            1_000_000.0,
            16_777_216.0,
            0.0001,
            0.000_01,
            0.1,
            f32::NAN,
            f32::INFINITY,
            -2.5e-7,
            4.85,
        ]);
        let expected = [
            "1",
            "-0",
            "1.5",
            "100000",
            "1e+06",
            "1.6777216e+07",
            "0.0001",
            "1e-05",
            "0.1",
            "NaN",
            "Infinity",
            "-2.5e-07",
            "4.85",
        ];
        assert_eq!(spelled(single), expected);
        let double = Float64Array::from(vec![
            123_456_789_012_345.0,
            1e15,
            1e-5,
            -1234.5,
            0.000_123,
            1e300,
        ]);
        let expected = [
            "123456789012345",
            "1e+15",
            "1e-05",
            "-1234.5",
            "0.000123",
            "1e+300",
        ];
        assert_eq!(spelled(double), expected);
    }

    /// As PostgreSQL 15 writes them.
    #[test]
    fn intervals_look_as_in_postgres() {
        for (months, days, microseconds, wanted) in [
            (0, 0, 0, "00:00:00"),
            (14, 1, 0, "1 year 2 mons 1 day"),
            (-13, 2, 1_500_000, "-1 years -1 mons +2 days 00:00:01.5"),
            (0, -1, 3_600_000_000, "-1 days +01:00:00"),
            (0, 0, -90_000_000, "-00:01:30"),
            (1, 0, -1, "1 mon -00:00:00.000001"),
            (0, 0, 360_000_000_000, "100:00:00"),
        ] {
            assert_eq!(interval(months, days, microseconds), wanted);
        }
    }

    #[test]
    fn lists_look_as_in_postgres() {
        use arrow::array::{BooleanArray, FixedSizeListArray, ListArray};
        use arrow::datatypes::{Field, Int64Type};

        let numbers = ListArray::from_iter_primitive::<Int64Type, _, _>([
            Some(vec![Some(1), None, Some(-3)]),
            None,
            Some(vec![]),
        ]);
        assert_eq!(spelled(numbers), ["{1,NULL,-3}", "NULL", "{}"]);
        let texts = ["a", "", "b c", "null", "x\"y", "\\", "{", "d,e", "ü"];
        let item = Arc::new(Field::new("item", DataType::Utf8, true));
        let texts: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
        let texts = FixedSizeListArray::new(item, 9, texts, None);
        let wanted = r#"{a,"","b c","null","x\"y","\\","{","d,e",ü}"#;
        assert_eq!(spelled(texts), [wanted]);
        let item = Arc::new(Field::new("item", DataType::Boolean, true));
        let truths: ArrayRef = Arc::new(BooleanArray::from(vec![true, false]));
        let truths = FixedSizeListArray::new(item, 2, truths, None);
        assert_eq!(spelled(truths), ["{t,f}"]);
    }

    #[test]
    fn instants_look_as_in_postgres() {
        let instants =
            TimestampMicrosecondArray::from(vec![0, 1_500_000, 1_000_001, -62_198_755_200_000_000]);
        let expected = [
            "1970-01-01 00:00:00",
            "1970-01-01 00:00:01.5",
            "1970-01-01 00:00:01.000001",
            "0002-01-01 00:00:00 BC",
        ];
        assert_eq!(spelled(instants), expected);
    }
}
