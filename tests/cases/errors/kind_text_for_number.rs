use neurolake::prelude::*;

/// Spikes of all channels.
#[table(sheet = "1aB3kE9pQ2_x7ZrT5", header_row = "2")]
pub struct Spikes;
