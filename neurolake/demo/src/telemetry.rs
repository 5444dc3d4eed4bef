//! Device telemetry: battery, heat, radio and errors of every implant in use.
//!
//! The implant reports once a minute while the app is connected, and hands over up to 72 hours of
//! buffered reports after a pause. Late rows are therefore normal; a gap of more than three days
//! is a lost device. Nothing here is neural data, but an implant belongs to a person: treat
//! `implant_id` as personal.

use std::collections::BTreeMap;

use neurolake::prelude::*;

/// One health report of an implant, once a minute: every counter and sensor the device has.
///
/// This is a wide table. Select the columns you need, and filter on `report_date`, the partition.
/// For trends use [`health_windows`], which is small enough for a plot.
///
/// - Counters (`*_total`) start at zero with each boot; see [`Self::boot_count`] before taking
///   differences.
/// - Sensors that failed their self-test report null, not a last good value.
/// - Tissue safety: an average of [`Self::case_temp`] above 39 degC over 5 minutes stops charging.
#[table(
    delta = "s3://lake/telemetry/device_health",
    partition_by(report_date),
    sort_by(implant_id, ts),
    unique_by(implant_id, ts),
    owner = "devices",
    tags("live", "telemetry"),
    freshness = "3m",
    ingest,
    notebook(
        "Battery ageing",
        "https://notebooks.example.com/devices/battery-ageing.ipynb"
    ),
    example(implant_id = 7, report_date = "2026-03-01")
)]
#[doc(alias = "heartbeat")]
#[doc(alias = "vitals")]
#[derive(serde::Serialize)]
pub struct DeviceHealth {
    /// Time of the report on the implant's clock.
    pub ts: Timestamp,
    /// The reporting implant.
    pub implant_id: i32,
    /// UTC day of [`Self::ts`].
    pub report_date: Date,
    /// When the ingest door received it.
    pub received_at: Timestamp,
    /// Firmware of the implant, such as `4.2.1`.
    pub firmware: String,
    /// Boots since manufacture.
    pub boot_count: i32,
    /// Time since the last boot.
    #[column(unit = "s")]
    pub uptime: i64,
    /// Cause of the last boot: `power`, `watchdog`, `update` or `request`.
    pub reset_cause: String,
    /// `idle`, `streaming`, `charging`, `updating` or `safe`.
    pub mode: String,

    /// Cell voltage under load.
    #[column(unit = "V")]
    pub battery_voltage: Option<f32>,
    /// Into the battery is positive, out of it negative.
    #[column(unit = "mA")]
    pub battery_current: Option<f32>,
    /// State of charge as the gauge estimates it.
    #[column(unit = "%")]
    pub battery_charge: Option<f32>,
    /// Full capacity relative to a new cell.
    #[column(unit = "%", since = 3)]
    pub battery_health: Option<f32>,
    /// Equivalent full charge cycles.
    #[column(renamed_from = "cycles")]
    pub battery_cycles: i32,
    /// Cell temperature.
    #[column(unit = "degC")]
    pub battery_temp: Option<f32>,
    /// Temperature of the case towards the scalp.
    #[column(unit = "degC")]
    pub case_temp: Option<f32>,
    /// Temperature of the signal chip.
    #[column(unit = "degC")]
    pub asic_temp: Option<f32>,
    /// Relative humidity inside the case. A rise over weeks is a leak.
    #[column(unit = "%")]
    pub humidity: Option<f32>,
    /// Pressure inside the case.
    #[column(unit = "hPa", since = 2)]
    pub pressure: Option<f32>,

    /// Voltage of the analog supply.
    #[column(unit = "V")]
    pub analog_supply: Option<f32>,
    /// Voltage of the digital supply.
    #[column(unit = "V")]
    pub digital_supply: Option<f32>,
    /// Power of the whole implant.
    #[column(unit = "mW")]
    pub power: Option<f32>,
    /// Share of time the processor was awake.
    #[column(unit = "%")]
    pub cpu_load: f32,
    /// Free working memory, lowest since the last report.
    #[column(unit = "B")]
    pub free_memory: i32,
    /// Free flash for buffered reports.
    #[column(unit = "B")]
    pub free_flash: i32,

    /// Received signal strength at the implant; below -85 packets get lost.
    #[column(unit = "dBm")]
    pub rssi: Option<i16>,
    /// Transmit power in use.
    #[column(unit = "dBm")]
    pub tx_power: Option<i16>,
    /// Payload rate over the last minute.
    #[column(unit = "kbit/s")]
    pub radio_rate: f32,
    /// Packets sent since boot.
    pub packets_sent_total: i64,
    /// Packets never acknowledged since boot.
    pub packets_lost_total: i64,
    /// Disconnects since boot.
    pub disconnects_total: i32,
    /// Offset of the implant's clock to the computer's.
    #[column(unit = "ms")]
    pub clock_offset: Option<f32>,

    /// Channels sampled and not masked.
    pub active_channels: i16,
    /// Channels at the converter's limit during the last minute.
    pub saturated_channels: i16,
    /// Median noise over active channels, root mean square.
    #[column(unit = "uV")]
    pub noise: Option<f32>,
    /// Mean spike rate per active channel.
    #[column(unit = "Hz")]
    pub spike_rate: Option<f32>,

    /// Memory errors that were corrected since boot.
    pub corrected_errors_total: i32,
    /// Watchdog warnings since boot that did not lead to a reset.
    pub watchdog_warnings_total: i32,
    /// Acceleration of the head, maximum over the last minute.
    #[column(unit = "g")]
    pub peak_acceleration: Option<f32>,
    /// Active fault codes, such as `E104`; empty when all is well.
    pub faults: Vec<String>,
    /// Raw sensor values that have no column yet, by firmware name.
    #[column(since = 3)]
    pub extra: Option<BTreeMap<String, f64>>,
    /// Battery charge in steps of a quarter, 0 to 4.
    #[deprecated(since = "2025.11.1", note = "Use [`Self::battery_charge`].")]
    pub battery_level: Option<i8>,
}

/// Inductive charging sessions, one row from coil on to coil off.
///
/// Derived from [`DeviceHealth`] every hour. Energy is what reached the battery; the coil spends
/// about three times as much. A session that ended with `hot` should be looked at.
#[table(
    delta = "s3://lake/telemetry/charge_sessions",
    partition_by(charge_date),
    unique_by(implant_id, started_at),
    owner = "devices",
    tags("telemetry"),
    freshness = "2h",
    inputs(DeviceHealth),
    example(implant_id = 7, ended_by = "hot")
)]
pub struct ChargeSessions {
    /// The charged implant.
    pub implant_id: i32,
    /// UTC day of [`Self::started_at`].
    pub charge_date: Date,
    /// Coil on.
    pub started_at: Timestamp,
    /// Coil off.
    pub ended_at: Timestamp,
    /// State of charge at the start.
    #[column(unit = "%")]
    pub charge_before: f32,
    /// State of charge at the end.
    #[column(unit = "%")]
    pub charge_after: f32,
    /// Energy into the battery.
    #[column(unit = "mWh")]
    pub energy: f32,
    /// Highest temperature of the case.
    #[column(unit = "degC")]
    pub peak_case_temp: f32,
    /// Mean coupling of the coils, from 0 to 1; below 0.2 the coil sat badly.
    pub coupling: Option<f32>,
    /// `full`, `removed`, `hot` or `fault`.
    pub ended_by: String,
}

/// One window of [`health_windows`].
#[derive(Columns)]
pub struct HealthWindow {
    /// Start of the window.
    pub window_start: Timestamp,
    /// Reports in the window; 60 for an hour without gaps.
    pub reports: i64,
    /// Lowest cell voltage.
    #[column(unit = "V")]
    pub min_battery_voltage: Option<f32>,
    /// Mean state of charge.
    #[column(unit = "%")]
    pub mean_battery_charge: Option<f64>,
    /// Highest temperature of the case.
    #[column(unit = "degC")]
    pub max_case_temp: Option<f32>,
    /// Mean noise.
    #[column(unit = "uV")]
    pub mean_noise: Option<f64>,
}

/// Health of one implant in windows of a minute, an hour or a day, ready to plot.
///
/// `window` takes `minute`, `hour` (the default), `day` or `week`. Windows start at UTC boundaries
/// and those without reports are missing. `below` keeps windows whose lowest cell voltage is under
/// that many volts, the quickest way to find brown-outs.
#[table(
    rows = HealthWindow,
    owner = "devices",
    tags("telemetry"),
    example(implant_id = 7, since = "2026-03-01T09:30:00Z", window = "hour", below = 3.55)
)]
pub async fn health_windows(
    lake: &Lake,
    implant_id: i32,
    since: Timestamp,
    window: Option<String>,
    below: Option<f64>,
) -> Result<DataFrame> {
    use neurolake::datafusion::functions_aggregate::expr_fn::{avg, count, max, min};
    use neurolake::datafusion::prelude::{col, date_trunc, lit};

    let window = window.unwrap_or_else(|| "hour".to_owned());
    let windows = lake
        .table::<DeviceHealth>()
        .await?
        .filter(col("implant_id").eq(lit(implant_id)))?
        .filter(col("ts").gt_eq(lit(since)))?
        .aggregate(
            vec![date_trunc(lit(window), col("ts")).alias("window_start")],
            vec![
                count(lit(1)).alias("reports"),
                min(col("battery_voltage")).alias("min_battery_voltage"),
                avg(col("battery_charge")).alias("mean_battery_charge"),
                max(col("case_temp")).alias("max_case_temp"),
                avg(col("noise")).alias("mean_noise"),
            ],
        )?;
    match below {
        Some(volts) => Ok(windows.filter(col("min_battery_voltage").lt(lit(volts)))?),
        None => Ok(windows),
    }
}

/// Battery readings of first-generation implants, before they sent full reports.
#[table(
    delta = "s3://lake/telemetry/battery_log",
    partition_by(day: Date),
    owner = "devices",
    example(day = "2024-11-20")
)]
#[deprecated(
    since = "2025.2.1",
    note = "Use the `battery_*` columns of [`DeviceHealth`]; both were written for two months."
)]
pub struct BatteryLog;
