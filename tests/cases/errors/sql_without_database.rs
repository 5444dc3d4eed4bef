use neurolake::prelude::*;

/// Spikes of all channels.
#[table(sql = "select ts from raw")]
pub struct Spikes;
