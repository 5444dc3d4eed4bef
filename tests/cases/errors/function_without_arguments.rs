use neurolake::prelude::*;

/// Insertions of the robot.
#[table(owner = "robotics")]
pub async fn insertions() -> Result<DataFrame> {
    todo()
}
