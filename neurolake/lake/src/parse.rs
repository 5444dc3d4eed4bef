//! Values from text, in the forms that `example(...)` takes.

use std::fmt;
use std::str::FromStr;

use crate::values::{Date, Decimal, Timestamp};

/// Text that is no value of the wanted type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    text: String,
    expected: &'static str,
}

impl ParseError {
    fn new(text: &str, expected: &'static str) -> Self {
        Self {
            text: text.to_owned(),
            expected,
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not {}", self.text, self.expected)
    }
}

impl std::error::Error for ParseError {}

#[cfg(feature = "engine")]
impl From<ParseError> for neurolake_query::Error {
    fn from(error: ParseError) -> Self {
        Self::new(neurolake_query::Kind::BadRequest, error.to_string())
    }
}

impl FromStr for Date {
    type Err = ParseError;

    /// Reads `2026-03-01`.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        days(text)
            .map(Self::from_days)
            .ok_or_else(|| ParseError::new(text, "a day such as `2026-03-01`"))
    }
}

impl FromStr for Timestamp {
    type Err = ParseError;

    /// Reads `2026-03-01T09:30:00Z`, with up to 6 digits of a fraction.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        micros(text)
            .map(Self::from_micros)
            .ok_or_else(|| ParseError::new(text, "an instant such as `2026-03-01T09:30:00Z`"))
    }
}

impl<const P: u8, const S: u8> FromStr for Decimal<P, S> {
    type Err = ParseError;

    /// Reads `-12.50`. No digit is dropped: more of them behind the point than `S` are refused.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        unscaled(text, S)
            .and_then(Self::from_unscaled)
            .ok_or_else(|| {
                ParseError::new(
                    text,
                    "a decimal such as `-12.50` of the column's precision and scale",
                )
            })
    }
}

/// A number of just so many digits.
fn digits(text: &str, count: usize) -> Option<i64> {
    let is_number = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar.
fn days(text: &str) -> Option<i32> {
    let (year, rest) = text.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    let (year, month, day) = (digits(year, 4)?, digits(month, 2)?, digits(day, 2)?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Years that begin in March end with the leap day.
    let year = if month < 3 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    i32::try_from(365 * year + leap_days + day_of_year - 719_468).ok()
}

/// Microseconds since 1970-01-01 00:00 UTC.
fn micros(text: &str) -> Option<i64> {
    let (day, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut parts = time.split(':');
    let mut part = |below: i64| digits(parts.next()?, 2).filter(|value| *value < below);
    let seconds = part(24)? * 3_600 + part(60)? * 60 + part(60)?;
    if parts.next().is_some() || fraction.is_empty() || fraction.len() > 6 {
        return None;
    }
    let fraction = digits(&format!("{fraction:0<6}"), 6)?;
    Some((i64::from(days(day)?) * 86_400 + seconds) * 1_000_000 + fraction)
}

/// The number times `10^scale`.
fn unscaled(text: &str, scale: u8) -> Option<i128> {
    let positive = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = positive.split_once('.').unwrap_or((positive, ""));
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let scale = usize::from(scale);
    if positive.ends_with('.') {
        return None;
    }
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) || fraction.len() > scale {
        return None;
    }
    let number: i128 = format!("{whole}{fraction:0<scale$}").parse().ok()?;
    Some(if positive.len() < text.len() {
        -number
    } else {
        number
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted() {
        for (text, days) in [
            ("1970-01-01", 0),
            ("1969-12-31", -1),
            ("2000-02-29", 11_016),
            ("2026-03-01", 20_513),
            ("0001-01-01", -719_162),
            ("9999-12-31", 2_932_896),
        ] {
            assert_eq!(text.parse(), Ok(Date::from_days(days)), "{text}");
        }
        for text in [
            "",
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "26-03-01",
            "2026-3-1",
            "+026-03-01",
            "2026-03-01 ",
        ] {
            assert!(text.parse::<Date>().is_err(), "{text}");
        }
        // Day by day, so that no end of a month is skipped or counted twice.
        let mut next = days("1899-12-31").expect("a day") + 1;
        for year in 1900..2105 {
            for month in 1..=12 {
                for day in 1..=31 {
                    if let Some(found) = days(&format!("{year}-{month:02}-{day:02}")) {
                        assert_eq!(found, next, "{year}-{month}-{day}");
                        next += 1;
                    }
                }
            }
        }
    }

    #[test]
    fn instants_are_counted() {
        for (text, micros) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59.999999Z", -1),
            ("2026-03-01T09:30:00.5Z", 1_772_357_400_500_000),
        ] {
            assert_eq!(text.parse(), Ok(Timestamp::from_micros(micros)), "{text}");
        }
        for text in [
            "2026-03-01",
            "2026-03-01T09:30Z",
            "2026-03-01T24:00:00Z",
            "2026-03-01T09:30:00",
            "2026-03-01T09:30:00.Z",
            "2026-03-01T09:30:00.1234567Z",
            "2026-03-01T09:30:00:00Z",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn decimals_keep_every_digit() {
        for (text, unscaled) in [("-1.50", -150), ("0.05", 5), ("7", 700), ("999.9", 99_990)] {
            assert_eq!(
                text.parse().ok(),
                Decimal::<5, 2>::from_unscaled(unscaled),
                "{text}"
            );
        }
        for text in [
            "", "-", ".5", "5.", "1.234", "1000", "1e3", "--1", "1.2.3", "+1",
        ] {
            assert!(text.parse::<Decimal<5, 2>>().is_err(), "{text}");
        }
        let error = "soon".parse::<Date>().expect_err("no day");
        assert_eq!(
            error.to_string(),
            "`soon` is not a day such as `2026-03-01`"
        );
    }
}
