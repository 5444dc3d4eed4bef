use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes", partition_by(amplitude))]
pub struct Spikes {
    /// Device clock.
    pub ts: Timestamp,
    /// Peak.
    pub amplitude: f32,
}
