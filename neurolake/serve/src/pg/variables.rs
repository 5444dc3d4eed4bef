//! What a connection sets: `search_path`, `statement_timeout`, and much that clients set without
//! need.

use std::time::Duration;

use neurolake_query::pg::{SERVER_VERSION, Variables};
use pgwire::error::PgWireResult;

use super::error::{code, error, error_with_hint};

/// Number of [`SERVER_VERSION`], as `server_version_num`.
const SERVER_VERSION_NUMBER: &str = "150000";

/// Variables with their values at the start.
const DEFAULTS: [(&str, &str); 50] = [
    ("application_name", ""),
    ("array_nulls", "on"),
    ("backslash_quote", "safe_encoding"),
    ("bytea_output", "hex"),
    ("check_function_bodies", "on"),
    ("client_encoding", "UTF8"),
    ("client_min_messages", "notice"),
    ("cursor_tuple_fraction", "0.1"),
    ("datestyle", "ISO, MDY"),
    ("default_table_access_method", "heap"),
    ("default_tablespace", ""),
    ("default_text_search_config", "pg_catalog.english"),
    ("default_transaction_deferrable", "off"),
    ("default_transaction_isolation", "repeatable read"),
    ("default_transaction_read_only", "on"),
    ("effective_io_concurrency", "1"),
    ("enable_seqscan", "on"),
    ("escape_string_warning", "on"),
    ("extra_float_digits", "1"),
    ("geqo", "on"),
    ("idle_in_transaction_session_timeout", "0"),
    ("idle_session_timeout", "0"),
    ("in_hot_standby", "off"),
    ("integer_datetimes", "on"),
    ("intervalstyle", "postgres"),
    ("is_superuser", "off"),
    ("jit", "off"),
    ("lc_collate", "C.UTF-8"),
    ("lc_ctype", "C.UTF-8"),
    ("lc_messages", "C.UTF-8"),
    ("lc_monetary", "C.UTF-8"),
    ("lc_numeric", "C.UTF-8"),
    ("lc_time", "C.UTF-8"),
    ("lock_timeout", "0"),
    ("max_identifier_length", "63"),
    ("max_index_keys", "32"),
    ("quote_all_identifiers", "off"),
    ("row_security", "on"),
    ("search_path", "\"$user\", public"),
    ("server_encoding", "UTF8"),
    ("server_version", SERVER_VERSION),
    ("server_version_num", SERVER_VERSION_NUMBER),
    ("standard_conforming_strings", "on"),
    ("statement_timeout", "0"),
    ("synchronize_seqscans", "on"),
    ("timezone", "UTC"),
    ("transaction_deferrable", "off"),
    ("transaction_isolation", "repeatable read"),
    ("transaction_read_only", "on"),
    ("work_mem", "4MB"),
];

/// Variables that clients are told of when they change, with the spelling that they expect.
const REPORTED: [(&str, &str); 13] = [
    ("application_name", "application_name"),
    ("client_encoding", "client_encoding"),
    ("datestyle", "DateStyle"),
    (
        "default_transaction_read_only",
        "default_transaction_read_only",
    ),
    ("in_hot_standby", "in_hot_standby"),
    ("integer_datetimes", "integer_datetimes"),
    ("intervalstyle", "IntervalStyle"),
    ("is_superuser", "is_superuser"),
    ("search_path", "search_path"),
    ("server_encoding", "server_encoding"),
    ("server_version", "server_version"),
    ("standard_conforming_strings", "standard_conforming_strings"),
    ("timezone", "TimeZone"),
];

/// Variables that no client can change.
const FIXED: [&str; 10] = [
    "in_hot_standby",
    "integer_datetimes",
    "is_superuser",
    "lc_collate",
    "lc_ctype",
    "max_identifier_length",
    "max_index_keys",
    "server_encoding",
    "server_version",
    "server_version_num",
];

/// Variables of a new connection.
pub(super) fn defaults(variables: &Variables, user: &str) {
    let defaults = DEFAULTS.iter();
    let mut all: std::collections::BTreeMap<String, String> = defaults
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    all.insert("session_authorization".to_owned(), user.to_owned());
    all.insert("role".to_owned(), "none".to_owned());
    variables.replace(all);
}

/// What a client is told of, when it connects or changes it.
pub(super) fn reported(name: &str) -> Option<&'static str> {
    let found = REPORTED.iter().find(|(known, _)| *known == name);
    found.map(|(_, spelling)| *spelling)
}

pub(super) fn all_reported() -> impl Iterator<Item = (&'static str, &'static str)> {
    REPORTED.into_iter()
}

/// The value at the start.
pub(super) fn default(name: &str) -> Option<&'static str> {
    let found = DEFAULTS.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| *value)
}

/// Sets a variable; `None` is its value at the start.
pub(super) fn set(variables: &Variables, name: &str, value: Option<String>) -> PgWireResult<()> {
    let is_known = variables.get(name).is_some();
    // Names with a point belong to extensions; the engine's own settings are no client's business.
    let is_extension = name.contains('.') && !name.starts_with("datafusion.");
    if !is_known && !is_extension {
        return Err(error(
            code::UNKNOWN_VARIABLE,
            format!("unrecognized configuration parameter \"{name}\""),
        ));
    }
    let value = value
        .or_else(|| default(name).map(str::to_owned))
        .unwrap_or_default();
    if FIXED.contains(&name) {
        return Err(error(
            code::CANT_CHANGE,
            format!("parameter \"{name}\" cannot be changed"),
        ));
    }
    let value = match name {
        "statement_timeout" => {
            timeout(&value)?;
            value
        }
        "client_encoding" => encoding(&value)?,
        "default_transaction_read_only" | "transaction_read_only" => read_only(name, &value)?,
        "standard_conforming_strings" if !is_on(&value) => {
            return Err(error(
                code::INVALID_VALUE,
                "\"standard_conforming_strings\" is always on",
            ));
        }
        "bytea_output" if value != "hex" => {
            return Err(error(code::INVALID_VALUE, "\"bytea_output\" is always hex"));
        }
        // Dates are written as in ISO 8601; the rest says how they are read.
        "datestyle" if !value.to_ascii_lowercase().starts_with("iso") => {
            return Err(error(code::INVALID_VALUE, "\"DateStyle\" is always ISO"));
        }
        _ => value,
    };
    variables.set(name, value);
    Ok(())
}

fn is_on(value: &str) -> bool {
    ["on", "true", "yes", "1"].contains(&value.to_ascii_lowercase().as_str())
}

fn read_only(name: &str, value: &str) -> PgWireResult<String> {
    if is_on(value) {
        return Ok("on".to_owned());
    }
    Err(error_with_hint(
        code::INVALID_VALUE,
        format!("\"{name}\" is always on"),
        "everything here is read-only",
    ))
}

fn encoding(value: &str) -> PgWireResult<String> {
    let plain: String = value
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_uppercase();
    // What psql sets before it knows better; ASCII is UTF-8.
    if ["UTF8", "UNICODE", "SQLASCII"].contains(&plain.as_str()) {
        return Ok("UTF8".to_owned());
    }
    Err(error_with_hint(
        code::INVALID_VALUE,
        format!("invalid value for parameter \"client_encoding\": \"{value}\""),
        "text is always UTF8",
    ))
}

/// How long a statement of this connection may take; `None`: as long as any other.
pub(super) fn statement_timeout(variables: &Variables) -> Option<Duration> {
    let value = variables.get("statement_timeout")?;
    timeout(&value).ok().flatten()
}

/// `0`, `1500` (milliseconds), `90s`, `5min`...
fn timeout(value: &str) -> PgWireResult<Option<Duration>> {
    let value = value.trim();
    let digits =
        value.trim_end_matches(|letter: char| letter.is_ascii_alphabetic() || letter == ' ');
    let milliseconds = match value[digits.len()..].trim() {
        "" | "ms" => Some(1.0),
        "us" => Some(0.001),
        "s" => Some(1_000.0),
        "min" => Some(60_000.0),
        "h" => Some(3_600_000.0),
        "d" => Some(86_400_000.0),
        _ => None,
    };
    let number: Option<f64> = digits.parse().ok();
    let length = number.zip(milliseconds).map(|(number, unit)| number * unit);
    match length {
        Some(length) if (0.0..1e12).contains(&length) => {
            let length = Duration::from_secs_f64(length / 1_000.0);
            Ok((!length.is_zero()).then_some(length))
        }
        _ => Err(error_with_hint(
            code::INVALID_VALUE,
            format!("invalid value for parameter \"statement_timeout\": \"{value}\""),
            "valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\"",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_postgres_reads_them() {
        for (text, milliseconds) in [
            ("0", None),
            ("1500", Some(1_500)),
            ("200ms", Some(200)),
            ("90 s", Some(90_000)),
            ("5min", Some(300_000)),
            ("0.5s", Some(500)),
        ] {
            let expected = milliseconds.map(Duration::from_millis);
            assert_eq!(timeout(text).expect("it is right"), expected, "{text}");
        }
        for text in ["", "soon", "5 parsecs", "-1", "1e30d"] {
            assert!(timeout(text).is_err(), "{text}");
        }
    }

    #[test]
    fn lists_are_sorted() {
        assert!(DEFAULTS.is_sorted());
        assert!(REPORTED.is_sorted());
        assert!(FIXED.is_sorted());
    }
}
