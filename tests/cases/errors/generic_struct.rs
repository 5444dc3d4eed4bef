use neurolake::prelude::*;

/// Spikes.
#[table(delta = "s3://lake/neural/spikes")]
pub struct Spikes<T> {
    /// Peak.
    pub amplitude: T,
    /// Peaks.
    pub amplitudes: Vec<T>,
}
