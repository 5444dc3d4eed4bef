use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes", inputs("raw_files", 5))]
pub struct Spikes;
