//! What can go wrong with a query, sorted by what the reader must do.

use std::fmt::{self, Write as _};

use datafusion::arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::parquet::errors::ParquetError;
use datafusion::sql::sqlparser::parser::ParserError;

use crate::suggest::nearest;

/// Result of this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the reader of an error must do. Doors turn it into a status or a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Correct the statement or its parameters.
    BadRequest,
    /// Nothing: this is not allowed, here everything is read-only.
    NotAllowed,
    /// Ask for the right to read it.
    Forbidden,
    /// Use another name; the error suggests one.
    NotFound,
    /// Ask for less: a limit of memory, rows, bytes or time was reached.
    TooMuch,
    /// Wait and try again: a deadline passed or too much is going on.
    Timeout,
    /// Tell the owner of the table: its store, its files or its schema are broken.
    Broken,
    /// Report a bug.
    Internal,
}

impl Kind {
    /// Its name for programs, the same on every door and in the log.
    pub fn code(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::NotAllowed => "not_allowed",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::TooMuch => "too_much",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Internal => "internal",
        }
    }
}

/// A place in a statement. The first is line 1, column 1; columns are characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line.
    pub line: u64,
    /// Column.
    pub column: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// A failed query. The message is for the person who asked and holds no secret.
#[derive(Debug, thiserror::Error)]
pub struct Error {
    /// What the reader must do.
    pub kind: Kind,
    /// Lower case, no final stop.
    pub message: String,
    /// A way out.
    pub hint: Option<String>,
    /// Where in the statement, which the message says too.
    pub position: Option<Position>,
    /// What caused it.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error with a message for the person who asked.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
            position: None,
            source: None,
        }
    }

    /// A name that is no column, with the nearest one of those that there are. `of` says of what;
    /// it may be empty.
    pub fn unknown_column<'a>(
        name: &str,
        of: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let place = match of {
            "" => String::new(),
            of => format!(" in `{of}`"),
        };
        let error = Self::new(
            Kind::BadRequest,
            format!("there is no column `{name}`{place}"),
        );
        let mut known: Vec<&str> = known.into_iter().collect();
        known.dedup();
        match nearest(name, known.iter().copied()) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None if known.is_empty() => error,
            None => error.with_hint(format!("there are: {}", some_of(&known))),
        }
    }

    /// Adds a way out.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// An [`Error`] may travel through DataFusion and come out again.
impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        Self::External(Box::new(error))
    }
}

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        let error = match unwrap(error) {
            Ok(own) => return own,
            Err(error) => error,
        };
        let mut translated = translate(error.find_root());
        if let Some(position) = position(&error) {
            let place = format!(" at {position}");
            if !translated.message.contains(&place) {
                translated.message.push_str(&place);
            }
            translated.position = Some(position);
        }
        translated.with_source(error)
    }
}

/// Finds our own error under the layers that DataFusion wraps around it.
fn unwrap(error: DataFusionError) -> std::result::Result<Error, DataFusionError> {
    match error {
        DataFusionError::External(inner) => match inner.downcast::<Error>() {
            Ok(own) => Ok(*own),
            Err(other) => match other.downcast::<DataFusionError>() {
                Ok(nested) => unwrap(*nested),
                Err(other) => match find(other.as_ref()) {
                    Some(own) => Ok(own.with_source(other)),
                    None => Err(DataFusionError::External(other)),
                },
            },
        },
        DataFusionError::ArrowError(inner, backtrace) => match *inner {
            ArrowError::ExternalError(inner) => unwrap(DataFusionError::External(inner)),
            inner => Err(DataFusionError::ArrowError(Box::new(inner), backtrace)),
        },
        DataFusionError::ParquetError(inner) => match *inner {
            ParquetError::External(inner) => match inner.downcast::<Error>() {
                Ok(own) => Ok(*own),
                Err(other) => Err(ParquetError::External(other).into()),
            },
            other => Err(other.into()),
        },
        DataFusionError::Context(context, inner) => {
            unwrap(*inner).map_err(|inner| DataFusionError::Context(context, Box::new(inner)))
        }
        DataFusionError::Diagnostic(diagnostic, inner) => {
            unwrap(*inner).map_err(|inner| DataFusionError::Diagnostic(diagnostic, Box::new(inner)))
        }
        other => match find(&other) {
            Some(own) => Ok(own.with_source(other)),
            None => Err(other),
        },
    }
}

/// A copy of our own error, where it is shared and can't be taken out.
fn find(error: &(dyn std::error::Error + 'static)) -> Option<Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(own) = error.downcast_ref::<Error>() {
            let copy = Error {
                position: own.position,
                ..Error::new(own.kind, own.message.clone())
            };
            return Some(match &own.hint {
                Some(hint) => copy.with_hint(hint.clone()),
                None => copy,
            });
        }
        next = error.source();
    }
    None
}

/// DataFusion's error in the words of this project.
fn translate(error: &DataFusionError) -> Error {
    match error {
        DataFusionError::SQL(error, _) => syntax(error),
        DataFusionError::SchemaError(error, _) => schema(error),
        DataFusionError::Plan(message)
        | DataFusionError::NotImplemented(message)
        | DataFusionError::Configuration(message)
        | DataFusionError::Execution(message) => {
            let known = function(message).or_else(|| subquery(message));
            known.unwrap_or_else(|| Error::new(Kind::BadRequest, plain(message)))
        }
        DataFusionError::ResourcesExhausted(_) => {
            Error::new(Kind::TooMuch, "the query needs more memory than it may use")
                .with_hint("read fewer columns, filter more, or join and sort fewer rows")
        }
        DataFusionError::ArrowError(error, _) => Error::new(
            Kind::BadRequest,
            plain(
                error
                    .to_string()
                    .split_once(" error: ")
                    .map_or(error.to_string().as_str(), |(_, message)| message),
            ),
        ),
        DataFusionError::External(error) if is_pattern(error.as_ref()) => {
            let text = error.to_string();
            let reason = text.rsplit("error: ").next().unwrap_or(&text);
            Error::new(
                Kind::BadRequest,
                format!("can't read a regular expression: {}", plain(reason)),
            )
        }
        DataFusionError::ObjectStore(_)
        | DataFusionError::ParquetError(_)
        | DataFusionError::IoError(_)
        | DataFusionError::External(_) => Error::new(Kind::Broken, plain(&error.message())),
        DataFusionError::Collection(errors) => match errors.first() {
            Some(first) => translate(first.find_root()),
            None => Error::new(Kind::Internal, "an error without a cause"),
        },
        other => Error::new(Kind::Internal, plain(&other.message())),
    }
}

/// What is wrong with the call of a function: the engine lists all that it tried, and asks to be told of
/// a bug.
fn function(message: &str) -> Option<Error> {
    let quoted = |after: &str| message.split_once(after)?.1.split('\'').next();
    if let Some(name) = quoted("Invalid function '") {
        let error = Error::new(Kind::BadRequest, format!("there is no function `{name}`"));
        return Some(match quoted("Did you mean '") {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error,
        });
    }
    let call = quoted("No function matches the given name and argument types '")?;
    let error = Error::new(Kind::BadRequest, format!("no function matches `{call}`"));
    let known = message
        .split_once("Candidate functions:")
        .map(|(_, known)| known);
    let known: Vec<&str> = known.unwrap_or_default().lines().map(str::trim).collect();
    let known: Vec<&str> = known.into_iter().filter(|line| !line.is_empty()).collect();
    Some(match known.is_empty() {
        true => error,
        false => error.with_hint(format!("there are {}; cast the arguments", some_of(&known))),
    })
}

/// What the engine says of a subquery that it found no join for.
fn subquery(message: &str) -> Option<Error> {
    let is_left = [
        "Correlated scalar subquery can only be used in",
        "InSubquery",
        "Physical plan does not support logical expression Exists",
        "Physical plan does not support logical expression InSubquery",
        "Physical plan does not support logical expression OuterReferenceColumn",
        "Physical plan does not support logical expression ScalarSubquery",
    ];
    is_left
        .iter()
        .any(|begin| message.starts_with(begin))
        .then(|| {
            Error::new(
                Kind::BadRequest,
                "a subquery that reads the statement around it can't be planned where it stands",
            )
            .with_hint("write it as a join, or name what it reads with `with`")
        })
}

/// The engine passes errors about patterns on as if they came from outside.
fn is_pattern(error: &(dyn std::error::Error + 'static)) -> bool {
    let text = error.to_string();
    text.starts_with("regex parse error") || text.starts_with("Compiled regex exceeds size limit")
}

fn syntax(error: &ParserError) -> Error {
    match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => {
            // The parser writes ` at Line: 1, Column: 8` at the end.
            let place = message.rsplit_once(" at Line: ");
            let position = place.and_then(|(_, place)| {
                let (line, column) = place.split_once(", Column: ")?;
                Some(Position {
                    line: line.parse().ok()?,
                    column: column.trim().parse().ok()?,
                })
            });
            let message = message
                .replace(" at Line: ", " at line ")
                .replace(", Column: ", ", column ");
            Error {
                position,
                ..Error::new(Kind::BadRequest, plain(&message))
            }
        }
        ParserError::RecursionLimitExceeded => {
            Error::new(Kind::BadRequest, "the statement is nested too deeply")
        }
    }
}

fn schema(error: &SchemaError) -> Error {
    let SchemaError::FieldNotFound {
        field,
        valid_fields,
    } = error
    else {
        return Error::new(Kind::BadRequest, plain(&error.to_string()));
    };
    let names = valid_fields.iter().map(|field| field.name.as_str());
    let table = field.relation.as_ref().map(ToString::to_string);
    let error = Error::unknown_column(
        &field.name,
        table.as_deref().unwrap_or_default(),
        names.clone(),
    );
    match nearest(&field.name, names) {
        // The names differ in upper and lower case only.
        Some(name) if name.eq_ignore_ascii_case(&field.name) => error.with_hint(format!(
            "did you mean `\"{name}\"`? without quotes, a name is read in lower case"
        )),
        _ => error,
    }
}

/// The first names of a list that may be long.
fn some_of(names: &[&str]) -> String {
    const SHOWN: usize = 12;
    let mut text = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > SHOWN {
        let _ = write!(text, " and {} more", names.len() - SHOWN);
    }
    text
}

/// Where in the statement, if known.
fn position(error: &DataFusionError) -> Option<Position> {
    let start = error.diagnostic()?.span?.start;
    (start.line > 0).then_some(Position {
        line: start.line,
        column: start.column,
    })
}

/// A message in the look of this project: lower case, no final stop, no backtrace.
fn plain(message: &str) -> String {
    let message = message
        .split(DataFusionError::BACK_TRACE_SEP)
        .next()
        .unwrap_or_default();
    let message = message
        .strip_prefix("Error during planning: ")
        .unwrap_or(message);
    let message = message.trim().trim_end_matches('.');
    let mut letters = message.chars();
    match (letters.next(), letters.clone().next()) {
        // `SELECT` and `Utf8` stay as they are.
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            let word = message.split(|c: char| !c.is_alphanumeric()).next();
            if word.is_some_and(|word| word.chars().any(|c| c.is_ascii_digit())) {
                return message.to_owned();
            }
            first.to_lowercase().chain(letters).collect()
        }
        _ => message.to_owned(),
    }
}

/// The error with its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn our_own_error_comes_out_of_every_layer() {
        let own =
            || DataFusionError::from(Error::new(Kind::NotFound, "there is no x").with_hint("y"));
        let layers = [
            own(),
            own().context("rule failed"),
            DataFusionError::Shared(Arc::new(own())),
            DataFusionError::Shared(Arc::new(own().context("rule failed"))),
            DataFusionError::External(Box::new(own())),
            DataFusionError::from(ArrowError::ExternalError(Box::new(own()))),
        ];
        for layer in layers {
            let text = format!("{layer:?}");
            let error = Error::from(layer);
            assert_eq!(error.kind, Kind::NotFound, "{text}");
            assert_eq!(error.message, "there is no x", "{text}");
            assert_eq!(error.hint.as_deref(), Some("y"), "{text}");
        }
    }

    #[test]
    fn a_wrong_call_is_named() {
        let error = function(
            "Function 'sum' failed to match any signature, errors: many. No function matches the given \
             name and argument types 'sum(Utf8)'. You might need to add explicit type casts.\n\t\
             Candidate functions:\n\tsum(Decimal)\n\tsum(Int64)",
        );
        let error = error.expect("it is one");
        assert_eq!(error.message, "no function matches `sum(Utf8)`");
        assert_eq!(
            error.hint.as_deref(),
            Some("there are `sum(Decimal)`, `sum(Int64)`; cast the arguments")
        );
        let error = function("Invalid function 'nosuch'.\nDid you mean 'now'?");
        let error = error.expect("it is one");
        assert_eq!(error.message, "there is no function `nosuch`");
        assert_eq!(error.hint.as_deref(), Some("did you mean `now`?"));
        assert!(function("anything else").is_none());
    }

    #[test]
    fn messages_have_one_look() {
        assert_eq!(plain("Error during planning: Bad thing."), "bad thing");
        assert_eq!(plain("SELECT is odd"), "SELECT is odd");
        assert_eq!(plain("Utf8 is odd"), "Utf8 is odd");
    }
}
