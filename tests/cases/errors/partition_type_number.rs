use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes", partition_by(day: 7))]
pub struct Spikes;
