use neurolake::prelude::*;

/// Spikes of all channels.
#[table(parquet = "https://bot:hunter2hunter2@files.example.org/spikes")]
pub struct Spikes;
