use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = b"s3://lake/neural/spikes")]
pub struct Spikes;
