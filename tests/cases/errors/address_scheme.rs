use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s4://lake/neural/spikes")]
pub struct Spikes;
