use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes", tags("neural", "phi", "neural"))]
pub struct Spikes;
