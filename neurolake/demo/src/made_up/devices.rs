//! Telemetry and logs.

use neurolake::made_up::{Cell, DAY, Maker, blob, day, day_text, time};
use neurolake::model::Type;
use neurolake::{recipe, row};

use super::{HOUR, MINUTE, SECOND, rounded, usual};

recipe!("telemetry.device_health", device_health);
recipe!("telemetry.charge_sessions", charge_sessions);
recipe!("telemetry.battery_log", battery_log);
recipe!("logs.app_logs", app_logs);
recipe!("logs.crashes", crashes);

/// Once a minute: implant 7 from morning to midnight, the others for three hours.
fn device_health(maker: &mut Maker<'_>) {
    let first = day("2026-02-27");
    for on in first..first + 5 {
        for implant in [2, 6, 7, 8] {
            let mut random = maker.random("health").nth(implant * 100_000 + on);
            let (from, minutes) = if implant == 7 { (6, 1_075) } else { (10, 180) };
            let boot = on * DAY + from * HOUR - random.whole(60, 3_000) * MINUTE;
            let (mut sent, mut lost, mut drops) = (0, 0, 0);
            let minutes = (f64::from(minutes) * maker.scaled(100.0).min(100) as f64 / 100.0) as i64;
            for minute in 0..minutes {
                let now = on * DAY + from * HOUR + minute * MINUTE + random.whole(0, SECOND);
                let share = minute as f64 / 1_075.0;
                let charge = 97.0 - 94.0 * share + random.normal(0.0, 0.3);
                let voltage = 3.30 + 0.0086 * charge + random.normal(0.0, 0.006);
                let streaming = minute % 240 < 130;
                let warm = if streaming { 0.9 } else { 0.0 };
                let case = 36.9 + warm + random.normal(0.0, 0.15);
                let power = if streaming { 24.5 } else { 9.0 } + random.normal(0.0, 0.5);
                sent += if streaming { 4_000 } else { 12 };
                lost += random.whole(0, if streaming { 9 } else { 0 });
                drops += i64::from(random.chance(0.004));
                let failed = random.chance(0.004);
                let sensor = |value: f64| (!failed).then_some(value);
                let faults: Vec<Cell> = match random.unit() {
                    x if x < 0.003 => vec!["E104".into()],
                    x if x < 0.004 => vec!["E104".into(), "E210".into()],
                    _ => Vec::new(),
                };
                let late = if random.chance(0.03) { 3_600 } else { 1 };
                maker.row(row! {
                    "ts" => now,
                    "implant_id" => implant,
                    "report_date" => on,
                    "received_at" => now + late * SECOND + random.whole(0, SECOND),
                    "firmware" => if implant == 2 { "4.1.3" } else { "4.2.1" },
                    "boot_count" => 40 + implant + (on - first),
                    "uptime" => (now - boot) / SECOND,
                    "reset_cause" => if on == first { "update" } else { "power" },
                    "mode" => if streaming { "streaming" } else { "idle" },
                    "battery_voltage" => sensor(rounded(voltage, 3)),
                    "battery_current" => sensor(rounded(-power / voltage, 2)),
                    "battery_charge" => sensor(rounded(charge.clamp(0.0, 100.0), 1)),
                    "battery_health" => sensor(rounded(99.0 - 0.9 * implant as f64, 1)),
                    "battery_cycles" => 30 * (9 - implant) + (on - first),
                    "battery_temp" => sensor(rounded(case + 0.4, 2)),
                    "case_temp" => sensor(rounded(case, 2)),
                    "asic_temp" => sensor(rounded(case + 1.6, 2)),
                    "humidity" => sensor(rounded(random.normal(4.2, 0.2), 2)),
                    "pressure" => sensor(rounded(random.normal(1_011.0, 0.6), 1)),
                    "analog_supply" => sensor(rounded(random.normal(1.8, 0.003), 4)),
                    "digital_supply" => sensor(rounded(random.normal(0.9, 0.002), 4)),
                    "power" => sensor(rounded(power, 2)),
                    "cpu_load" => rounded(if streaming { 61.0 } else { 8.0 } + random.normal(0.0, 2.0), 1),
                    "free_memory" => random.whole(38_000, 52_000),
                    "free_flash" => random.whole(3_100_000, 3_300_000),
                    "rssi" => random.normal(-62.0, 7.0) as i64,
                    "tx_power" => random.pick(&[0_i64, 4]),
                    "radio_rate" => rounded(if streaming { 1_480.0 } else { 2.0 } * random.normal(1.0, 0.02), 1),
                    "packets_sent_total" => sent,
                    "packets_lost_total" => lost,
                    "disconnects_total" => drops,
                    "clock_offset" => rounded(random.normal(0.6, 0.4), 2),
                    "active_channels" => 985 + random.whole(-3, 3),
                    "saturated_channels" => random.log_normal(1.5, 1.0) as i64,
                    "noise" => sensor(rounded(random.normal(6.1, 0.2), 2)),
                    "spike_rate" => rounded(random.normal(7.5, 0.9), 2),
                    "corrected_errors_total" => minute / 300,
                    "watchdog_warnings_total" => minute / 700,
                    "peak_acceleration" => rounded(random.log_normal(0.12, 0.7), 3),
                    "faults" => faults,
                    "extra" => random.chance(0.05).then(|| {
                        vec![(Cell::from("coil_q"), Cell::from(rounded(41.5, 1)))]
                    }),
                    "battery_level" => random.chance(0.1).then_some((charge / 25.0) as i64),
                });
            }
        }
        let at = format!("{}T23:59:30Z", day_text(on));
        // Firmware 4.2 brought what schema version 3 added.
        if on == first {
            maker.commit_without(&at, &["battery_health", "extra"]);
        } else {
            maker.commit(&at);
        }
    }
    maker.checkpoint();
}

fn charge_sessions(maker: &mut Maker<'_>) {
    let first = day("2026-02-16");
    for on in first..first + 14 {
        for (implant, hour) in [(2, 22), (6, 21), (7, 5), (7, 21), (8, 20)] {
            if implant == 8 && on < day("2026-02-25") {
                continue;
            }
            let mut random = maker
                .random("charging")
                .nth((implant * 100_000 + on) * 24 + hour);
            let begin = on * DAY + hour * HOUR + random.whole(0, 40) * MINUTE;
            let ended_by = match random.unit() {
                x if implant == 7 && x < 0.6 => "hot",
                x if x < 0.7 => "full",
                x if x < 0.96 => "removed",
                _ => "fault",
            };
            let before = random.between(8.0, 30.0);
            let after = match ended_by {
                "full" => 100.0,
                _ => random.between(before + 15.0, 97.0),
            };
            let peak = if ended_by == "hot" {
                random.between(39.0, 39.4)
            } else {
                random.between(37.4, 38.9)
            };
            maker.row(row! {
                "implant_id" => implant,
                "charge_date" => on,
                "started_at" => begin,
                "ended_at" => begin + ((after - before) * 0.9) as i64 * MINUTE,
                "charge_before" => rounded(before, 1),
                "charge_after" => rounded(after, 1),
                "energy" => rounded((after - before) * 3.1, 1),
                "peak_case_temp" => rounded(peak, 2),
                "coupling" => (!random.chance(0.05)).then_some(rounded(random.normal(0.42, 0.08), 3)),
                "ended_by" => ended_by,
            });
        }
    }
}

fn battery_log(maker: &mut Maker<'_>) {
    maker.undeclared(&[
        ("day", Type::Date),
        ("ts", Type::Timestamp),
        ("device", Type::String),
        ("millivolts", Type::Int16),
        ("percent", Type::Int8),
        ("charging", Type::Bool),
    ]);
    let first = day("2024-11-18");
    for on in first..first + 5 {
        for device in ["NL-0001", "NL-0002"] {
            let mut random = maker.random(device).nth(on);
            for report in 0..maker.scaled(288.0).min(288) {
                let percent = 96.0 - report as f64 / 3.2;
                maker.row(row! {
                    "day" => on,
                    "ts" => on * DAY + report * 5 * MINUTE,
                    "device" => device,
                    "millivolts" => (3_400.0 + 7.5 * percent + random.normal(0.0, 6.0)) as i64,
                    "percent" => percent as i64,
                    "charging" => report > 280,
                });
            }
        }
    }
    maker.commit("2024-11-23T01:00:00Z");
}

type Line = (&'static str, &'static str);

const ROBOT: [Line; 9] = [
    ("info", "needle back above the surface"),
    ("info", "thread loaded"),
    ("info", "insertion started"),
    ("debug", "stage settled in 41 ms"),
    ("warn", "dimpling above plan"),
    ("warn", "focus lost, retrying"),
    ("error", "needle force above limit, insertion stopped"),
    ("error", "vessel within safety distance, target skipped"),
    ("error", "pincher did not close"),
];
const APP: [Line; 7] = [
    ("info", "connected to implant"),
    ("info", "decoder loaded"),
    ("info", "trial finished"),
    ("debug", "frame drawn late by 4 ms"),
    ("warn", "radio link weak"),
    ("error", "lost connection to implant"),
    ("error", "decoder output is not finite, cursor held"),
];
const FIRMWARE: [Line; 5] = [
    ("info", "report sent"),
    ("debug", "impedance scan finished"),
    ("info", "radio channel changed"),
    ("warn", "watchdog close to limit"),
    ("error", "memory error corrected"),
];

fn app_logs(maker: &mut Maker<'_>) {
    maker.row_group(256);
    let services: [(&str, &[Line], &[&str]); 3] = [
        ("robot-control", &ROBOT, &["r1-04", "r1-03"]),
        ("participant-app", &APP, &["home-07", "home-06", "home-02"]),
        (
            "implant-firmware",
            &FIRMWARE,
            &["implant-7", "implant-6", "implant-2"],
        ),
    ];
    let first = day("2026-02-23");
    for (service, lines, hosts) in services {
        for on in first..first + 4 {
            let mut random = maker.random(service).nth(on);
            for number in 0..maker.scaled(1_500.0) {
                let (level, message) = usual(&mut random, lines);
                let traced = random.chance(0.6);
                let fields: Vec<(Cell, Cell)> = vec![
                    ("version".into(), "2026.2.1".into()),
                    match service {
                        "robot-control" => ("surgery_id".into(), "31".into()),
                        "participant-app" => ("session_id".into(), "5121".into()),
                        _ => ("boot_count".into(), "47".into()),
                    },
                ];
                maker.row(row! {
                    "service" => service,
                    "day" => on,
                    "ts" => on * DAY + 8 * HOUR + number * 20 * SECOND / maker.scaled(1.0)
                        + random.whole(0, 19 * SECOND),
                    "level" => level,
                    "host" => usual(&mut random, hosts),
                    "message" => message,
                    "fields" => (!random.chance(0.03)).then_some(fields),
                    "trace_id" => traced.then(|| random.hex(16)),
                });
            }
        }
    }
}

fn crashes(maker: &mut Maker<'_>) {
    let causes: [(&str, i64, [&str; 3]); 5] = [
        (
            "participant-app",
            -11,
            ["Decoder::step", "Session::tick", "main"],
        ),
        ("participant-app", -6, ["abort", "Radio::reconnect", "main"]),
        (
            "implant-firmware",
            -11,
            ["fft_bins", "band_power_task", "scheduler"],
        ),
        (
            "robot-control",
            101,
            ["Stage::limits", "Stage::move_to", "main"],
        ),
        (
            "participant-app",
            1,
            ["Screen::open", "Window::new", "main"],
        ),
    ];
    let first = time("2026-01-05");
    let mut random = maker.random("crashes");
    for number in 0..maker.scaled(160.0) {
        let (service, code, functions) = usual(&mut random, &causes);
        let at = first + number * 55 * DAY / maker.scaled(160.0) + random.whole(0, 6 * HOUR);
        let symbols = random.chance(0.9);
        let stack: Vec<Cell> = functions
            .iter()
            .map(|&function| {
                row! {
                    "function" => if symbols { function } else { "??" },
                    "file" => symbols.then(|| format!("src/{}.rs", function.split("::").next().unwrap_or("main").to_lowercase())),
                    "line" => symbols.then(|| 20 + (function.len() as i64) * 13),
                }
                .into()
            })
            .collect();
        let tail: Vec<Cell> = (0..3).map(|_| usual(&mut random, &APP).1.into()).collect();
        let core = (at > time("2026-01-30")).then(|| {
            blob(
                &format!("s3://lake/crashes/{}.core.zst", 7_001 + number),
                "application/zstd",
                random.whole(800_000, 40_000_000),
            )
        });
        maker.row(row! {
            "crash_id" => 7_001 + number,
            "service" => service,
            "version" => random.pick(&["2026.1.2", "2026.1.3", "2026.2.1"]),
            "crashed_at" => at,
            "exit_code" => code,
            "fingerprint" => format!("{:016x}", functions.concat().bytes().fold(7_u64, |h, b| h.wrapping_mul(31).wrapping_add(b.into()))),
            "stack" => stack,
            "log_tail" => random.chance(0.8).then_some(tail),
            "core" => core,
        });
    }
}
