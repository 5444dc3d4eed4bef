use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes")]
pub struct Spikes {
    /// Device clock.
    pub ts: Timestamp,
    /// Wall clock.
    pub at: std::time::SystemTime,
    /// Length of the spike.
    pub length: std::time::Duration,
}
