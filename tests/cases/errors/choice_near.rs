use neurolake::prelude::*;

/// Spikes of all channels.
#[table(parquet = "s3://lake/raw/spikes", partitioning = hiev, partition_by(day: Date))]
pub struct Spikes;
