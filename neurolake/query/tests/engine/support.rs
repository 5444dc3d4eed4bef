//! Real components for tests, started on free ports.

pub(crate) mod postgres;
