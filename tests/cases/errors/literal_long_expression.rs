use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = format!("s3://{}/{}/{}", BUCKET_OF_THE_LAKE, DATABASE_OF_THE_LAKE, "spikes"))]
pub struct Spikes;
