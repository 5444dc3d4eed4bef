//! The nouns: a catalog holds databases, a database holds tables, a table holds columns.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::types::Type;
use crate::value::Value;

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_false(value: &bool) -> bool {
    !*value
}

/// Everything one workspace declares. Databases are sorted by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    /// See [`crate::document::FORMAT_VERSION`].
    pub format_version: u32,
    /// First part of `catalog.database.table` in SQL.
    pub name: String,
    /// What people call the catalog; shown on the site. Empty: `name` is shown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// Markdown from the crate's `//!` comment.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docs: String,
    /// Address of the source repository, without a trailing slash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Address of a JupyterHub; enables "Run on JupyterHub".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jupyterhub: Option<String>,
    /// Where the running platform answers; used in snippets.
    #[serde(default)]
    pub endpoints: Endpoints,
    /// Sorted by name.
    pub databases: Vec<Database>,
}

/// Where clients reach the running platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Endpoints {
    /// Base address of the HTTP doors, without a trailing slash.
    pub http: String,
    /// `host:port` of the Postgres wire door. `None`: the platform has none, and what needs it is not
    /// made: some snippets, and everything for Grafana.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<String>,
    /// Whether clients need an account there: a name and a token, which snippets take from the
    /// environment.
    #[serde(default, skip_serializing_if = "is_false")]
    pub accounts: bool,
}

impl Default for Endpoints {
    fn default() -> Self {
        Self {
            http: "http://127.0.0.1:8080".into(),
            postgres: None,
            accounts: false,
        }
    }
}

/// A named group of tables: one top-level module of a declaring crate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Database {
    /// Lower-case identifier, unique in the catalog.
    pub name: String,
    /// Markdown from the module's doc comment; links as in [`Table::docs`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docs: String,
    /// Where the module is declared.
    pub location: Location,
    /// Sorted by name.
    pub tables: Vec<Table>,
}

/// A position in a source file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
pub struct Location {
    /// Path relative to the workspace root, with `/`.
    pub file: String,
    /// First line is 1.
    pub line: u32,
}

/// One table: anything that answers with rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Lower-case identifier, unique in the database.
    pub name: String,
    /// Markdown. A link to a table has the destination `table:database.table`, a link to a column
    /// `table:database.table#column`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docs: String,
    /// Where the rows come from.
    pub source: Source,
    /// Named storage instance or connection, configured outside of the source code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// In the order of declaration. Empty: the schema is read from the source at run time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Column>,
    /// Partition columns, outermost first. They also stand in `columns` when those are declared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partition_by: Vec<Partition>,
    /// Columns by which rows are clustered inside files: filters on them skip files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sort_by: Vec<String>,
    /// Columns that identify a row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unique_by: Vec<String>,
    /// Team or person that answers questions about the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Sorted, without duplicates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// How old the newest row may be, such as `2s`, `15m`, `24h`, `7d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freshness: Option<String>,
    /// Whether the table takes events: rows that clients send to the ingestion door.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ingest: bool,
    /// Tables that this one is made from (lineage), sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Input>,
    /// Example notebooks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notebooks: Vec<Notebook>,
    /// Values that make a small, meaningful query; they fill every snippet. In the order given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub example: Vec<(String, Value)>,
    /// Present when the table should no longer be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<Deprecation>,
    /// Other names that search should find.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Not on the site, but still served.
    #[serde(default, skip_serializing_if = "is_false")]
    pub hidden: bool,
    /// A `#[cfg]` predicate that could not be decided from the source, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cfg: Option<String>,
    /// Path of the Rust item, such as `neurolake_demo::neural::Spikes`.
    pub rust_path: String,
    /// Where the item is declared.
    pub location: Location,
}

/// Where the rows of a table come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Source {
    /// A Delta Lake table.
    Delta {
        /// Object store address or path of the table's root.
        uri: String,
    },
    /// A folder of Parquet files.
    Parquet {
        /// Object store address or path of the root folder.
        uri: String,
        /// How partition values stand in the path.
        partitioning: Partitioning,
    },
    /// A table of a PostgreSQL database; the store names the connection.
    Postgres {
        /// Schema and name, such as `public.animals`.
        relation: String,
    },
    /// A Google Sheet.
    Sheet {
        /// The spreadsheet's id, as in its address.
        spreadsheet: String,
        /// Name of the tab. `None`: the first one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tab: Option<String>,
        /// Cells in A1 notation. `None`: all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        range: Option<String>,
        /// Number of the row that holds the column names, counted from 1.
        header_row: u32,
        /// How long an answer may be cached, such as `10m`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refresh: Option<String>,
    },
    /// A view in SQL.
    Sql {
        /// One `select` statement.
        query: String,
    },
    /// A Rust function.
    Function {
        /// Typed filters that the function takes. In the order of declaration.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        arguments: Vec<Argument>,
    },
}

impl Source {
    /// The stable name of the kind: `delta`, `parquet`, `postgres`, `sheet`, `sql` or `function`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Delta { .. } => "delta",
            Self::Parquet { .. } => "parquet",
            Self::Postgres { .. } => "postgres",
            Self::Sheet { .. } => "sheet",
            Self::Sql { .. } => "sql",
            Self::Function { .. } => "function",
        }
    }

    /// What people call the kind: `Delta`, `Google Sheet`...
    pub fn label(&self) -> &'static str {
        match self {
            Self::Delta { .. } => "Delta",
            Self::Parquet { .. } => "Parquet",
            Self::Postgres { .. } => "PostgreSQL",
            Self::Sheet { .. } => "Google Sheet",
            Self::Sql { .. } => "SQL view",
            Self::Function { .. } => "Function",
        }
    }
}

/// How partition values stand in the path of a Parquet file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Partitioning {
    /// Not at all.
    None,
    /// `.../implant_id=7/date=2026-03-01/...`
    Hive,
    /// `.../7/2026-03-01/...`
    Directory,
}

/// A typed, filterable argument of a function table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Argument {
    /// Name, as used in filters.
    pub name: String,
    /// Type of its values.
    #[serde(rename = "type")]
    pub data_type: Type,
    /// Whether a query must give it.
    pub required: bool,
}

/// A partition column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Partition {
    /// Name of the column.
    pub name: String,
    /// `None` where neither the declaration nor a column says it.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub data_type: Option<Type>,
}

/// A column of a table.
// `T` is `TypeRef` in a declaration whose names are not resolved yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column<T = Type> {
    /// Name in the stored table.
    pub name: String,
    /// Type of its values.
    #[serde(rename = "type")]
    pub data_type: T,
    /// Whether it may hold nulls.
    pub nullable: bool,
    /// Markdown; links as in [`Table::docs`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docs: String,
    /// Unit of measure, such as `uV`, `ms`, `degC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Holds personal data.
    #[serde(default, skip_serializing_if = "is_false")]
    pub pii: bool,
    /// Schema version that introduced the column. `None`: the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u32>,
    /// Former name, kept for readers of old files and for redirects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<String>,
    /// Present when the column should no longer be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<Deprecation>,
    /// Other names that search should find.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
}

/// A table that another one reads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Input {
    /// Name of the database.
    pub database: String,
    /// Name of the table.
    pub table: String,
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.table)
    }
}

/// A link to an example notebook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notebook {
    /// Text of the link.
    pub title: String,
    /// Address, or path in the repository.
    pub url: String,
}

/// Why something should no longer be used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Deprecation {
    /// Since when, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Markdown; links as in [`Table::docs`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// The table that replaces it: the first table linked in the note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacement: Option<Input>,
}

impl Catalog {
    /// The name for people.
    pub fn display_title(&self) -> &str {
        if self.title.is_empty() {
            &self.name
        } else {
            &self.title
        }
    }

    /// All tables with their databases, in the order of the document.
    pub fn tables(&self) -> impl Iterator<Item = (&Database, &Table)> {
        self.databases
            .iter()
            .flat_map(|database| database.tables.iter().map(move |table| (database, table)))
    }

    /// Finds a table by its names.
    pub fn table(&self, database: &str, table: &str) -> Option<&Table> {
        let database = self.databases.iter().find(|d| d.name == database)?;
        database.tables.iter().find(|t| t.name == table)
    }

    /// For each table, the tables that read it, sorted.
    pub fn outputs(&self) -> BTreeMap<Input, Vec<Input>> {
        let mut outputs: BTreeMap<Input, Vec<Input>> = BTreeMap::new();
        for (database, table) in self.tables() {
            for input in &table.inputs {
                outputs.entry(input.clone()).or_default().push(Input {
                    database: database.name.clone(),
                    table: table.name.clone(),
                });
            }
        }
        outputs
    }
}

impl Table {
    /// The first paragraph of the documentation on one line.
    pub fn summary(&self) -> String {
        summary(&self.docs)
    }

    /// Finds a top-level column by name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Type of what can be filtered by this name: a column, a partition or an argument.
    pub fn filter_type(&self, name: &str) -> Option<&Type> {
        if let Some(column) = self.column(name) {
            return Some(&column.data_type);
        }
        if let Some(partition) = self.partition_by.iter().find(|p| p.name == name) {
            return partition.data_type.as_ref();
        }
        if let Source::Function { arguments } = &self.source {
            return arguments
                .iter()
                .find(|argument| argument.name == name)
                .map(|argument| &argument.data_type);
        }
        None
    }

    /// Whether values of this column stand in the path instead of in the files.
    pub fn is_partition(&self, column: &str) -> bool {
        self.partition_by.iter().any(|p| p.name == column)
    }
}

/// The first paragraph of a Markdown text on one line.
pub fn summary(docs: &str) -> String {
    let paragraph = docs.trim_start().split("\n\n").next().unwrap_or_default();
    paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
}
