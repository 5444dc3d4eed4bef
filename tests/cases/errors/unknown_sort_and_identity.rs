use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes", sort_by(time), unique_by(tss))]
pub struct Spikes {
    /// Device clock.
    pub ts: Timestamp,
    /// Local day of the session.
    pub day: Date,
}
