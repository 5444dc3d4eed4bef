use neurolake::prelude::*;

/// Spikes of all channels.
#[table(owner = "signals", tags("neural"))]
pub struct Spikes;
