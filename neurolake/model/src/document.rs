//! `catalog.json`: how a [`Catalog`] is saved and how old files are loaded.
//!
//! The contract: the document is UTF-8 JSON, its meaning is fixed by `format_version` and by
//! `catalog.schema.json` beside this crate. A version adds, it never changes the meaning of a key.
//! A reader ignores keys it doesn't know and refuses a newer `format_version`. The same catalog
//! always gives the same bytes.

use std::fmt;

use serde_json::Value as Json;

use crate::catalog::Catalog;

/// Version of the document that this build writes.
pub const FORMAT_VERSION: u32 = 1;

/// Why a document could not be loaded.
#[derive(Debug)]
pub enum LoadError {
    /// Not JSON, or not of the documented shape.
    Malformed(serde_json::Error),
    /// Has no `format_version`, so it isn't a catalog.
    NotACatalog,
    /// Written by a newer neurolake.
    TooNew {
        /// Version of the document.
        found: u64,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => write!(f, "malformed catalog document: {error}"),
            Self::NotACatalog => write!(f, "not a catalog document: `format_version` is missing"),
            Self::TooNew { found } => write!(
                f,
                "catalog document has format version {found}, this build reads up to {FORMAT_VERSION}; use a newer neurolake"
            ),
        }
    }
}

impl std::error::Error for LoadError {}

impl Catalog {
    /// Loads a document of this or any earlier version.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn from_json(text: &str) -> Result<Self, LoadError> {
        let json: Json = serde_json::from_str(text).map_err(LoadError::Malformed)?;
        let found = json
            .get("format_version")
            .and_then(Json::as_u64)
            .ok_or(LoadError::NotACatalog)?;
        if found > u64::from(FORMAT_VERSION) {
            return Err(LoadError::TooNew { found });
        }
        serde_json::from_value(json).map_err(LoadError::Malformed)
    }

    /// Writes the document, indented by two spaces and ending with a newline.
    ///
    /// # Panics
    /// Never: a catalog holds only what JSON can say.
    pub fn to_json(&self) -> String {
        let mut text = Vec::with_capacity(self.tables().count() * 5_120 + 1_024);
        serde_json::to_writer_pretty(&mut text, self).expect("a catalog holds only JSON values");
        text.push(b'\n');
        String::from_utf8(text).expect("JSON is UTF-8")
    }
}
