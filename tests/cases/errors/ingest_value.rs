use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes", ingest = true)]
pub struct Spikes {
    /// Device clock.
    pub ts: Timestamp,
}
