use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes")]
pub struct Spikes {
    /// Device clock.
    pub ts: Timestamp,
    /// Peak.
    ///
    /// Raw files: https://bot:hunter2hunter2@files.example.org/raw
    pub amplitude: f32,
}
