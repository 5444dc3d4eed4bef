use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes", sort_by(ts, ts))]
pub struct Spikes {
    /// Device clock.
    pub ts: Timestamp,
}
