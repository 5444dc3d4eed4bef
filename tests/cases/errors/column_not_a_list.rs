use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes")]
pub struct Spikes {
    /// Device clock.
    pub ts: Timestamp,
    /// Peak.
    #[column = "uV"]
    pub amplitude: f32,
    /// Whose signal it is.
    #[column]
    pub participant: String,
}
