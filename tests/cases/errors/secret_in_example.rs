use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes", example(token = "ghp_0123456789abcdefghijABCDEFGHIJ012345"))]
pub struct Spikes;
