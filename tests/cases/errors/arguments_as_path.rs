use neurolake::prelude::*;

/// Spikes of all channels.
#[table(neurolake::delta = "s3://lake/neural/spikes")]
pub struct Spikes;
