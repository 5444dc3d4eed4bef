use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes")]
pub struct Spikes {
    /// Peak.
    #[column(unit = "uV", renamed_from = "AKIAIOSFODNN7EXAMPLE")]
    pub amplitude: f32,
    /// Duration.
    #[deprecated(note = "ghp_0123456789abcdefghijABCDEFGHIJ012345")]
    pub width: f32,
}
