use neurolake::prelude::*;

/// Sides of the head.
#[derive(Columns)]
pub union Side {
    /// Left.
    left: i64,
}
