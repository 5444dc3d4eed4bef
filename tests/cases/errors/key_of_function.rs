use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes", rows = Spike)]
pub struct Spikes;

/// One spike.
#[derive(Columns)]
pub struct Spike {
    /// Device clock.
    pub ts: Timestamp,
}
