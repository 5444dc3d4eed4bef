//! Journeys through the whole engine.
