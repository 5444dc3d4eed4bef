//! Surgery.

use neurolake::made_up::picture::Picture;
use neurolake::made_up::{Maker, Random, blob, day, time};
use neurolake::{recipe, row};

use super::{HOUR, IMPLANTS, Insertion, SECOND, rounded, thread_serial};

recipe!("surgery.surgeries", surgeries);
recipe!("surgery.thread_insertions", thread_insertions);
recipe!("surgery.robot_motion", robot_motion);
recipe!("surgery.plans", plans);
recipe!("imaging.insertion_images", insertion_images);

fn surgeries(maker: &mut Maker<'_>) {
    for surgery in 10..=31_i64 {
        let mut random = maker.random("surgery").nth(surgery);
        let implant = IMPLANTS.iter().find(|implant| implant.surgery == surgery);
        let performed = match implant {
            Some(implant) => day(implant.implanted),
            None => day("2024-03-05") + (surgery - 10) * 34,
        };
        let (kind, subject) = match (implant, surgery) {
            (Some(implant), _) => ("implant", implant.subject),
            (None, 26) => ("explant", "A-0412"),
            (None, 29) => ("explant", "P-01"),
            (None, 30) => ("revision", "P-04"),
            (None, _) => ("rehearsal", random.pick(&["A-0301", "A-0344", "A-0360"])),
        };
        let measured = kind != "rehearsal";
        maker.row(row! {
            "surgery_id" => surgery,
            "performed_on" => performed,
            "subject" => subject,
            "implant_id" => match kind {
                "revision" => Some(6),
                _ => implant.map(|implant| implant.id),
            },
            "kind" => kind,
            "hemisphere" => random.pick(&["left", "left", "right"]),
            "robot" => implant.map_or("R1-03", |implant| implant.robot),
            "surgeon" => random.pick(&["EK", "JM", "TO"]),
            "duration" => random.whole(140, 290),
            "offset" => measured.then(|| point(&mut random, 250.0)),
            "reviewed" => surgery < 31,
        });
    }
    maker.commit("2026-02-24T19:10:00Z");
}

fn point(random: &mut Random, spread: f64) -> neurolake::made_up::Row {
    row! {
        "x" => rounded(random.normal(0.0, spread), 1),
        "y" => rounded(random.normal(0.0, spread), 1),
        "z" => rounded(random.normal(0.0, spread / 5.0), 1),
    }
}

fn target(thread: i64) -> (f64, f64) {
    let angle = thread as f64 / 64.0 * std::f64::consts::TAU;
    let radius = 900.0 + 420.0 * (thread % 4) as f64;
    (radius * angle.cos(), radius * angle.sin())
}

fn started(implanted: &str, thread: i64) -> i64 {
    time(implanted) + 10 * HOUR + thread * 95 * SECOND
}

fn thread_insertions(maker: &mut Maker<'_>) {
    for implant in &IMPLANTS {
        for thread in 0..64 {
            let insertion = Insertion::of(maker, implant, thread);
            let mut random = maker.random("trace").nth(implant.surgery * 64 + thread);
            let (x, y) = target(thread);
            for (number, &outcome) in (0..).zip(&insertion.attempts) {
                let start = started(implant.implanted, thread) + number * 28 * SECOND;
                let touched = outcome != "aborted";
                let trace = touched.then(|| {
                    row! {
                        "peak_force" => rounded(random.log_normal(3.4, 0.3), 2),
                        "dimpling" => rounded(insertion.dimpling, 1),
                        "entry" => row! {
                            "x" => rounded(x + random.normal(0.0, 22.0), 1),
                            "y" => rounded(y + random.normal(0.0, 22.0), 1),
                            "z" => rounded(random.normal(-40.0, 60.0), 1),
                        },
                    }
                });
                maker.row(row! {
                    "surgery_id" => implant.surgery,
                    "thread" => thread,
                    "attempt" => number + 1,
                    "started_at" => start,
                    "ended_at" => start + random.whole(7_000, 21_000) * 1_000,
                    "serial" => thread_serial(implant.wafer, thread),
                    "depth" => match outcome {
                        "placed" => rounded(insertion.depth, 1),
                        "aborted" => 0.0,
                        _ => rounded(insertion.depth * random.between(0.1, 0.8), 1),
                    },
                    "trace" => trace,
                    "outcome" => outcome,
                });
            }
        }
        maker.commit(&format!("{}T14:00:00Z", implant.implanted));
    }
}

/// Each axis for as long as four insertions take, at 1 kHz.
fn robot_motion(maker: &mut Maker<'_>) {
    maker.row_group(2_048);
    let days = [
        ("R1-03", "2026-02-20", 800.0),
        ("R1-04", "2026-02-23", 800.0),
        ("R1-04", "2026-02-24", 4_000.0),
    ];
    for (robot, on, samples) in days {
        let mut random = maker.random(robot).nth(day(on));
        for sample in 0..maker.scaled(samples) {
            let phase = sample as f64 / 1_000.0 * std::f64::consts::TAU;
            for axis in 0..6_i64 {
                let (middle, stroke) = match axis {
                    0 | 1 => (1_200.0 * (axis + 1) as f64, 240.0),
                    2 => (-300.0, 60.0),
                    3 => (2_000.0, 2_050.0),
                    _ => (0.0, 90.0),
                };
                let position = middle + stroke * (phase + axis as f64).sin();
                maker.row(row! {
                    "robot" => robot,
                    "motion_date" => on,
                    "ts" => time(on) + 10 * HOUR + sample * 1_000,
                    "axis" => axis,
                    "position" => rounded(position, 2),
                    "following_error" => rounded(random.normal(0.0, 0.8), 2),
                    "current" => rounded(120.0 + 90.0 * (phase + axis as f64).cos().abs() + random.normal(0.0, 4.0), 1),
                    "status" => if random.chance(0.001) { 0x0637 } else { 0x0237 },
                });
            }
        }
    }
}

fn plans(maker: &mut Maker<'_>) {
    for implant in &IMPLANTS {
        for thread in 0..64 {
            let mut random = maker.random("plan").nth(implant.surgery * 64 + thread);
            let (x, y) = target(thread);
            maker.row(row! {
                "surgery_id" => implant.surgery,
                "thread" => thread,
                "x" => rounded(x, 0),
                "y" => rounded(y, 0),
                "depth" => random.pick(&[3_900.0, 4_000.0, 4_100.0, 4_200.0]),
                "area" => (!random.chance(0.05)).then_some(match thread {
                    0..=31 => "M1 hand knob",
                    32..=47 => "M1 arm",
                    48..=57 => "PMd",
                    _ => "S1 hand",
                }),
                "vessel_distance" => (!random.chance(0.08)).then_some(rounded(random.log_normal(140.0, 0.5), 0)),
                "status" => if thread % 21 == 20 { "spare" } else { "use" },
            });
        }
    }
}

fn insertion_images(maker: &mut Maker<'_>) {
    for implant in &IMPLANTS {
        for thread in 0..64 {
            let insertion = Insertion::of(maker, implant, thread);
            if !insertion.placed() {
                continue;
            }
            let mut random = maker
                .random("microscope")
                .nth(implant.surgery * 64 + thread);
            let focus = random.normal(0.72, 0.15).clamp(0.05, 0.98);
            let uri = format!(
                "s3://imaging-archive/microscope/{}/{thread:02}.png",
                implant.surgery
            );
            let image = if implant.surgery == 31 && thread < 24 {
                maker.file(uri, microscope(&mut random, focus).png())
            } else {
                blob(&uri, "image/png", random.whole(14_000_000, 21_000_000))
            };
            let attempts = i64::try_from(insertion.attempts.len()).unwrap_or(1);
            maker.row(row! {
                "surgery_id" => implant.surgery,
                "thread" => thread,
                "taken_at" => started(implant.implanted, thread) + attempts * 28 * SECOND,
                "focus" => rounded(focus, 3),
                "image" => image,
            });
        }
        maker.commit(&format!("{}T15:00:00Z", implant.implanted));
    }
}

/// Vessels on the cortex, and the thread as a bright line.
fn microscope(random: &mut Random, focus: f64) -> Picture {
    let vessels: Vec<(f64, f64, f64)> = (0..4)
        .map(|_| {
            (
                random.between(0.0, 1.0),
                random.between(-1.5, 1.5),
                random.between(0.008, 0.03) / focus,
            )
        })
        .collect();
    let entry = random.between(0.4, 0.6);
    Picture::new(128, 96, |x, y| {
        let mut light = 0.62 + 0.1 * (x * 9.0).sin() * (y * 7.0).cos();
        for &(start, slope, width) in &vessels {
            let distance = (y - start - slope * x + 0.1 * (x * 12.0).sin()).abs();
            light -= 0.35 * (-(distance / width).powi(2)).exp();
        }
        if y < entry {
            let distance = (x - 0.5 - 0.1 * (y - entry)).abs();
            light += 0.5 * (-(distance / (0.01 / focus)).powi(2)).exp();
        }
        light
    })
}
