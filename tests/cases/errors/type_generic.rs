use neurolake::prelude::*;

/// A value with its error.
pub struct Measured<T>(T);

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes")]
pub struct Spikes {
    /// Peak.
    pub amplitude: Measured<f32>,
    /// Peak of each channel.
    pub amplitudes: Vec<Measured<f32>>,
}
