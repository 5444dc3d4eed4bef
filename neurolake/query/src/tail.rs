//! Rows on their way: accepted for a table, but not committed to it yet.
//!
//! Whoever accepts rows puts them into records with dense offsets, and a commit of the table says
//! up to which offset it has taken them (the transaction of [`neurolake_delta::ingested_by`]). A
//! query reads the table at a snapshot, and here the rows of all records behind that snapshot's
//! offset: each row once, whatever is committed, compacted or trimmed meanwhile. Time decides
//! nothing.
//!
//! The engine asks this trait, and doesn't know who keeps the rows: the same process, or another
//! one over HTTP ([`RemoteTails`]).

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;

mod remote;

pub use remote::{RemoteTails, Timeouts};

/// The rows on their way to one table.
#[async_trait]
pub trait Tail: fmt::Debug + Send + Sync {
    /// The application of the table's transactions that count in this queue
    /// ([`neurolake_delta::ingested_by`]).
    ///
    /// # Errors
    /// [`TailError::Unavailable`]
    async fn application(&self) -> Result<String, TailError>;

    /// The rows of all records with offsets above `after` that were acknowledged before this call,
    /// in the order of their offsets. Also of later ones, as long as none is skipped and none can
    /// still be lost. `after` was found under this application.
    ///
    /// Batches may have different schemas: rows are in the schema that was declared when they were
    /// accepted.
    ///
    /// # Errors
    /// [`TailError::Gone`] where some of these records are no longer kept, since the table has
    /// taken them: the caller reads a newer snapshot and asks again.
    async fn rows(&self, application: &str, after: u64) -> Result<Vec<RecordBatch>, TailError>;
}

/// The tails of a lake.
pub trait Tails: Send + Sync {
    /// The rows on their way to a table. `None`: there are none, a query reads what is committed.
    /// Asked for tables only that are declared with `ingest`.
    fn tail(&self, database: &str, table: &str) -> Option<Arc<dyn Tail>>;
}

/// Why rows on their way can't be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TailError {
    /// Records that were asked for are trimmed.
    #[error("the records up to offset {trimmed} are no longer kept")]
    Gone {
        /// The last offset that is no longer kept; not below the first one that was asked for.
        trimmed: u64,
    },
    /// The queue began anew: it has another application, and its own offsets.
    #[error("the queue began anew")]
    Anew,
    /// They can't be reached. The text says why, without a secret.
    #[error("{0}")]
    Unavailable(String),
}
