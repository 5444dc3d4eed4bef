use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes")]
pub struct Spikes {
    /// Device clock.
    pub ts: Timestamp,
    /// Where it was.
    pub place: Place,
}

/// A place; its mistake is one error, and none in the table that uses it.
#[derive(Columns)]
pub struct Place {
    /// Distance.
    #[column(units = "um")]
    pub x: [f32; 2],
}
