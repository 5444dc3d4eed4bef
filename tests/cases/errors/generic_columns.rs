use neurolake::prelude::*;

/// A value with its error.
#[derive(Columns)]
pub struct Measured<T> {
    /// Value.
    pub value: T,
    /// Error of the value.
    pub error: f32,
}
