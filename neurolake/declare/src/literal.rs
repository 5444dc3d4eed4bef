//! Example values: a literal checked against the type of its column.

use neurolake_model::{Type, Value};

use crate::arguments::{Lit, Spanned};
use crate::code::Code;
use crate::diagnostic::Diagnostic;

/// Turns a literal into a value of `data_type`; `None` takes what the literal says.
pub(crate) fn value(
    name: &str,
    spanned: &Spanned,
    data_type: Option<&Type>,
) -> Result<Value, Box<Diagnostic>> {
    if let Some(data_type) = data_type {
        typed(name, spanned, data_type)
    } else {
        untyped(name, spanned)
    }
}

fn untyped(name: &str, spanned: &Spanned) -> Result<Value, Box<Diagnostic>> {
    Ok(match &spanned.literal {
        Lit::String(text) => Value::String(text.clone()),
        Lit::Integer(digits) => {
            Value::Int(integer(digits).ok_or_else(|| {
                Box::new(mismatch(name, spanned, "int64", "from -2^63 to 2^63 - 1"))
            })?)
        }
        Lit::Float(digits) => Value::Float(digits.clone()),
        Lit::Bool(value) => Value::Bool(*value),
        Lit::None => Value::Null,
        Lit::List(elements) => Value::List(
            elements
                .iter()
                .map(|element| untyped(name, element))
                .collect::<Result<_, _>>()?,
        ),
        Lit::Word(word) => {
            return Err(Box::new(
                Diagnostic::new(
                    Code::NotALiteral,
                    spanned.span,
                    format!("expected a literal, found `{word}`"),
                )
                .help(format!("write text in quotes: `{name} = \"{word}\"`")),
            ));
        }
    })
}

fn typed(name: &str, spanned: &Spanned, data_type: &Type) -> Result<Value, Box<Diagnostic>> {
    let literal = &spanned.literal;
    let fail = |shape: &str| Box::new(mismatch(name, spanned, &data_type.to_string(), shape));
    if matches!(literal, Lit::None) {
        return Ok(Value::Null);
    }
    match data_type {
        Type::Bool => match literal {
            Lit::Bool(value) => Ok(Value::Bool(*value)),
            _ => Err(fail("`true` or `false`")),
        },
        integer_type if integer_type.is_integer() => {
            let (min, max) = range(integer_type);
            match literal {
                Lit::Integer(digits) => integer(digits)
                    .filter(|number| (min..=max).contains(number))
                    .map(Value::Int)
                    .ok_or_else(|| fail(&format!("from {min} to {max}"))),
                _ => Err(fail("a whole number")),
            }
        }
        Type::Float32 | Type::Float64 => match literal {
            Lit::Float(digits) | Lit::Integer(digits) => Ok(Value::Float(digits.clone())),
            Lit::String(text) if matches!(text.as_str(), "nan" | "inf" | "-inf") => {
                Ok(Value::Float(text.clone()))
            }
            _ => Err(fail("a number, such as `0.5`")),
        },
        Type::String => match literal {
            Lit::String(text) => Ok(Value::String(text.clone())),
            _ => Err(fail("text in quotes")),
        },
        Type::Binary => match literal {
            Lit::String(text) if is_hexadecimal(text) => {
                Ok(Value::Binary(text.to_ascii_lowercase()))
            }
            _ => Err(fail(
                "an even number of hexadecimal digits, such as `\"00ff\"`",
            )),
        },
        Type::Date => match literal {
            Lit::String(text) if is_date(text) => Ok(Value::Date(text.clone())),
            _ => Err(fail("a day, such as `\"2026-03-01\"`")),
        },
        Type::Timestamp => match literal {
            Lit::String(text) if is_timestamp(text) => Ok(Value::Timestamp(text.clone())),
            _ => Err(fail(
                "an instant in UTC, such as `\"2026-03-01T09:30:00Z\"`",
            )),
        },
        Type::Decimal { precision, scale } => match literal {
            Lit::String(text) | Lit::Float(text) | Lit::Integer(text)
                if is_decimal(text, *precision, *scale) =>
            {
                Ok(Value::Decimal(text.clone()))
            }
            _ => Err(fail(&format!(
                "at most {} digits before the point and {scale} behind it",
                precision - scale
            ))),
        },
        Type::List { item, .. } => match literal {
            Lit::List(elements) => elements
                .iter()
                .map(|element| typed(name, element, item))
                .collect::<Result<_, _>>()
                .map(Value::List),
            _ => Err(fail("a list, such as `[...]`")),
        },
        Type::Blob | Type::Map { .. } | Type::Struct { .. } => Err(Box::new(
            Diagnostic::new(
                Code::ExampleValue,
                spanned.span,
                format!("`{name}` is of type `{data_type}`, which has no literal"),
            )
            .help("choose a column that holds plain values or lists"),
        )),
        _ => unreachable!("integer types are handled above"),
    }
}

fn mismatch(name: &str, spanned: &Spanned, data_type: &str, shape: &str) -> Diagnostic {
    Diagnostic::new(
        Code::ExampleValue,
        spanned.span,
        format!(
            "`{name}` is of type `{data_type}`: expected {shape}, found {}",
            spanned.literal.describe()
        ),
    )
}

fn integer(digits: &str) -> Option<i64> {
    digits.parse().ok()
}

fn range(integer_type: &Type) -> (i64, i64) {
    match integer_type {
        Type::Int8 => (i8::MIN.into(), i8::MAX.into()),
        Type::Int16 => (i16::MIN.into(), i16::MAX.into()),
        Type::Int32 => (i32::MIN.into(), i32::MAX.into()),
        Type::UInt8 => (0, u8::MAX.into()),
        Type::UInt16 => (0, u16::MAX.into()),
        Type::UInt32 => (0, u32::MAX.into()),
        Type::UInt64 => (0, i64::MAX),
        _ => (i64::MIN, i64::MAX),
    }
}

fn is_hexadecimal(text: &str) -> bool {
    text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_date(text: &str) -> bool {
    let Some((year, rest)) = text.split_once('-') else {
        return false;
    };
    let Some((month, day)) = rest.split_once('-') else {
        return false;
    };
    let (Some(year), Some(month), Some(day)) = (number(year, 4), number(month, 2), number(day, 2))
    else {
        return false;
    };
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 0,
    };
    (1..=days).contains(&day)
}

/// RFC 3339 in UTC with at most microseconds: `2026-03-01T09:30:00Z`, `...:00.000250Z`.
fn is_timestamp(text: &str) -> bool {
    let Some((date, time)) = text.split_once('T') else {
        return false;
    };
    let Some(time) = time.strip_suffix('Z') else {
        return false;
    };
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let parts: Vec<_> = time.split(':').collect();
    let [hour, minute, second] = parts.as_slice() else {
        return false;
    };
    is_date(date)
        && number(hour, 2).is_some_and(|hour| hour < 24)
        && number(minute, 2).is_some_and(|minute| minute < 60)
        && number(second, 2).is_some_and(|second| second < 60)
        && (1..=6).contains(&fraction.len())
        && fraction.bytes().all(|byte| byte.is_ascii_digit())
}

fn number(text: &str, digits: usize) -> Option<u32> {
    let plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

fn is_decimal(text: &str, precision: u8, scale: u8) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !whole.is_empty()
        && is_digits(whole)
        && is_digits(fraction)
        && !digits.ends_with('.')
        && whole.trim_start_matches('0').len() <= usize::from(precision - scale)
        && fraction.len() <= usize::from(scale)
}
