use neurolake::prelude::*;

/// Spikes.
#[table(delta = "s3://lake/neural/spikes")]
pub const SPIKES: &str = "spikes";
