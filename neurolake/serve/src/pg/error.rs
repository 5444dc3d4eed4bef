//! Errors with the codes of PostgreSQL, by which clients tell them apart.

use neurolake_query::datafusion::error::DataFusionError;
use neurolake_query::{Error, Kind, Position};
use pgwire::error::{ErrorInfo, PgWireError};

/// <https://www.postgresql.org/docs/15/errcodes-appendix.html>
pub(super) mod code {
    pub(in crate::pg) const NO_ENTRY: &str = "28000";
    pub(crate) const ACTIVE_TRANSACTION_FAILED: &str = "25P02";
    pub(crate) const CANCELLED: &str = "57014";
    pub(crate) const CANT_CHANGE: &str = "55P02";
    pub(crate) const FEATURE: &str = "0A000";
    pub(crate) const INVALID_VALUE: &str = "22023";
    pub(crate) const NO_SUCH_CURSOR: &str = "34000";
    pub(crate) const NO_SUCH_DATABASE: &str = "3D000";
    pub(crate) const PROTOCOL: &str = "08P01";
    pub(crate) const SYNTAX: &str = "42601";
    pub(crate) const TOO_MANY_CONNECTIONS: &str = "53300";
    pub(crate) const UNKNOWN_VARIABLE: &str = "42704";
}

/// An error of a statement.
pub(super) fn error(code: &str, message: impl Into<String>) -> PgWireError {
    info("ERROR", code, message.into(), None)
}

/// An error of a statement with a way out.
pub(super) fn error_with_hint(
    code: &str,
    message: impl Into<String>,
    hint: impl Into<String>,
) -> PgWireError {
    info("ERROR", code, message.into(), Some(hint.into()))
}

/// An error that ends the connection.
pub(super) fn fatal(code: &str, message: impl Into<String>, hint: Option<String>) -> PgWireError {
    info("FATAL", code, message.into(), hint)
}

fn info(severity: &str, code: &str, message: String, hint: Option<String>) -> PgWireError {
    let mut info = ErrorInfo::new(severity.to_owned(), code.to_owned(), message);
    info.severity_nonlocalized = Some(severity.to_owned());
    info.hint = hint;
    PgWireError::UserError(Box::new(info))
}

pub(super) fn cancelled() -> PgWireError {
    error(code::CANCELLED, "canceling statement due to user request")
}

/// An error of the engine.
pub(super) fn of_engine(failed: &Error) -> PgWireError {
    let message = match failed.kind {
        // Clients know these words.
        Kind::Timeout => format!(
            "canceling statement due to statement timeout: {}",
            failed.message
        ),
        _ => familiar(&failed.message),
    };
    info("ERROR", code_of(failed), message, failed.hint.clone())
}

/// What is missing, in the words by which clients find its name.
fn familiar(message: &str) -> String {
    let quoted = |begin: &str| {
        let rest = message.strip_prefix(begin)?;
        rest.split_once('`')
    };
    if let Some((name, rest)) = quoted("there is no column `") {
        return format!("column \"{name}\" does not exist{rest}");
    }
    if let Some((table, rest)) = quoted("there is no table `")
        && let Some((database, rest)) = rest
            .strip_prefix(" in the database `")
            .and_then(|rest| rest.split_once('`'))
    {
        return format!("relation \"{database}.{table}\" does not exist{rest}");
    }
    if let Some((name, " is not the name of a table")) = quoted("`") {
        return format!("relation \"{name}\" does not exist");
    }
    if let Some((name, rest)) = quoted("there is no function `") {
        return format!("function {name} does not exist{rest}");
    }
    message.to_owned()
}

/// An error of the engine about this text.
pub(super) fn of_engine_in(failed: &Error, sql: &str) -> PgWireError {
    let error = of_engine(failed);
    match (error, failed.position) {
        (PgWireError::UserError(mut info), Some(position)) => {
            // Clients read it from its own field.
            let Position { line, column } = position;
            let place = format!(" at line {line}, column {column}");
            info.message = info.message.replace(&place, "");
            info.position = characters_until(position, sql).map(|number| number.to_string());
            PgWireError::UserError(info)
        }
        (error, _) => error,
    }
}

/// The number of the character at a place of a text; the first is 1.
fn characters_until(position: Position, sql: &str) -> Option<u64> {
    let before = usize::try_from(position.line.checked_sub(1)?).ok()?;
    let mut lines = sql.split_inclusive('\n');
    let characters: usize = lines
        .by_ref()
        .take(before)
        .map(|line| line.chars().count())
        .sum();
    lines.next()?;
    Some(u64::try_from(characters).ok()? + position.column)
}

fn code_of(failed: &Error) -> &'static str {
    match failed.kind {
        Kind::BadRequest => of_request(failed),
        // read_only_sql_transaction
        Kind::NotAllowed => "25006",
        Kind::Forbidden => "42501",
        Kind::NotFound => "42P01",
        // program_limit_exceeded
        Kind::TooMuch => "54000",
        Kind::Timeout => code::CANCELLED,
        // io_error
        Kind::Broken => "58030",
        Kind::Internal => "XX000",
    }
}

/// The codes of PostgreSQL's Appendix A for what the engine only tells in words.
fn by_words(message: &str) -> Option<&'static str> {
    const BEGINNINGS: [(&str, &str); 12] = [
        ("there is no column", "42703"),
        // undefined_function
        ("there is no function", "42883"),
        // undefined_parameter
        ("there is no parameter", "42P02"),
        ("no function matches", "42883"),
        ("cannot coerce arithmetic expression", "42883"),
        ("divide by zero", "22012"),
        // grouping_error
        ("column in select must be in group by", "42803"),
        // ambiguous_column
        ("ambiguous reference", "42702"),
        // cardinality_violation
        ("scalar subquery returned more than one row", "21000"),
        // datatype_mismatch
        ("cannot create filter with non-boolean predicate", "42804"),
        // numeric_value_out_of_range
        ("can't cast value", "22003"),
        ("arithmetic overflow", "22003"),
    ];
    let message = message.to_ascii_lowercase();
    let mut known = BEGINNINGS.iter();
    if let Some((_, code)) = known.find(|(words, _)| message.starts_with(words)) {
        return Some(code);
    }
    if message.contains("queries have different number of columns") {
        return Some(code::SYNTAX);
    }
    // A day that looks like one is out of range, anything else isn't one.
    let text = match message.split_once("error parsing timestamp from '") {
        Some((_, text)) => text.split('\'').next()?,
        None => {
            let (_, cast) = message.split_once("cannot cast string '")?;
            let (text, data_type) = cast.split_once("' to value of ")?;
            let times = ["date32", "date64", "timestamp", "time32", "time64"];
            let is_time = times.iter().any(|time| data_type.starts_with(time));
            is_time.then_some(text)?
        }
    };
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit());
    let day = text.split([' ', 't']).next().unwrap_or_default();
    match day.split('-').all(is_number) {
        true => Some("22008"),
        false => Some("22007"),
    }
}

fn of_request(failed: &Error) -> &'static str {
    let message = failed.message.as_str();
    if let Some(code) = by_words(message) {
        return code;
    }
    let source = failed.source.as_deref();
    let source = source.and_then(|source| source.downcast_ref::<DataFusionError>());
    match source.map(DataFusionError::find_root) {
        Some(DataFusionError::SQL(..)) => code::SYNTAX,
        // invalid_text_representation
        Some(DataFusionError::ArrowError(..)) => "22P02",
        Some(DataFusionError::NotImplemented(_)) => code::FEATURE,
        // syntax_error_or_access_rule_violation
        _ => "42000",
    }
}
