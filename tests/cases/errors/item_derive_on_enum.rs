use neurolake::prelude::*;

/// Sides of the head.
#[derive(Debug, Columns)]
pub enum Side {
    /// Left.
    Left,
    /// Right.
    Right,
}
