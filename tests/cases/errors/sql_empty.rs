use neurolake::prelude::*;

/// Spikes of all channels.
#[table(sql = "-- to be done")]
pub struct Spikes;
