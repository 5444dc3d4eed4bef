//! One value from its JSON text. No value is changed on the way, but for the rounding of decimal
//! numbers to floats.

use std::borrow::Cow;
use std::str::FromStr;

use arrow::datatypes::{ArrowNativeTypeOp, Date32Type};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use chrono::{DateTime, NaiveDate};
use neurolake_model::Type;

use super::faults::shortened;

/// Why a value doesn't fit: what is to be said behind "expected ..., found ...", if anything.
pub(super) type Misfit = Cow<'static, str>;

/// There is nothing to add.
pub(super) const PLAIN: Misfit = Cow::Borrowed("");

/// First and last day that every reader of Delta tables knows: 0001-01-01 and 9999-12-31.
pub(super) const DAYS: std::ops::RangeInclusive<i32> = -719_162..=2_932_896;
/// The microseconds of these days.
pub(super) const MICROSECONDS: std::ops::RangeInclusive<i64> =
    -62_135_596_800_000_000..=253_402_300_799_999_999;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A value as a message quotes it.
pub(super) fn found(raw: &str) -> String {
    match raw.as_bytes().first() {
        Some(b'n') => "null".into(),
        Some(b't' | b'f') => raw.into(),
        Some(b'"') => match unquoted(raw) {
            Some(text) => format!("a string {:?}", shortened(&text)),
            None => "a string".into(),
        },
        Some(b'[') => "an array".into(),
        Some(b'{') => "an object".into(),
        _ => format!("a number {}", shortened(raw)),
    }
}

/// The text of a JSON string. `None`: not a string, or half of a surrogate pair stands in it.
pub(super) fn unquoted(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.as_bytes().contains(&b'\\') {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str::<String>(raw).ok().map(Cow::Owned)
}

/// The text of a JSON string, and what to say if it is none.
pub(super) fn text(raw: &str) -> Result<Cow<'_, str>, Misfit> {
    unquoted(raw).ok_or(if raw.starts_with('"') {
        Cow::Borrowed(" with half of a surrogate pair")
    } else {
        PLAIN
    })
}

pub(super) fn boolean(raw: &str) -> Result<bool, Misfit> {
    match raw {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(PLAIN),
    }
}

/// A whole number of at most 32 bits.
pub(super) fn whole<T: FromStr + TryFrom<i128>>(
    raw: &str,
    range: (i128, i128),
) -> Result<T, Misfit> {
    if !is_number(raw) {
        return Err(PLAIN);
    }
    if let Ok(value) = raw.parse() {
        return Ok(value);
    }
    let out_of_range = || -> Misfit {
        let (first, last) = range;
        format!(", which is not between {first} and {last}").into()
    };
    match exact(raw, 0) {
        Ok(value) => T::try_from(value).map_err(|_| out_of_range()),
        Err(Inexact::TooFine) => Err(PLAIN),
        Err(Inexact::TooLarge) => Err(out_of_range()),
    }
}

/// A whole number of 64 bits: many clients hold numbers as floats, so text is taken as well.
pub(super) fn long<T: FromStr + TryFrom<i128>>(
    raw: &str,
    range: (i128, i128),
) -> Result<T, Misfit> {
    whole(number_in(raw)?, range)
}

/// The digits of a number or of a text that holds one.
fn number_in(raw: &str) -> Result<&str, Misfit> {
    let number = raw
        .strip_prefix('"')
        .and_then(|raw| raw.strip_suffix('"'))
        .unwrap_or(raw);
    if is_number(number) {
        Ok(number)
    } else {
        Err(PLAIN)
    }
}

/// First and last value of an integer type.
pub(crate) fn range(declared: &Type) -> (i128, i128) {
    match declared {
        Type::Int8 => (i8::MIN.into(), i8::MAX.into()),
        Type::Int16 => (i16::MIN.into(), i16::MAX.into()),
        Type::Int32 => (i32::MIN.into(), i32::MAX.into()),
        Type::UInt8 => (0, u8::MAX.into()),
        Type::UInt16 => (0, u16::MAX.into()),
        Type::UInt32 => (0, u32::MAX.into()),
        Type::UInt64 => (0, u64::MAX.into()),
        _ => (i64::MIN.into(), i64::MAX.into()),
    }
}

/// What a float can be parsed from and told apart.
pub(super) trait Float: FromStr + ArrowNativeTypeOp {
    const NAN: Self;
    const INFINITY: Self;
    fn is_finite(self) -> bool;
}

impl Float for f32 {
    const NAN: Self = f32::NAN;
    const INFINITY: Self = f32::INFINITY;
    fn is_finite(self) -> bool {
        self.is_finite()
    }
}

impl Float for f64 {
    const NAN: Self = f64::NAN;
    const INFINITY: Self = f64::INFINITY;
    fn is_finite(self) -> bool {
        self.is_finite()
    }
}

/// The nearest float. Parsed from the text itself: `serde_json`'s own floats may be off by the last
/// bit, and a float32 would be rounded twice.
pub(super) fn float<T: Float>(raw: &str) -> Result<T, Misfit> {
    match raw {
        "\"NaN\"" => return Ok(T::NAN),
        "\"Infinity\"" => return Ok(T::INFINITY),
        "\"-Infinity\"" => return Ok(T::INFINITY.neg_wrapping()),
        _ => {}
    }
    if raw.starts_with('"') {
        return Err(PLAIN);
    }
    match raw.parse::<T>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err(", which is too large".into()),
        Err(_) => Err(PLAIN),
    }
}

/// A decimal number, as its digits without the point.
pub(super) fn decimal(raw: &str, precision: u8, scale: u8) -> Result<i128, Misfit> {
    let number = number_in(raw)?;
    let too_large = || -> Misfit {
        let digits = precision - scale;
        format!(", which has more than {digits} digits before the point").into()
    };
    match exact(number, i64::from(scale)) {
        Ok(value) if value.unsigned_abs() < 10_u128.pow(precision.into()) => Ok(value),
        Ok(_) | Err(Inexact::TooLarge) => Err(too_large()),
        Err(Inexact::TooFine) => {
            Err(format!(", which has more than {scale} digits behind the point").into())
        }
    }
}

/// A calendar day, in days since 1970-01-01.
pub(super) fn date(raw: &str) -> Result<i32, Misfit> {
    let text = unquoted(raw).ok_or(PLAIN)?;
    let is_form = text.len() == 10
        && text.bytes().enumerate().all(|(i, byte)| match i {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if !is_form {
        return Err(PLAIN);
    }
    let number = |from, to| text[from..to].parse::<u32>().unwrap_or(0);
    NaiveDate::from_ymd_opt(number(0, 4) as i32, number(5, 7), number(8, 10))
        .map(Date32Type::from_naive_date)
        .filter(|day| DAYS.contains(day))
        .ok_or(Cow::Borrowed(", a day that doesn't exist"))
}

/// An instant, in microseconds since 1970: RFC 3339 text with an offset, or the number itself.
pub(super) fn timestamp(raw: &str) -> Result<i64, Misfit> {
    let microseconds = match unquoted(raw) {
        Some(text) => instant(&text)?,
        None => whole(raw, (i64::MIN.into(), i64::MAX.into()))?,
    };
    if MICROSECONDS.contains(&microseconds) {
        Ok(microseconds)
    } else {
        Err(", which is outside of the years 1 to 9999 (a number counts microseconds)".into())
    }
}

fn instant(text: &str) -> Result<i64, Misfit> {
    let Ok(instant) = DateTime::parse_from_rfc3339(text) else {
        let with_zone = DateTime::parse_from_rfc3339(&format!("{text}Z"));
        return Err(match with_zone {
            Ok(_) => "; add `Z`, or an offset such as `+01:00`".into(),
            Err(_) => PLAIN,
        });
    };
    if has_more_than_microseconds(text) {
        return Err(", which is finer than microseconds".into());
    }
    Ok(instant.timestamp_micros())
}

/// The parser drops digits behind the ninth without a word.
fn has_more_than_microseconds(text: &str) -> bool {
    let Some((_, fraction)) = text.split_once('.') else {
        return false;
    };
    let digits = fraction.bytes().take_while(u8::is_ascii_digit);
    digits.skip(6).any(|digit| digit != b'0')
}

/// Appends the bytes that base64 text stands for.
pub(super) fn binary(raw: &str, bytes: &mut Vec<u8>) -> Result<(), Misfit> {
    let text = unquoted(raw).ok_or(PLAIN)?;
    let before = bytes.len();
    BASE64.decode_vec(text.as_ref(), bytes).map_err(|error| {
        bytes.truncate(before);
        format!(", which is not base64: {error}").into()
    })
}

/// Whether it is a number as JSON writes it.
pub(super) fn is_number(text: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = text.strip_prefix('-').unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest.starts_with('0')) {
        return false;
    }
    let mut rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let length = digits(fraction);
        if length == 0 {
            return false;
        }
        rest = &fraction[length..];
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let length = digits(exponent);
        if length == 0 {
            return false;
        }
        rest = &exponent[length..];
    }
    rest.is_empty()
}

#[derive(Debug, PartialEq)]
enum Inexact {
    /// Digits behind the scale would be lost.
    TooFine,
    /// More than 38 digits.
    TooLarge,
}

/// The number times 10 to the power of `scale`, if that is a whole number of at most 38 digits.
fn exact(number: &str, scale: i64) -> Result<i128, Inexact> {
    let (is_negative, number) = match number.strip_prefix('-') {
        Some(number) => (true, number),
        None => (false, number),
    };
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent_of(exponent)),
        None => (number, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let zeros_in_front = |text: &str| text.bytes().take_while(|digit| *digit == b'0').count();
    let mut digits = format!("{whole}{fraction}");
    digits.drain(..zeros_in_front(&digits));
    let significant = digits.trim_end_matches('0').len();
    if significant == 0 {
        return Ok(0);
    }
    let zeros = (digits.len() - significant) as i64;
    digits.truncate(significant);
    let shift = exponent
        .saturating_add(scale)
        .saturating_add(zeros)
        .saturating_sub(fraction.len() as i64);
    if shift < 0 {
        return Err(Inexact::TooFine);
    }
    let length = (significant as i64).saturating_add(shift);
    if length > 38 {
        return Err(Inexact::TooLarge);
    }
    let value = digits.parse::<i128>().map_err(|_| Inexact::TooLarge)?;
    let value = value * 10_i128.pow(shift as u32);
    Ok(if is_negative { -value } else { value })
}

fn exponent_of(text: &str) -> i64 {
    let limit = i64::MAX / 4;
    match text.parse::<i64>() {
        Ok(exponent) => exponent.clamp(-limit, limit),
        Err(_) if text.starts_with('-') => -limit,
        Err(_) => limit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_numbers_keep_every_digit_or_are_refused() {
        for (number, scale, expected) in [
            ("0", 2, Ok(0)),
            ("-0.00", 0, Ok(0)),
            ("1", 2, Ok(100)),
            ("-1.5", 1, Ok(-15)),
            ("1.50", 1, Ok(15)),
            ("1.55", 1, Err(Inexact::TooFine)),
            ("1e3", 0, Ok(1000)),
            ("1.25e1", 0, Err(Inexact::TooFine)),
            ("1.25e2", 0, Ok(125)),
            ("12500e-2", 0, Ok(125)),
            ("0.000001", 6, Ok(1)),
            ("1e-7", 6, Err(Inexact::TooFine)),
            ("1e38", 0, Err(Inexact::TooLarge)),
            ("1e37", 0, Ok(10_i128.pow(37))),
            ("1e99999999999999999999", 0, Err(Inexact::TooLarge)),
            ("1e-99999999999999999999", 0, Err(Inexact::TooFine)),
            ("0e99999999999999999999", 0, Ok(0)),
            (
                "99999999999999999999999999999999999999",
                0,
                Ok(10_i128.pow(38) - 1),
            ),
            (
                "100000000000000000000000000000000000000",
                0,
                Err(Inexact::TooLarge),
            ),
        ] {
            assert_eq!(exact(number, scale), expected, "{number} with {scale}");
        }
    }

    #[test]
    fn numbers_are_those_of_json() {
        for good in ["0", "-0", "10", "1.5", "1e5", "1E-5", "-1.25e+10"] {
            assert!(is_number(good), "{good}");
        }
        for bad in [
            "", "-", "01", "+1", ".5", "1.", "1e", "1e+", " 1", "1 ", "0x1", "NaN",
        ] {
            assert!(!is_number(bad), "{bad}");
        }
    }
}
