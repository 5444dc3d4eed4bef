//! Behaviour: what the participant did and was asked to do, from cursor events to daily scores.
//!
//! The app on the participant's computer stamps each event with the `bin` of the band power that
//! caused it. That number, not the computer's clock, ties behaviour to neural data.

use neurolake::prelude::*;

/// Cursor events, one row each time the decoder moves the cursor or presses a button.
///
/// Written live by the app at 66 events per second, queryable within two seconds. Positions are
/// relative to the screen, so they compare across computers.
///
/// - [`Self::target_x`] and [`Self::target_y`] are the label for training, null in free use.
/// - Two events may share a bin: a click comes with the move before it.
/// - During free use nothing is stored of what is on the screen.
#[table(
    delta = "s3://lake/behavior/cursor_events",
    partition_by(implant_id, session_date),
    sort_by(ts),
    unique_by(session_id, seq),
    owner = "decoding",
    tags("behavior", "live", "phi"),
    freshness = "2s",
    ingest,
    notebook(
        "Cursor paths",
        "https://notebooks.example.com/decoding/cursor-paths.ipynb"
    ),
    example(implant_id = 7, session_date = "2026-03-01", kind = "click")
)]
#[doc(alias = "kinematics")]
#[doc(alias = "mouse")]
#[derive(serde::Serialize)]
pub struct CursorEvents {
    /// When the app applied the event, clock of the computer.
    pub ts: Timestamp,
    /// The implant in control.
    pub implant_id: i32,
    /// Local calendar day on which the session started.
    pub session_date: Date,
    /// The session, see [`crate::neural::Sessions::session_id`].
    pub session_id: i64,
    /// Number of the event within the session, without gaps.
    pub seq: i64,
    /// The 15 ms bin that caused it, see [`crate::neural::NormalizedBandPower::bin`].
    pub bin: i64,
    /// `move`, `click`, `release`, `scroll` or `pause`.
    pub kind: String,
    /// From the left edge (0) to the right edge (1).
    pub x: f32,
    /// From the top edge (0) to the bottom edge (1).
    pub y: f32,
    /// Velocity to the right.
    #[column(unit = "screen/s")]
    pub vx: f32,
    /// Velocity downwards.
    #[column(unit = "screen/s")]
    pub vy: f32,
    /// The trial under way, see [`Trials::trial_id`]; null in free use.
    pub trial_id: Option<i64>,
    /// Centre of the target, as [`Self::x`].
    pub target_x: Option<f32>,
    /// Centre of the target, as [`Self::y`].
    pub target_y: Option<f32>,
}

/// A circle on the screen, in the coordinates of [`CursorEvents`].
#[derive(Columns)]
pub struct Target {
    /// Centre, from the left edge (0) to the right edge (1).
    pub x: f32,
    /// Centre, from the top edge (0) to the bottom edge (1).
    pub y: f32,
    /// Radius as a share of the screen's width.
    pub radius: f32,
}

/// Task trials, one row per attempt to reach or select a target.
///
/// Committed when the trial ends. Aborted trials aren't stored. Leave out warm-up with
/// `practice = false`, as every score in this catalog does.
#[table(
    delta = "s3://lake/behavior/trials",
    partition_by(implant_id, session_date),
    unique_by(trial_id),
    owner = "decoding",
    tags("behavior", "phi"),
    freshness = "1m",
    inputs(CursorEvents),
    example(implant_id = 7, session_date = "2026-03-01", practice = false)
)]
pub struct Trials {
    /// Number of the trial, unique over all implants.
    pub trial_id: i64,
    /// The implant in control.
    pub implant_id: i32,
    /// Local calendar day on which the session started.
    pub session_date: Date,
    /// The session, see [`crate::neural::Sessions::session_id`].
    pub session_id: i64,
    /// `webgrid`, `center_out`, `fitts` or `typing`.
    #[column(renamed_from = "game")]
    pub task: String,
    /// Decoder in control, see [`crate::training::Decoders::decoder_id`]; null if open loop.
    pub decoder_id: Option<String>,
    /// Whether the trial is warm-up.
    pub practice: bool,
    /// Target shown.
    pub started_at: Timestamp,
    /// From showing the target to the outcome.
    #[column(unit = "s")]
    pub duration: f64,
    /// Targets to choose from, at least 2. A 30 x 30 grid has 900.
    pub choices: i32,
    /// What was to be selected.
    pub target: Target,
    /// `correct`, `incorrect` or `timeout`.
    pub outcome: String,
    /// Path length over the straight line; 1 is perfect. Null if the cursor never moved.
    pub path_ratio: Option<f32>,
}

/// Daily scores per implant, task and decoder: success, speed and bits per second.
///
/// The bit rate is the achieved rate of a grid selection: every correct selection of one out of
/// *n* targets earns `log2(n - 1)` bits, every wrong one loses as many, and the sum is divided by
/// the time spent, never below zero. Practice doesn't count.
#[table(
    sql = r"
        select
            implant_id,
            session_date,
            task,
            decoder_id,
            count(*) as trials,
            avg(case when outcome = 'correct' then 1.0 else 0.0 end) as success_rate,
            median(case when outcome = 'correct' then duration end) as median_duration,
            greatest(
                0.0,
                sum(
                    log2(cast(choices - 1 as double))
                    * case outcome when 'correct' then 1.0 when 'incorrect' then -1.0 else 0.0 end
                ) / sum(duration)
            ) as bitrate
        from behavior.trials
        where practice = false
        group by implant_id, session_date, task, decoder_id
    ",
    unique_by(implant_id, session_date, task, decoder_id),
    owner = "decoding",
    tags("behavior", "score"),
    notebook(
        "Bit rate over time",
        "https://notebooks.example.com/decoding/bitrate.ipynb"
    ),
    example(implant_id = 7, task = "webgrid")
)]
#[doc(alias = "BPS")]
#[doc(alias = "bits per second")]
pub struct DailyPerformance {
    /// The implant in control.
    pub implant_id: i32,
    /// Local calendar day.
    pub session_date: Date,
    /// The task, see [`Trials::task`].
    pub task: String,
    /// Decoder in control; null for open-loop trials.
    pub decoder_id: Option<String>,
    /// Trials without practice.
    pub trials: i64,
    /// Share of correct trials, from 0 to 1.
    pub success_rate: f64,
    /// Median time of the correct trials; null if there are none.
    #[column(unit = "s")]
    pub median_duration: Option<f64>,
    /// Achieved bit rate.
    #[column(unit = "bit/s")]
    pub bitrate: f64,
}

/// One session and task in [`session_summaries`].
#[derive(Columns)]
pub struct SessionSummary {
    /// The session, see [`crate::neural::Sessions::session_id`].
    pub session_id: i64,
    /// Local calendar day on which the session started.
    pub session_date: Date,
    /// Where the session took place.
    pub place: String,
    /// Firmware of the implant.
    pub firmware: String,
    /// The task, see [`Trials::task`].
    pub task: String,
    /// Trials without practice.
    pub trials: i64,
    /// Correct ones among them.
    pub correct: i64,
    /// Mean time of a trial.
    #[column(unit = "s")]
    pub mean_duration: f64,
}

/// Sessions of one implant with the trials of each task, for weekly reviews.
///
/// Give `since` to read a few days instead of years. `tasks` keeps the named tasks. Sessions
/// without trials (free use) don't appear; look in [`crate::neural::Sessions`] for those.
#[table(
    rows = SessionSummary,
    owner = "decoding",
    tags("behavior", "review"),
    example(implant_id = 7, since = "2026-02-23", tasks = ["webgrid", "center_out"])
)]
pub async fn session_summaries(
    lake: &Lake,
    implant_id: i32,
    since: Option<Date>,
    tasks: Option<Vec<String>>,
) -> Result<DataFrame> {
    use neurolake::datafusion::functions_aggregate::expr_fn::{avg, count, sum};
    use neurolake::datafusion::prelude::{JoinType, col, lit, when};

    let mut sessions = lake
        .table::<crate::neural::Sessions>()
        .await?
        .filter(col("implant_id").eq(lit(implant_id)))?;
    let mut trials = lake
        .table::<Trials>()
        .await?
        .filter(col("implant_id").eq(lit(implant_id)))?
        .filter(col("practice").eq(lit(false)))?;
    if let Some(since) = since {
        sessions = sessions.filter(col("session_date").gt_eq(lit(since)))?;
        trials = trials.filter(col("session_date").gt_eq(lit(since)))?;
    }
    if let Some(tasks) = tasks {
        let tasks = tasks.into_iter().map(lit).collect();
        trials = trials.filter(col("task").in_list(tasks, false))?;
    }

    let correct = when(col("outcome").eq(lit("correct")), lit(1_i64)).otherwise(lit(0_i64))?;
    let scores = trials
        .aggregate(
            vec![col("session_id"), col("task")],
            vec![
                count(lit(1)).alias("trials"),
                sum(correct).alias("correct"),
                avg(col("duration")).alias("mean_duration"),
            ],
        )?
        .with_column_renamed("session_id", "scored_session_id")?;

    Ok(sessions
        .join(
            scores,
            JoinType::Inner,
            &["session_id"],
            &["scored_session_id"],
            None,
        )?
        .select(vec![
            col("session_id"),
            col("session_date"),
            col("place"),
            col("firmware"),
            col("task"),
            col("trials"),
            col("correct"),
            col("mean_duration"),
        ])?)
}
