//! `describe`

use std::fmt::Write;

use datafusion::common::utils::quote_identifier;
use neurolake_model::{Database, Source, Table, Value};

use super::arguments::{Describe, ReportFormat};
use super::exit::Exit;
use super::tables::summary;
use super::talk::{pretty_json, print};
use super::text_table::aligned;
use super::{Context, Outcome, open};

pub(super) fn run(context: &Context<'_>, arguments: &Describe) -> Outcome {
    let catalog = open::catalog(context)?;
    let (database, table) = open::find(&catalog, &arguments.table)?;
    let text = match arguments.format {
        ReportFormat::Text => describe(database, table),
        ReportFormat::Json => pretty_json(table)?,
    };
    print(&text)?;
    Ok(Exit::Done)
}

fn describe(database: &Database, table: &Table) -> String {
    let name = format!("{}.{}", database.name, table.name);
    let mut text = format!("{name}\n");
    if !table.docs.is_empty() {
        let _ = write!(text, "\n{}\n", table.docs.trim());
    }
    if let Some(deprecated) = &table.deprecated {
        let _ = write!(text, "\nDeprecated. {}\n", deprecated.note.trim());
    }
    text.push('\n');
    text.push_str(&aligned(&facts(table)));
    if let Source::Function { arguments } = &table.source
        && !arguments.is_empty()
    {
        let rows = arguments.iter().map(|argument| {
            let need = if argument.required { "required" } else { "" };
            vec![
                format!("  {}", argument.name),
                argument.data_type.to_string(),
                need.to_owned(),
            ]
        });
        let _ = write!(text, "\nArguments\n{}", aligned(&rows.collect::<Vec<_>>()));
    }
    if table.columns.is_empty() {
        text.push_str("\nColumns are read from the stored table.\n");
    } else {
        let rows = table.columns.iter().map(|column| {
            let unit = column
                .unit
                .as_ref()
                .map(|unit| format!("[{unit}] "))
                .unwrap_or_default();
            let null = if column.nullable { "null" } else { "" };
            vec![
                format!("  {}", column.name),
                column.data_type.to_string(),
                null.to_owned(),
                format!("{unit}{}", summary(&column.docs)),
            ]
        });
        let _ = write!(text, "\nColumns\n{}", aligned(&rows.collect::<Vec<_>>()));
    }
    if let Source::Sql { query } = &table.source {
        let _ = write!(text, "\nView\n  {}\n", query.trim().replace('\n', "\n  "));
    }
    let _ = write!(text, "\nExample\n  {}\n", example(&name, table));
    text
}

fn facts(table: &Table) -> Vec<Vec<String>> {
    let mut facts: Vec<Vec<String>> = Vec::new();
    let mut fact = |name: &str, value: String| {
        if !value.is_empty() {
            facts.push(vec![name.to_owned(), value]);
        }
    };
    fact("kind", table.source.label().to_owned());
    fact("source", source(&table.source));
    fact("store", table.store.clone().unwrap_or_default());
    let partitions: Vec<&str> = table.partition_by.iter().map(|p| p.name.as_str()).collect();
    fact("partitioned by", partitions.join(", "));
    fact("sorted by", table.sort_by.join(", "));
    fact("unique by", table.unique_by.join(", "));
    fact("owner", table.owner.clone().unwrap_or_default());
    fact("freshness", table.freshness.clone().unwrap_or_default());
    let takes_events = if table.ingest { "yes" } else { "" };
    fact("takes events", takes_events.to_owned());
    fact("tags", table.tags.join(", "));
    let inputs: Vec<String> = table.inputs.iter().map(ToString::to_string).collect();
    fact("made from", inputs.join(", "));
    if table.location.line > 0 {
        fact(
            "declared",
            format!("{}:{}", table.location.file, table.location.line),
        );
    }
    facts
}

fn source(source: &Source) -> String {
    match source {
        Source::Delta { uri } | Source::Parquet { uri, .. } => without_login(uri),
        Source::Postgres { relation } => relation.clone(),
        Source::Sheet {
            spreadsheet, tab, ..
        } => match tab {
            Some(tab) => format!("{spreadsheet}, tab {tab}"),
            None => spreadsheet.clone(),
        },
        Source::Sql { .. } | Source::Function { .. } => String::new(),
    }
}

/// Declarations with a secret are refused, but a catalog may come from elsewhere.
fn without_login(uri: &str) -> String {
    let uri = uri.split('?').next().unwrap_or(uri);
    match uri.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = authority.rsplit('@').next().unwrap_or(authority);
            format!("{scheme}://{host}/{path}")
        }
        None => uri.to_owned(),
    }
}

/// A small query that makes sense.
fn example(name: &str, table: &Table) -> String {
    let filters: Vec<String> = table
        .example
        .iter()
        .map(|(column, value)| match value {
            Value::Null => format!("{} is null", quote_identifier(column)),
            value => format!("{} = {}", quote_identifier(column), literal(value)),
        })
        .collect();
    let filter = if filters.is_empty() {
        String::new()
    } else {
        format!(" where {}", filters.join(" and "))
    };
    format!("select * from {name}{filter} limit 10")
}

fn literal(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(text) | Value::Decimal(text) => text.clone(),
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Binary(digits) => format!("x'{digits}'"),
        Value::Date(text) => format!("date '{text}'"),
        Value::Timestamp(text) => format!("timestamp '{text}'"),
        Value::List(values) => {
            let values: Vec<String> = values.iter().map(literal).collect();
            format!("[{}]", values.join(", "))
        }
    }
}
