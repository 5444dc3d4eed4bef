//! What can go wrong with a table.

/// Result of this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure, with the table that it is about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no `_delta_log` with a version in it.
    #[error("there is no Delta table at {url}")]
    NotATable {
        /// Address of the folder.
        url: String,
    },
    /// The log could not be read.
    #[error("the log of the Delta table at {url} can't be read")]
    Log {
        /// Address of the folder.
        url: String,
        /// What deltalake says.
        #[source]
        source: deltalake::DeltaTableError,
    },
    /// A table is to be created where one is already.
    #[error("there is a Delta table at {url} already")]
    Exists {
        /// Address of the folder.
        url: String,
    },
    /// A commit failed.
    #[error("the Delta table at {url} can't be written")]
    Write {
        /// Address of the folder.
        url: String,
        /// What deltalake says.
        #[source]
        source: deltalake::DeltaTableError,
    },
}
