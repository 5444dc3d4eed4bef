use neurolake::prelude::*;

/// Spikes of all channels.
#[table(sheet = "Surgery schedule")]
pub struct Spikes;
