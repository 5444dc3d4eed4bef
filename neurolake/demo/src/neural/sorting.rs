//! Offline spike sorting: neurons found in the spikes of a session.

use neurolake::prelude::*;

/// How sure the sorter is that a unit is one neuron.
#[derive(Columns)]
pub struct UnitQuality {
    /// Isolation from other units, from 0 to 1; above 0.9 is well isolated.
    pub isolation: f32,
    /// Peak of the mean waveform over the noise level.
    pub snr: f32,
    /// Violations of the refractory period.
    pub refractory: RefractoryTest,
}

/// Spikes that follow another one sooner than a neuron can fire.
#[derive(Columns)]
pub struct RefractoryTest {
    /// Shortest interval that counts as possible.
    #[column(unit = "ms")]
    pub period: f32,
    /// Number of shorter intervals.
    pub violations: i64,
    /// Estimated share of foreign spikes, from 0 to 1.
    pub contamination: f32,
}

/// A unit's mean waveform on one channel.
#[derive(Columns)]
pub struct ChannelTemplate {
    /// Channel, 0 to 1023.
    pub channel: i16,
    /// 64 samples at 20 kHz, trough at sample 20.
    #[column(unit = "uV")]
    pub waveform: Vec<f32>,
}

/// Sorted units, one row per putative neuron and session.
///
/// A nightly job sorts every session of the day before and rewrites its partition, so a
/// [`Self::unit_id`] is stable within a session only. To follow a neuron over days compare
/// [`Self::template`] and accept doubts.
///
/// For analyses keep `quality.isolation > 0.9` and `quality.refractory.contamination < 0.1`.
#[table(
    delta = "s3://lake/neural/units",
    partition_by(implant_id, session_date),
    unique_by(session_id, unit_id),
    owner = "signals",
    tags("neural", "phi"),
    freshness = "36h",
    inputs(super::Spikes, super::Electrodes),
    notebook(
        "Unit quality",
        "https://notebooks.example.com/signals/unit-quality.ipynb"
    ),
    example(implant_id = 7, session_date = "2026-03-01", accepted = true)
)]
#[doc(alias = "neurons")]
#[doc(alias = "clusters")]
pub struct Units {
    /// The recording implant.
    pub implant_id: i32,
    /// Local calendar day on which the session started.
    pub session_date: Date,
    /// The session, see [`super::Sessions::session_id`].
    pub session_id: i64,
    /// Number of the unit within the session.
    pub unit_id: i32,
    /// Channel with the largest waveform.
    pub channel: i16,
    /// Spikes assigned to the unit.
    pub spike_count: i64,
    /// Mean rate over the session.
    #[column(unit = "Hz")]
    pub rate: f32,
    /// How well the unit is isolated.
    pub quality: UnitQuality,
    /// Mean waveform on the best channel and its neighbours, largest first.
    pub template: Vec<ChannelTemplate>,
    /// Whether the unit passed the automatic limits.
    pub accepted: bool,
    /// Version of the sorter, such as `2026.1`.
    pub sorter: String,
}
