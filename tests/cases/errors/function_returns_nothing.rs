use neurolake::prelude::*;

/// Insertions of the robot.
#[table(owner = "robotics")]
pub async fn insertions(lake: &Lake, surgery_id: Option<i64>) {}
