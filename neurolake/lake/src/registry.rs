//! Every declaration that is linked into the program.
//!
//! A crate whose items nobody uses may be dropped by the linker together with its declarations;
//! mention it (`use my_lake as _;`) in the program that asks.

use neurolake_model::Column;
use neurolake_model::declaration::{ColumnDeclaration, DeclaredTable, TableDeclaration, TypeRef};

/// Gives the columns of a struct that a column or a function names.
type ColumnsOf = fn() -> Vec<Column>;

/// Written by `#[table]`.
#[doc(hidden)]
pub struct Registration {
    pub module: &'static str,
    pub declaration: &'static str,
    pub nested: &'static [(&'static str, ColumnsOf)],
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
