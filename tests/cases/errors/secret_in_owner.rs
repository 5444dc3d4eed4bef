use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes", owner = "AKIAIOSFODNN7EXAMPLE")]
pub struct Spikes;
