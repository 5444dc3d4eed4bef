//! The centre-out task: from the middle to one of eight targets, click, and back.

use std::collections::VecDeque;
use std::f64::consts::{PI, TAU};

use neurolake::made_up::Random;

const CENTRE: Point = (0.5, 0.5);
const DISTANCE: f64 = 0.35;
/// Of a target, as a share of the screen.
pub(super) const RADIUS: f64 = 0.05;
const TARGETS: i64 = 8;
/// Seconds after which a trial is given up.
const TIMEOUT: f64 = 10.0;
/// Seconds from pressing to releasing the button.
const PRESS: f64 = 0.09;
/// Of the cursor around its path: the decoder is never quite sure.
const TREMOR: f64 = 0.002;
const TREMOR_SECONDS: f64 = 0.25;

pub(super) type Point = (f64, f64);

/// One attempt to reach a target. Times are seconds since the session started.
#[derive(Debug, Clone)]
pub(super) struct Trial {
    pub(super) shown: f64,
    pub(super) target: Point,
    pub(super) end: f64,
    /// When the button is pressed; never in a trial that is given up.
    pub(super) click: Option<f64>,
    from: Point,
    /// Where the movement really ends.
    aim: Point,
    moves: f64,
    arrives: f64,
    /// How far the path bends to the side, as a share of its length.
    bend: f64,
}

impl Trial {
    /// The share of the way that is done, and its change per second: hands move so that the jerk
    /// is smallest (Flash and Hogan 1985), slowly at both ends.
    fn way(&self, now: f64) -> (f64, f64) {
        let length = self.arrives - self.moves;
        let t = ((now - self.moves) / length).clamp(0.0, 1.0);
        let way = t.powi(3) * (10.0 - 15.0 * t + 6.0 * t * t);
        let speed = 30.0 * t.powi(2) * (1.0 - t).powi(2) / length;
        (way, speed)
    }

    fn position(&self, now: f64) -> Point {
        let (way, _) = self.way(now);
        let (dx, dy) = (self.aim.0 - self.from.0, self.aim.1 - self.from.1);
        let side = self.bend * (PI * way).sin();
        (
            self.from.0 + dx * way - dy * side,
            self.from.1 + dy * way + dx * side,
        )
    }

    fn velocity(&self, now: f64) -> Point {
        let (way, speed) = self.way(now);
        let (dx, dy) = (self.aim.0 - self.from.0, self.aim.1 - self.from.1);
        let side = self.bend * PI * (PI * way).cos();
        (speed * (dx - dy * side), speed * (dy + dx * side))
    }
}

/// What the cursor does at one moment.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    pub(super) position: Point,
    /// Since the last moment.
    pub(super) velocity: Point,
    /// The trial under way, none between trials.
    pub(super) trial: Option<Trial>,
    /// The trial whose target was just clicked.
    pub(super) clicked: Option<Trial>,
    /// Whether the button was just released.
    pub(super) released: bool,
}

/// A participant at the task.
#[derive(Debug, Clone)]
pub(super) struct Reaches {
    random: Random,
    /// From the one under way on.
    trials: VecDeque<Trial>,
    last: f64,
    position: Point,
    tremor: Point,
}

impl Reaches {
    pub(super) fn new(random: Random) -> Self {
        Self {
            random,
            trials: VecDeque::new(),
            last: 0.0,
            position: CENTRE,
            tremor: (0.0, 0.0),
        }
    }

    /// The velocity that the participant means to have.
    pub(super) fn intended(&mut self, now: f64) -> Point {
        self.plan(now);
        self.at(now).map_or((0.0, 0.0), |trial| trial.velocity(now))
    }

    /// The next moment; time only goes on.
    pub(super) fn advance(&mut self, now: f64) -> Moment {
        self.plan(now);
        let step = now - self.last;
        let keep = (-step / TREMOR_SECONDS).exp();
        let push = TREMOR * (1.0 - keep * keep).sqrt();
        self.tremor.0 = keep * self.tremor.0 + self.random.normal(0.0, push);
        self.tremor.1 = keep * self.tremor.1 + self.random.normal(0.0, push);

        let resting = self.trials.iter().rev().find(|trial| trial.shown <= now);
        let path = resting.map_or(CENTRE, |trial| trial.position(now));
        let position = (
            (path.0 + self.tremor.0).clamp(0.0, 1.0),
            (path.1 + self.tremor.1).clamp(0.0, 1.0),
        );
        let velocity = (
            (position.0 - self.position.0) / step,
            (position.1 - self.position.1) / step,
        );
        let happened = |time: f64| self.last < time && time <= now;
        let clicked = self.trials.iter().find(|t| t.click.is_some_and(happened));
        let clicked = clicked.cloned();
        let mut presses = self.trials.iter().filter_map(|trial| trial.click);
        let released = presses.any(|click| happened(click + PRESS));
        let trial = self.at(now).filter(|trial| self.last < trial.end).cloned();

        self.last = now;
        self.position = position;
        // The cursor rests where a trial ended until the next one begins.
        while self
            .trials
            .get(1)
            .is_some_and(|next| next.shown <= now - 2.0 * PRESS)
        {
            self.trials.pop_front();
        }
        Moment {
            position,
            velocity,
            trial,
            clicked,
            released,
        }
    }

    fn at(&self, now: f64) -> Option<&Trial> {
        let mut trials = self.trials.iter().rev();
        trials.find(|trial| trial.shown <= now)
    }

    fn plan(&mut self, until: f64) {
        while self.trials.back().is_none_or(|trial| trial.end <= until) {
            let next = self.next_trial();
            self.trials.push_back(next);
        }
    }

    fn next_trial(&mut self) -> Trial {
        let random = &mut self.random;
        let pause = random.between(0.35, 0.8);
        let last = self.trials.back();
        let shown = last.map_or(0.0, |trial| trial.end) + pause;
        let from = last.map_or(CENTRE, |trial| trial.aim);
        let is_out = last.is_none_or(|trial| trial.target == CENTRE);
        let target = if is_out {
            let angle = TAU * random.whole(0, TARGETS - 1) as f64 / TARGETS as f64;
            (
                CENTRE.0 + DISTANCE * angle.cos(),
                CENTRE.1 + DISTANCE * angle.sin(),
            )
        } else {
            CENTRE
        };
        // Share of the radius by which the target is missed.
        let (misses, gives_up) = match random.unit() {
            x if x < 0.94 => (random.between(0.0, 0.8), false),
            x if x < 0.98 => (random.between(1.2, 2.0), false),
            _ => (random.between(1.5, 3.0), true),
        };
        let angle = random.between(0.0, TAU);
        let aim = (
            target.0 + misses * RADIUS * angle.cos(),
            target.1 + misses * RADIUS * angle.sin(),
        );
        let moves = shown + random.between(0.2, 0.38);
        let arrives = moves + random.log_normal(0.85, 0.2);
        let click = (!gives_up).then(|| arrives + random.between(0.12, 0.3));
        Trial {
            shown,
            target,
            end: click.unwrap_or(shown + TIMEOUT),
            click,
            from,
            aim,
            moves,
            arrives,
            bend: random.normal(0.0, 0.06),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: f64 = 0.015;

    fn moments(count: u32) -> Vec<(f64, Moment)> {
        let mut reaches = Reaches::new(Random::new(7, "test"));
        let time = |n| f64::from(n) * STEP;
        (1..=count)
            .map(|n| (time(n), reaches.advance(time(n))))
            .collect()
    }

    #[test]
    fn velocities_are_those_of_the_positions() {
        let moments = moments(4_000);
        for pair in moments.windows(2) {
            let (before, now) = (&pair[0].1, &pair[1].1);
            let dx = now.position.0 - before.position.0;
            assert!((dx - now.velocity.0 * STEP).abs() < 1e-9);
            // A movement of 0.35 in 0.85 s has its peak at 0.77, a quick one above.
            assert!(now.velocity.0.hypot(now.velocity.1) < 2.5, "{now:?}");
        }
    }

    #[test]
    fn targets_are_reached_and_clicked() {
        let moments = moments(40_000);
        let clicks: Vec<_> = moments
            .iter()
            .filter_map(|(_, moment)| Some((moment.position, moment.clicked.as_ref()?)))
            .collect();
        // Ten minutes, one trial in about two seconds.
        assert!((240..340).contains(&clicks.len()), "{}", clicks.len());
        let hits = clicks
            .iter()
            .filter(|((x, y), trial)| (x - trial.target.0).hypot(y - trial.target.1) <= RADIUS);
        let share = hits.count() as f64 / clicks.len() as f64;
        assert!((0.9..0.99).contains(&share), "{share}");
        let releases = moments.iter().filter(|(_, moment)| moment.released).count();
        assert!(clicks.len() - releases <= 1);
        // Out and back again.
        let away = clicks
            .iter()
            .filter(|(_, trial)| trial.target != CENTRE)
            .count();
        assert!(away.abs_diff(clicks.len() / 2) <= clicks.len() / 20);
    }

    #[test]
    fn what_is_intended_is_what_is_done() {
        let mut reaches = Reaches::new(Random::new(7, "test"));
        let (mut both, mut meant, mut done) = (0.0, 0.0, 0.0);
        for n in 1..8_000 {
            let now = f64::from(n) * STEP;
            let (intended, _) = reaches.intended(now - STEP / 2.0);
            let (velocity, _) = reaches.advance(now).velocity;
            both += intended * velocity;
            meant += intended * intended;
            done += velocity * velocity;
        }
        let correlation = both / (meant * done).sqrt();
        assert!(correlation > 0.95, "{correlation}");
    }
}
