use neurolake::prelude::*;

/// Spikes of all channels.
#[table(sql = "selec ts, channel from neural.raw")]
pub struct Spikes;
