use neurolake::prelude::*;

/// Spikes of all channels.
#[table(sql = "drop table neural.raw")]
pub struct Spikes;
