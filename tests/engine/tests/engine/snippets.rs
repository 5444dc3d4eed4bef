//! The Rust code of each table's page, as it is copied.
//! Made by `tests/journeys/rust_snippets.py write`.

use futures::future::BoxFuture;
use neurolake::{DataFrame, Lake, Result};

/// Calls the code of one page.
type Snippet = for<'a> fn(&'a Lake) -> BoxFuture<'a, Result<DataFrame>>;

/// Tables whose code fails or finds nothing, each with the reason.
pub(crate) async fn failures(lake: &Lake) -> Vec<String> {
    let mut failures = Vec::new();
    for (table, snippet) in SNIPPETS {
        match count(snippet, lake).await {
            Ok(0) => failures.push(format!("{table}: no rows")),
            Ok(_) => {}
            Err(error) => failures.push(format!("{table}: {error}")),
        }
    }
    failures
}

/// Rows with all their columns.
async fn count(snippet: Snippet, lake: &Lake) -> Result<usize> {
    let batches = snippet(lake).await?.collect().await?;
    Ok(batches
        .iter()
        .map(neurolake::datafusion::arrow::array::RecordBatch::num_rows)
        .sum())
}

/// Each table with a page.
#[rustfmt::skip]
const SNIPPETS: [(&str, Snippet); 41] = [
    ("behavior.cursor_events", behavior_cursor_events::run),
    ("behavior.daily_performance", behavior_daily_performance::run),
    ("behavior.session_summaries", behavior_session_summaries::run),
    ("behavior.trials", behavior_trials::run),
    ("clinical.adverse_events", clinical_adverse_events::run),
    ("clinical.participants", clinical_participants::run),
    ("imaging.annotations", imaging_annotations::run),
    ("imaging.insertion_images", imaging_insertion_images::run),
    ("imaging.slides", imaging_slides::run),
    ("imaging.tissue_response", imaging_tissue_response::run),
    ("lab.animals", lab_animals::run),
    ("lab.reagents", lab_reagents::run),
    ("logs.app_logs", logs_app_logs::run),
    ("logs.crashes", logs_crashes::run),
    ("manufacturing.assembly_steps", manufacturing_assembly_steps::run),
    ("manufacturing.electrode_tests", manufacturing_electrode_tests::run),
    ("manufacturing.leak_tests", manufacturing_leak_tests::run),
    ("manufacturing.parts", manufacturing_parts::run),
    ("manufacturing.yield", manufacturing_yield::run),
    ("neural.channel_quality", neural_channel_quality::run),
    ("neural.ecog", neural_ecog::run),
    ("neural.electrodes", neural_electrodes::run),
    ("neural.impedance_scans", neural_impedance_scans::run),
    ("neural.normalized_band_power", neural_normalized_band_power::run),
    ("neural.sessions", neural_sessions::run),
    ("neural.spikes", neural_spikes::run),
    ("neural.threshold_crossings", neural_threshold_crossings::run),
    ("neural.units", neural_units::run),
    ("surgery.plans", surgery_plans::run),
    ("surgery.robot_insertions", surgery_robot_insertions::run),
    ("surgery.robot_motion", surgery_robot_motion::run),
    ("surgery.surgeries", surgery_surgeries::run),
    ("surgery.thread_insertions", surgery_thread_insertions::run),
    ("telemetry.battery_log", telemetry_battery_log::run),
    ("telemetry.charge_sessions", telemetry_charge_sessions::run),
    ("telemetry.device_health", telemetry_device_health::run),
    ("telemetry.health_windows", telemetry_health_windows::run),
    ("training.aligned_bins", training_aligned_bins::run),
    ("training.decoder_leaderboard", training_decoder_leaderboard::run),
    ("training.decoders", training_decoders::run),
    ("training.synthetic_bins", training_synthetic_bins::run),
];

// behavior.cursor_events
#[rustfmt::skip]
mod behavior_cursor_events {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::behavior::CursorEvents>()
        .await?
        .filter(col("implant_id").eq(lit(7)))?
        .filter(col("session_date").eq(lit("2026-03-01")))?
        .filter(col("kind").eq(lit("click")))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// behavior.daily_performance
#[rustfmt::skip]
mod behavior_daily_performance {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::behavior::DailyPerformance>()
        .await?
        .filter(col("implant_id").eq(lit(7)))?
        .filter(col("task").eq(lit("webgrid")))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// behavior.session_summaries
#[rustfmt::skip]
mod behavior_session_summaries {
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = neurolake_demo::behavior::session_summaries(lake, 7, Some("2026-02-23".parse()?), Some(vec!["webgrid".into(), "center_out".into()])).await?;
    Ok(rows.limit(0, Some(10))?)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// behavior.trials
#[rustfmt::skip]
mod behavior_trials {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::behavior::Trials>()
        .await?
        .filter(col("implant_id").eq(lit(7)))?
        .filter(col("session_date").eq(lit("2026-03-01")))?
        .filter(col("practice").eq(lit(false)))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// clinical.adverse_events
#[rustfmt::skip]
mod clinical_adverse_events {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::clinical::AdverseEvents>()
        .await?
        .filter(col("serious").eq(lit(false)))?
        .filter(col("resolved_on").is_null())?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// clinical.participants
#[rustfmt::skip]
mod clinical_participants {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::clinical::Participants>()
        .await?
        .filter(col("code").eq(lit("P-03")))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// imaging.annotations
#[rustfmt::skip]
mod imaging_annotations {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::imaging::Annotations>()
        .await?
        .filter(col("project").eq(lit("scar-2026")))?
        .filter(col("label").eq(lit("glial sheath")))?
        .filter(col("reviewed").eq(lit(true)))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// imaging.insertion_images
#[rustfmt::skip]
mod imaging_insertion_images {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::imaging::InsertionImages>()
        .await?
        .filter(col("surgery_id").eq(lit(31)))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// imaging.slides
#[rustfmt::skip]
mod imaging_slides {
use neurolake::datafusion::arrow::datatypes::DataType;
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::imaging::Slides>()
        .await?
        .filter(col("stain").eq(lit("GFAP")))?
        .filter(col("bregma").eq(cast(lit("-1.50"), DataType::Decimal128(5, 2))))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// imaging.tissue_response
#[rustfmt::skip]
mod imaging_tissue_response {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::imaging::TissueResponse>()
        .await?
        .filter(col("implant_id").eq(lit(4)))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// lab.animals
#[rustfmt::skip]
mod lab_animals {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::lab::Animals>()
        .await?
        .filter(col("species").eq(lit("sheep")))?
        .filter(col("sex").eq(lit("f")))?
        .filter(col("left_on").is_null())?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// lab.reagents
#[rustfmt::skip]
mod lab_reagents {
use neurolake::datafusion::arrow::datatypes::DataType;
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::lab::Reagents>()
        .await?
        .filter(col("catalog_number").eq(lit("AB5541")))?
        .filter(col("unit_price").eq(cast(lit("412.00"), DataType::Decimal128(10, 2))))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// logs.app_logs
#[rustfmt::skip]
mod logs_app_logs {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::logs::AppLogs>()
        .await?
        .filter(col("service").eq(lit("robot-control")))?
        .filter(col("day").eq(lit("2026-02-24")))?
        .filter(col("level").eq(lit("error")))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// logs.crashes
#[rustfmt::skip]
mod logs_crashes {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::logs::Crashes>()
        .await?
        .filter(col("service").eq(lit("participant-app")))?
        .filter(col("exit_code").eq(lit(-11)))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// manufacturing.assembly_steps
#[rustfmt::skip]
mod manufacturing_assembly_steps {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::manufacturing::AssemblySteps>()
        .await?
        .filter(col("performed_on").eq(lit("2026-02-17")))?
        .filter(col("step").eq(lit("thread_bond")))?
        .filter(col("passed").eq(lit(false)))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// manufacturing.electrode_tests
#[rustfmt::skip]
mod manufacturing_electrode_tests {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::manufacturing::ElectrodeTests>()
        .await?
        .filter(col("wafer").eq(lit("W0231")))?
        .filter(col("tested_on").eq(lit("2026-02-12")))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// manufacturing.leak_tests
#[rustfmt::skip]
mod manufacturing_leak_tests {
use neurolake::datafusion::arrow::datatypes::DataType;
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::manufacturing::LeakTests>()
        .await?
        .filter(col("leak_rate").eq(cast(lit("0.0000000050"), DataType::Decimal128(18, 10))))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// manufacturing.parts
#[rustfmt::skip]
mod manufacturing_parts {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::manufacturing::Parts>()
        .await?
        .filter(col("part_family").eq(lit("thread")))?
        .filter(col("built_on").eq(lit("2026-02-17")))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// manufacturing.yield
#[rustfmt::skip]
mod manufacturing_yield {
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = neurolake_demo::manufacturing::line_yield(lake, "2026-02-01".parse()?, Some("2026-02-28".parse()?), Some("BOND-2".into())).await?;
    Ok(rows.limit(0, Some(10))?)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// neural.channel_quality
#[rustfmt::skip]
mod neural_channel_quality {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::neural::ChannelQuality>()
        .await?
        .filter(col("implant_id").eq(lit(7)))?
        .filter(col("status").eq(lit("open")))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// neural.ecog
#[rustfmt::skip]
mod neural_ecog {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::neural::ECoG>()
        .await?
        .filter(col("surgery_id").eq(lit(31)))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// neural.electrodes
#[rustfmt::skip]
mod neural_electrodes {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::neural::Electrodes>()
        .await?
        .filter(col("implant_id").eq(lit(7)))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// neural.impedance_scans
#[rustfmt::skip]
mod neural_impedance_scans {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::neural::ImpedanceScans>()
        .await?
        .filter(col("implant_id").eq(lit(7)))?
        .filter(col("channel").eq(lit(112)))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// neural.normalized_band_power
#[rustfmt::skip]
mod neural_normalized_band_power {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::neural::NormalizedBandPower>()
        .await?
        .filter(col("implant_id").eq(lit(7)))?
        .filter(col("session_date").eq(lit("2026-03-01")))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// neural.sessions
#[rustfmt::skip]
mod neural_sessions {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::neural::Sessions>()
        .await?
        .filter(col("implant_id").eq(lit(7)))?
        .filter(col("decoder_id").is_null())?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// neural.spikes
#[rustfmt::skip]
mod neural_spikes {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::neural::Spikes>()
        .await?
        .filter(col("implant_id").eq(lit(7)))?
        .filter(col("session_date").eq(lit("2026-03-01")))?
        .filter(col("channel").eq(lit(112)))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// neural.threshold_crossings
#[rustfmt::skip]
mod neural_threshold_crossings {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::neural::ThresholdCrossings>()
        .await?
        .filter(col("implant_id").eq(lit(2)))?
        .filter(col("session_date").eq(lit("2025-05-14")))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// neural.units
#[rustfmt::skip]
mod neural_units {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::neural::sorting::Units>()
        .await?
        .filter(col("implant_id").eq(lit(7)))?
        .filter(col("session_date").eq(lit("2026-03-01")))?
        .filter(col("accepted").eq(lit(true)))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// surgery.plans
#[rustfmt::skip]
mod surgery_plans {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::surgery::Plans>()
        .await?
        .filter(col("surgery_id").eq(lit(31)))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// surgery.robot_insertions
#[rustfmt::skip]
mod surgery_robot_insertions {
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = neurolake_demo::surgery::robot_insertions(lake, Some(31), None, Some(0.6)).await?;
    Ok(rows.limit(0, Some(10))?)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// surgery.robot_motion
#[rustfmt::skip]
mod surgery_robot_motion {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::surgery::RobotMotion>()
        .await?
        .filter(col("robot").eq(lit("R1-04")))?
        .filter(col("motion_date").eq(lit("2026-02-24")))?
        .filter(col("axis").eq(lit(3)))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// surgery.surgeries
#[rustfmt::skip]
mod surgery_surgeries {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::surgery::Surgeries>()
        .await?
        .filter(col("surgery_id").eq(lit(31)))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// surgery.thread_insertions
#[rustfmt::skip]
mod surgery_thread_insertions {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::surgery::ThreadInsertions>()
        .await?
        .filter(col("surgery_id").eq(lit(31)))?
        .filter(col("outcome").eq(lit("placed")))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// telemetry.battery_log
#[rustfmt::skip]
mod telemetry_battery_log {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::telemetry::BatteryLog>()
        .await?
        .filter(col("day").eq(lit("2024-11-20")))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// telemetry.charge_sessions
#[rustfmt::skip]
mod telemetry_charge_sessions {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::telemetry::ChargeSessions>()
        .await?
        .filter(col("implant_id").eq(lit(7)))?
        .filter(col("ended_by").eq(lit("hot")))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// telemetry.device_health
#[rustfmt::skip]
mod telemetry_device_health {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::telemetry::DeviceHealth>()
        .await?
        .filter(col("implant_id").eq(lit(7)))?
        .filter(col("report_date").eq(lit("2026-03-01")))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// telemetry.health_windows
#[rustfmt::skip]
mod telemetry_health_windows {
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = neurolake_demo::telemetry::health_windows(lake, 7, "2026-03-01T09:30:00Z".parse()?, Some("hour".into()), Some(3.55)).await?;
    Ok(rows.limit(0, Some(10))?)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// training.aligned_bins
#[rustfmt::skip]
mod training_aligned_bins {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::training::AlignedBins>()
        .await?
        .filter(col("implant_id").eq(lit(7)))?
        .filter(col("session_date").eq(lit("2026-03-01")))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// training.decoder_leaderboard
#[rustfmt::skip]
mod training_decoder_leaderboard {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::training::DecoderLeaderboard>()
        .await?
        .filter(col("implant_id").eq(lit(7)))?
        .filter(col("task").eq(lit("webgrid")))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// training.decoders
#[rustfmt::skip]
mod training_decoders {
use neurolake::datafusion::functions_nested::expr_fn::make_array;
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::training::Decoders>()
        .await?
        .filter(col("implant_id").eq(lit(7)))?
        .filter(col("training_sessions").eq(make_array(vec![lit(5121), lit(5124)])))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}

// training.synthetic_bins
#[rustfmt::skip]
mod training_synthetic_bins {
use neurolake::datafusion::prelude::*;
use neurolake::prelude::*;

async fn rows(lake: &Lake) -> Result<DataFrame> {
    let rows = lake
        .table::<neurolake_demo::training::SyntheticBins>()
        .await?
        .filter(col("seed").eq(lit(42)))?
        .limit(0, Some(10))?;
    Ok(rows)
}

    pub(super) fn run(lake: &Lake) -> futures::future::BoxFuture<'_, Result<DataFrame>> { Box::pin(rows(lake)) }
}
