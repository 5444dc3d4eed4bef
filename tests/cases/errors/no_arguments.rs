use neurolake::prelude::*;

/// Spikes of all channels.
#[table]
pub struct Spikes;
