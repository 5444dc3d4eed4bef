//! The implant itself: battery, heat, radio.

use std::collections::BTreeMap;

use neurolake::made_up::{DAY, Random};
use neurolake::{Date, Timestamp};

use super::SECOND;
use crate::telemetry::DeviceHealth;

/// Seconds since the last boot when the session starts.
const UPTIME: i64 = 41 * 3_600;
/// Percent of charge that streaming takes in an hour.
const DRAIN: f64 = 5.2;

/// A value that wanders around its mean.
#[derive(Debug, Clone)]
struct Drift {
    mean: f64,
    deviation: f64,
    /// How much of the distance from the mean is left after a report.
    keep: f64,
    value: f64,
}

impl Drift {
    fn new(mean: f64, deviation: f64, keep: f64) -> Self {
        Self {
            mean,
            deviation,
            keep,
            value: mean,
        }
    }

    fn next(&mut self, random: &mut Random) -> f64 {
        let push = self.deviation * (1.0 - self.keep * self.keep).sqrt();
        let distance = self.keep * (self.value - self.mean);
        self.value = self.mean + distance + random.normal(0.0, push);
        self.value
    }
}

/// What the radio and the channels did until now.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Link {
    pub(super) sent: i64,
    pub(super) lost: i64,
    pub(super) channels: usize,
    pub(super) masked: usize,
    pub(super) saturated: usize,
    pub(super) rate_hz: f64,
}

/// An implant that streams.
#[derive(Debug, Clone)]
pub(super) struct Device {
    random: Random,
    implant: i32,
    charge: f64,
    warmth: Drift,
    rssi: Drift,
    offset: Drift,
    noise: Drift,
    spikes: Drift,
    pressure: Drift,
    corrected: i32,
}

impl Device {
    pub(super) fn new(mut random: Random, implant: i32) -> Self {
        Self {
            implant,
            charge: random.between(70.0, 98.0),
            warmth: Drift::new(0.9, 0.12, 0.995),
            rssi: Drift::new(-62.0, 4.0, 0.9),
            offset: Drift::new(0.6, 0.3, 0.99),
            noise: Drift::new(6.1, 0.15, 0.99),
            spikes: Drift::new(7.5, 0.6, 0.9),
            pressure: Drift::new(1_011.0, 0.6, 0.999),
            corrected: 0,
            random,
        }
    }

    /// A report so many seconds after the session started.
    pub(super) fn report(&mut self, ts: i64, seconds: f64, link: Link) -> DeviceHealth {
        let random = &mut self.random;
        let charge = (self.charge - DRAIN * seconds / 3_600.0).max(1.0);
        let voltage = 3.30 + 0.0086 * charge + random.normal(0.0, 0.003);
        let case = 36.9 + self.warmth.next(random);
        let power = 24.5 + random.normal(0.0, 0.3);
        let noise = self.noise.next(random);
        self.corrected += i32::from(random.chance(0.000_06));
        let load = 22.0 + 39.0 * link.channels as f64 / 1_024.0 + random.normal(0.0, 1.0);
        // Ten bits a channel, and a header.
        let rate = (link.channels as f64 * 10.0 + 160.0) * link.rate_hz / 1_000.0;
        let strength = self.rssi.next(random);
        #[expect(deprecated, reason = "the column is still there, and no longer filled")]
        DeviceHealth {
            ts: Timestamp::from_micros(ts),
            implant_id: self.implant,
            report_date: Date::from_days(ts.div_euclid(DAY) as i32),
            received_at: Timestamp::from_micros(ts + random.whole(20_000, 60_000)),
            firmware: super::FIRMWARE.to_owned(),
            boot_count: 40 + self.implant,
            uptime: UPTIME + seconds as i64,
            reset_cause: "update".to_owned(),
            mode: "streaming".to_owned(),
            battery_voltage: Some(rounded(voltage, 3)),
            battery_current: Some(rounded(-power / voltage, 2)),
            battery_charge: Some(rounded(charge, 1)),
            battery_health: Some(rounded(99.0 - 0.9 * f64::from(self.implant), 1)),
            battery_cycles: 30 * (9 - self.implant).max(1),
            battery_temp: Some(rounded(case + 0.4 + random.normal(0.0, 0.02), 2)),
            case_temp: Some(rounded(case, 2)),
            asic_temp: Some(rounded(case + 1.6 + random.normal(0.0, 0.05), 2)),
            humidity: Some(rounded(4.2 + random.normal(0.0, 0.05), 2)),
            pressure: Some(rounded(self.pressure.next(random), 1)),
            analog_supply: Some(rounded(1.8 + random.normal(0.0, 0.003), 4)),
            digital_supply: Some(rounded(0.9 + random.normal(0.0, 0.002), 4)),
            power: Some(rounded(power, 2)),
            cpu_load: rounded(load, 1),
            free_memory: random.whole(38_000, 52_000) as i32,
            free_flash: 3_200_000 - (seconds as i32 / 10).min(100_000),
            rssi: Some(strength as i16),
            tx_power: Some(if strength < -66.0 { 4 } else { 0 }),
            radio_rate: rounded(rate, 1),
            packets_sent_total: link.sent,
            packets_lost_total: link.lost,
            disconnects_total: 0,
            clock_offset: Some(rounded(self.offset.next(random), 2)),
            active_channels: (link.channels - link.masked) as i16,
            saturated_channels: link.saturated as i16,
            noise: Some(rounded(noise, 2)),
            spike_rate: Some(rounded(self.spikes.next(random), 2)),
            corrected_errors_total: self.corrected,
            watchdog_warnings_total: 0,
            peak_acceleration: Some(rounded(random.log_normal(0.05, 0.5), 3)),
            faults: if random.chance(0.001) {
                vec!["E104".to_owned()]
            } else {
                Vec::new()
            },
            extra: random
                .chance(0.05)
                .then(|| BTreeMap::from([("coil_q".to_owned(), 41.5)])),
            battery_level: None,
        }
    }
}

/// Microseconds between two reports.
pub(super) const INTERVAL: i64 = SECOND;

/// A reading with as many digits as the sensor has.
fn rounded(value: f64, digits: i32) -> f32 {
    let factor = 10_f64.powi(digits);
    ((value * factor).round() / factor) as f32
}
