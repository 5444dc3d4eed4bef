use neurolake::prelude::*;

/// Insertions of the robot.
#[table(owner = "robotics", example(surgery = 12, since = "yesterday"))]
pub async fn insertions(lake: &Lake, surgery_id: Option<i64>, since: Date) -> Result<DataFrame> {
    todo()
}
