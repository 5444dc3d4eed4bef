use neurolake::prelude::*;

/// Spikes of all channels.
#[table(sql = "select ts from neural.raw", store = "lab")]
pub struct Spikes;
