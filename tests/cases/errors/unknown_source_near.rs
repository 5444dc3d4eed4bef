use neurolake::prelude::*;

/// Spikes of all channels.
#[table(detla = "s3://lake/neural/spikes")]
pub struct Spikes;
