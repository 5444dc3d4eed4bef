//! Signals.

use neurolake::made_up::picture::Picture;
use neurolake::made_up::{Cell, DAY, Maker, blob, day, time};
use neurolake::model::Type;
use neurolake::{recipe, row};

use super::{
    BIN, CHANNELS, FIRST_BIN, HOUR, IMPLANTS, Insertion, MINUTE, SECOND, contact, cursor, length,
    recorded, rounded, sessions, trials,
};

recipe!("neural.normalized_band_power", normalized_band_power);
recipe!("neural.spikes", spikes);
recipe!("neural.sessions", all_sessions);
recipe!("neural.electrodes", electrodes);
recipe!("neural.impedance_scans", impedance_scans);
recipe!("neural.units", units);
recipe!("neural.ecog", ecog);
recipe!("neural.threshold_crossings", threshold_crossings);

/// Channels follow the velocity by cosine tuning; neighbours on a thread share a slow drift.
fn normalized_band_power(maker: &mut Maker<'_>) {
    maker.row_group(256);
    for session in recorded(maker) {
        let trials = trials(maker, &session);
        let mut random = maker.random("band power").nth(session.id);
        let tuning: Vec<(f32, f32)> = (0..CHANNELS)
            .map(|_| {
                let angle = random.between(0.0, std::f64::consts::TAU);
                let gain = random.log_normal(1.1, 0.6).min(4.0);
                ((gain * angle.cos()) as f32, (gain * angle.sin()) as f32)
            })
            .collect();
        let masked: Vec<bool> = (0..CHANNELS)
            .map(|channel| contact(maker, session.implant, channel).1)
            .collect();
        let mut drift = [0.0_f32; 64];
        for index in 0..length(maker, &session, 4_000.0, 160.0) {
            let bin = FIRST_BIN + index;
            let now = session.start + bin * BIN;
            for value in &mut drift {
                *value = 0.97 * *value + random.normal(0.0, 0.08) as f32;
            }
            // The brain leads the cursor by 90 ms.
            let soon = now + 90_000;
            let (vx, vy) = trials
                .iter()
                .find(|trial| (trial.start..trial.start + trial.duration).contains(&soon))
                .map_or((0.0, 0.0), |trial| cursor(trial, soon).1);
            let (vx, vy) = (vx as f32, vy as f32);
            let mut power = Vec::with_capacity(tuning.len());
            let mut noise = 0_u64;
            for (channel, &(tx, ty)) in tuning.iter().enumerate() {
                if channel % 4 == 0 {
                    noise = random.next();
                }
                let bits = (noise >> (channel % 4 * 16)) & 0xffff;
                let (a, b) = ((bits & 0xff) as f32, (bits >> 8) as f32);
                let noise = (a + b) / 104.0 - 2.45;
                let value = tx * vx + ty * vy + drift[channel / 16] + 0.8 * noise;
                power.push(if masked[channel] {
                    f32::NAN
                } else {
                    (value * 16.0).round() / 16.0
                });
            }
            // Lost packets.
            if random.chance(0.004) {
                continue;
            }
            let dropped = if random.chance(0.03) {
                random.whole(1, 12)
            } else {
                0
            };
            let known = session.firmware >= "4.2";
            maker.row(row! {
                "ts" => now,
                "implant_id" => session.implant,
                "session_date" => session.day,
                "session_id" => session.id,
                "bin" => bin,
                "band_power" => power,
                "dropped_samples" => known.then_some(dropped),
            });
        }
        if session.day == day("2026-02-28") && session.implant == 8 {
            maker.commit("2026-02-28T21:00:00Z");
        }
    }
    maker.commit("2026-03-01T18:20:04Z");
}

fn waveform(depth: f64, width: f64, samples: i32, trough: i32) -> Vec<f32> {
    (0..samples)
        .map(|sample| {
            let t = f64::from(sample - trough) * 0.05;
            let down = -depth * (-(t / 0.12).powi(2)).exp();
            let up = 0.35 * depth * (-((t - width) / 0.25).powi(2)).exp();
            rounded(down + up, 1) as f32
        })
        .collect()
}

fn spikes(maker: &mut Maker<'_>) {
    maker.row_group(2_048);
    for session in recorded(maker) {
        let mut random = maker.random("spikes").nth(session.id);
        let count = length(maker, &session, 24_000.0, 1_500.0);
        for _ in 0..count {
            // Some channels are much busier than others.
            let channel = match random.unit() {
                x if x < 0.015 => 112,
                _ => (random.unit().powi(2) * CHANNELS as f64) as i64 * 37 % CHANNELS,
            };
            let depth = random.log_normal(85.0, 0.4);
            let width = random.normal(0.48, 0.12).max(0.15);
            let shape = random.chance(0.01).then(|| waveform(depth, width, 32, 10));
            maker.row(row! {
                "ts" => session.start + FIRST_BIN * BIN + random.whole(0, 300 * SECOND),
                "implant_id" => session.implant,
                "session_date" => session.day,
                "session_id" => session.id,
                "channel" => channel,
                "amplitude" => -rounded(depth, 1),
                "width" => rounded(width, 2),
                "waveform" => shape,
            });
        }
    }
}

fn all_sessions(maker: &mut Maker<'_>) {
    let notes = [
        "calm, good signals",
        "participant tired after an hour",
        "restarted the app once",
        "new cushion, sits better",
        "visitor in the room until 11:00",
    ];
    for session in sessions(maker) {
        let mut random = maker.random("session row").nth(session.id);
        let tasks: Vec<Cell> = session.tasks.iter().map(|&task| task.into()).collect();
        maker.row(row! {
            "session_id" => session.id,
            "implant_id" => session.implant,
            "session_date" => session.day,
            "subject" => session.subject,
            "started_at" => session.start,
            "ended_at" => session.end,
            "place" => session.place,
            "firmware" => session.firmware,
            "decoder_id" => session.decoder.clone(),
            "tasks" => tasks,
            "packet_loss" => rounded(random.log_normal(0.002, 0.8).min(0.2), 5),
            "notes" => random.chance(0.2).then(|| random.pick(&notes)),
        });
        match session.id {
            // The share of lost packets came with firmware 4.2.
            5_075 => maker.commit_without("2026-02-09T20:00:00Z", &["packet_loss"]),
            5_096 => maker.commit("2026-02-16T20:00:00Z"),
            5_117 => maker.commit("2026-02-23T20:00:00Z"),
            5_132 => maker.commit("2026-02-28T20:00:00Z"),
            _ => {}
        }
    }
    maker.commit("2026-03-01T16:05:00Z");
}

fn area(thread: i64) -> &'static str {
    match thread {
        0..=31 => "M1 hand knob",
        32..=47 => "M1 arm",
        48..=57 => "PMd",
        _ => "S1 hand",
    }
}

fn electrodes(maker: &mut Maker<'_>) {
    for implant in &IMPLANTS {
        let mut random = maker.random("electrodes").nth(implant.id);
        for thread in 0..64 {
            let insertion = Insertion::of(maker, implant, thread);
            let angle = thread as f64 / 64.0 * std::f64::consts::TAU;
            let radius = random.between(600.0, 2_400.0);
            for number in 0..16 {
                // The chip routes contacts in an order of its own.
                let channel = thread * 16 + (number * 5 + thread) % 16;
                let (_, masked) = contact(maker, implant.id, channel);
                let depth = insertion.depth - insertion.dimpling - 60.0 * number as f64;
                let position = insertion.placed().then(|| {
                    row! {
                        "medial" => rounded(radius * angle.cos(), 1),
                        "anterior" => rounded(radius * angle.sin(), 1),
                        "depth" => rounded(depth, 1),
                    }
                });
                maker.row(row! {
                    "implant_id" => implant.id,
                    "channel" => channel,
                    "thread" => thread,
                    "contact" => number,
                    "position" => position,
                    "area" => insertion.placed().then(|| area(thread)),
                    "masked" => masked || !insertion.placed(),
                });
            }
        }
        if implant.id == 7 {
            maker.commit("2025-10-02T08:00:00Z");
        }
    }
    maker.commit("2026-02-26T08:00:00Z");
}

/// Nightly for implant 7, three nights of the others.
fn impedance_scans(maker: &mut Maker<'_>) {
    maker.row_group(1_024);
    let last = day("2026-03-01");
    for night in (0..12).rev() {
        for implant in &IMPLANTS {
            let late = implant.implanted > "2026";
            if (implant.id != 7 && night % 5 != 0) || (late && night > 4) {
                continue;
            }
            let mut random = maker.random("scan").nth(implant.id * 100 + night);
            let start = (last - night) * DAY + 2 * HOUR + random.whole(0, 90) * MINUTE;
            for channel in 0..CHANNELS {
                // Two threads of implant 5 never answered.
                if implant.id == 5 && channel < 32 {
                    continue;
                }
                let (magnitude, _) = contact(maker, implant.id, channel);
                let magnitude = magnitude * random.normal(1.0, 0.02);
                let phase = if magnitude > 1_000.0 {
                    random.normal(-85.0, 2.0)
                } else {
                    random.normal(-74.0, 4.0)
                };
                maker.row(row! {
                    "implant_id" => implant.id,
                    "channel" => channel,
                    "measured_at" => start + channel * 180_000,
                    "magnitude" => rounded(magnitude, 1),
                    "phase" => rounded(phase, 1),
                    "current" => 10.0,
                    "reason" => if night == 5 { "clinic" } else { "nightly" },
                });
            }
        }
        let at = neurolake::made_up::day_text(last - night);
        maker.commit(&format!("{at}T06:00:00Z"));
    }
    maker.checkpoint();
}

fn units(maker: &mut Maker<'_>) {
    for session in recorded(maker) {
        let mut random = maker.random("units").nth(session.id);
        for unit in 0..length(maker, &session, 120.0, 30.0) {
            let channel = random.whole(1, CHANNELS - 2);
            let isolation = 1.0 - random.log_normal(0.05, 0.9).min(0.9);
            let contamination = random.log_normal(0.03, 1.0).min(1.0);
            let rate = random.log_normal(6.0, 0.8);
            let depth = random.log_normal(110.0, 0.4);
            let width = random.normal(0.48, 0.12).max(0.15);
            let template: Vec<Cell> = [(0, 1.0), (1, 0.4), (-1, 0.3)]
                .into_iter()
                .map(|(step, share)| {
                    row! {
                        "channel" => channel + step,
                        "waveform" => waveform(depth * share, width, 64, 20),
                    }
                    .into()
                })
                .collect();
            maker.row(row! {
                "implant_id" => session.implant,
                "session_date" => session.day,
                "session_id" => session.id,
                "unit_id" => unit + 1,
                "channel" => channel,
                "spike_count" => (rate * 3_600.0) as i64,
                "rate" => rounded(rate, 2),
                "quality" => row! {
                    "isolation" => rounded(isolation, 3),
                    "snr" => rounded(depth / 18.0, 2),
                    "refractory" => row! {
                        "period" => 1.5,
                        "violations" => (contamination * rate * 40.0) as i64,
                        "contamination" => rounded(contamination, 3),
                    },
                },
                "template" => template,
                "accepted" => isolation > 0.9 && contamination < 0.1,
                "sorter" => "2026.1",
            });
        }
    }
}

fn ecog(maker: &mut Maker<'_>) {
    for implant in &IMPLANTS {
        let mut random = maker.random("ecog").nth(implant.surgery);
        let recordings = if implant.surgery == 31 { 12 } else { 3 };
        for number in 0..recordings {
            let started = time(implant.implanted) + 9 * HOUR + number * 7 * MINUTE;
            let side =
                [None, Some("left"), Some("right")][usize::try_from(number % 3).unwrap_or(0)];
            let seconds = random.whole(180, 360);
            let contacts = if number < 2 { 8 } else { 32 };
            let uri = format!(
                "s3://lake/recordings/ecog/{}-{number:02}.edf",
                implant.surgery
            );
            let recording = if implant.surgery == 31 && number < 3 {
                maker.file(uri, edf(&mut random))
            } else {
                blob(
                    &uri,
                    "application/edf",
                    seconds * contacts * 4_000 + 256 * (contacts + 1),
                )
            };
            let preview = side.map(|_| {
                let latency = random.normal(0.4, 0.03);
                let picture = Picture::new(160, 80, |x, y| {
                    let wave = 0.5 - 0.35 * (-((x - latency) / 0.03).powi(2)).exp()
                        + 0.2 * (-((x - latency - 0.12) / 0.05).powi(2)).exp();
                    if (y - wave).abs() < 0.02 { 0.0 } else { 1.0 }
                });
                picture.png()
            });
            maker.row(row! {
                "surgery_id" => implant.surgery,
                "started_at" => started,
                "duration" => seconds as f64,
                "contacts" => contacts,
                "sampling_rate" => 2_000,
                "stimulated_side" => side,
                "recording" => recording,
                "preview" => preview,
            });
        }
    }
}

/// Ten seconds of one contact as EDF+.
fn edf(random: &mut neurolake::made_up::Random) -> Vec<u8> {
    let mut file = String::new();
    let mut field = |text: &str, width: usize| {
        file.push_str(&format!("{text:<width$.width$}"));
    };
    field("0", 8);
    field("X X X X", 80);
    field("Startdate X X X X", 80);
    field("24.02.26", 8);
    field("09.00.00", 8);
    field("512", 8);
    field("EDF+C", 44);
    field("10", 8);
    field("1", 8);
    field("1", 4);
    field("ECOG 1", 16);
    field("strip", 80);
    field("uV", 8);
    field("-3276.8", 8);
    field("3276.7", 8);
    field("-32768", 8);
    field("32767", 8);
    field("HP:0.1Hz LP:500Hz", 80);
    field("200", 8);
    field("", 32);
    let mut bytes = file.into_bytes();
    for sample in 0..2_000 {
        let beta = 300.0 * (f64::from(sample) / 200.0 * 20.0 * std::f64::consts::TAU).sin();
        let value = (beta + random.normal(0.0, 150.0)) as i16;
        bytes.extend(value.to_le_bytes());
    }
    bytes
}

fn threshold_crossings(maker: &mut Maker<'_>) {
    maker.undeclared(&[
        ("implant_id", Type::Int32),
        ("session_date", Type::Date),
        ("session_id", Type::Int64),
        ("ts", Type::Timestamp),
        ("channel", Type::Int16),
        ("crossings", Type::Int32),
    ]);
    for (number, on) in (0..).zip(["2025-05-13", "2025-05-14", "2025-05-15"]) {
        for implant in [1, 2] {
            let mut random = maker.random("crossings").nth(implant * 10 + number);
            let bins = maker.scaled(40.0);
            for bin in 0..bins {
                for channel in (0..CHANNELS).step_by(16) {
                    maker.row(row! {
                        "implant_id" => implant,
                        "session_date" => on,
                        "session_id" => 3_300 + number * 2 + implant,
                        "ts" => time(on) + 10 * HOUR + bin * 100_000,
                        "channel" => channel,
                        "crossings" => random.log_normal(1.2, 0.9) as i64,
                    });
                }
            }
        }
    }
    maker.commit("2025-05-16T03:00:00Z");
}
