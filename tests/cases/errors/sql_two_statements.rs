use neurolake::prelude::*;

/// Spikes of all channels.
#[table(sql = "select ts from neural.raw; select ts from neural.old")]
pub struct Spikes;
