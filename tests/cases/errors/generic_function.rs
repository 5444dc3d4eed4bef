use neurolake::prelude::*;

/// Insertions.
#[table(owner = "robotics")]
pub async fn insertions<T>(lake: &Lake, id: T) -> Result<DataFrame> {
    todo()
}
