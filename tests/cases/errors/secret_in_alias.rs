use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes")]
#[doc(alias = "glpat-0123456789abcdefghij")]
pub struct Spikes;
