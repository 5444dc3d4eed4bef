//! Every source as a DataFusion table, and read-only sessions over the catalog.
//!
//! This room knows how to plan and run a query. It refuses to know headers, sockets, environment
//! variables and files of settings: doors hand it a [`Request`], programs hand it [`Stores`].
//!
//! Read in this order: [`lake`] (the handle that everything hangs on), [`stores`] (where data
//! lies), [`tail`] (rows on their way to a table), [`catalog`] (names to tables, lazily), [`access`] (who may read what), `sources`
//! (one file per kind of table), [`schema`] (declared against stored), [`policy`] (what a statement may do), [`session`] (from a
//! request to a stream of record batches), [`prepared`] (what a statement will answer), [`pg`] (the same for clients of PostgreSQL), `planner` (the last look at a plan), `like` (patterns), `semantics` (what PostgreSQL means), [`spelling`] (values as text), `limited` (ends a
//! stream that takes too long), `inputs` (what an answer was made from), `profile` (where its time went), `stop` (ends joins that never wait), [`doctor`] (what is wrong with a lake), [`error`].

pub mod access;
pub mod catalog;
pub mod doctor;
pub mod error;
mod inputs;
pub mod lake;
mod like;
mod limited;
pub mod pg;
mod planner;
mod plans;
pub mod policy;
pub mod prepared;
mod profile;
pub mod schema;
mod semantics;
pub mod session;
mod sources;
pub mod spelling;
mod stop;
pub mod stores;
pub mod suggest;
pub mod tail;

pub use access::Role;
pub use error::{Error, Kind, Position, Result};
pub use inputs::Inputs;
pub use lake::{Lake, LakeBuilder, Limits, SYSTEM, TableStatus};
pub use limited::timeout;
pub use prepared::Prepared;
pub use profile::Profile;
pub use session::{Answer, MinVersion, Request};
pub use sources::function::{Arguments, FunctionTable};
pub use stores::{
    LockSettings, ObjectStoreSettings, PostgresSettings, SecretString, SheetsSettings, Store,
    Stores,
};
pub use tail::{RemoteTails, Tail, TailError, Tails, Timeouts};

/// The engine itself, for bodies of function tables.
pub use datafusion;
