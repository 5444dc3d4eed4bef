//! How this lake's demo data is made up: what the tables have in common.
//!
//! Implants, sessions, trials, decoders and parts are computed here by fixed rules, so that every
//! table speaks of the same ones and joins find partners.

mod behavior;
mod devices;
mod factory;
mod neural;
mod people;
mod theatre;
mod tissue;

use neurolake::made_up::{DAY, Maker, Random, day, day_text, time};

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
/// Length of a bin.
const BIN: i64 = 15_000;
/// Band power begins when two minutes of normalization are over.
const FIRST_BIN: i64 = 8_000;
const CHANNELS: i64 = 1_024;

/// The session in most examples.
const SHOWN: (i64, &str) = (7, "2026-03-01");

struct Implant {
    id: i64,
    subject: &'static str,
    surgery: i64,
    implanted: &'static str,
    robot: &'static str,
    wafer: &'static str,
}

const IMPLANTS: [Implant; 8] = [
    implant(1, "P-01", 12, "2024-05-14", "R1-02", "W0188"),
    implant(2, "P-02", 15, "2024-11-06", "R1-02", "W0197"),
    implant(3, "A-0388", 19, "2025-03-11", "R1-03", "W0204"),
    implant(4, "A-0412", 21, "2025-04-08", "R1-03", "W0207"),
    implant(5, "A-0431", 24, "2025-06-17", "R1-03", "W0212"),
    implant(6, "P-04", 27, "2025-09-02", "R1-04", "W0219"),
    implant(7, "P-03", 28, "2025-09-30", "R1-04", "W0221"),
    implant(8, "P-05", 31, "2026-02-24", "R1-04", "W0231"),
];

const fn implant(
    id: i64,
    subject: &'static str,
    surgery: i64,
    implanted: &'static str,
    robot: &'static str,
    wafer: &'static str,
) -> Implant {
    Implant {
        id,
        subject,
        surgery,
        implanted,
        robot,
        wafer,
    }
}

/// Serial of a thread, by the wafer it was cut from.
fn thread_serial(wafer: &str, thread: i64) -> String {
    format!("T{}-{thread:03}", &wafer[1..])
}

/// What happened to one thread in surgery: depth if it was placed, and the attempts.
struct Insertion {
    attempts: Vec<&'static str>,
    depth: f64,
    dimpling: f64,
}

impl Insertion {
    fn of(maker: &Maker<'_>, implant: &Implant, thread: i64) -> Self {
        let mut random = maker.random("insertion").nth(implant.surgery * 64 + thread);
        let mut attempts = Vec::new();
        while attempts.len() < 3 {
            let outcome = match random.unit() {
                x if x < 0.88 => "placed",
                x if x < 0.94 => "slipped",
                x if x < 0.98 => "vessel",
                _ => "aborted",
            };
            attempts.push(outcome);
            if outcome != "slipped" {
                break;
            }
        }
        Self {
            attempts,
            depth: random.normal(4_050.0, 160.0),
            dimpling: random.log_normal(310.0, 0.25),
        }
    }

    fn placed(&self) -> bool {
        self.attempts.last() == Some(&"placed")
    }
}

/// Impedance of a healthy night, in kOhm, and whether the channel is masked.
fn contact(maker: &Maker<'_>, implant: i64, channel: i64) -> (f64, bool) {
    let mut random = maker.random("contact").nth(implant * CHANNELS + channel);
    let magnitude = match random.unit() {
        x if x < 0.03 => random.log_normal(2_600.0, 0.4).max(1_050.0),
        x if x < 0.036 => random.between(0.8, 4.5),
        x if x < 0.12 => random.between(320.0, 950.0),
        _ => random.log_normal(115.0, 0.35).clamp(8.0, 290.0),
    };
    // The channel of the examples works.
    if channel == 112 {
        return (96.0, false);
    }
    (magnitude, !(5.0..=1_000.0).contains(&magnitude))
}

struct Session {
    id: i64,
    implant: i64,
    subject: &'static str,
    day: i64,
    start: i64,
    end: Option<i64>,
    place: &'static str,
    firmware: &'static str,
    decoder: Option<String>,
    tasks: Vec<&'static str>,
}

impl Session {
    fn human(&self) -> bool {
        self.subject.starts_with('P')
    }

    /// The session of the examples is longer than the others.
    fn shown(&self) -> bool {
        self.implant == SHOWN.0 && self.day == day(SHOWN.1)
    }
}

/// Three sessions a day for five weeks: implant 7, one of the other homes, one in the laboratory.
fn sessions(maker: &Maker<'_>) -> Vec<Session> {
    let first = day("2026-01-26");
    let mut sessions = Vec::new();
    for index in 0..35_i64 {
        let day = first + index;
        let others = [
            7,
            if index % 2 == 0 { 2 } else { 6 },
            match index {
                32.. => 8,
                _ if index % 2 == 0 => 3,
                _ => 5,
            },
        ];
        for (slot, implant) in (0..).zip(others) {
            let id = 5_031 + 3 * index + slot;
            let mut random = maker.random("session").nth(id);
            let start = day * DAY + (9 + 3 * slot) * HOUR + random.whole(0, 50) * MINUTE;
            let length = random.whole(45, 140) * MINUTE;
            let human = IMPLANTS[usize::try_from(implant - 1).unwrap_or(0)].subject;
            let open_loop = index % 3 == 0 || index == 31 || !human.starts_with('P');
            let extra = ["center_out", "fitts", "typing"];
            sessions.push(Session {
                id,
                implant,
                subject: human,
                day,
                start,
                end: Some(start + length),
                place: match implant {
                    8 => "clinic",
                    3 | 5 => "lab",
                    _ if index % 9 == 4 => "clinic",
                    _ => "home",
                },
                firmware: if index < 15 { "4.1.3" } else { "4.2.1" },
                decoder: (!open_loop).then(|| decoder_on(implant, day)).flatten(),
                tasks: if human.starts_with('P') {
                    let second = extra[usize::try_from((index + slot) % 3).unwrap_or(0)];
                    vec!["webgrid", second]
                } else {
                    Vec::new()
                },
            });
        }
    }
    // One is still running.
    if let Some(last) = sessions.last_mut() {
        last.end = None;
    }
    sessions
}

/// Sessions whose signals are kept in this demo: those of the last days.
fn recorded(maker: &Maker<'_>) -> Vec<Session> {
    let mut sessions = sessions(maker);
    sessions.retain(|session| session.day >= day("2026-02-26"));
    sessions
}

struct Decoder {
    id: String,
    implant: i64,
    architecture: &'static str,
    trained: i64,
    deployed: bool,
    sessions: [i64; 2],
}

/// Four architectures for every round of training; the first one of a round is deployed.
fn decoders() -> Vec<Decoder> {
    let rounds: [(i64, &str, [i64; 2]); 9] = [
        (7, "2026-01-29", [5_031, 5_034]),
        (2, "2026-01-29", [5_032, 5_038]),
        (6, "2026-01-30", [5_035, 5_041]),
        (7, "2026-02-06", [5_055, 5_061]),
        (2, "2026-02-09", [5_056, 5_062]),
        (7, "2026-02-13", [5_076, 5_082]),
        (6, "2026-02-16", [5_077, 5_089]),
        (7, "2026-02-27", [5_121, 5_124]),
        (8, "2026-03-01", [5_129, 5_132]),
    ];
    let kinds = ["gru", "kalman", "ridge", "transformer"];
    let mut decoders = Vec::new();
    for (implant, on, sessions) in rounds {
        for (letter, architecture) in ('a'..).zip(kinds) {
            decoders.push(Decoder {
                id: format!("{implant}-{on}-{letter}"),
                implant,
                architecture,
                trained: time(on) + 2 * HOUR + i64::from(u32::from(letter)) * MINUTE,
                deployed: letter == 'a',
                sessions,
            });
        }
    }
    decoders
}

fn decoder_on(implant: i64, day: i64) -> Option<String> {
    let text = day_text(day);
    decoders()
        .into_iter()
        .rfind(|decoder| {
            decoder.implant == implant && decoder.deployed && decoder.id[2..12] < *text.as_str()
        })
        .map(|decoder| decoder.id)
}

struct Trial {
    id: i64,
    task: &'static str,
    practice: bool,
    start: i64,
    duration: i64,
    choices: i64,
    from: (f64, f64),
    to: (f64, f64),
    radius: f64,
    outcome: &'static str,
}

fn trials(maker: &Maker<'_>, session: &Session) -> Vec<Trial> {
    let mut trials = Vec::new();
    if session.tasks.is_empty() {
        return trials;
    }
    let mut random = maker.random("trial").nth(session.id);
    let count = maker.scaled(80.0);
    let mut now = session.start + FIRST_BIN * BIN + 2 * SECOND;
    let mut at = (0.5, 0.5);
    for number in 0..count {
        let half = usize::from(number * 2 >= count);
        let task = session.tasks[half.min(session.tasks.len() - 1)];
        let (choices, radius) = match task {
            "webgrid" => (900, 0.016),
            "center_out" => (8, 0.05),
            "typing" => (42, 0.03),
            _ => (16, 0.04),
        };
        let angle = random.between(0.0, std::f64::consts::TAU);
        let to = match task {
            "center_out" => (0.5 + 0.35 * angle.cos(), 0.5 + 0.35 * angle.sin()),
            _ => (random.between(0.05, 0.95), random.between(0.05, 0.95)),
        };
        let skill = if session.decoder.is_some() {
            0.86
        } else {
            0.97
        };
        let outcome = match random.unit() {
            x if x < skill => "correct",
            x if x < skill + 0.08 => "incorrect",
            _ => "timeout",
        };
        let duration = match outcome {
            "timeout" => 10 * SECOND,
            _ => (random.log_normal(1.6, 0.35) * 1e6) as i64,
        };
        trials.push(Trial {
            id: session.id * 10_000 + number,
            task,
            practice: number < count / 12,
            start: now,
            duration,
            choices,
            from: at,
            to,
            radius,
            outcome,
        });
        at = to;
        now += duration + random.whole(300, 900) * 1_000;
    }
    trials
}

/// Where the cursor is while a trial runs, and how fast: it moves as hands do, slowly at both ends.
fn cursor(trial: &Trial, now: i64) -> ((f64, f64), (f64, f64)) {
    let seconds = trial.duration as f64 / 1e6;
    let share = ((now - trial.start) as f64 / 1e6 / seconds).clamp(0.0, 1.0);
    // Nobody reacts at once.
    let share = ((share - 0.12) / 0.88).max(0.0);
    let way = share.powi(3) * (10.0 - 15.0 * share + 6.0 * share * share);
    let speed = 30.0 * share.powi(2) * (1.0 - share).powi(2) / seconds;
    let (dx, dy) = (trial.to.0 - trial.from.0, trial.to.1 - trial.from.1);
    (
        (trial.from.0 + dx * way, trial.from.1 + dy * way),
        (dx * speed, dy * speed),
    )
}

/// Number of bins or events that are kept of a session.
fn length(maker: &Maker<'_>, session: &Session, shown: f64, other: f64) -> i64 {
    maker.scaled(if session.shown() { shown } else { other })
}

/// One of these, the first ones more often.
fn usual<T: Copy>(random: &mut Random, from: &[T]) -> T {
    let share = random.unit() * random.unit();
    from[((share * from.len() as f64) as usize).min(from.len() - 1)]
}

fn rounded(value: f64, digits: i32) -> f64 {
    let factor = 10_f64.powi(digits);
    (value * factor).round() / factor
}
