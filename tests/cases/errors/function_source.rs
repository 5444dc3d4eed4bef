use neurolake::prelude::*;

/// Insertions of the robot.
#[table(delta = "s3://lake/neural/spikes")]
pub async fn insertions(lake: &Lake) -> Result<DataFrame> {
    todo()
}
