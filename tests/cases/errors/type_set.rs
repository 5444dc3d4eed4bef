use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes")]
pub struct Spikes {
    /// Device clock.
    pub ts: Timestamp,
    /// Channels that saw it.
    pub channels: std::collections::BTreeSet<i32>,
}
