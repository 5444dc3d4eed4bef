//! The Rust code of each table's page that sends events, as it is copied. It is compiled and not run: it
//! names the address of the site.
//! Made by `tests/journeys/rust_snippets.py write`.

// behavior.cursor_events
#[rustfmt::skip]
pub(crate) mod behavior_cursor_events {
// With the feature `client` of `neurolake`; the struct derives `serde::Serialize`.
use neurolake::ingest::{Accepted, Client, IngestError};
use neurolake_demo::behavior::CursorEvents as Row;

async fn send(rows: &[Row]) -> Result<Accepted, IngestError> {
    let client = Client::new("http://127.0.0.1:8080")?;
    client.table::<Row>().send(rows).await
}

    const _: fn(&[Row]) = |rows| drop(send(rows));
}

// neural.normalized_band_power
#[rustfmt::skip]
pub(crate) mod neural_normalized_band_power {
// With the feature `client` of `neurolake`; the struct derives `serde::Serialize`.
use neurolake::ingest::{Accepted, Client, IngestError};
use neurolake_demo::neural::NormalizedBandPower as Row;

async fn send(rows: &[Row]) -> Result<Accepted, IngestError> {
    let client = Client::new("http://127.0.0.1:8080")?;
    client.table::<Row>().send(rows).await
}

    const _: fn(&[Row]) = |rows| drop(send(rows));
}

// telemetry.device_health
#[rustfmt::skip]
pub(crate) mod telemetry_device_health {
// With the feature `client` of `neurolake`; the struct derives `serde::Serialize`.
use neurolake::ingest::{Accepted, Client, IngestError};
use neurolake_demo::telemetry::DeviceHealth as Row;

async fn send(rows: &[Row]) -> Result<Accepted, IngestError> {
    let client = Client::new("http://127.0.0.1:8080")?;
    client.table::<Row>().send(rows).await
}

    const _: fn(&[Row]) = |rows| drop(send(rows));
}
