//! Ingestion as its users meet it.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod door;
#[path = "../../../delta/tests/helper/faulty.rs"]
mod faulty;
mod queue;
#[path = "../../../delta/tests/helper/simulated.rs"]
mod simulated;
mod simulation;
mod writer;

use neurolake_model::Catalog;
use serde_json::{Value, json};

/// One table that takes events: `lab.events`, at `s3://lake/lab/events`.
fn catalog(columns: &Value, partition_by: &Value) -> Catalog {
    let place = json!({ "file": "lab.rs", "line": 1 });
    serde_json::from_value(json!({
        "format_version": neurolake_model::FORMAT_VERSION,
        "name": "test",
        "databases": [{
            "name": "lab",
            "location": place,
            "tables": [{
                "name": "events",
                "source": { "kind": "delta", "uri": "s3://lake/lab/events" },
                "columns": columns,
                "partition_by": partition_by,
                "ingest": true,
                "rust_path": "lab::Event",
                "location": place,
            }],
        }],
    }))
    .unwrap()
}
