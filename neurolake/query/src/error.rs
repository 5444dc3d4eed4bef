//! What can go wrong with a query, sorted by what the reader must do.

use std::fmt;

use datafusion::error::DataFusionError;
use datafusion::parquet::errors::ParquetError;

/// Result of this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the reader of an error must do. Doors turn it into a status or a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Correct the statement or its parameters.
    BadRequest,
    /// Nothing: this is not allowed, here everything is read-only.
    NotAllowed,
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

/// A failed query. The message is for the person who asked and holds no secret.
#[derive(Debug, thiserror::Error)]
pub struct Error {
    /// What the reader must do.
    pub kind: Kind,
    /// Lower case, no final stop.
    pub message: String,
    /// A way out.
    pub hint: Option<String>,
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
            source: None,
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
        let kind = match error.find_root() {
            DataFusionError::SQL(..)
            | DataFusionError::Plan(_)
            | DataFusionError::SchemaError(..)
            | DataFusionError::NotImplemented(_)
            | DataFusionError::Configuration(_) => Kind::BadRequest,
            DataFusionError::ResourcesExhausted(_) => Kind::TooMuch,
            DataFusionError::Internal(_) => Kind::Internal,
            DataFusionError::ObjectStore(_) | DataFusionError::ParquetError(_) => Kind::Broken,
            _ => Kind::BadRequest,
        };
        Self::new(kind, error.strip_backtrace())
    }
}

/// Finds our own error under the layers that DataFusion wraps around it.
fn unwrap(error: DataFusionError) -> std::result::Result<Error, DataFusionError> {
    match error {
        DataFusionError::External(inner) => match inner.downcast::<Error>() {
            Ok(own) => Ok(*own),
            Err(other) => match other.downcast::<DataFusionError>() {
                Ok(nested) => unwrap(*nested),
                Err(other) => Err(DataFusionError::External(other)),
            },
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
        other => Err(other),
    }
}
