use neurolake::prelude::*;

/// Spikes of all channels.
#[table("s3://lake/neural/spikes")]
pub struct Spikes;
