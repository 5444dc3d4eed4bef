use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes")]
#[deprecated(since = "2026-03-01", note = "Ask for it with xoxb-0123456789-abcdefghij.")]
pub struct Spikes;
