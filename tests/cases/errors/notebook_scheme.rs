use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes", notebook("Sorting", "ftp://files.example.org/sorting.ipynb"))]
pub struct Spikes;
