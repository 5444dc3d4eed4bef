//! The made-up tables as Rust source.

use std::fmt::Write as _;

use neurolake_model::{Column, Partitioning, Source, Table, Type, Value};

use super::{CATALOG, DatabaseSpec, TableSpec, Workspace, package_name};

pub(super) const CATALOG_DOCS: &str = "Made-up tables for tests and benchmarks.";

pub(super) fn files(workspace: &Workspace, neurolake: Option<&str>) -> Vec<(String, String)> {
    let packages = workspace.packages();
    let members: Vec<String> = (0..packages)
        .map(|package| format!("    {:?},\n", package_name(package)))
        .collect();
    let dependency = match neurolake {
        Some(path) => format!("neurolake = {{ path = {path:?} }}"),
        None => "neurolake = \"0.1\"".to_owned(),
    };
    let mut files = vec![(
        "Cargo.toml".to_owned(),
        format!(
            "[workspace]\nresolver = \"3\"\nmembers = [\n{}]\n\n\
             [workspace.metadata.neurolake]\ncatalog = \"{CATALOG}\"\n\
             title = \"Synthetic lake\"\n\n[workspace.dependencies]\n{dependency}\n",
            members.concat()
        ),
    )];
    for package in 0..packages {
        let name = package_name(package);
        files.push((
            format!("{name}/Cargo.toml"),
            format!(
                "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
                 publish = false\n\n[dependencies]\nneurolake.workspace = true\n"
            ),
        ));
        let own = workspace
            .databases
            .iter()
            .filter(|database| database.package == package);
        let modules: Vec<String> = own
            .map(|database| format!("pub mod {};\n", database.name))
            .collect();
        let docs = if package == 0 {
            format!("//! {CATALOG_DOCS}\n\n")
        } else {
            String::new()
        };
        files.push((format!("{name}/src/lib.rs"), docs + &modules.concat()));
    }
    for database in &workspace.databases {
        files.extend(
            database_files(database)
                .into_iter()
                .map(|(path, text, _)| (path, text)),
        );
    }
    files
}

/// The line of each table's item, in the order of the specification.
pub(super) fn lines(database: &DatabaseSpec) -> Vec<u32> {
    database_files(database)
        .into_iter()
        .flat_map(|(.., lines)| lines)
        .collect()
}

/// Path, text and lines of the tables' items.
fn database_files(database: &DatabaseSpec) -> Vec<(String, String, Vec<u32>)> {
    let docs = format!("//! {}\n", database.docs);
    if !database.split {
        let (text, lines) = module(&docs, database, &database.tables);
        return vec![(database.file(), text, lines)];
    }
    let parts: Vec<&[TableSpec]> = database.tables.chunk_by(|a, b| a.part == b.part).collect();
    let modules: Vec<String> = (0..parts.len())
        .map(|part| format!("pub mod part_{part};\n"))
        .collect();
    let mut files = vec![(database.file(), docs + "\n" + &modules.concat(), Vec::new())];
    for tables in parts {
        let (text, lines) = module("", database, tables);
        files.push((database.file_of(&tables[0]), text, lines));
    }
    files
}

fn module(docs: &str, database: &DatabaseSpec, tables: &[TableSpec]) -> (String, Vec<u32>) {
    let mut text = docs.to_owned();
    if !docs.is_empty() {
        text.push('\n');
    }
    text.push_str("use neurolake::prelude::*;\n");
    let mut line = text.lines().count();
    let mut lines = Vec::new();
    for spec in tables {
        let replacement = spec
            .replacement
            .map(|place| &database.tables[place].declared);
        let item = item(&spec.declared, replacement);
        let before = item
            .lines()
            .take_while(|line| !line.starts_with("pub struct "))
            .count();
        lines.push(u32::try_from(line + before + 1).expect("a file has few lines"));
        line += item.lines().count();
        text.push_str(&item);
    }
    (text, lines)
}

fn item(table: &Table, replacement: Option<&Table>) -> String {
    let mut text = "\n".to_owned();
    docs(&mut text, "", &table.docs);
    for alias in &table.aliases {
        push(&mut text, format_args!("#[doc(alias = {alias:?})]\n"));
    }
    if let (Some(deprecated), Some(replacement)) = (&table.deprecated, replacement) {
        let since = deprecated.since.as_deref().unwrap_or_default();
        let note = format!("Use [`{}`].", camel(&replacement.name));
        push(
            &mut text,
            format_args!("#[deprecated(since = {since:?}, note = {note:?})]\n"),
        );
    }
    text.push_str("#[table(\n");
    for key in keys(table) {
        push(&mut text, format_args!("    {key},\n"));
    }
    push(
        &mut text,
        format_args!(")]\npub struct {} {{\n", camel(&table.name)),
    );
    for column in &table.columns {
        field(&mut text, column);
    }
    text.push_str("}\n");
    text
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments)
        .expect("writing to a string cannot fail");
}

fn docs(text: &mut String, indent: &str, docs: &str) {
    for line in docs.lines() {
        let line = format!("{indent}/// {line}");
        push(text, format_args!("{}\n", line.trim_end()));
    }
}

fn keys(table: &Table) -> Vec<String> {
    let mut keys = Vec::new();
    match &table.source {
        Source::Delta { uri } => keys.push(format!("delta = {uri:?}")),
        Source::Parquet { uri, partitioning } => {
            keys.push(format!("parquet = {uri:?}"));
            if *partitioning == Partitioning::Directory {
                keys.push("partitioning = directory".to_owned());
            }
        }
        Source::Postgres { relation } => keys.push(format!("postgres = {relation:?}")),
        Source::Sheet {
            spreadsheet,
            tab,
            refresh,
            ..
        } => {
            keys.push(format!("sheet = {spreadsheet:?}"));
            keys.extend(tab.iter().map(|tab| format!("tab = {tab:?}")));
            keys.extend(
                refresh
                    .iter()
                    .map(|refresh| format!("refresh = {refresh:?}")),
            );
        }
        Source::Sql { query } => keys.push(format!("sql = {query:?}")),
        Source::Function { .. } => unreachable!("functions are not made up"),
    }
    keys.extend(table.store.iter().map(|store| format!("store = {store:?}")));
    if !table.partition_by.is_empty() {
        let names: Vec<&str> = table
            .partition_by
            .iter()
            .map(|one| one.name.as_str())
            .collect();
        keys.push(format!("partition_by({})", names.join(", ")));
    }
    keys.extend(table.owner.iter().map(|owner| format!("owner = {owner:?}")));
    if !table.tags.is_empty() {
        let tags: Vec<String> = table.tags.iter().map(|tag| format!("{tag:?}")).collect();
        keys.push(format!("tags({})", tags.join(", ")));
    }
    keys.extend(
        table
            .freshness
            .iter()
            .map(|freshness| format!("freshness = {freshness:?}")),
    );
    keys.extend(table.ingest.then(|| "ingest".to_owned()));
    if !table.inputs.is_empty() && !matches!(table.source, Source::Sql { .. }) {
        let inputs: Vec<String> = table
            .inputs
            .iter()
            .map(|input| camel(&input.table))
            .collect();
        keys.push(format!("inputs({})", inputs.join(", ")));
    }
    if !table.example.is_empty() {
        let values = table
            .example
            .iter()
            .map(|(name, value)| format!("{name} = {}", literal(value)));
        keys.push(format!(
            "example({})",
            values.collect::<Vec<_>>().join(", ")
        ));
    }
    keys
}

fn literal(value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::String(value) | Value::Date(value) | Value::Timestamp(value) => format!("{value:?}"),
        other => unreachable!("{other:?} is not made up"),
    }
}

fn field(text: &mut String, column: &Column) {
    docs(text, "    ", &column.docs);
    let mut facts = Vec::new();
    facts.extend(column.unit.iter().map(|unit| format!("unit = {unit:?}")));
    if column.pii {
        facts.push("pii".to_owned());
    }
    if !facts.is_empty() {
        push(text, format_args!("    #[column({})]\n", facts.join(", ")));
    }
    let name = rust_type(&column.data_type);
    let name = if column.nullable {
        format!("Option<{name}>")
    } else {
        name
    };
    push(text, format_args!("    pub {}: {name},\n", column.name));
}

fn rust_type(data_type: &Type) -> String {
    match data_type {
        Type::Bool => "bool".into(),
        Type::Int32 => "i32".into(),
        Type::Int64 => "i64".into(),
        Type::Float32 => "f32".into(),
        Type::Float64 => "f64".into(),
        Type::String => "String".into(),
        Type::Date => "Date".into(),
        Type::Timestamp => "Timestamp".into(),
        Type::Blob => "Blob".into(),
        Type::Decimal { precision, scale } => format!("Decimal<{precision}, {scale}>"),
        Type::List { item, .. } => format!("Vec<{}>", rust_type(item)),
        other => unreachable!("{other:?} is not made up"),
    }
}

/// `spike_rate` becomes `SpikeRate`.
pub(super) fn camel(name: &str) -> String {
    name.split('_')
        .flat_map(|word| {
            let mut letters = word.chars();
            let first = letters.next().into_iter().flat_map(char::to_uppercase);
            first.chain(letters).collect::<Vec<_>>()
        })
        .collect()
}
