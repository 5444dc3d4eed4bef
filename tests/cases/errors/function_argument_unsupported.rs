use neurolake::prelude::*;

/// Insertions of the robot.
#[table(owner = "robotics")]
pub async fn insertions(lake: &Lake, since: std::time::SystemTime, limit: usize) -> Result<DataFrame> {
    todo()
}
