//! Pages for programs: Markdown and JSON twins of tables, and `llms.txt`.

use std::fmt::Write as _;

use neurolake_model::{Column, Input, Source, Table};
use serde::Serialize;

use super::atlas::{Atlas, TableId};
use super::html::table_address;
use super::markdown::{Place, Tables as _, summary_text, to_twin};
use super::schema::partition_path;
use crate::snippets::{Purpose, Snippet};

/// Most bytes of `llms.txt`.
const LLMS_BYTES: usize = 100_000;

#[derive(Serialize)]
struct TableDocument<'a> {
    catalog: &'a str,
    database: &'a str,
    table: &'a Table,
    /// Tables that read this one.
    outputs: &'a [Input],
}

/// `{database}/{table}.json`: the table as in `catalog.json`, and who reads it.
pub(crate) fn json(atlas: &Atlas<'_>, id: TableId) -> Vec<u8> {
    let (database, table) = atlas.tables[id];
    let document = TableDocument {
        catalog: &atlas.catalog.name,
        database: &database.name,
        table,
        outputs: &atlas.readers[id],
    };
    let mut json = Vec::with_capacity(256 + table.columns.len() * 192);
    serde_json::to_writer(&mut json, &document).expect("a table holds only JSON values");
    json.push(b'\n');
    json
}

/// `{database}/{table}.md`.
pub(crate) fn markdown(atlas: &Atlas<'_>, id: TableId, snippets: &[Snippet]) -> String {
    let (database, table) = atlas.tables[id];
    let place = Place {
        tables: atlas,
        root: "../",
    };
    let mut out = String::with_capacity(4_096 + table.columns.len() * 128);
    let _ = write!(out, "# {}.{}\n\n", database.name, table.name);
    if let Some(deprecated) = &table.deprecated {
        let since = deprecated
            .since
            .as_deref()
            .map(|v| format!(" since {v}"))
            .unwrap_or_default();
        let note = to_twin(&deprecated.note, place);
        let _ = writeln!(out, "> Deprecated{since}. {note}\n");
    }
    if !table.docs.is_empty() {
        let _ = writeln!(out, "{}\n", to_twin(table.docs.trim(), place));
    }
    let mut fact = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            let _ = writeln!(out, "- {name}: {value}");
        }
    };
    fact("Kind", Some(table.source.label()));
    fact("Owner", table.owner.as_deref());
    fact("Freshness", table.freshness.as_deref());
    let door = format!(
        "POST {}/v1/ingest/{}/{}",
        atlas.catalog.endpoints.http, database.name, table.name
    );
    fact("Takes events", Some(door.as_str()).filter(|_| table.ingest));
    fact("Store", table.store.as_deref());
    fact(
        "Tags",
        Some(table.tags.join(", ").as_str()).filter(|tags| !tags.is_empty()),
    );
    fact("Location", location(&table.source).as_deref());
    fact("Partitions", partition_path(table).as_deref());
    fact(
        "Sorted by",
        Some(table.sort_by.join(", ").as_str()).filter(|names| !names.is_empty()),
    );
    fact(
        "Key",
        Some(table.unique_by.join(", ").as_str()).filter(|names| !names.is_empty()),
    );
    fact("Condition", table.cfg.as_deref());
    let declared = format!("{}:{}", table.location.file, table.location.line);
    fact(
        "Declared at",
        Some(declared.as_str()).filter(|_| !table.location.file.is_empty()),
    );

    if let Source::Function { arguments } = &table.source
        && !arguments.is_empty()
    {
        out.push_str("\n## Arguments\n\n| Name | Type | Required |\n|---|---|---|\n");
        for argument in arguments {
            let required = if argument.required { "yes" } else { "no" };
            let _ = writeln!(
                out,
                "| {} | {} | {required} |",
                argument.name, argument.data_type
            );
        }
    }
    if !table.columns.is_empty() {
        out.push_str("\n## Columns\n\n| Name | Type | Nullable | Unit | Description |\n|---|---|---|---|---|\n");
        for column in &table.columns {
            column_rows(&mut out, column, "", place);
        }
    }
    let (sending, reading): (Vec<_>, Vec<_>) = snippets
        .iter()
        .partition(|snippet| snippet.purpose == Purpose::Ingest);
    for snippet in reading {
        code(&mut out, "##", snippet);
    }
    if !sending.is_empty() {
        out.push_str("\n## Send events\n");
    }
    for snippet in sending {
        code(&mut out, "###", snippet);
    }
    if let Source::Sql { query } = &table.source {
        let fence = fence(query);
        let _ = write!(
            out,
            "\n## Query\n\n{fence}sql\n{}\n{fence}\n",
            query.trim_end()
        );
    }
    neighbours(&mut out, atlas, "Reads from", &table.inputs);
    neighbours(&mut out, atlas, "Read by", &atlas.readers[id]);
    out
}

/// The code of one client under a heading of that level.
fn code(out: &mut String, level: &str, snippet: &Snippet) {
    let Snippet {
        title,
        language,
        code,
        ..
    } = snippet;
    let fence = fence(code);
    let code = code.trim_end();
    let _ = write!(
        out,
        "\n{level} {title}\n\n{fence}{language}\n{code}\n{fence}\n"
    );
}

/// A fence that the code doesn't hold.
fn fence(code: &str) -> String {
    let mut fence = "```".to_owned();
    while code.contains('`') && code.contains(&fence) {
        fence.push('`');
    }
    fence
}

fn column_rows(out: &mut String, column: &Column, parent: &str, place: Place<'_>) {
    out.push_str("| ");
    cell(out, parent);
    cell(out, &column.name);
    let nullable = if column.nullable { "yes" } else { "no" };
    let _ = write!(out, " | {} | {nullable} | ", column.data_type);
    cell(out, column.unit.as_deref().unwrap_or_default());
    out.push_str(" | ");
    cell(out, &to_twin(&column.docs, place));
    if column.pii {
        out.push_str(" Holds personal data.");
    }
    if let Some(deprecated) = &column.deprecated {
        out.push_str(" Deprecated. ");
        cell(out, &to_twin(&deprecated.note, place));
    }
    out.push_str(" |\n");
    let fields = column.data_type.fields();
    if !fields.is_empty() {
        let parent = format!("{parent}{}.", column.name);
        for field in fields {
            column_rows(out, field, &parent, place);
        }
    }
}

/// Appends a text on one line, without ending the cell.
fn cell(out: &mut String, text: &str) {
    for (index, line) in text
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .enumerate()
    {
        if index > 0 {
            out.push(' ');
        }
        if line.contains('|') {
            out.push_str(&line.replace('|', "\\|"));
        } else {
            out.push_str(line);
        }
    }
}

fn neighbours(out: &mut String, atlas: &Atlas<'_>, title: &str, tables: &[Input]) {
    if tables.is_empty() {
        return;
    }
    let _ = write!(out, "\n## {title}\n\n");
    for table in tables {
        if atlas.has_page(&table.database, &table.table) {
            let address = table_address("../", &table.database, &table.table, "md");
            let _ = writeln!(out, "- [{table}]({address})");
        } else {
            let _ = writeln!(out, "- {table}");
        }
    }
}

/// Where the rows are stored, as people write it.
pub(crate) fn location(source: &Source) -> Option<String> {
    match source {
        Source::Delta { uri } | Source::Parquet { uri, .. } => Some(uri.clone()),
        Source::Postgres { relation } => Some(relation.clone()),
        Source::Sheet {
            spreadsheet,
            tab,
            range,
            ..
        } => {
            let part = |text: &Option<String>, mark: &str| {
                text.as_ref()
                    .map(|text| format!("{mark}{text}"))
                    .unwrap_or_default()
            };
            Some(format!(
                "{spreadsheet}{}{}",
                part(tab, " / "),
                part(range, "!")
            ))
        }
        Source::Sql { .. } | Source::Function { .. } => None,
    }
}

/// `llms.txt`: the catalog as a list of Markdown pages. Summaries go first when it would be too long,
/// then the tables.
pub(crate) fn llms(atlas: &Atlas<'_>) -> String {
    let full = llms_with(atlas, 120);
    if full.len() <= LLMS_BYTES {
        return full;
    }
    let names = llms_with(atlas, 0);
    if names.len() <= LLMS_BYTES {
        return names;
    }
    let mut out = llms_head(atlas);
    for (shown, entry) in atlas.databases.iter().enumerate() {
        let line = format!("- {}: {} tables\n", entry.database.name, entry.tables.len());
        if out.len() + line.len() > LLMS_BYTES - 100 {
            let _ = writeln!(
                out,
                "- and {} more databases",
                atlas.databases.len() - shown
            );
            break;
        }
        out.push_str(&line);
    }
    out
}

fn llms_head(atlas: &Atlas<'_>) -> String {
    let catalog = atlas.catalog;
    let place = Place {
        tables: atlas,
        root: "",
    };
    let mut out = format!("# {}\n\n", catalog.display_title());
    let docs = to_twin(catalog.docs.trim(), place);
    if !docs.is_empty() && docs.len() <= 4_000 {
        let _ = writeln!(out, "{docs}\n");
    }
    let _ = writeln!(
        out,
        "The whole catalog is in [catalog.json](catalog.json). Every table `database.table` has a page\n`database/table.md` and a document `database/table.json`. In SQL it is called `database.table`.\n"
    );
    out
}

fn llms_with(atlas: &Atlas<'_>, letters: usize) -> String {
    let mut out = llms_head(atlas);
    for entry in &atlas.databases {
        let _ = write!(out, "## {}\n\n", entry.database.name);
        let summary = summary_text(&entry.database.docs, letters);
        if letters > 0 && !summary.is_empty() {
            let _ = write!(out, "{summary}\n\n");
        }
        for (database, table) in &atlas.tables[entry.tables.clone()] {
            let address = table_address("", &database.name, &table.name, "md");
            let _ = write!(out, "- [{}.{}]({address})", database.name, table.name);
            if letters > 0 && !table.docs.is_empty() {
                let _ = write!(out, ": {}", summary_text(&table.docs, letters));
            }
            if table.deprecated.is_some() {
                out.push_str(" (deprecated)");
            }
            out.push('\n');
        }
        out.push('\n');
    }
    out
}
