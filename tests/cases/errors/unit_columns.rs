use neurolake::prelude::*;

/// A place.
#[derive(Columns)]
pub struct Place;
