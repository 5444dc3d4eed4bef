//! What a crate of table declarations depends on.
//!
//! ```
//! //! Crate documentation becomes the home page of the catalog.
//!
//! /// Neural signals: what the implant records.
//! pub mod neural {
//!     use neurolake::prelude::*;
//!
//!     /// Spike-band power per channel, one row per 15 ms bin.
//!     #[table(
//!         delta = "s3://lake/neural/normalized_band_power",
//!         partition_by(implant_id, session_date),
//!         owner = "signals",
//!         example(implant_id = 7, session_date = "2026-03-01")
//!     )]
//!     pub struct NormalizedBandPower {
//!         /// Start of the bin, device clock.
//!         pub ts: Timestamp,
//!         /// Which implant.
//!         pub implant_id: i32,
//!         /// Local day of the session.
//!         pub session_date: Date,
//!         /// Power per channel, z-scored over the session.
//!         #[column(unit = "z")]
//!         pub band_power: Vec<f32>,
//!     }
//! }
//!
//! # fn main() {
//! let tables = neurolake::registry::tables();
//! assert_eq!(tables[0].database(), Some("neural"));
//! assert_eq!(tables[0].declaration.table.name, "normalized_band_power");
//! # }
//! ```
//!
//! This room knows declarations and the types of their columns; it refuses to read source code.
//! Read in this order: [`prelude`], [`values`] (what a field of a schema struct holds; `parse` reads
//! them from text, `text` writes them), [`registry`] (every declaration that is linked into the program). With the feature `engine` the
//! program can also read what it declares: `lake` (the handle), `functions` (calls function
//! tables), `scalars` (values to and from the query engine), `made_up` (data to try a lake with),
//! `simulation` (live data to try it with). With the feature `client` a program sends events to a
//! running platform: `ingest`.

#[cfg(feature = "engine")]
mod cli;
#[cfg(feature = "engine")]
mod functions;
#[cfg(feature = "client")]
pub mod ingest;
#[cfg(feature = "engine")]
mod lake;
#[cfg(feature = "engine")]
pub mod made_up;
mod parse;
#[cfg(feature = "engine")]
mod program;
pub mod registry;
#[cfg(feature = "engine")]
mod scalars;
#[cfg(feature = "engine")]
pub mod simulation;
mod text;
pub mod values;

pub use neurolake_macros::{Columns, table};
pub use neurolake_model as model;
pub use parse::ParseError;
pub use registry::{Columns, Table};
pub use values::{Blob, Date, Decimal, Timestamp};

#[cfg(feature = "engine")]
pub use functions::lake_builder;
#[cfg(feature = "engine")]
pub use lake::Lake;
/// Allocator for programs, faster than the system's: queries make many small allocations.
#[cfg(feature = "engine")]
pub use mimalloc::MiMalloc;
/// The query engine.
#[cfg(feature = "engine")]
pub use neurolake_query::datafusion;
#[cfg(feature = "engine")]
pub use neurolake_query::datafusion::dataframe::DataFrame;
#[cfg(feature = "engine")]
pub use neurolake_query::{Answer, Error, Kind, LakeBuilder, Limits, Request, Result};
#[cfg(feature = "engine")]
pub use program::{Program, main, program};
#[cfg(feature = "engine")]
pub use scalars::FromArgument;

/// Everything that a module of declarations needs.
pub mod prelude {
    pub use crate::values::{Blob, Date, Decimal, Timestamp};
    pub use crate::{Columns, table};
    #[cfg(feature = "engine")]
    pub use crate::{DataFrame, Lake, Result};
}

/// Used by the code that the macros write.
#[doc(hidden)]
pub mod __private {
    #[cfg(feature = "engine")]
    pub use crate::functions::{Answer, Rows, answer, argument};
    pub use inventory::submit;
}
