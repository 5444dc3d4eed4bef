use neurolake::prelude::*;

/// Spikes of all channels.
///
/// Files are at https://bot:hunter2hunter2@files.example.org/raw, ask signals for more.
#[table(delta = "s3://lake/neural/spikes")]
pub struct Spikes;
