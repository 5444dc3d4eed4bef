//! The table beside a table: rows that were sent to it and don't fit.

use crate::{Column, Source, Table, Type};

/// What its name and its address end with.
pub const SUFFIX: &str = "__dead_letters";
/// Its column that says when a row was accepted.
pub const RECEIVED: &str = "received";

/// The table of rows that don't fit this one. `None`: this one takes no events.
pub fn of(table: &Table) -> Option<Table> {
    let Source::Delta { uri } = &table.source else {
        return None;
    };
    if !table.ingest {
        return None;
    }
    Some(Table {
        name: format!("{}{SUFFIX}", table.name),
        docs: format!("Rows that were sent to `{}` and don't fit.", table.name),
        source: Source::Delta { uri: address(uri) },
        columns: columns(),
        partition_by: Vec::new(),
        sort_by: Vec::new(),
        unique_by: Vec::new(),
        freshness: None,
        ingest: false,
        inputs: Vec::new(),
        notebooks: Vec::new(),
        example: Vec::new(),
        aliases: Vec::new(),
        ..table.clone()
    })
}

/// Where it lies, from the address of the table that it belongs to.
pub fn address(uri: &str) -> String {
    format!("{}{SUFFIX}", uri.trim_end_matches('/'))
}

/// Its columns.
pub fn columns() -> Vec<Column> {
    let column = |name: &str, data_type, docs: &str| Column {
        name: name.to_owned(),
        data_type,
        nullable: false,
        docs: docs.to_owned(),
        unit: None,
        pii: false,
        since: None,
        renamed_from: None,
        deprecated: None,
        aliases: Vec::new(),
    };
    vec![
        column("offset", Type::Int64, "Place of the request in the queue."),
        column(
            "row",
            Type::Int32,
            "Number of the row in its request, counted from 0.",
        ),
        column(RECEIVED, Type::Timestamp, "When it was accepted."),
        column("reason", Type::String, "Why it doesn't fit."),
        column("payload", Type::String, "What was sent."),
    ]
}
