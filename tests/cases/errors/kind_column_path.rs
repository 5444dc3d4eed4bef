use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes", sort_by(Spikes::ts))]
pub struct Spikes;
