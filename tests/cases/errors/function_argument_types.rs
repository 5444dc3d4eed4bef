use neurolake::prelude::*;

/// Insertions of the robot.
#[table(owner = "robotics")]
pub async fn insertions(
    lake: &Lake,
    scan: Blob,
    place: Option<Place>,
    matrix: Vec<Vec<f32>>,
    names: std::collections::BTreeMap<String, i32>,
    label: &str,
) -> Result<DataFrame> {
    todo()
}

/// A place.
#[derive(Columns)]
pub struct Place {
    /// Distance.
    pub x: f32,
}
