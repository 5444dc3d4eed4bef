//! One `#[table]` item as it is written, before names in it are resolved.
//!
//! The proc macro stores this as JSON in the compiled crate, the source reader keeps it in memory.
//! Both get it from the same parser; comparing the two lists shows that the site documents what
//! the program serves.

use serde::{Deserialize, Serialize};

use crate::catalog::{Column, Table};
use crate::types::Type;

/// A column type that may name a struct deriving `Columns`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TypeRef {
    /// Holds no struct.
    Known(Type),
    /// Path of a struct, as written.
    Named(String),
    /// See [`Type::List`].
    List {
        /// Type of the elements.
        item: Box<TypeRef>,
        /// Whether elements may be null.
        nullable: bool,
    },
    /// See [`Type::Map`].
    Map {
        /// Type of the keys.
        key: Type,
        /// Type of the values.
        value: Box<TypeRef>,
        /// Whether values may be null.
        nullable: bool,
    },
}

impl TypeRef {
    /// Replaces struct names by their fields.
    ///
    /// # Errors
    /// Passes on the first error of `fields_of`, which gets the path as written.
    pub fn resolve<E>(
        &self,
        fields_of: &mut dyn FnMut(&str) -> Result<Vec<Column>, E>,
    ) -> Result<Type, E> {
        Ok(match self {
            Self::Known(known) => known.clone(),
            Self::Named(path) => Type::Struct {
                fields: fields_of(path)?,
            },
            Self::List { item, nullable } => Type::List {
                item: Box::new(item.resolve(fields_of)?),
                nullable: *nullable,
            },
            Self::Map {
                key,
                value,
                nullable,
            } => Type::Map {
                key: Box::new(key.clone()),
                value: Box::new(value.resolve(fields_of)?),
                nullable: *nullable,
            },
        })
    }

    /// Paths of all structs that it names.
    pub fn names(&self) -> Option<&str> {
        match self {
            Self::Known(_) => None,
            Self::Named(path) => Some(path),
            Self::List { item, .. } => item.names(),
            Self::Map { value, .. } => value.names(),
        }
    }
}

/// A column whose type may name a struct.
pub type ColumnDeclaration = Column<TypeRef>;

impl ColumnDeclaration {
    /// The column with its type resolved by [`TypeRef::resolve`].
    ///
    /// # Errors
    /// Passes on the first error of `fields_of`.
    pub fn resolve<E>(
        &self,
        fields_of: &mut dyn FnMut(&str) -> Result<Vec<Column>, E>,
    ) -> Result<Column, E> {
        Ok(Column {
            name: self.name.clone(),
            data_type: self.data_type.resolve(fields_of)?,
            nullable: self.nullable,
            docs: self.docs.clone(),
            unit: self.unit.clone(),
            pii: self.pii,
            since: self.since,
            renamed_from: self.renamed_from.clone(),
            deprecated: self.deprecated.clone(),
            aliases: self.aliases.clone(),
        })
    }
}

/// A `#[table]` item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableDeclaration {
    /// Name of the Rust item.
    pub item: String,
    /// The database, where the attribute overrides the module.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Columns of a schema struct.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<ColumnDeclaration>,
    /// Path of the struct that holds a function's columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<String>,
    /// Tables that are read: Rust paths, or `database.table`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<String>,
    /// Everything that needs no resolving. `columns`, `inputs`, `rust_path`, `location` and `cfg`
    /// are empty, and links in Markdown are as written.
    pub table: Table,
}

/// A struct that derives `Columns`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnsDeclaration {
    /// Name of the Rust item.
    pub item: String,
    /// Its fields.
    pub columns: Vec<ColumnDeclaration>,
}

/// A declaration with its module and its resolved columns: what the macro's registry and the
/// source reader must agree on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeclaredTable {
    /// Module path, such as `neurolake_demo::neural`.
    pub module: String,
    /// As written.
    pub declaration: TableDeclaration,
    /// Columns of the schema struct or of `rows`, with nested structs filled in.
    pub columns: Vec<Column>,
}

impl DeclaredTable {
    /// Name of the database: the override, or the top-level module. `None` at the crate root.
    pub fn database(&self) -> Option<&str> {
        database_of(&self.module, self.declaration.database.as_deref())
    }
}

/// Name of the database of a table in this module: the override, or the top-level module. `None`
/// at the crate root.
pub fn database_of<'a>(module: &'a str, overridden: Option<&'a str>) -> Option<&'a str> {
    if overridden.is_some() {
        return overridden;
    }
    let module = module.split("::").nth(1)?;
    Some(module.strip_prefix("r#").unwrap_or(module))
}
