//! Every declaration that is linked into the program.
//!
//! A crate whose items nobody uses may be dropped by the linker together with its declarations;
//! mention it (`use my_lake as _;`) in the program that asks.

use std::collections::BTreeMap;

#[cfg(feature = "engine")]
use neurolake_model::declaration::database_of;
use neurolake_model::declaration::{ColumnDeclaration, DeclaredTable, TableDeclaration, TypeRef};
use neurolake_model::{
    Catalog, Column, Database, Endpoints, FORMAT_VERSION, Location, Table as CatalogTable,
};

/// Gives the columns of a struct that a column or a function names.
type ColumnsOf = fn() -> Vec<Column>;

/// Written by `#[table]`.
#[doc(hidden)]
pub struct Registration {
    pub module: &'static str,
    pub declaration: &'static str,
    pub nested: &'static [(&'static str, ColumnsOf)],
    #[cfg(feature = "engine")]
    pub rows: Option<crate::functions::Rows>,
}

inventory::collect!(Registration);

/// A struct declared with `#[table]`.
pub trait Table {
    /// Path of the module that declares it.
    const MODULE: &'static str;
    /// The declaration as JSON.
    const DECLARATION: &'static str;
}

/// A struct that can be the type of a column.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the type of a column",
    note = "add `#[derive(Columns)]` to it"
)]
pub trait Columns {
    /// Its fields, with nested structs filled in.
    fn columns() -> Vec<Column>;
}

/// All declared tables, sorted by database and name.
pub fn tables() -> Vec<DeclaredTable> {
    let mut tables: Vec<DeclaredTable> = inventory::iter::<Registration>
        .into_iter()
        .map(declared_table)
        .collect();
    tables.sort_by(|a, b| {
        (a.database(), &a.declaration.table.name).cmp(&(b.database(), &b.declaration.table.name))
    });
    tables
}

/// The catalog of everything that is linked into the program, for programs whose source is not at
/// hand. `catalog-gen` knows more: documentation of modules, links, settings of the workspace.
///
/// Tables at the root of a crate, which belong to no database, are left out.
pub fn catalog(name: &str) -> Catalog {
    let mut databases: BTreeMap<String, Database> = BTreeMap::new();
    for declared in tables() {
        let Some(name) = declared.database().map(str::to_owned) else {
            continue;
        };
        let database = databases.entry(name.clone()).or_insert_with(|| Database {
            name,
            docs: String::new(),
            location: Location::default(),
            tables: Vec::new(),
        });
        database.tables.push(table(declared));
    }
    Catalog {
        format_version: FORMAT_VERSION,
        name: name.to_owned(),
        title: String::new(),
        docs: String::new(),
        repository: None,
        jupyterhub: None,
        endpoints: Endpoints::default(),
        databases: databases.into_values().collect(),
    }
}

fn table(declared: DeclaredTable) -> CatalogTable {
    let mut partitions = declared.declaration.table.partition_by;
    for partition in &mut partitions {
        let column = declared.columns.iter().find(|c| c.name == partition.name);
        if let Some(column) = column {
            partition.data_type = Some(column.data_type.clone());
        }
    }
    let mut columns = declared.columns;
    for column in &mut columns {
        column.docs = without_links(&column.docs);
    }
    let mut table = CatalogTable {
        rust_path: format!("{}::{}", declared.module, declared.declaration.item),
        columns,
        partition_by: partitions,
        ..declared.declaration.table
    };
    table.docs = without_links(&table.docs);
    if let Some(deprecated) = &mut table.deprecated {
        deprecated.note = without_links(&deprecated.note);
    }
    table
}

/// Links to other items as plain code: only the reader of the source can follow them.
fn without_links(docs: &str) -> String {
    let mut plain = String::with_capacity(docs.len());
    let mut rest = docs;
    while let Some((before, link)) = rest.split_once("[`") {
        plain.push_str(before);
        match link.split_once("`]") {
            Some((name, after)) if !name.contains('`') && !after.starts_with(['(', '[']) => {
                plain.push('`');
                plain.push_str(name);
                plain.push('`');
                rest = after;
            }
            _ => {
                plain.push_str("[`");
                rest = link;
            }
        }
    }
    plain + rest
}

/// A table by its struct.
#[cfg(feature = "client")]
pub(crate) fn declared<T: Table>() -> DeclaredTable {
    inventory::iter::<Registration>
        .into_iter()
        .find(|found| found.module == T::MODULE && found.declaration == T::DECLARATION)
        .map(declared_table)
        .expect("the macro registers what it makes a table")
}

/// Database and name of a table.
#[cfg(feature = "engine")]
pub(crate) fn names<T: Table>() -> (String, String) {
    let declaration: TableDeclaration = parse(T::DECLARATION);
    names_of(T::MODULE, &declaration)
}

/// All functions with their databases and names.
#[cfg(feature = "engine")]
pub(crate) fn functions() -> impl Iterator<Item = (String, String, crate::functions::Rows)> {
    inventory::iter::<Registration>
        .into_iter()
        .filter_map(|registration| {
            let rows = registration.rows?;
            let declaration: TableDeclaration = parse(registration.declaration);
            let (database, table) = names_of(registration.module, &declaration);
            Some((database, table, rows))
        })
}

#[cfg(feature = "engine")]
fn names_of(module: &str, declaration: &TableDeclaration) -> (String, String) {
    let database = database_of(module, declaration.database.as_deref());
    let table = declaration.table.name.clone();
    (database.unwrap_or_default().to_owned(), table)
}

fn declared_table(registration: &Registration) -> DeclaredTable {
    let declaration: TableDeclaration = parse(registration.declaration);
    let columns = match &declaration.rows {
        Some(rows) => columns_of(rows, registration.nested),
        None => resolve(&declaration.columns, registration.nested),
    };
    DeclaredTable {
        // `r#type` is Rust's way of writing `type`.
        module: registration.module.replace("::r#", "::"),
        declaration,
        columns,
    }
}

/// Written by `#[derive(Columns)]`.
#[doc(hidden)]
pub fn resolve_columns(
    declaration: &'static str,
    nested: &[(&'static str, ColumnsOf)],
) -> Vec<Column> {
    let columns: Vec<Column<TypeRef>> = parse(declaration);
    resolve(&columns, nested)
}

fn resolve(columns: &[ColumnDeclaration], nested: &[(&'static str, ColumnsOf)]) -> Vec<Column> {
    let mut fields_of = |path: &str| Ok(columns_of(path, nested));
    columns
        .iter()
        .map(|column| {
            let resolved: Result<Column, std::convert::Infallible> = column.resolve(&mut fields_of);
            match resolved {
                Ok(column) => column,
                Err(never) => match never {},
            }
        })
        .collect()
}

fn columns_of(path: &str, nested: &[(&'static str, ColumnsOf)]) -> Vec<Column> {
    let same = |known: &str| known.replace(' ', "") == path.replace(' ', "");
    nested
        .iter()
        .find(|(known, _)| same(known))
        .map(|(_, columns)| columns())
        .expect("the macro lists every struct that the declaration names")
}

fn parse<T: serde::de::DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).expect("the macro wrote this JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_to_items_become_plain() {
        let docs = "See [`crate::neural::Spikes`], [`a`](https://example.com) and `[`.";
        let plain = "See `crate::neural::Spikes`, [`a`](https://example.com) and `[`.";
        assert_eq!(without_links(docs), plain);
    }
}
