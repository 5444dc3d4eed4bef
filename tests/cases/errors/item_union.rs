use neurolake::prelude::*;

/// Spikes.
#[table(delta = "s3://lake/neural/spikes")]
pub union Spikes {
    /// Device clock.
    pub ts: i64,
}
