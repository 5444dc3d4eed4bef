use neurolake::table;

/// Other.
#[table(delta = "s3://lake/neural/other")]
pub struct Other;
