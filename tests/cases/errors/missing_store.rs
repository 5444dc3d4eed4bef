use neurolake::prelude::*;

/// Spikes of all channels.
#[table(postgres = "public.animals")]
pub struct Spikes;
