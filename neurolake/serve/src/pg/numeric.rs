//! Numbers of up to 38 digits as PostgreSQL writes them; the libraries know 28.
//!
//! The binary form is that of `numeric_send` in PostgreSQL's `numeric.c`: how many groups of four
//! digits there are, the power of 10,000 of the first, the sign, the digits behind the point, and the
//! groups without zeros at either end.

use arrow::array::{AsArray, BinaryArray};
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type};
use neurolake_query::datafusion::common::ScalarValue;

const MINUS: u16 = 0x4000;
const GROUP: u128 = 10_000;
const GROUP_DIGITS: usize = 4;

/// A number: this many units of 10 to the power of minus `scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numeric {
    units: i128,
    scale: u8,
}

impl Numeric {
    /// From digits with a point and an exponent. `None`: it is none, or too long.
    pub(super) fn of_text(text: &str) -> Option<Self> {
        let text = text.trim();
        let (number, exponent) = match text.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (sign, number) = match number.as_bytes().first()? {
            b'-' => (-1, &number[1..]),
            b'+' => (1, &number[1..]),
            _ => (1, number),
        };
        let (whole, behind) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && behind.is_empty() {
            return None;
        }
        let mut units: i128 = 0;
        for digit in whole.bytes().chain(behind.bytes()) {
            let digit = digit.is_ascii_digit().then(|| i128::from(digit - b'0'))?;
            units = units.checked_mul(10)?.checked_add(digit)?;
        }
        let scale = i32::try_from(behind.len()).ok()?.checked_sub(exponent)?;
        Self::of(sign * units, scale)
    }

    /// From the binary form. `None`: it is none, no number (`NaN`), or too long.
    pub(super) fn of_binary(bytes: &[u8]) -> Option<Self> {
        let mut parts = bytes.chunks(2).map(|part| part.try_into().ok());
        let mut part = || parts.next()?.map(u16::from_be_bytes);
        let (count, weight, sign, scale) = (part()?, part()?, part()?, part()?);
        let first = i32::from(weight.cast_signed());
        let mut units: i128 = 0;
        for place in 0..i32::from(count) {
            let group = part().filter(|group| u128::from(*group) < GROUP)?;
            // Which power of ten one of the group stands for, in units.
            let power = i32::from(scale) + (first - place) * GROUP_DIGITS as i32;
            let factor = || 10_i128.checked_pow(power.unsigned_abs());
            let group = match i128::from(group) {
                0 => 0,
                group if power >= 0 => group.checked_mul(factor()?)?,
                group => (group % factor()? == 0).then_some(group / factor()?)?,
            };
            units = units.checked_add(group)?;
        }
        let sign = match sign {
            0 => 1,
            MINUS => -1,
            _ => return None,
        };
        Self::of(sign * units, scale.into())
    }

    /// A scale below zero is none here.
    fn of(units: i128, scale: i32) -> Option<Self> {
        let number = match u8::try_from(scale) {
            Ok(scale) => Self { units, scale },
            Err(_) if scale > 0 => return None,
            Err(_) => Self {
                units: units.checked_mul(10_i128.checked_pow(scale.unsigned_abs())?)?,
                scale: 0,
            },
        };
        Some(number).filter(|number| number.digits() <= DECIMAL128_MAX_PRECISION)
    }

    /// The same number with so many digits behind the point. `None`: it has more, or becomes too long.
    fn with_scale(self, scale: u8) -> Option<Self> {
        let units = if scale >= self.scale {
            let factor = 10_i128.checked_pow((scale - self.scale).into())?;
            self.units.checked_mul(factor)?
        } else {
            let factor = 10_i128.checked_pow((self.scale - scale).into())?;
            (self.units % factor == 0).then(|| self.units / factor)?
        };
        let number = Self { units, scale };
        Some(number).filter(|number| number.digits() <= DECIMAL128_MAX_PRECISION)
    }

    /// Digits that its type needs.
    fn digits(self) -> u8 {
        let digits = self
            .units
            .unsigned_abs()
            .checked_ilog10()
            .map_or(1, |log| log + 1);
        u8::try_from(digits).unwrap_or(u8::MAX).max(self.scale)
    }

    /// As a value for a parameter that is compared with this type.
    pub(super) fn value(self, wanted: Option<&DataType>) -> ScalarValue {
        if let Some(DataType::Decimal128(precision, scale)) = wanted
            && let Ok(scale) = u8::try_from(*scale)
            && let Some(number) = self.with_scale(scale)
        {
            let precision = number.digits().max(*precision);
            return ScalarValue::Decimal128(Some(number.units), precision, scale.cast_signed());
        }
        ScalarValue::Decimal128(Some(self.units), self.digits(), self.scale.cast_signed())
    }

    /// The binary form.
    fn binary(self) -> Vec<u8> {
        let places = usize::from(self.scale).div_ceil(GROUP_DIGITS);
        let power = |exponent: usize| 10_u128.pow(exponent as u32);
        // Digits before and behind the point apart: together, filled up to whole groups, they may be too many.
        let unit = power(self.scale.into());
        let (mut whole, behind) = (
            self.units.unsigned_abs() / unit,
            self.units.unsigned_abs() % unit,
        );
        let mut groups = Vec::new();
        while whole > 0 {
            groups.push(whole % GROUP);
            whole /= GROUP;
        }
        groups.reverse();
        let mut weight = groups.len() as i16 - 1;
        let mut rest = behind;
        for place in 1..=places {
            let digits = place * GROUP_DIGITS;
            let scale = usize::from(self.scale);
            // The last group may stand for fewer digits.
            groups.push(match scale.checked_sub(digits) {
                Some(left) => {
                    let group = rest / power(left);
                    rest %= power(left);
                    group
                }
                None => rest * power(digits - scale),
            });
        }
        let leading = groups.iter().take_while(|group| **group == 0).count();
        groups.drain(..leading);
        weight -= leading as i16;
        while groups.last() == Some(&0) {
            groups.pop();
        }
        if groups.is_empty() {
            weight = 0;
        }
        let sign = if self.units < 0 { MINUS } else { 0 };
        let head = [
            groups.len() as u16,
            weight.cast_unsigned(),
            sign,
            self.scale.into(),
        ];
        let groups = groups.into_iter().map(|group| group as u16);
        head.into_iter()
            .chain(groups)
            .flat_map(u16::to_be_bytes)
            .collect()
    }
}

/// A column of numbers in the binary form. `None`: it is none of them.
pub(super) fn binary(column: &arrow::array::ArrayRef) -> Option<BinaryArray> {
    let DataType::Decimal128(_, scale) = column.data_type() else {
        return None;
    };
    let scale = u8::try_from(*scale).ok()?;
    let values = column.as_primitive::<Decimal128Type>().iter();
    let values = values.map(|units| {
        Some(
            Numeric {
                units: units?,
                scale,
            }
            .binary(),
        )
    });
    Some(values.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(units: i128, scale: u8) -> Numeric {
        Numeric { units, scale }
    }

    #[test]
    fn texts_are_numbers() {
        for (text, found) in [
            ("12.50", Some(number(1250, 2))),
            ("-0.001", Some(number(-1, 3))),
            (".5", Some(number(5, 1))),
            ("7.", Some(number(7, 0))),
            ("1e3", Some(number(1000, 0))),
            ("1.5e-3", Some(number(15, 4))),
            (
                "-12345678901234567890.123456789",
                Some(number(-12_345_678_901_234_567_890_123_456_789, 9)),
            ),
            (&"9".repeat(38), Some(number(10_i128.pow(38) - 1, 0))),
            (&"9".repeat(39), None),
            ("1e39", None),
            ("1e-39", None),
            ("1e99999999999", None),
            ("NaN", None),
            ("", None),
            (".", None),
            ("1 2", None),
        ] {
            assert_eq!(Numeric::of_text(text), found, "{text}");
        }
    }

    #[test]
    fn the_binary_form_is_postgresqls() {
        // As `select numeric_send(12.5)` and the like print it.
        for (units, scale, words) in [
            (125, 1, &[2, 0, 0, 1, 12, 5000][..]),
            (0, 2, &[0, 0, 0, 2]),
            (-1, 3, &[1, 0xffff, MINUS, 3, 10]),
            (10_000, 0, &[1, 1, 0, 0, 1]),
            (1, 8, &[1, 0xfffe, 0, 8, 1]),
            (123_456_789, 4, &[3, 1, 0, 4, 1, 2345, 6789]),
        ] {
            let binary = Numeric { units, scale }.binary();
            let wanted: Vec<u8> = words
                .iter()
                .flat_map(|word: &u16| word.to_be_bytes())
                .collect();
            assert_eq!(binary, wanted, "{units} {scale}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let longest = 10_i128.pow(38) - 1;
        for units in [
            0,
            1,
            9,
            10,
            9999,
            10_000,
            123_456_789,
            i128::from(i64::MAX),
            longest,
        ] {
            for scale in 0..=38 {
                for units in [units, -units] {
                    let number = Numeric { units, scale };
                    assert_eq!(Numeric::of_binary(&number.binary()), Some(number));
                }
            }
        }
        for broken in [
            &[][..],
            &[0, 1, 0, 0, 0, 0, 0],
            &[0, 0, 0, 0, 0xc0, 0, 0, 0],
        ] {
            assert_eq!(Numeric::of_binary(broken), None);
        }
    }

    #[test]
    fn a_value_has_the_scale_that_it_is_compared_with() {
        let number = Numeric {
            units: 125,
            scale: 1,
        };
        let wanted = DataType::Decimal128(10, 3);
        let value = number.value(Some(&wanted));
        assert_eq!(value, ScalarValue::Decimal128(Some(12_500), 10, 3));
        // Nothing of it is lost for that.
        let wanted = DataType::Decimal128(10, 0);
        let value = number.value(Some(&wanted));
        assert_eq!(value, ScalarValue::Decimal128(Some(125), 3, 1));
    }
}
