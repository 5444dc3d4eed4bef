use neurolake::prelude::*;

/// Spikes of all channels.
#[table(
    delta = "s4://lake/neural/spikes",
    partition_by(implant, session_date),
    sort_by(tz),
    ownr = "signals",
    freshness = "soon",
    example(channel = "seven")
)]
pub struct Spikes {
    /// Device clock.
    pub ts: Timestamp,
    /// Which implant.
    pub implant_id: i32,
    /// Local day of the session.
    pub session_date: Date,
    /// Electrode.
    pub channel: usize,
    /// Peak.
    #[column(units = "uV")]
    pub amplitude: f32,
}
