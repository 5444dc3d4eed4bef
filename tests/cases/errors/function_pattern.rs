use neurolake::prelude::*;

/// Insertions of the robot.
#[table(owner = "robotics")]
pub async fn insertions(lake: &Lake, (from, to): (i64, i64)) -> Result<DataFrame> {
    todo()
}
