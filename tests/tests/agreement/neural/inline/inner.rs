use neurolake::table;

/// Inner.
#[table(delta = "s3://lake/neural/inner")]
pub struct Inner;
