//! `x like pattern escape 'c'`: the engine's patterns know one character that takes a meaning away, the
//! backslash.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};

/// The name of [`function`].
pub(crate) const FUNCTION: &str = "like_pattern";

/// `like_pattern(pattern, escape)` is the pattern with backslashes.
pub(crate) fn function() -> ScalarUDF {
    let translate = |arguments: &[ColumnarValue]| -> Result<ColumnarValue> {
        let columns = ColumnarValue::values_to_arrays(arguments)?;
        let (patterns, escapes) = (columns[0].as_string::<i32>(), columns[1].as_string::<i32>());
        let translated = patterns.iter().zip(escapes).map(|pair| match pair {
            (Some(pattern), Some(escape)) => with_backslashes(pattern, escape).map(Some),
            _ => Ok(None),
        });
        let translated: StringArray = translated.collect::<Result<_>>()?;
        let translated: ArrayRef = Arc::new(translated);
        Ok(ColumnarValue::Array(translated))
    };
    create_udf(
        FUNCTION,
        vec![DataType::Utf8, DataType::Utf8],
        DataType::Utf8,
        Volatility::Immutable,
        Arc::new(translate),
    )
}

fn with_backslashes(pattern: &str, escape: &str) -> Result<String> {
    let mut characters = escape.chars();
    let escape = characters.next();
    if characters.next().is_some() {
        return exec_err!("the escape of `like` is one character, or none");
    }
    let mut translated = String::with_capacity(pattern.len());
    let mut pattern = pattern.chars();
    while let Some(character) = pattern.next() {
        if Some(character) == escape {
            let Some(plain) = pattern.next() else {
                return exec_err!("a pattern of `like` can't end with its escape");
            };
            if matches!(plain, '%' | '_' | '\\') {
                translated.push('\\');
            }
            translated.push(plain);
        } else if character == '\\' {
            translated.push_str("\\\\");
        } else {
            translated.push(character);
        }
    }
    Ok(translated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_become_backslashes() {
        for (pattern, escape, wanted) in [
            ("a%b", "!", "a%b"),
            ("a!%b!!", "!", "a\\%b!"),
            ("a%%b", "%", "a\\%b"),
            ("!\\", "!", "\\\\"),
            ("a\\_", "!", "a\\\\_"),
            ("a\\_", "", "a\\\\_"),
            ("\\_\\x", "\\", "\\_x"),
            ("", "!", ""),
        ] {
            let found = with_backslashes(pattern, escape).expect("it is right");
            assert_eq!(found, wanted, "{pattern} {escape}");
        }
        assert!(with_backslashes("a", "ab").is_err());
        assert!(with_backslashes("a!", "!").is_err());
    }
}
