use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes")]
pub struct Spikes {
    /// Device clock.
    pub ts: Timestamp,
    /// Peak.
    #[cfg_attr(not(test), column(unit = "uV"))]
    pub amplitude: f32,
}
