//! Reads `#[table]` declarations from source, writes `catalog.json`, renders the catalog site and
//! serves its preview. This room knows files, HTML and terminals; it refuses to compile, run or
//! connect to what it documents.

pub mod diff;
pub mod grafana;
mod jinja;
pub mod openapi;
pub mod output;
pub mod reader;
pub mod report;
pub mod search;
pub mod site;
pub mod snippets;
pub mod stubs;
