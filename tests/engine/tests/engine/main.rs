//! Journeys through the whole engine.

mod pages;
mod snippets;
