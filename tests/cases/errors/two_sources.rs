use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes", parquet = "s3://lake/neural/spikes_old")]
pub struct Spikes;
