//! Journeys through the whole engine.

mod pages;
#[expect(deprecated, reason = "deprecated tables have pages too")]
mod snippets;
