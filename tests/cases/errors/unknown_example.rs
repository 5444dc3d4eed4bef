use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes", example(chanel = 7))]
pub struct Spikes {
    /// Device clock.
    pub ts: Timestamp,
    /// Electrode.
    pub channel: i32,
}
