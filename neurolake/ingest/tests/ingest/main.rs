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
