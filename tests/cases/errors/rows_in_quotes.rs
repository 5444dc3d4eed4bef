use neurolake::prelude::*;

/// Insertions of the robot.
#[table(rows = "Insertion")]
pub async fn insertions(lake: &Lake) -> Result<DataFrame> {
    todo()
}
