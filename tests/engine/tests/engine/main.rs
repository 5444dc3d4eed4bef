//! Journeys through the whole engine.

mod pages;
mod sends;
#[expect(deprecated, reason = "deprecated tables have pages too")]
mod snippets;
