use neurolake::prelude::*;

/// Spikes.
pub struct Spikes;

#[table(delta = "s3://lake/neural/spikes")]
impl Spikes {}
