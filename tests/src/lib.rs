//! What several end-to-end tests and benchmarks need. This room knows made-up catalogs, and how to
//! run the programs under test; it refuses to know how anything is parsed, rendered or ranked.

pub mod synthetic;
pub mod tools;
