//! Manufacturing: every part, process step and test between a wafer and a finished implant.
//!
//! `serial` identifies a part for life, from thread to finished implant; `implant_id` is given at
//! final test. A device that fails after surgery can be followed back to the wafer, the operator
//! and the batch of adhesive.

use std::collections::BTreeMap;

use neurolake::prelude::*;

/// Parts built or bought, from the factory's own system; schema and rows are theirs.
///
/// Exported every night. `part_family` is `thread`, `asic`, `feedthrough`, `battery`, `case` or
/// `implant`. Reworked parts keep their serial, so a part may appear on several days: the newest
/// row counts.
#[table(
    delta = "s3://factory-lake/mes/parts",
    store = "factory",
    partition_by(part_family: String, built_on: Date),
    owner = "manufacturing",
    tags("genealogy"),
    freshness = "24h",
    example(part_family = "thread", built_on = "2026-02-17")
)]
#[doc(alias = "genealogy")]
#[doc(alias = "bill of materials")]
pub struct Parts;

/// One measured value of a process step.
#[derive(Columns)]
pub struct Measurement {
    /// What was measured, such as `bond_force`.
    pub name: String,
    /// The value.
    pub value: f64,
    /// Unit of the value, as the station wrote it.
    pub unit: String,
    /// Allowed range; null for values that are recorded only.
    pub limits: Option<Limits>,
}

/// The range a measured value must lie in.
#[derive(Columns)]
pub struct Limits {
    /// Smallest allowed value.
    pub low: Option<f64>,
    /// Largest allowed value.
    pub high: Option<f64>,
}

/// The traveller: one row for each attempt at a process step, with what the station measured.
///
/// Stations write rows as they finish; the batch writer commits every five minutes. A failed step
/// that is repeated appears twice, with [`Self::attempt`] 1 and 2. First-pass yield counts the
/// first attempts only, see [`line_yield`].
#[table(
    delta = "s3://lake/manufacturing/assembly_steps",
    partition_by(performed_on),
    sort_by(serial),
    unique_by(serial, step, attempt),
    owner = "manufacturing",
    tags("genealogy", "quality"),
    freshness = "10m",
    notebook(
        "Drift of bond force",
        "https://notebooks.example.com/manufacturing/bond-force.ipynb"
    ),
    example(performed_on = "2026-02-17", step = "thread_bond", passed = false)
)]
#[doc(alias = "traveler")]
#[doc(alias = "route card")]
pub struct AssemblySteps {
    /// The part worked on.
    pub serial: String,
    /// Step of the route, such as `thread_bond`, `case_weld` or `final_test`.
    pub step: String,
    /// Number of the attempt, from 1.
    pub attempt: i16,
    /// Factory's calendar day.
    pub performed_on: Date,
    /// Start of the attempt.
    pub started_at: Timestamp,
    /// End of the attempt.
    pub ended_at: Timestamp,
    /// Station, such as `BOND-2`.
    pub station: String,
    /// Badge of the operator; null for automatic stations.
    #[column(pii)]
    pub operator: Option<String>,
    /// Whether all measurements lay within their limits.
    pub passed: bool,
    /// Everything the station measured, in its order.
    pub measurements: Vec<Measurement>,
    /// Serials of the parts built in by this step.
    pub consumed: Vec<String>,
    /// Lots of adhesive, flux and gas in use, by material.
    #[column(since = 2)]
    pub lots: BTreeMap<String, String>,
}

/// Bench tests of threads in saline: noise, impedance and crosstalk of each channel.
///
/// One row per channel and test, written as Parquet by the test bench itself, so there are no
/// transactions: a file that is being written isn't visible, a repeated test adds a second file.
/// Keep the newest [`Self::tested_at`].
#[table(
    parquet = "s3://factory-lake/bench/electrode_tests/",
    store = "factory",
    partitioning = hive,
    partition_by(wafer, tested_on),
    owner = "manufacturing",
    tags("quality"),
    freshness = "24h",
    example(wafer = "W0231", tested_on = "2026-02-12")
)]
pub struct ElectrodeTests {
    /// Wafer the thread was cut from.
    pub wafer: String,
    /// Day of the test.
    pub tested_on: Date,
    /// Serial of the thread.
    pub serial: String,
    /// Contact on the thread, 0 (deepest) to 15.
    pub contact: u8,
    /// End of the test.
    pub tested_at: Timestamp,
    /// Noise in saline, root mean square, 300 Hz to 10 kHz.
    #[column(unit = "uV")]
    pub noise: f32,
    /// Absolute impedance at each test frequency, in the order of [`Self::frequencies`].
    #[column(unit = "kOhm")]
    pub impedance: Vec<f32>,
    /// Test frequencies.
    #[column(unit = "Hz")]
    pub frequencies: Vec<f32>,
    /// Signal leaking from the neighbour, as a share; below 0.01 passes.
    pub crosstalk: f32,
    /// Bin after the test: `A` for implants, `B` for animals, `scrap`.
    pub grade: String,
}

/// Helium leak tests of welded cases, one row per test.
///
/// The rate is stored as an exact decimal because the limit is part of a filing: a case passes at
/// or below 5.0e-9 mbar l/s after a minute. Typed in by hand until 2025-09-01, read from the
/// instrument since.
#[table(
    delta = "s3://lake/manufacturing/leak_tests",
    unique_by(serial, tested_at),
    owner = "manufacturing",
    tags("gxp", "quality"),
    freshness = "7d",
    example(leak_rate = "0.0000000050")
)]
#[doc(alias = "hermeticity")]
pub struct LeakTests {
    /// Serial of the case.
    pub serial: String,
    /// End of the test.
    pub tested_at: Timestamp,
    /// Leak rate of helium at one bar.
    #[column(unit = "mbar l/s")]
    pub leak_rate: Decimal<18, 10>,
    /// Time under pressure before the test.
    #[column(unit = "h")]
    pub bombing_time: f32,
    /// Whether the case passed.
    pub passed: bool,
    /// Signed test certificate as PDF; null for values typed in by hand.
    pub certificate: Option<Blob>,
}

/// One station and step of [`line_yield`].
#[derive(Columns)]
pub struct StepYield {
    /// Station, such as `BOND-2`.
    pub station: String,
    /// Step of the route.
    pub step: String,
    /// Parts that saw the step.
    pub parts: i64,
    /// Share that passed at the first attempt, from 0 to 1.
    pub first_pass_yield: f64,
}

/// First-pass yield of each station and step, for the morning meeting.
///
/// Counts first attempts in [`AssemblySteps`] between `since` and `until`, both included. Multiply
/// the steps of a route to get the rolled yield.
#[table(
    name = "yield",
    rows = StepYield,
    owner = "manufacturing",
    tags("quality", "score"),
    notebook("Rolled yield", "https://notebooks.example.com/manufacturing/rolled-yield.ipynb"),
    example(since = "2026-02-01", until = "2026-02-28", station = "BOND-2")
)]
#[doc(alias = "FPY")]
pub async fn line_yield(
    lake: &Lake,
    since: Date,
    until: Option<Date>,
    station: Option<String>,
) -> Result<DataFrame> {
    use neurolake::datafusion::functions_aggregate::expr_fn::{avg, count};
    use neurolake::datafusion::prelude::{col, lit, when};

    let mut attempts = lake
        .table::<AssemblySteps>()
        .await?
        .filter(col("attempt").eq(lit(1)))?
        .filter(col("performed_on").gt_eq(lit(since)))?;
    if let Some(until) = until {
        attempts = attempts.filter(col("performed_on").lt_eq(lit(until)))?;
    }
    if let Some(station) = station {
        attempts = attempts.filter(col("station").eq(lit(station)))?;
    }
    let passed = when(col("passed"), lit(1.0)).otherwise(lit(0.0))?;
    Ok(attempts.aggregate(
        vec![col("station"), col("step")],
        vec![
            count(lit(1)).alias("parts"),
            avg(passed).alias("first_pass_yield"),
        ],
    )?)
}
