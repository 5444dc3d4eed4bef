use neurolake::prelude::*;

/// Spikes.
#[table(delta = "s3://lake/neural/spikes")]
pub struct Spikes<const N: usize> {
    /// Snippet around the peak.
    pub waveform: [f32; N],
}
