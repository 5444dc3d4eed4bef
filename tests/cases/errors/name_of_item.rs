use neurolake::prelude::*;

/// Tests that were run.
#[table(delta = "s3://lake/neural/spikes")]
pub struct Prüfungen;
