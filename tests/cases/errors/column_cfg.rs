use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes")]
pub struct Spikes {
    /// Device clock.
    pub ts: Timestamp,
    /// Raw samples.
    #[cfg(feature = "raw")]
    pub samples: Vec<f32>,
}
