use neurolake::prelude::*;

/// A place.
#[derive(Columns)]
pub struct Place(f32, f32);
