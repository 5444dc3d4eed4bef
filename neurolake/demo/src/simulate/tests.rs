//! What is simulated, without a server.

use neurolake::Timestamp;
use neurolake::simulation::{SimulationError, SimulationSettings};

use super::channels::ChannelKind;
use super::{Bin, Session, sessions};

fn settings(channels: usize) -> SimulationSettings {
    SimulationSettings {
        url: "http://127.0.0.1:1".into(),
        seed: 7,
        speed: 1.0,
        channels,
        rate_hz: 1_000.0 / 15.0,
        participants: 2,
        duration: None,
        start: Timestamp::from_micros(1_772_357_400_000_000),
    }
}

fn session(settings: &SimulationSettings) -> Session {
    sessions(settings).expect("settings").remove(0)
}

fn text(bins: &[Bin]) -> String {
    serde_json::to_string(bins).expect("JSON")
}

#[test]
fn the_same_settings_give_the_same_rows() {
    let bins = |settings: &SimulationSettings, slot: usize| -> Vec<Bin> {
        let mut sessions = sessions(settings).expect("settings");
        sessions.remove(slot).take(300).collect()
    };
    let settings = settings(48);
    let once = text(&bins(&settings, 0));
    assert_eq!(once, text(&bins(&settings, 0)));
    let faster = SimulationSettings {
        speed: 50.0,
        ..settings.clone()
    };
    assert_eq!(once, text(&bins(&faster, 0)));
    let other = SimulationSettings {
        seed: 8,
        ..settings.clone()
    };
    assert_ne!(once, text(&bins(&other, 0)));
    assert_ne!(once, text(&bins(&settings, 1)));
    // Channels are those of the implant, not of their number.
    let more = bins(
        &SimulationSettings {
            channels: 64,
            ..settings.clone()
        },
        0,
    );
    let fewer = bins(&settings, 0);
    assert_eq!(
        fewer[9].cursor[0].x.to_bits(),
        more[9].cursor[0].x.to_bits()
    );
}

#[test]
fn rows_come_as_often_as_declared_and_are_different() {
    let settings = settings(16);
    let start = settings.start.as_micros();
    let mut made = session(&settings);
    let id = made.id();
    let bins: Vec<Bin> = made.by_ref().take(40_000).collect();
    let minutes = 40_000.0 * 0.015 / 60.0;

    let power: Vec<_> = bins.iter().filter_map(|bin| bin.power.as_ref()).collect();
    let lost = 40_000 - power.len();
    assert!((20..400).contains(&lost), "{lost}");
    assert_eq!(power[0].bin, 8_000, "after two minutes of normalization");
    assert_eq!(power[0].ts.as_micros(), start);
    for row in &power {
        assert_eq!(row.ts.as_micros(), start + (row.bin - 8_000) * 15_000);
        assert_eq!(row.session_id, id);
        assert!(row.dropped_samples.is_some_and(|n| (0..=300).contains(&n)));
    }
    assert!(power.windows(2).all(|pair| pair[0].bin < pair[1].bin));

    let cursor: Vec<_> = bins.iter().flat_map(|bin| &bin.cursor).collect();
    let moves = cursor.iter().filter(|event| event.kind == "move").count();
    assert_eq!(moves, 40_000);
    let clicks = cursor.iter().filter(|event| event.kind == "click").count();
    assert!(
        (22.0..34.0).contains(&(clicks as f64 / minutes)),
        "{clicks}"
    );
    for (seq, event) in (0..).zip(&cursor) {
        assert_eq!(event.seq, seq);
        assert_eq!(event.target_x.is_some(), event.trial_id.is_some());
        assert!((0.0..=1.0).contains(&event.x) && (0.0..=1.0).contains(&event.y));
    }
    assert!(cursor.windows(2).all(|pair| pair[0].ts < pair[1].ts));
    let trials: std::collections::BTreeSet<i64> =
        cursor.iter().filter_map(|event| event.trial_id).collect();
    assert!(trials.len().abs_diff(clicks) < 40, "{}", trials.len());

    let health: Vec<_> = bins.iter().filter_map(|bin| bin.health.as_ref()).collect();
    assert!((599..=601).contains(&health.len()), "{}", health.len());
    for pair in health.windows(2) {
        assert_eq!(pair[1].ts.as_micros() - pair[0].ts.as_micros(), 1_000_000);
        assert!(pair[0].packets_sent_total < pair[1].packets_sent_total);
        assert!(pair[0].uptime < pair[1].uptime);
    }
    let last = health.last().expect("a report");
    assert!(last.packets_lost_total <= lost as i64 && last.packets_lost_total > 0);
}

#[test]
fn values_are_plausible() {
    let settings = settings(512);
    let mut made = session(&settings);
    let bins: Vec<Bin> = made.by_ref().take(6_000).collect();
    let kinds: Vec<ChannelKind> = made.channels.channels().iter().map(|c| c.kind).collect();
    for (kind, expected) in [(ChannelKind::Masked, 8..32), (ChannelKind::Noisy, 2..24)] {
        let count = kinds.iter().filter(|found| **found == kind).count();
        assert!(expected.contains(&count), "{kind:?}: {count}");
    }
    let power: Vec<_> = bins.iter().filter_map(|bin| bin.power.as_ref()).collect();
    for (channel, kind) in kinds.iter().enumerate() {
        let values: Vec<f64> = power
            .iter()
            .map(|row| row.band_power[channel].into())
            .collect();
        if *kind == ChannelKind::Masked {
            assert!(values.iter().all(|value| value.is_nan()));
            continue;
        }
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
        if *kind == ChannelKind::Good {
            // The slow noise of a thread moves the mean of 90 s by about 0.25.
            assert!(mean.abs() < 1.0, "channel {channel}: mean {mean}");
            assert!(
                (0.6..1.6).contains(&deviation),
                "channel {channel}: deviation {deviation}"
            );
            assert!(values.iter().all(|value| (-4.0..25.0).contains(value)));
        } else {
            assert!(values.iter().any(|value| *value > 6.0), "channel {channel}");
        }
    }
    for report in bins.iter().filter_map(|bin| bin.health.as_ref()) {
        let within = |value: Option<f32>, low: f32, high: f32| {
            assert!(
                value.is_some_and(|value| (low..high).contains(&value)),
                "{value:?}"
            );
        };
        within(report.battery_charge, 1.0, 100.0);
        within(report.battery_voltage, 3.3, 4.2);
        within(report.battery_current, -10.0, -3.0);
        within(report.case_temp, 36.9, 39.0);
        within(report.power, 20.0, 30.0);
        within(report.noise, 4.0, 9.0);
        assert!(report.rssi.is_some_and(|rssi| (-90..=-40).contains(&rssi)));
        assert!((0.0..100.0).contains(&report.cpu_load));
        assert!((480..=512).contains(&report.active_channels));
        assert!(report.received_at > report.ts);
    }
}

/// Correlation of two series.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
    let (ma, mb) = (mean(a), mean(b));
    let sum = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
        a.iter().zip(b).map(|(a, b)| f(a - ma, b - mb)).sum()
    };
    sum(&|a, b| a * b) / (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt()
}

#[test]
fn tuned_channels_follow_the_velocity() {
    let settings = settings(128);
    let mut made = session(&settings);
    let bins: Vec<Bin> = made.by_ref().take(20_000).collect();
    // The cursor follows 90 ms later: six bins.
    let pairs: Vec<(&Vec<f32>, (f64, f64))> = bins
        .iter()
        .zip(&bins[5..])
        .filter_map(|(brain, hand)| {
            let event = &hand.cursor[0];
            let velocity = (f64::from(event.vx), f64::from(event.vy));
            Some((&brain.power.as_ref()?.band_power, velocity))
        })
        .collect();
    let (mut strong, mut untuned) = (0, 0);
    for (number, channel) in made.channels.channels().iter().enumerate() {
        if channel.kind != ChannelKind::Good {
            continue;
        }
        let power: Vec<f64> = pairs
            .iter()
            .map(|(power, _)| power[number].into())
            .collect();
        let (cos, sin) = (
            f64::from(channel.preferred.cos()),
            f64::from(channel.preferred.sin()),
        );
        let along: Vec<f64> = pairs.iter().map(|(_, (x, y))| x * cos + y * sin).collect();
        let across: Vec<f64> = pairs.iter().map(|(_, (x, y))| x * sin - y * cos).collect();
        let found = correlation(&power, &along);
        let expected = f64::from(channel.tuning);
        assert!(
            (found - expected).abs() < 0.15,
            "channel {number}: {found}, not {expected}"
        );
        assert!(
            correlation(&power, &across).abs() < 0.15,
            "channel {number}"
        );
        strong += usize::from(expected > 0.5);
        untuned += usize::from(expected == 0.0);
    }
    assert!(strong > 10 && untuned > 40, "{strong} and {untuned}");
}

#[test]
fn noise_has_a_memory() {
    let settings = settings(64);
    let mut made = session(&settings);
    let bins: Vec<Bin> = made.by_ref().take(20_000).collect();
    let channels = made.channels.channels();
    let quiet = |c: &super::channels::Channel| c.kind == ChannelKind::Good && c.tuning == 0.0;
    let number = channels.iter().position(quiet).expect("an untuned channel");
    let power = bins.iter().filter_map(|bin| bin.power.as_ref());
    let values: Vec<f64> = power.map(|row| row.band_power[number].into()).collect();
    let after = |bins: usize| correlation(&values[..values.len() - bins], &values[bins..]);
    // 15 ms, 0.15 s, 1.5 s, 15 s: it falls slowly, as that of 1/f noise does.
    let found = [1, 10, 100, 1_000].map(after);
    assert!((0.4..0.65).contains(&found[0]), "{found:?}");
    assert!(found.windows(2).all(|pair| pair[0] > pair[1]), "{found:?}");
    assert!(found[2] > 0.1, "{found:?}");
}

#[test]
fn wrong_settings_are_refused() {
    let wrong = |change: &dyn Fn(&mut SimulationSettings)| {
        let mut settings = settings(16);
        change(&mut settings);
        match sessions(&settings) {
            Err(SimulationError::Settings(message)) => message,
            other => panic!("{:?}", other.map(|sessions| sessions.len())),
        }
    };
    assert!(wrong(&|s| s.channels = 1_025).contains("1 to 1024 channels"));
    assert!(wrong(&|s| s.channels = 0).contains("channels"));
    assert!(wrong(&|s| s.participants = 6).contains("1 to 5 participants"));
    assert!(wrong(&|s| s.rate_hz = f64::NAN).contains("rows a second"));
    assert!(wrong(&|s| s.speed = 0.0).contains("0 times as fast"));
    assert!(wrong(&|s| s.speed = f64::NAN).contains("NaN"));
}
