//! Template patterns of `to_char`, `to_date` and `to_timestamp`.
//!
//! <https://www.postgresql.org/docs/15/functions-formatting.html>

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};

use crate::error::{Error, Kind, Result};

/// The name of [`function`].
pub(super) const FUNCTION: &str = "strftime_of_template";

/// What begins as a known one and is another.
const OTHERS: [&str; 4] = ["IDDD", "SSSS", "DDTH", "DDth"];

/// Each with what it is for `strftime`, longer ones before those that they begin with.
const PATTERNS: [(&str, &str); 28] = [
    ("FMMonth", "%B"),
    ("FMDay", "%A"),
    ("FMHH24", "%-H"),
    ("FMHH12", "%-I"),
    ("FMDD", "%-d"),
    ("FMMM", "%-m"),
    ("FMMI", "%-M"),
    ("FMSS", "%-S"),
    ("HH24", "%H"),
    ("HH12", "%I"),
    ("IYYY", "%G"),
    ("YYYY", "%Y"),
    ("DDD", "%j"),
    ("Mon", "%b"),
    ("AM", "%p"),
    ("PM", "%p"),
    ("am", "%P"),
    ("pm", "%P"),
    ("DD", "%d"),
    ("Dy", "%a"),
    ("HH", "%I"),
    ("ID", "%u"),
    ("IW", "%V"),
    ("MI", "%M"),
    ("MM", "%m"),
    ("MS", "%3f"),
    ("SS", "%S"),
    ("US", "%6f"),
];

/// The pattern in the words of `strftime`.
///
/// # Errors
/// It holds what is not known.
pub(super) fn strftime(template: &str) -> Result<String> {
    let mut rest = template;
    let mut found = String::new();
    'next: while let Some(first) = rest.chars().next() {
        if OTHERS.iter().any(|other| rest.starts_with(other)) {
            return Err(unknown(&word(rest), template));
        }
        for (pattern, instead) in PATTERNS {
            if let Some(after) = rest.strip_prefix(pattern) {
                found.push_str(instead);
                rest = after;
                continue 'next;
            }
        }
        if let Some(quoted) = rest.strip_prefix('"') {
            let (text, after) = quoted.split_once('"').unwrap_or((quoted, ""));
            found.push_str(text);
            rest = after;
            continue;
        }
        if first.is_ascii_alphanumeric() && first != 'T' {
            return Err(unknown(&word(rest), template));
        }
        found.push(first);
        rest = &rest[first.len_utf8()..];
    }
    Ok(found)
}

/// Refuses hours without minutes, which the engine would leave out.
///
/// # Errors
/// There are some.
pub(super) fn check_time(strftime: &str) -> Result<()> {
    let has = |patterns: [&str; 2]| patterns.iter().any(|pattern| strftime.contains(pattern));
    if (has(["%H", "%-H"]) || has(["%I", "%-I"])) && !has(["%M", "%-M"]) {
        return Err(Error::new(
            Kind::BadRequest,
            "a template of `to_timestamp` with hours needs minutes here",
        )
        .with_hint("append `:00` to the text and `:MI` to the template"));
    }
    Ok(())
}

fn word(text: &str) -> String {
    text.chars()
        .take_while(char::is_ascii_alphanumeric)
        .collect()
}

/// [`strftime`] for templates that are known only when the statement runs. Those of `strftime` stay as
/// they are.
pub(super) fn function() -> ScalarUDF {
    let translate = |arguments: &[ColumnarValue]| -> DataFusionResult<ColumnarValue> {
        let templates = ColumnarValue::values_to_arrays(arguments)?;
        let templates = templates[0].as_string::<i32>().iter();
        let translated = templates.map(|template| match template {
            Some(template) if !template.contains('%') => strftime(template)
                .map(Some)
                .map_err(|error| DataFusionError::External(Box::new(error))),
            other => Ok(other.map(ToOwned::to_owned)),
        });
        let translated: StringArray = translated.collect::<DataFusionResult<_>>()?;
        let translated: ArrayRef = Arc::new(translated);
        Ok(ColumnarValue::Array(translated))
    };
    create_udf(
        FUNCTION,
        vec![DataType::Utf8],
        DataType::Utf8,
        Volatility::Immutable,
        Arc::new(translate),
    )
}

fn unknown(pattern: &str, template: &str) -> Error {
    Error::new(
        Kind::BadRequest,
        format!("the pattern `{pattern}` in '{template}' is not known here"),
    )
    .with_hint("there are YYYY, MM, DD, HH24, HH12, MI, SS, MS, US, AM, Mon, FMMonth, Dy, FMDay, DDD, IYYY, IW, ID and \"text\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_become_those_of_strftime() {
        for (template, wanted) in [
            ("YYYY-MM-DD HH24:MI:SS.US", "%Y-%m-%d %H:%M:%S.%6f"),
            ("YYYY-MM-DD\"T\"HH24:MI", "%Y-%m-%dT%H:%M"),
            ("FMDD. FMMonth YYYY, HH12 AM", "%-d. %B %Y, %I %p"),
            ("IYYY-IW", "%G-%V"),
            ("YYYY-MM-DDT", "%Y-%m-%dT"),
            ("", ""),
        ] {
            assert_eq!(strftime(template).expect("known"), wanted, "{template}");
        }
        for unknown in [
            "999D99",
            "YYYY Month",
            "Q",
            "TZ",
            "x",
            "SSSS",
            "IDDD",
            "FMDDth",
        ] {
            assert!(strftime(unknown).is_err(), "{unknown}");
        }
    }
}
