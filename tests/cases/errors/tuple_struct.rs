use neurolake::prelude::*;

/// Spikes.
#[table(delta = "s3://lake/neural/spikes")]
pub struct Spikes(pub Timestamp, pub f32);
