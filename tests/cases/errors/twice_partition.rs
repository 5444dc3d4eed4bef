use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes", partition_by(day: Date, implant_id: i32, day: Date))]
pub struct Spikes;
