use neurolake::prelude::*;

/// Spikes of all channels.
#[table(parquet = "s3://lake/raw/spikes", partitioning = "hive", partition_by(day: Date))]
pub struct Spikes;
