use neurolake::prelude::*;

/// Sides of the head.
#[table(delta = "s3://lake/neural/spikes")]
pub enum Side {
    /// Left.
    Left,
    /// Right.
    Right,
}
