use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes", delta = "s3://lake/neural/spikes_v2")]
pub struct Spikes;
