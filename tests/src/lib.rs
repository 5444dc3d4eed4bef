//! What several end-to-end tests and benchmarks need. This room knows made-up catalogs; it refuses
//! to know how anything is parsed, rendered or ranked.

pub mod synthetic;
