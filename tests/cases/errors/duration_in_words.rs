use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes", freshness = "2 seconds")]
pub struct Spikes;
