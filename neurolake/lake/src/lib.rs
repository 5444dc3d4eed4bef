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
//! Read in this order: [`prelude`], [`values`] (what a field of a schema struct holds),
//! [`registry`] (every declaration that is linked into the program). With the feature `engine`:
//! `made_up` (data to try a lake with).

#[cfg(feature = "engine")]
pub mod made_up;
pub mod registry;
pub mod values;

pub use neurolake_macros::{Columns, table};
pub use neurolake_model as model;
pub use registry::{Columns, Table};
pub use values::{Blob, Date, Decimal, Timestamp};

/// Everything that a module of declarations needs.
pub mod prelude {
    pub use crate::values::{Blob, Date, Decimal, Timestamp};
    pub use crate::{Columns, table};
}

/// Used by the code that the macros write.
#[doc(hidden)]
pub mod __private {
    pub use inventory::submit;
}
