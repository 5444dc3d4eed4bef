use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes")]
pub struct Spikes {
    /// Device clock.
    pub ts: Timestamp,
    /// Electrode.
    pub channel: u16,
    /// Samples.
    pub samples: Vec<u64>,
    /// Count of samples, by bin.
    pub counts: Option<std::collections::BTreeMap<u8, u32>>,
}
