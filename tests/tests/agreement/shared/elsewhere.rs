//! Moved by `#[path]`.

use neurolake::prelude::*;

mod beside;

/// Far.
#[table(delta = "s3://lake/far")]
pub struct Far;

/// Near.
#[derive(Debug, Clone, Columns)]
pub struct Near {
    /// Number.
    pub n: u8,
}
