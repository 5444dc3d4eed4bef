use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes", partitioning = hive, partition_by(day: Date))]
pub struct Spikes;
