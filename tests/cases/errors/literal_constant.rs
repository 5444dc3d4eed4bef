use neurolake::prelude::*;

const OWNER: &str = "signals";

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes", owner = OWNER, freshness = crate::FRESHNESS)]
pub struct Spikes;
