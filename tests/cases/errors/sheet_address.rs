use neurolake::prelude::*;

/// Spikes of all channels.
#[table(sheet = "https://docs.google.com/spreadsheets/d/1aB3kE9pQ2_x7ZrT5/edit#gid=0")]
pub struct Spikes;
