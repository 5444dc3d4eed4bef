use neurolake::prelude::*;

/// Insertions of the robot.
#[table(owner = "robotics")]
pub fn insertions(lake: &Lake, surgery_id: Option<i64>) -> Result<DataFrame> {
    todo()
}
