//! Instants and days as people write them.

use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;

/// Writes an instant or a day out in full, where it is written as text.
pub(super) fn complete(expression: &mut Expr, to: &DataType) -> bool {
    let Expr::Literal(value, _) = expression else {
        return false;
    };
    let (ScalarValue::Utf8(Some(text))
    | ScalarValue::Utf8View(Some(text))
    | ScalarValue::LargeUtf8(Some(text))) = value
    else {
        return false;
    };
    let is_day = matches!(to, DataType::Date32 | DataType::Date64);
    match completed(text, is_day) {
        Some(complete) if complete != *text => {
            *text = complete;
            true
        }
        _ => false,
    }
}

/// `2026-1-5 7:30` becomes `2026-01-05 07:30:00`. `None`: it is written in no such way, and the engine
/// says what is wrong with it.
fn completed(text: &str, is_day: bool) -> Option<String> {
    let text = text.trim();
    let (day, time) = match text.split_once(['T', ' ']) {
        Some((day, time)) => (day, Some(time.trim_start())),
        None => (text, None),
    };
    let mut parts = day.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 || !is_number(year, 4) {
        return None;
    }
    let mut complete = format!("{year}-{}-{}", two(month)?, two(day)?);
    if let Some(time) = time {
        let time = completed_time(time)?;
        // Of an instant its day counts.
        if !is_day {
            complete.push(' ');
            complete.push_str(&time);
        }
    }
    Some(complete)
}

fn completed_time(time: &str) -> Option<String> {
    let clock = time
        .find(|character: char| !matches!(character, '0'..='9' | ':' | '.'))
        .unwrap_or(time.len());
    let (clock, zone) = time.split_at(clock);
    if !matches!(zone.trim(), "" | "Z" | "z") && zone.trim().parse::<Tz>().is_err() {
        return None;
    }
    let mut parts = clock.split(':');
    let (hours, minutes) = (two(parts.next()?)?, two(parts.next()?)?);
    let seconds = match parts.next() {
        None => "00".to_owned(),
        Some(seconds) => match seconds.split_once('.') {
            None => two(seconds)?,
            Some((seconds, fraction)) => format!("{}.{fraction}", two(seconds)?),
        },
    };
    if parts.next().is_some() {
        return None;
    }
    Some(format!("{hours}:{minutes}:{seconds}{zone}"))
}

/// A number of one or two figures, with two.
fn two(text: &str) -> Option<String> {
    is_number(text, 2).then(|| format!("{text:0>2}"))
}

fn is_number(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_completed() {
        for (text, wanted) in [
            ("2026-01-05", Some("2026-01-05")),
            (" 2026-1-5 ", Some("2026-01-05")),
            ("2026-01-05 12:30", Some("2026-01-05 12:30:00")),
            ("2026-01-05T7:30Z", Some("2026-01-05 07:30:00Z")),
            ("2026-01-05 12:30+02", Some("2026-01-05 12:30:00+02")),
            ("2026-01-05 12:30:5.25", Some("2026-01-05 12:30:05.25")),
            (
                "2026-01-05 12:30 Europe/Berlin",
                Some("2026-01-05 12:30:00 Europe/Berlin"),
            ),
            ("20260105", None),
            ("2026-01-05 noon", None),
            ("now", None),
            ("2026-001-05", None),
            ("12026-01-05", None),
            ("", None),
        ] {
            assert_eq!(completed(text, false).as_deref(), wanted, "{text}");
        }
        for text in ["2026-01-05 banana", "2026-01-05 BC", "2026-01-05 12:30 BC"] {
            assert_eq!(completed(text, true), None, "{text}");
        }
        let day = completed("2026-1-5 23:59", true);
        assert_eq!(day.as_deref(), Some("2026-01-05"));
    }
}
