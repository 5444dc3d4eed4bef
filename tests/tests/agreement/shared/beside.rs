use neurolake::prelude::*;

/// Beside.
#[table(delta = "s3://lake/beside")]
pub struct Beside;
