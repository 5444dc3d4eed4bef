use neurolake::prelude::*;

/// Spikes of all channels.
#[table(postgres = "animals", store = "lab")]
pub struct Spikes;
