use neurolake::prelude::*;

/// Spikes of all channels.
#[table(parquet = "s3://lake/raw/spikes", partitioning = directory)]
pub struct Spikes;
