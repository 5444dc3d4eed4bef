use neurolake::prelude::*;

/// Insertions of the robot.
#[table(partition_by(day: Date), store = "lab")]
pub async fn insertions(lake: &Lake) -> Result<DataFrame> {
    todo()
}
