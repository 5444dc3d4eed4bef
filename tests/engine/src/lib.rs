//! Journeys through the whole engine, and its benchmark.
