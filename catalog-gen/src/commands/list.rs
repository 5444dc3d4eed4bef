//! `catalog-gen list`

use neurolake_model::{Catalog, Column, Database, Table};
use serde_json::json;

use super::{Failure, Outcome, Talk, catalog, print};
use crate::cli::List;

pub(crate) fn run(arguments: &List, talk: &Talk) -> Result<Outcome, Failure> {
    let catalog = catalog(arguments.catalog.as_deref(), &arguments.source, talk)?;
    let (tables, is_one) = match &arguments.name {
        None => (catalog.tables().collect(), false),
        Some(name) => chosen(&catalog, name)?,
    };
    if arguments.json {
        for (database, table) in tables {
            let json = json!({ "database": database.name, "table": table });
            print(&json.to_string())?;
        }
        return Ok(Outcome::Done);
    }
    if is_one && let Some((database, table)) = tables.first() {
        return describe(database, table);
    }
    let width = tables
        .iter()
        .map(|(database, table)| database.name.len() + table.name.len() + 1)
        .max()
        .unwrap_or(0);
    for (database, table) in tables {
        let name = format!("{}.{}", database.name, table.name);
        let summary = table.summary();
        let deprecated = if table.deprecated.is_some() {
            "deprecated: "
        } else {
            ""
        };
        let line = format!(
            "{name:width$}  {:12}  {deprecated}{summary}",
            table.source.label()
        );
        print(line.trim_end())?;
    }
    Ok(Outcome::Done)
}

type Tables<'a> = Vec<(&'a Database, &'a Table)>;

/// Tables of a database, or the one of a full name.
fn chosen<'a>(catalog: &'a Catalog, name: &str) -> Result<(Tables<'a>, bool), Failure> {
    let is_full = name.contains('.');
    let tables: Tables<'a> = catalog
        .tables()
        .filter(|(database, table)| {
            database.name == name || format!("{}.{}", database.name, table.name) == name
        })
        .collect();
    if !tables.is_empty() {
        return Ok((tables, is_full));
    }
    let known: Vec<String> = if is_full {
        catalog
            .tables()
            .map(|(d, t)| format!("{}.{}", d.name, t.name))
            .collect()
    } else {
        catalog.databases.iter().map(|d| d.name.clone()).collect()
    };
    let near = neurolake_declare::names::nearest(name, known.iter().map(String::as_str));
    Err(Failure::Unknown {
        what: if is_full { "table" } else { "database" },
        name: name.to_owned(),
        near: near.map(str::to_owned),
    })
}

fn describe(database: &Database, table: &Table) -> Result<Outcome, Failure> {
    let events = if table.ingest { ", takes events" } else { "" };
    print(&format!(
        "{}.{}  ({}{events})",
        database.name,
        table.name,
        table.source.label()
    ))?;
    if !table.docs.is_empty() {
        print(&format!("\n{}", table.docs))?;
    }
    print("")?;
    columns(&table.columns, table, 0)?;
    print(&format!(
        "\n{}:{}",
        table.location.file, table.location.line
    ))?;
    Ok(Outcome::Done)
}

fn columns(columns_: &[Column], table: &Table, depth: usize) -> Result<(), Failure> {
    let width = columns_
        .iter()
        .map(|column| column.name.len())
        .max()
        .unwrap_or(0);
    for column in columns_ {
        let mut facts = vec![column.data_type.to_string()];
        if column.nullable {
            facts.push("nullable".into());
        }
        if depth == 0 && table.is_partition(&column.name) {
            facts.push("partition".into());
        }
        facts.extend(column.unit.clone());
        let indent = "  ".repeat(depth + 1);
        let docs = neurolake_model::catalog::summary(&column.docs);
        let line = format!(
            "{indent}{:width$}  {:24}  {docs}",
            column.name,
            facts.join(", ")
        );
        print(line.trim_end())?;
        columns(column.data_type.fields(), table, depth + 1)?;
    }
    Ok(())
}
