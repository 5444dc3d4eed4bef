use neurolake::prelude::*;

/// Spikes of all channels.
#[table(delta = "s3://lake/neural/spikes", notebook("Sorting", "/home/ada/sorting.ipynb"))]
pub struct Spikes;
