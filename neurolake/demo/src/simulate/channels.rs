//! Band power of an implant's channels.

use std::f64::consts::TAU;

use neurolake::made_up::Random;

use super::reaches::Point;

/// Contacts of a thread share the slow part of their noise: the tissue around them moves as one.
const CONTACTS: usize = 16;
/// Time constants of the noise in seconds. Together they fall off about as 1/f, as cortical noise
/// does between 0.01 and 3 Hz.
const QUICK: [f32; 3] = [0.06, 0.4, 2.5];
const SLOW: f32 = 16.0;
/// Share of the variance that has no memory.
const WHITE: f32 = 0.4;
/// Power is never negative, so its distribution leans to the right: that of the logarithm is
/// normal with this deviation.
const SKEW: f32 = 0.35;
/// Steps between values, in z: what the radio carries.
const STEP: f32 = 0.01;

/// How a channel behaves, for as long as the implant lives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Channel {
    pub(super) kind: ChannelKind,
    /// Direction of movement for which it is strongest, in radians; downwards is positive.
    pub(super) preferred: f32,
    /// Correlation with the velocity in that direction.
    pub(super) tuning: f32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChannelKind {
    Good,
    /// Its contact is broken; it is left out.
    Masked,
    /// A bad contact that nobody has masked yet: bursts of artefacts.
    Noisy,
}

/// The channels of one implant.
#[derive(Debug, Clone)]
pub(super) struct Channels {
    random: Random,
    each: Vec<Channel>,
    quick: Vec<[f32; 3]>,
    slow: Vec<f32>,
    /// Bins for which a channel's burst goes on.
    bursts: Vec<u16>,
    keep: [f32; 3],
    keep_slow: f32,
    /// Deviation of the velocity in the two minutes of normalization.
    scale: Point,
}

impl Channels {
    pub(super) fn new(
        implant: &Random,
        session: Random,
        count: usize,
        bin: f64,
        scale: Point,
    ) -> Self {
        let mut random = session;
        let threads = count.div_ceil(CONTACTS);
        let keep = |seconds: f32| (-(bin as f32) / seconds).exp();
        let mut normal = || random.normal(0.0, 1.0) as f32;
        let quick = (0..count).map(|_| [normal(), normal(), normal()]).collect();
        let slow = (0..threads).map(|_| normal()).collect();
        Self {
            each: (0..count).map(|number| channel(implant, number)).collect(),
            quick,
            slow,
            bursts: vec![0; count],
            keep: QUICK.map(keep),
            keep_slow: keep(SLOW),
            scale,
            random,
        }
    }

    /// Power of each channel in the next bin, at this velocity.
    pub(super) fn advance(&mut self, velocity: Point) -> Vec<f32> {
        let (vx, vy) = (
            (velocity.0 / self.scale.0) as f32,
            (velocity.1 / self.scale.1) as f32,
        );
        for value in &mut self.slow {
            *value = next(*value, self.keep_slow, &mut self.random);
        }
        let mut power = Vec::with_capacity(self.each.len());
        for (number, channel) in self.each.iter().enumerate() {
            for (value, keep) in self.quick[number].iter_mut().zip(self.keep) {
                *value = next(*value, keep, &mut self.random);
            }
            let colored = self.quick[number].iter().sum::<f32>() + self.slow[number / CONTACTS];
            let white = self.random.normal(0.0, 1.0) as f32;
            let noise = (1.0 - WHITE).sqrt() * colored / 2.0 + WHITE.sqrt() * white;
            let along = vx * channel.preferred.cos() + vy * channel.preferred.sin();
            let unexplained = (1.0 - channel.tuning * channel.tuning).sqrt();
            let mut value = skewed(channel.tuning * along + unexplained * noise);
            match channel.kind {
                ChannelKind::Good => (),
                ChannelKind::Masked => value = f32::NAN,
                ChannelKind::Noisy => {
                    if self.bursts[number] == 0 && self.random.chance(0.003) {
                        self.bursts[number] = self.random.whole(3, 20) as u16;
                    }
                    if self.bursts[number] > 0 {
                        self.bursts[number] -= 1;
                        value += self.random.between(6.0, 14.0) as f32;
                    }
                }
            }
            power.push((value / STEP).round() * STEP);
        }
        power
    }

    /// Channels at the limit of the converter.
    pub(super) fn saturated(&self) -> usize {
        self.bursts.iter().filter(|left| **left > 0).count()
    }

    pub(super) fn masked(&self) -> usize {
        let masked = |channel: &&Channel| channel.kind == ChannelKind::Masked;
        self.each.iter().filter(masked).count()
    }

    #[cfg(test)]
    pub(super) fn channels(&self) -> &[Channel] {
        &self.each
    }
}

fn channel(implant: &Random, number: usize) -> Channel {
    let mut random = implant.nth(number as i64);
    let kind = match random.unit() {
        x if x < 0.035 => ChannelKind::Masked,
        x if x < 0.055 => ChannelKind::Noisy,
        _ => ChannelKind::Good,
    };
    let is_tuned = random.chance(0.45);
    Channel {
        kind,
        preferred: random.between(0.0, TAU) as f32,
        tuning: if is_tuned {
            random.between(0.25, 0.7) as f32
        } else {
            0.0
        },
    }
}

/// The next value of noise with a memory; its deviation stays 1.
fn next(value: f32, keep: f32, random: &mut Random) -> f32 {
    keep * value + (1.0 - keep * keep).sqrt() * random.normal(0.0, 1.0) as f32
}

/// The same mean of 0 and deviation of 1, leaning to the right.
fn skewed(value: f32) -> f32 {
    let variance = SKEW * SKEW;
    ((SKEW * value - variance / 2.0).exp() - 1.0) / (variance.exp() - 1.0).sqrt()
}
