//! Behaviour and training.

use std::fmt::Write as _;

use neurolake::made_up::{Cell, DAY, Maker, Row, day};
use neurolake::{recipe, row};

use super::{
    BIN, FIRST_BIN, Session, Trial, cursor, decoders, length, recorded, rounded, sessions, trials,
};

recipe!("behavior.cursor_events", cursor_events);
recipe!("behavior.trials", all_trials);
recipe!("training.decoders", all_decoders);

fn cursor_events(maker: &mut Maker<'_>) {
    for session in recorded(maker) {
        if session.human() {
            session_events(maker, &session);
        }
    }
}

fn session_events(maker: &mut Maker<'_>, session: &Session) {
    let trials = trials(maker, session);
    let mut random = maker.random("cursor").nth(session.id);
    let mut upcoming = trials.iter().peekable();
    let mut current: Option<&Trial> = None;
    let (mut seq, mut at) = (0, (0.5, 0.5));
    for index in 0..length(maker, session, 12_000.0, 2_000.0) {
        let bin = FIRST_BIN + index;
        let now = session.start + bin * BIN + random.whole(2_000, 9_000);
        if let Some(trial) = upcoming.next_if(|trial| trial.start <= now) {
            current = Some(trial);
        }
        let over = current.filter(|trial| trial.start + trial.duration <= now);
        let mut speed = (0.0, 0.0);
        if let Some(trial) = current {
            (at, speed) = cursor(trial, now);
        }
        let place = (
            (at.0 + random.normal(0.0, 0.002)).clamp(0.0, 1.0),
            (at.1 + random.normal(0.0, 0.002)).clamp(0.0, 1.0),
        );
        let mut event = |kind: &str, trial: Option<&Trial>| -> Row {
            seq += 1;
            row! {
                "ts" => now,
                "implant_id" => session.implant,
                "session_date" => session.day,
                "session_id" => session.id,
                "seq" => seq - 1,
                "bin" => bin,
                "kind" => kind,
                "x" => rounded(place.0, 4),
                "y" => rounded(place.1, 4),
                "vx" => rounded(speed.0, 3),
                "vy" => rounded(speed.1, 3),
                "trial_id" => trial.map(|trial| trial.id),
                "target_x" => trial.map(|trial| rounded(trial.to.0, 4)),
                "target_y" => trial.map(|trial| rounded(trial.to.1, 4)),
            }
        };
        let moved = event("move", current);
        maker.row(moved);
        if let Some(trial) = over {
            if trial.outcome != "timeout" {
                let click = event("click", Some(trial));
                maker.row(click);
            }
            current = None;
        }
    }
}

fn all_trials(maker: &mut Maker<'_>) {
    let first = day("2026-02-16");
    for session in sessions(maker) {
        if session.day < first {
            continue;
        }
        let mut random = maker.random("path").nth(session.id);
        for trial in trials(maker, &session) {
            maker.row(row! {
                "trial_id" => trial.id,
                "implant_id" => session.implant,
                "session_date" => session.day,
                "session_id" => session.id,
                "task" => trial.task,
                "decoder_id" => session.decoder.clone(),
                "practice" => trial.practice,
                "started_at" => trial.start,
                "duration" => trial.duration as f64 / 1e6,
                "choices" => trial.choices,
                "target" => row! {
                    "x" => rounded(trial.to.0, 4),
                    "y" => rounded(trial.to.1, 4),
                    "radius" => trial.radius,
                },
                "outcome" => trial.outcome,
                "path_ratio" => (!random.chance(0.01))
                    .then(|| rounded(1.0 + random.log_normal(0.25, 0.6), 3)),
            });
        }
        if session.day == first + 6 && session.id % 3 == 2 {
            maker.commit("2026-02-22T22:00:00Z");
        }
    }
    maker.commit("2026-03-01T16:04:30Z");
}

fn all_decoders(maker: &mut Maker<'_>) {
    for (index, decoder) in (0..).zip(decoders()) {
        let mut random = maker.random("decoder").nth(index);
        let quality = match decoder.architecture {
            "gru" => 0.68,
            "transformer" => 0.66,
            "kalman" => 0.55,
            _ => 0.52,
        };
        let settings: &[(&str, f64)] = match decoder.architecture {
            "gru" => &[
                ("hidden", 256.0),
                ("learning_rate", 0.001),
                ("dropout", 0.3),
            ],
            "transformer" => &[("layers", 4.0), ("heads", 8.0), ("learning_rate", 0.0003)],
            "kalman" => &[("lag_bins", 6.0), ("process_noise", 0.02)],
            _ => &[("lag_bins", 6.0), ("alpha", 120.0)],
        };
        let settings: Vec<(Cell, Cell)> = settings
            .iter()
            .map(|&(name, value)| (name.into(), value.into()))
            .collect();
        let uri = format!("s3://models/decoders/{}.safetensors", decoder.id);
        let weights = maker.file(uri, safetensors(&mut random));
        let r2 = rounded(random.normal(quality, 0.03), 3);
        maker.row(row! {
            "decoder_id" => decoder.id,
            "implant_id" => decoder.implant,
            "architecture" => decoder.architecture,
            "trained_at" => decoder.trained,
            "deployed_at" => decoder.deployed.then_some(decoder.trained + DAY),
            "training_sessions" => decoder.sessions.map(Cell::from).to_vec(),
            "hyperparameters" => settings,
            "score" => row! {
                "sessions" => vec![Cell::from(decoder.sessions[1])],
                "r2" => r2,
                "click_auc" => rounded(random.normal(0.93, 0.015), 3),
            },
            "weights" => weights,
            "code_commit" => random.hex(40),
            "training_r2" => random.chance(0.3).then_some(rounded(r2 + 0.15, 3)),
        });
    }
}

/// Two outputs of a linear layer.
fn safetensors(random: &mut neurolake::made_up::Random) -> Vec<u8> {
    let mut header = String::new();
    let _ = write!(
        header,
        r#"{{"velocity.weight":{{"dtype":"F32","shape":[2,1024],"data_offsets":[0,8192]}}}}"#
    );
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.bytes());
    for _ in 0..2_048 {
        let weight = random.normal(0.0, 0.03) as f32;
        file.extend(weight.to_le_bytes());
    }
    file
}
