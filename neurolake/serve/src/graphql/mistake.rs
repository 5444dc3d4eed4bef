//! Why a document, or one field of it, is not answered.

use async_graphql::{Pos, ServerError};
use neurolake_query::{Error, Kind};

/// A mistake of whoever wrote the document, or what kept a field from its answer.
#[derive(Debug)]
pub(crate) struct Mistake {
    pub(crate) error: Error,
    pub(crate) places: Vec<Pos>,
}

/// Result of reading a document.
pub(crate) type Result<T, E = Mistake> = std::result::Result<T, E>;

impl Mistake {
    pub(crate) fn new(message: impl Into<String>, place: Pos) -> Self {
        Self::of(Error::new(Kind::BadRequest, message), place)
    }

    /// Where there is no one place to blame.
    pub(crate) fn nowhere(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            error: Error::new(kind, message),
            places: Vec::new(),
        }
    }

    /// An error about what stands at this place.
    pub(crate) fn of(error: Error, place: Pos) -> Self {
        Self {
            error,
            places: vec![place],
        }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.error.hint = Some(hint.into());
        self
    }
}

/// A rule of GraphQL that the document breaks, in the look of this project.
impl From<ServerError> for Mistake {
    fn from(error: ServerError) -> Self {
        Self {
            error: Error::new(Kind::BadRequest, plain(&error.message)),
            places: error.locations,
        }
    }
}

/// Lower case, in one line, no final stop, names in backquotes.
fn plain(message: &str) -> String {
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let message = message.trim_end_matches('.').replace('"', "`");
    let mut letters = message.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => message,
    }
}
