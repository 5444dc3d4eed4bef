//! Surgery: plans, operations, and what the robot did to each of the 64 threads.
//!
//! Coordinates are in the robot's frame, registered to the skull before the first insertion: x to
//! the participant's right, y to the front, z up, zero at the centre of the craniotomy.

use neurolake::prelude::*;

/// A place in the robot's frame.
#[derive(Columns)]
pub struct Point {
    /// To the participant's right.
    #[column(unit = "um")]
    pub x: f32,
    /// To the front.
    #[column(unit = "um")]
    pub y: f32,
    /// Up, away from the brain.
    #[column(unit = "um")]
    pub z: f32,
}

/// Operations, one row each, human and animal.
///
/// Entered by the surgical team on the same day and closed after review, usually within a week.
/// Rows that aren't [`Self::reviewed`] may still change.
#[table(
    delta = "s3://lake/surgery/surgeries",
    unique_by(surgery_id),
    owner = "robotics",
    tags("phi", "surgery"),
    freshness = "24h",
    example(surgery_id = 31)
)]
#[doc(alias = "operations")]
#[doc(alias = "implantations")]
pub struct Surgeries {
    /// Number of the operation.
    pub surgery_id: i64,
    /// Day of the operation.
    #[column(pii)]
    pub performed_on: Date,
    /// Participant (`P-03`) or animal (`A-0412`).
    pub subject: String,
    /// The implant put in; null for explants and rehearsals.
    pub implant_id: Option<i32>,
    /// `implant`, `explant`, `revision` or `rehearsal`.
    pub kind: String,
    /// `left` or `right`.
    pub hemisphere: String,
    /// Robot used, such as `R1-04`.
    pub robot: String,
    /// Initials of the surgeon.
    #[column(pii)]
    pub surgeon: String,
    /// From incision to closure.
    #[column(unit = "min")]
    pub duration: i32,
    /// Centre of the craniotomy relative to the planned one.
    pub offset: Option<Point>,
    /// Whether the row is final.
    pub reviewed: bool,
}

/// What the camera and the force sensor saw during one insertion.
#[derive(Columns)]
pub struct InsertionTrace {
    /// Largest force on the needle.
    #[column(unit = "mN")]
    pub peak_force: f32,
    /// How far the surface gave way before it was pierced.
    #[column(unit = "um")]
    pub dimpling: f32,
    /// Where the needle pierced the surface.
    pub entry: Point,
}

/// Thread insertions, one row for each attempt of the robot to place a thread.
///
/// The robot writes a row when the needle is back. A thread may take several attempts; exactly one
/// has [`Self::outcome`] `placed` if it was placed at all. Compare with the plan in
/// [`robot_insertions`].
#[table(
    delta = "s3://lake/surgery/thread_insertions",
    partition_by(surgery_id),
    unique_by(surgery_id, thread, attempt),
    owner = "robotics",
    tags("robot", "surgery"),
    freshness = "15m",
    notebook(
        "Insertion forces",
        "https://notebooks.example.com/robotics/forces.ipynb"
    ),
    example(surgery_id = 31, outcome = "placed")
)]
pub struct ThreadInsertions {
    /// The operation.
    pub surgery_id: i64,
    /// Thread, 0 to 63.
    pub thread: i16,
    /// Number of the attempt, from 1.
    pub attempt: i16,
    /// Needle at the surface.
    pub started_at: Timestamp,
    /// Needle back above the surface.
    pub ended_at: Timestamp,
    /// Serial of the thread, see [`crate::manufacturing::AssemblySteps::serial`].
    pub serial: String,
    /// Depth of the deepest contact below the surface.
    #[column(unit = "um")]
    pub depth: f32,
    /// Forces and geometry; null if the needle never touched.
    pub trace: Option<InsertionTrace>,
    /// `placed`, `slipped`, `vessel` (stopped because of a vessel) or `aborted`.
    pub outcome: String,
}

/// Motion of the robot's axes at 1 kHz, straight from the controller.
///
/// Terabytes, kept for incident reviews. Files lie in folders `robot/date/` without column names.
/// Always filter on both; there is no other index.
#[table(
    parquet = "s3://cold-archive/robot/motion/",
    store = "cold",
    partitioning = directory,
    partition_by(robot, motion_date),
    sort_by(ts),
    owner = "robotics",
    tags("robot"),
    example(robot = "R1-04", motion_date = "2026-02-24", axis = 3)
)]
#[doc(alias = "servo log")]
pub struct RobotMotion {
    /// Robot, such as `R1-04`.
    pub robot: String,
    /// UTC day of [`Self::ts`].
    pub motion_date: Date,
    /// Time of the sample, clock of the controller.
    pub ts: Timestamp,
    /// Axis: 0 to 2 stage, 3 needle, 4 needle rotation, 5 pincher.
    pub axis: u8,
    /// Position by the encoder.
    #[column(unit = "um")]
    pub position: f64,
    /// Position minus set point.
    #[column(unit = "um")]
    pub following_error: f32,
    /// Motor current.
    #[column(unit = "mA")]
    pub current: f32,
    /// Bits of the controller's status word; the robot manual lists them.
    pub status: u32,
}

/// Planned targets, one row per thread, from the planning sheet of the surgical team.
///
/// The team edits the sheet until the morning of the operation. Empty rows and threads marked
/// `spare` are skipped by the robot. Units are micrometres, as in the sheet's header.
#[table(
    sheet = "1SurgicalPlanDemoSheet00000000000000000000000",
    store = "workspace",
    tab = "Targets",
    range = "A3:H",
    header_row = 3,
    refresh = "10m",
    unique_by(surgery_id, thread),
    owner = "robotics",
    tags("plan", "surgery"),
    example(surgery_id = 31)
)]
pub struct Plans {
    /// The operation.
    pub surgery_id: i64,
    /// Thread, 0 to 63.
    pub thread: i64,
    /// Target to the participant's right.
    #[column(unit = "um")]
    pub x: f64,
    /// Target to the front.
    #[column(unit = "um")]
    pub y: f64,
    /// Planned depth below the surface.
    #[column(unit = "um")]
    pub depth: f64,
    /// Planned cortical area, such as `M1 hand knob`.
    pub area: Option<String>,
    /// Distance to the nearest vessel in the planning image.
    #[column(unit = "um")]
    pub vessel_distance: Option<f64>,
    /// `use` or `spare`.
    pub status: String,
}

/// One placed thread in [`robot_insertions`].
#[derive(Columns)]
pub struct RobotInsertion {
    /// The operation.
    pub surgery_id: i64,
    /// Thread, 0 to 63.
    pub thread: i16,
    /// Needle at the surface.
    pub started_at: Timestamp,
    /// Depth reached.
    #[column(unit = "um")]
    pub depth: f32,
    /// Depth planned; null for a thread that wasn't in the plan.
    #[column(unit = "um")]
    pub planned_depth: Option<f64>,
    /// Planned cortical area.
    pub area: Option<String>,
    /// Sharpness of the picture, from 0 to 1; null without a picture.
    pub focus: Option<f32>,
    /// The microscope's picture after insertion.
    pub image: Option<Blob>,
}

/// Placed threads beside their plan and the microscope's picture, one row per thread.
///
/// Joins the robot's log [`ThreadInsertions`] with the planning sheet [`Plans`] and the pictures
/// [`crate::imaging::InsertionImages`]. Without `surgery_id` it covers every operation, which takes
/// a minute. `since` filters on the start of the insertion; `min_focus` drops blurred pictures and
/// threads without one.
#[table(
    rows = RobotInsertion,
    owner = "robotics",
    tags("review", "robot", "surgery"),
    notebook("Plan against placement", "https://notebooks.example.com/robotics/placement.ipynb"),
    example(surgery_id = 31, since = None, min_focus = 0.6)
)]
#[doc(alias = "placement accuracy")]
pub async fn robot_insertions(
    lake: &Lake,
    surgery_id: Option<i64>,
    since: Option<Timestamp>,
    min_focus: Option<f32>,
) -> Result<DataFrame> {
    use neurolake::datafusion::prelude::{JoinType, col, lit};

    let mut placed = lake
        .table::<ThreadInsertions>()
        .await?
        .filter(col("outcome").eq(lit("placed")))?;
    if let Some(surgery_id) = surgery_id {
        placed = placed.filter(col("surgery_id").eq(lit(surgery_id)))?;
    }
    if let Some(since) = since {
        placed = placed.filter(col("started_at").gt_eq(lit(since)))?;
    }
    let plans = lake.table::<Plans>().await?.select(vec![
        col("surgery_id").alias("plan_surgery_id"),
        col("thread").alias("plan_thread"),
        col("depth").alias("planned_depth"),
        col("area"),
    ])?;
    let images = lake
        .table::<crate::imaging::InsertionImages>()
        .await?
        .select(vec![
            col("surgery_id").alias("image_surgery_id"),
            col("thread").alias("image_thread"),
            col("focus"),
            col("image"),
        ])?;

    let mut insertions = placed
        .join(
            plans,
            JoinType::Left,
            &["surgery_id", "thread"],
            &["plan_surgery_id", "plan_thread"],
            None,
        )?
        .join(
            images,
            JoinType::Left,
            &["surgery_id", "thread"],
            &["image_surgery_id", "image_thread"],
            None,
        )?;
    if let Some(min_focus) = min_focus {
        insertions = insertions.filter(col("focus").gt_eq(lit(min_focus)))?;
    }
    Ok(insertions.select(vec![
        col("surgery_id"),
        col("thread"),
        col("started_at"),
        col("depth"),
        col("planned_depth"),
        col("area"),
        col("focus"),
        col("image"),
    ])?)
}
