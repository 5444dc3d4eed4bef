use neurolake::prelude::*;

/// Re-exported by a glob.
#[table(delta = "s3://lake/neural/deep")]
#[derive(Debug)]
pub struct Deep;
