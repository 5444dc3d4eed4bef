use neurolake::prelude::*;

/// Spikes of all channels.
#[table(parquet = "s3://lake/neural/spikes", ingest)]
pub struct Spikes;

/// Spikes of one channel.
#[table(sql = "select timestamp '2026-03-01' as ts", ingest)]
pub struct Channel {
    /// Device clock.
    pub ts: Timestamp,
}

/// Spikes of one session.
#[table(ingest)]
pub async fn session(lake: &Lake, session_id: i64) -> Result<DataFrame> {
    todo()
}
