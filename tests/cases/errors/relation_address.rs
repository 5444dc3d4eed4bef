use neurolake::prelude::*;

/// Spikes of all channels.
#[table(postgres = "postgres://db.example.org/lab", store = "lab")]
pub struct Spikes;
