use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes", tab = "2026", header_row = 2)]
pub struct Spikes;
