use neurolake::prelude::*;

/// Spikes of all channels.
#[table(parquet = "https://files.example.org/spikes.parquet?version=2")]
pub struct Spikes;
