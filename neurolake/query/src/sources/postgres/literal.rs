//! Values as PostgreSQL literals, each with its type.

use chrono::{DateTime, Datelike, Days, NaiveDate};
use datafusion::common::ScalarValue;

use super::decode::wire_type;

/// The value, or `None` where PostgreSQL has no such value.
pub(super) fn literal(value: &ScalarValue) -> Option<String> {
    if value.is_null() {
        return match value {
            ScalarValue::Utf8View(None) | ScalarValue::LargeUtf8(None) => Some("NULL::text".into()),
            _ => Some(format!("NULL::{}", wire_type(&value.data_type())?)),
        };
    }
    Some(match value {
        ScalarValue::Boolean(Some(true)) => "TRUE".into(),
        ScalarValue::Boolean(Some(false)) => "FALSE".into(),
        ScalarValue::Int8(Some(value)) => typed(&value.to_string(), "int2"),
        ScalarValue::Int16(Some(value)) => typed(&value.to_string(), "int2"),
        ScalarValue::Int32(Some(value)) => typed(&value.to_string(), "int4"),
        ScalarValue::Int64(Some(value)) => typed(&value.to_string(), "int8"),
        // Rust writes the shortest text that reads back as the same number.
        ScalarValue::Float32(Some(value)) => {
            typed(&number(f64::from(*value), &value.to_string()), "float4")
        }
        ScalarValue::Float64(Some(value)) => typed(&number(*value, &value.to_string()), "float8"),
        ScalarValue::Decimal128(Some(value), _, scale) => {
            typed(&decimal(*value, *scale)?, "numeric")
        }
        ScalarValue::Date32(Some(days)) => typed(&day(*days)?.to_string(), "date"),
        ScalarValue::TimestampSecond(Some(value), zone) => {
            time(value.checked_mul(1_000_000)?, zone.as_deref())?
        }
        ScalarValue::TimestampMillisecond(Some(value), zone) => {
            time(value.checked_mul(1_000)?, zone.as_deref())?
        }
        ScalarValue::TimestampMicrosecond(Some(value), zone) => time(*value, zone.as_deref())?,
        ScalarValue::TimestampNanosecond(Some(value), zone) if value % 1_000 == 0 => {
            time(value / 1_000, zone.as_deref())?
        }
        ScalarValue::Binary(Some(bytes)) => {
            let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            typed(&format!("\\x{}", digits.concat()), "bytea")
        }
        _ => typed(value.try_as_str()??, "text"),
    })
    .filter(|text| !text.contains('\0'))
}

/// A quoted literal. The connection has `standard_conforming_strings` on: only quotes are special.
pub(super) fn typed(text: &str, data_type: &str) -> String {
    format!("'{}'::{data_type}", text.replace('\'', "''"))
}

fn number(value: f64, text: &str) -> String {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity" } else { "-Infinity" }.into()
    } else {
        text.into()
    }
}

fn decimal(value: i128, scale: i8) -> Option<String> {
    let scale = usize::try_from(scale).ok()?;
    let sign = if value < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    Some(if fraction.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    })
}

/// Only years that both sides write alike.
fn day(days: i32) -> Option<NaiveDate> {
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
    let distance = Days::new(u64::from(days.unsigned_abs()));
    let day = if days < 0 {
        epoch.checked_sub_days(distance)
    } else {
        epoch.checked_add_days(distance)
    };
    day.filter(|day| (1..=9999).contains(&day.year()))
}

fn time(microseconds: i64, zone: Option<&str>) -> Option<String> {
    match zone {
        None => Some(typed(&time_text(microseconds)?, "timestamp")),
        Some("UTC" | "+00:00") => Some(typed(
            &format!("{}+00", time_text(microseconds)?),
            "timestamptz",
        )),
        Some(_) => None,
    }
}

/// `2026-03-01 12:00:00.000001`
pub(super) fn time_text(microseconds: i64) -> Option<String> {
    let time = DateTime::from_timestamp_micros(microseconds)?;
    let known = (1..=9999).contains(&time.year());
    known.then(|| time.format("%Y-%m-%d %H:%M:%S%.6f").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_data() {
        let text = |text: &str| literal(&ScalarValue::from(text));
        assert_eq!(text("o'hara"), Some("'o''hara'::text".into()));
        assert_eq!(
            text(r"\'; drop table x"),
            Some(r"'\''; drop table x'::text".into())
        );
        assert_eq!(text("a\0b"), None);
        assert_eq!(decimal(-5, 2), Some("-0.05".into()));
        assert_eq!(
            literal(&ScalarValue::Date32(Some(-1))),
            Some("'1969-12-31'::date".into())
        );
        assert_eq!(
            literal(&ScalarValue::Int32(Some(-7))),
            Some("'-7'::int4".into())
        );
    }
}
