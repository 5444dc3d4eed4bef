//! One participant's session: rows of all three tables, bin by bin.

use neurolake::made_up::{DAY, Random};
use neurolake::simulation::SimulationSettings;
use neurolake::{Date, Timestamp};

use super::SECOND;
use super::channels::Channels;
use super::device::{self, Device, Link};
use super::reaches::{Moment, Point, Reaches, Trial};
use crate::behavior::CursorEvents;
use crate::neural::NormalizedBandPower;
use crate::telemetry::DeviceHealth;

/// The implants of people, those of the most examples first.
const IMPLANTS: [i32; 5] = [7, 8, 6, 2, 1];
/// How many participants there are.
pub const PARTICIPANTS: usize = IMPLANTS.len();
/// Normalization takes the first two minutes of a session.
const NORMALIZATION: i64 = 120 * SECOND;
/// Seconds by which the brain leads the cursor.
const LEAD: f64 = 0.09;

/// What happens in a bin.
#[derive(serde::Serialize)]
pub struct Bin {
    /// Number of the bin in the session.
    pub bin: i64,
    /// Band power, if the radio packet wasn't lost.
    pub power: Option<NormalizedBandPower>,
    /// Cursor events: a move, and perhaps a click or a release.
    pub cursor: Vec<CursorEvents>,
    /// A report of the implant, once a second.
    pub health: Option<DeviceHealth>,
}

/// A session, as an endless iterator over its bins.
#[derive(Debug, Clone)]
pub struct Session {
    implant: i32,
    id: i64,
    /// Session's start, in microseconds since 1970.
    start: i64,
    bin_micros: i64,
    bin: i64,
    seq: i64,
    next_report: i64,
    random: Random,
    reaches: Reaches,
    pub(super) channels: Channels,
    device: Device,
    link: Link,
    /// The radio loses packets in bursts.
    is_fading: bool,
    slot: i64,
}

impl Session {
    /// The session of participant number `slot`, from 0 to [`PARTICIPANTS`].
    ///
    /// The simulation starts where band power does: two minutes after the session.
    pub(super) fn new(settings: &SimulationSettings, slot: usize) -> Self {
        let implant = IMPLANTS[slot];
        let slot = slot as i64;
        let bin_micros = (SECOND as f64 / settings.rate_hz).round() as i64;
        let first = NORMALIZATION.div_euclid(bin_micros);
        let start = settings.start.as_micros() - first * bin_micros;
        let part = |name: &str| Random::new(settings.seed, name).nth(implant.into());
        let mut random = part("session");
        let mut reaches = Reaches::new(part("reaches"));
        let seconds = bin_micros as f64 / SECOND as f64;
        let scale = normalization(&mut reaches, first, seconds);
        let channels = Channels::new(
            &part("channels"),
            part("noise"),
            settings.channels,
            seconds,
            scale,
        );
        let link = Link {
            channels: settings.channels,
            masked: channels.masked(),
            rate_hz: settings.rate_hz,
            ..Link::default()
        };
        Self {
            implant,
            id: numbered(start, slot),
            start,
            bin_micros,
            bin: first,
            seq: 0,
            next_report: settings.start.as_micros() + random.whole(0, SECOND - 1),
            random,
            reaches,
            channels,
            device: Device::new(part("device"), implant),
            link,
            is_fading: false,
            slot,
        }
    }

    /// Number of the session.
    pub fn id(&self) -> i64 {
        self.id
    }

    fn date(&self) -> Date {
        Date::from_days(self.start.div_euclid(DAY) as i32)
    }

    fn power(&mut self, ts: i64, now: f64) -> Option<NormalizedBandPower> {
        let velocity = self.reaches.intended(now + LEAD);
        let power = self.channels.advance(velocity);
        let is_dropping = self.random.chance(0.03);
        let dropped = self.random.whole(1, 12) as i16;
        self.is_fading = self.random.chance(if self.is_fading { 0.6 } else { 0.001 });
        self.link.sent += 1;
        if self.is_fading {
            self.link.lost += 1;
            return None;
        }
        Some(NormalizedBandPower {
            ts: Timestamp::from_micros(ts),
            implant_id: self.implant,
            session_date: self.date(),
            session_id: self.id,
            bin: self.bin,
            band_power: power,
            dropped_samples: Some(if is_dropping { dropped } else { 0 }),
        })
    }

    fn cursor(&mut self, end: i64, now: f64) -> Vec<CursorEvents> {
        let moment = self.reaches.advance(now);
        // The app draws a few milliseconds after the bin's end, always before the next one.
        let spread = (self.bin_micros / 2).max(3);
        let mut ts = end + self.random.whole(spread / 3, spread);
        let mut events = vec![self.event(ts, "move", &moment, moment.trial.as_ref())];
        for (kind, trial, happened) in [
            ("click", moment.clicked.as_ref(), moment.clicked.is_some()),
            ("release", moment.trial.as_ref(), moment.released),
        ] {
            if happened {
                ts += 1;
                let event = self.event(ts, kind, &moment, trial);
                events.push(event);
            }
        }
        events
    }

    fn event(
        &mut self,
        ts: i64,
        kind: &str,
        moment: &Moment,
        trial: Option<&Trial>,
    ) -> CursorEvents {
        let seq = self.seq;
        self.seq += 1;
        let number = |trial: &Trial| numbered(self.start + (trial.shown * 1e6) as i64, self.slot);
        CursorEvents {
            ts: Timestamp::from_micros(ts),
            implant_id: self.implant,
            session_date: self.date(),
            session_id: self.id,
            seq,
            bin: self.bin,
            kind: kind.to_owned(),
            x: moment.position.0 as f32,
            y: moment.position.1 as f32,
            vx: moment.velocity.0 as f32,
            vy: moment.velocity.1 as f32,
            trial_id: trial.map(number),
            target_x: trial.map(|trial| trial.target.0 as f32),
            target_y: trial.map(|trial| trial.target.1 as f32),
        }
    }

    fn health(&mut self, end: i64) -> Option<DeviceHealth> {
        if self.next_report >= end {
            return None;
        }
        let ts = self.next_report;
        self.next_report += device::INTERVAL;
        self.link.saturated = self.channels.saturated();
        let seconds = (ts - self.start) as f64 / SECOND as f64;
        Some(self.device.report(ts, seconds, self.link))
    }
}

impl Iterator for Session {
    type Item = Bin;

    fn next(&mut self) -> Option<Bin> {
        let ts = self.start + self.bin * self.bin_micros;
        let end = ts + self.bin_micros;
        let seconds = |micros: i64| (micros - self.start) as f64 / SECOND as f64;
        let (begins, ends) = (seconds(ts), seconds(end));
        let bin = Bin {
            bin: self.bin,
            power: self.power(ts, begins),
            cursor: self.cursor(end, ends),
            health: self.health(end),
        };
        self.bin += 1;
        Some(bin)
    }
}

/// Number of what a participant began at this microsecond: different for each of them and in every
/// run, and the same for the same settings.
fn numbered(micros: i64, slot: i64) -> i64 {
    micros.div_euclid(10) * 10 + slot
}

/// Deviation of the velocity while the participant warms up.
fn normalization(reaches: &mut Reaches, bins: i64, seconds: f64) -> Point {
    let (mut x, mut y) = (0.0, 0.0);
    for bin in 1..=bins {
        let now = bin as f64 * seconds;
        let (vx, vy) = reaches.intended(now);
        x += vx * vx;
        y += vy * vy;
        reaches.advance(now);
    }
    let deviation = |sum: f64| (sum / bins as f64).sqrt().max(1e-6);
    (deviation(x), deviation(y))
}
