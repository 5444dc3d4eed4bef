use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3:///neural/spikes")]
pub struct Spikes;
