use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes", tags(neural, "phi"))]
pub struct Spikes;
