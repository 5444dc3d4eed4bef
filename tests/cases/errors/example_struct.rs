use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes", example(place = "left", channels = [1]))]
pub struct Spikes {
    /// Device clock.
    pub ts: Timestamp,
    /// Where it was.
    pub place: Place,
    /// Which channels.
    pub channels: Vec<Place>,
}

/// A place.
#[derive(Columns)]
pub struct Place {
    /// Distance.
    pub x: f32,
}
