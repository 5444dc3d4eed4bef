use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes", notebook("Spike sorting"))]
pub struct Spikes;
