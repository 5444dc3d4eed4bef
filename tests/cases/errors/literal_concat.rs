use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = concat!("s3://lake/", "neural/spikes"))]
pub struct Spikes;
