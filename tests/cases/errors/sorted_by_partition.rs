use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes", partition_by(day: Date), sort_by(ts, day))]
pub struct Spikes;
