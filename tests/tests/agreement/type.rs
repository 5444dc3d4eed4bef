use neurolake::prelude::*;

/// A keyword inside a keyword.
#[table(delta = "s3://lake/type", name = "names")]
pub struct Names {
    /// Both.
    pub r#struct: Option<String>,
}
