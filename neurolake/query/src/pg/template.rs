//! Template patterns of `to_char`, `to_date` and `to_timestamp`.
//!
//! <https://www.postgresql.org/docs/15/functions-formatting.html>

use crate::error::{Error, Kind, Result};

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
            let word: String = rest
                .chars()
                .take_while(char::is_ascii_alphanumeric)
                .collect();
            return Err(unknown(&word, template));
        }
        found.push(first);
        rest = &rest[first.len_utf8()..];
    }
    Ok(found)
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
            ("", ""),
        ] {
            assert_eq!(strftime(template).expect("known"), wanted, "{template}");
        }
        for unknown in ["999D99", "YYYY Month", "Q", "TZ", "x"] {
            assert!(strftime(unknown).is_err(), "{unknown}");
        }
    }
}
