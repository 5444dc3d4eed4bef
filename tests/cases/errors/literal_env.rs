use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = env!("LAKE"))]
pub struct Spikes;
