use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "dbfs://lake/neural/spikes")]
pub struct Spikes;
