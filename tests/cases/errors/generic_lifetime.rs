use neurolake::prelude::*;

/// Spikes.
#[table(delta = "s3://lake/neural/spikes")]
pub struct Spikes<'a> {
    /// Whose signal it is.
    pub participant: &'a str,
}
