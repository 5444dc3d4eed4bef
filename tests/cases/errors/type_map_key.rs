use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes")]
pub struct Spikes {
    /// Device clock.
    pub ts: Timestamp,
    /// Features by position.
    pub features: std::collections::BTreeMap<Vec<i32>, f32>,
    /// Features by name.
    pub named: std::collections::HashMap<Option<String>, f32>,
}
