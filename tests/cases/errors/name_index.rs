use neurolake::prelude::*;

/// An index of all files.
#[table(delta = "s3://lake/neural/spikes")]
pub struct Index;
