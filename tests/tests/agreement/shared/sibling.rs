use neurolake::prelude::*;

/// Sibling.
#[table(delta = "s3://lake/sibling")]
pub struct Sibling;
