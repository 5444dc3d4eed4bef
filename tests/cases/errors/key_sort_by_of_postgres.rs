use neurolake::prelude::*;

/// Spikes of all channels.
#[table(postgres = "public.spikes", store = "lab", sort_by(ts))]
pub struct Spikes;
