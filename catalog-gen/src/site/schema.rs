//! The rows of a schema: written by hand, because they are most of the bytes of a site.

use std::fmt::Write as _;

use neurolake_model::{Column, Partitioning, Source, Table, Type};

use super::html::{escape, escaped, percent_encode, percent_encoded};
use super::markdown::{Place, to_inline_html};

/// Rows of the schema and which marks they use.
pub(crate) struct Schema {
    pub(crate) rows: String,
    /// Sentences that explain the marks.
    pub(crate) legend: Vec<&'static str>,
}

/// Writes the rows of a table: columns with their nested fields, then partition columns that stand
/// only in the path.
pub(crate) fn schema(table: &Table, place: Place<'_>) -> Schema {
    let mut rows = String::with_capacity(table.columns.len() * 256);
    for column in &table.columns {
        row(&mut rows, table, column, "", 0, place);
    }
    for partition in &table.partition_by {
        if table.column(&partition.name).is_none() {
            let id = percent_encoded(&partition.name);
            let _ = write!(
                rows,
                r##"<tr id="c-{id}"><th><a href="#c-{id}">{}</a> <b class="key">partition</b><td>{}<td>"##,
                escaped(&partition.name),
                partition
                    .data_type
                    .as_ref()
                    .map(|data_type| format!("<code>{}</code>", escaped(&data_type.to_string())))
                    .unwrap_or_default(),
            );
        }
    }
    let mut legend = Vec::new();
    if !table.partition_by.is_empty() {
        legend.push("A filter on a partition column skips whole folders.");
    }
    if !table.sort_by.is_empty() {
        legend.push("Rows are clustered by sorted columns: a filter on them skips files.");
    }
    if !table.unique_by.is_empty() {
        legend.push("Key columns together identify a row.");
    }
    Schema { rows, legend }
}

fn row(
    out: &mut String,
    table: &Table,
    column: &Column,
    parent: &str,
    depth: usize,
    place: Place<'_>,
) {
    let start = out.len();
    out.push_str("<tr id=\"c-");
    percent_encode(out, parent);
    percent_encode(out, &column.name);
    let id = start + "<tr id=\"c-".len()..out.len();
    out.push('"');
    if depth > 0 {
        let _ = write!(out, r#" class="d{}""#, depth.min(5));
    }
    out.push_str("><th><a href=\"#c-");
    out.extend_from_within(id);
    out.push_str("\">");
    if depth > 0 {
        out.push_str("<i>");
        escape(out, parent);
        out.push_str("</i>");
    }
    escape(out, &column.name);
    out.push_str("</a>");
    marks(out, table, column, depth);

    out.push_str("<td><code>");
    escape(out, &column.data_type.to_string());
    out.push_str("</code>");
    if let Some(unit) = &column.unit {
        out.push_str(" <span>");
        escape(out, unit);
        out.push_str("</span>");
    }
    if column.nullable {
        out.push_str(" <em>nullable</em>");
    }

    out.push_str("<td>");
    out.push_str(&to_inline_html(&column.docs, place));
    if let Some(deprecated) = &column.deprecated {
        let _ = write!(
            out,
            "<p class=\"old\">Deprecated{}: {}",
            since(deprecated.since.as_deref()),
            to_inline_html(&deprecated.note, place)
        );
    }
    out.push('\n');

    let fields = column.data_type.fields();
    if !fields.is_empty() {
        let parent = format!("{parent}{}.", column.name);
        for field in fields {
            row(out, table, field, &parent, depth + 1, place);
        }
    }
}

fn marks(out: &mut String, table: &Table, column: &Column, depth: usize) {
    let mut mark = |class: &str, text: &str| {
        let _ = write!(out, r#" <b class="{class}">{}</b>"#, escaped(text));
    };
    if depth == 0 {
        if table.is_partition(&column.name) {
            mark("key", "partition");
        }
        if table.sort_by.contains(&column.name) {
            mark("key", "sorted");
        }
        if table.unique_by.contains(&column.name) {
            mark("key", "key");
        }
    }
    if column.pii {
        mark("warn", "PII");
    }
    if column.deprecated.is_some() {
        mark("warn", "deprecated");
    }
    if let Some(version) = column.since {
        mark("", &format!("since v{version}"));
    }
    if let Some(former) = &column.renamed_from {
        mark("", &format!("was {former}"));
    }
}

/// ` since 2026.1`, or nothing.
pub(crate) fn since(version: Option<&str>) -> String {
    version
        .map(|version| format!(" since {}", escaped(version)))
        .unwrap_or_default()
}

/// Number of columns that a reader sees: those declared, and partitions that stand only in the path.
pub(crate) fn column_count(table: &Table) -> usize {
    let extra = table
        .partition_by
        .iter()
        .filter(|partition| table.column(&partition.name).is_none())
        .count();
    table.columns.len() + extra
}

/// How the files of a partitioned table lie, such as `s3://lake/t/day=<date>/`; `None` where there
/// are no partitions.
pub(crate) fn partition_path(table: &Table) -> Option<String> {
    let (uri, named) = match &table.source {
        Source::Delta { uri } => (uri, true),
        Source::Parquet { uri, partitioning } => (uri, *partitioning != Partitioning::Directory),
        _ => return None,
    };
    if table.partition_by.is_empty() {
        return None;
    }
    let mut path = format!("{}/", uri.trim_end_matches('/'));
    for partition in &table.partition_by {
        let data_type = table
            .filter_type(&partition.name)
            .map_or("value".to_owned(), Type::to_string);
        if named {
            let _ = write!(path, "{}=<{data_type}>/", partition.name);
        } else {
            let _ = write!(path, "<{}: {data_type}>/", partition.name);
        }
    }
    Some(path)
}
