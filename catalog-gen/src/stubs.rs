//! Typed stubs for the Python client: what editors and type checkers know of one catalog.
//!
//! The files are a stub package of PEP 561. Databases and tables are both attributes, which every
//! editor completes, and literal overloads of `db()` and `table()`, which type checkers follow.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use neurolake_model::{Argument, Catalog, Column, Database, Source, Table, Type};

use crate::snippets::{is_python_keyword, python_string};

const HEAD: &str = include_str!("stubs/head.pyi");

/// Members of the client's classes: a database or table of such a name is reached by `db()`,
/// `table()` or `[...]` only.
const OF_CATALOG: &[&str] = &[
    "name",
    "title",
    "docs",
    "databases",
    "db",
    "sql",
    "ingest",
    "open_blob",
];
const OF_DATABASE: &[&str] = &["name", "docs", "tables", "table", "sql"];

/// A file of the package: its path and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StubFile {
    /// With `/`, relative to the folder of the package.
    pub path: &'static str,
    /// All of it.
    pub text: String,
}

/// All files of the stub package. The same catalog gives the same bytes.
pub fn package(catalog: &Catalog) -> Vec<StubFile> {
    let stub = Writer::new(catalog).write();
    let manifest = manifest(catalog, &stub);
    vec![
        StubFile {
            path: "neurolake-stubs/__init__.pyi",
            text: stub,
        },
        StubFile {
            // The rest of the client brings its own types.
            path: "neurolake-stubs/py.typed",
            text: "partial\n".into(),
        },
        StubFile {
            path: "pyproject.toml",
            text: manifest,
        },
    ]
}

fn manifest(catalog: &Catalog, stub: &str) -> String {
    // A version of its own for every content, or pip would keep the older one.
    let version = fingerprint(stub.as_bytes());
    format!(
        "# Made by `catalog-gen stubs`.\n\
         [build-system]\n\
         requires = [\"hatchling>=1.25\"]\n\
         build-backend = \"hatchling.build\"\n\n\
         [project]\n\
         name = \"neurolake-stubs\"\n\
         version = \"0.1.0+{version:016x}\"\n\
         description = \"Types of the catalog {} for editors\"\n\
         requires-python = \">=3.10\"\n\
         dependencies = [\"neurolake\"]\n\n\
         [tool.hatch.build.targets.wheel]\n\
         packages = [\"neurolake-stubs\"]\n",
        catalog.name
    )
}

/// FNV-1a: the same on every machine and in every version of the compiler.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

struct Writer<'a> {
    catalog: &'a Catalog,
    /// Names of classes, which must differ although `a.b_c` and `a_b.c` read alike.
    classes: BTreeSet<String>,
    out: String,
}

impl<'a> Writer<'a> {
    fn new(catalog: &'a Catalog) -> Self {
        Self {
            catalog,
            classes: BTreeSet::new(),
            out: HEAD.to_owned(),
        }
    }

    fn write(mut self) -> String {
        let mut databases = Vec::new();
        for database in &self.catalog.databases {
            let mut tables = Vec::new();
            for table in &database.tables {
                tables.push((table, self.table(database, table)));
            }
            databases.push((database, self.database(database, &tables)));
        }
        self.catalog(&databases);
        self.out
    }

    fn class(&mut self, parts: &[&str]) -> String {
        let mut name = format!("_{}", parts.join("__"));
        // Identifiers of the catalog are Rust's, which Python takes as well.
        while !self.classes.insert(name.clone()) {
            name.push('_');
        }
        name
    }

    fn line(&mut self, indent: usize, text: &str) {
        let indent = if text.is_empty() { 0 } else { indent * 4 };
        let _ = writeln!(self.out, "{:indent$}{text}", "");
    }

    fn docs(&mut self, indent: usize, text: &str) {
        if !text.is_empty() {
            let text = python_string(text);
            self.line(indent, &text);
        }
    }

    /// Classes of one table; gives the name of the one that stands for it.
    fn table(&mut self, database: &Database, table: &Table) -> String {
        let class = self.class(&[&database.name, &table.name]);
        let filters = filters(table);
        self.line(0, "");
        self.line(
            0,
            &format!("class {class}__filters(TypedDict, total=False):"),
        );
        if filters.is_empty() {
            self.line(1, "...");
        }
        for filter in &filters {
            let hint = if filter.required {
                format!("Required[{}]", filter.hint)
            } else {
                filter.hint.clone()
            };
            self.line(1, &format!("{}: {hint}", filter.name));
        }
        let columns = columns(table);
        self.line(0, "");
        self.line(0, &format!("class {class}__columns:"));
        for column in columns.iter().filter(|c| is_attribute(&c.name, &[])) {
            self.line(1, &format!("{}: pl.Expr", column.name));
            self.docs(1, &column_docs(column));
        }
        self.line(1, "def __getitem__(self, name: str, /) -> pl.Expr: ...");
        self.line(0, "");
        self.line(0, &format!("class {class}(Table):"));
        self.docs(1, &table_docs(table));
        self.line(1, "@property");
        self.line(1, &format!("def c(self) -> {class}__columns: ..."));
        self.line(1, "def __call__(");
        self.line(2, "self,");
        self.line(2, "*,");
        for option in options(table) {
            self.line(2, &option);
        }
        for filter in &filters {
            let default = if filter.required { "" } else { " = ..." };
            self.line(2, &format!("{}: {}{default},", filter.name, filter.hint));
        }
        self.line(1, ") -> pl.LazyFrame: ...");
        class
    }

    fn database(&mut self, database: &Database, tables: &[(&Table, String)]) -> String {
        let class = self.class(&[&database.name]);
        self.line(0, "");
        self.line(0, &format!("class {class}(Database):"));
        self.docs(
            1,
            &plain(&neurolake_model::catalog::summary(&database.docs)),
        );
        for (table, of) in tables {
            if is_attribute(&table.name, OF_DATABASE) {
                self.property(&table.name, of, &table_docs(table));
            }
        }
        let overload = overload(tables.len());
        if tables.is_empty() {
            self.line(1, "...");
        }
        for (table, of) in tables {
            self.line(1, overload);
            self.line(1, "def table(");
            self.line(2, "self,");
            self.line(
                2,
                &format!("name: Literal[{}],", python_string(&table.name)),
            );
            self.line(2, "/,");
            self.line(2, "*,");
            for option in options(table) {
                self.line(2, &option);
            }
            self.line(2, &format!("**values: Unpack[{of}__filters],"));
            self.line(1, ") -> pl.LazyFrame: ...");
        }
        for (table, of) in tables {
            self.line(1, overload);
            let name = python_string(&table.name);
            self.line(
                1,
                &format!("def __getitem__(self, name: Literal[{name}], /) -> {of}: ..."),
            );
        }
        class
    }

    fn property(&mut self, name: &str, class: &str, docs: &str) {
        self.line(1, "@property");
        self.line(1, &format!("def {name}(self) -> {class}:"));
        self.docs(2, docs);
        self.line(2, "...");
    }

    fn catalog(&mut self, databases: &[(&Database, String)]) {
        self.line(0, "");
        self.line(0, "class Catalog(_Catalog):");
        self.docs(
            1,
            &plain(&neurolake_model::catalog::summary(&self.catalog.docs)),
        );
        for (database, class) in databases {
            if is_attribute(&database.name, OF_CATALOG) {
                let docs = plain(&neurolake_model::catalog::summary(&database.docs));
                self.property(&database.name, class, &docs);
            }
        }
        let overload = overload(databases.len());
        for method in ["db", "__getitem__"] {
            for (database, class) in databases {
                let name = python_string(&database.name);
                self.line(1, overload);
                self.line(
                    1,
                    &format!("def {method}(self, name: Literal[{name}], /) -> {class}: ..."),
                );
            }
        }
        if databases.is_empty() {
            self.line(1, "...");
        }
        self.ingest(1);
        self.line(0, "");
        self.line(0, "catalog: Catalog");
        self.line(0, "");
        self.line(0, "def connect(");
        for line in [
            "where: str | PathLike[str] | None = None,",
            "*,",
            "server: str | None = None,",
            "storage_options: Mapping[str, str] | None = None,",
            "direct: bool = True,",
        ] {
            self.line(1, line);
        }
        self.line(0, ") -> Catalog: ...");
        self.ingest(0);
    }

    /// The call that sends events, for the tables that take them.
    fn ingest(&mut self, indent: usize) {
        let taking = self.catalog.tables().filter(|(_, table)| table.ingest);
        let names: Vec<String> = taking
            .map(|(database, table)| python_string(&format!("{}.{}", database.name, table.name)))
            .collect();
        if names.is_empty() {
            return;
        }
        self.line(0, "");
        self.line(indent, "def ingest(");
        if indent > 0 {
            self.line(indent + 1, "self,");
        }
        let table = format!("table: Literal[{}],", names.join(", "));
        for line in [
            table.as_str(),
            "rows: Any,",
            "*,",
            "key: str | None = None,",
            "ack: Literal[\"queued\", \"committed\"] = \"queued\",",
            "invalid: Literal[\"reject\", \"skip\", \"quarantine\"] = \"reject\",",
            "timeout: float = 30.0,",
            "patience: float = 60.0,",
        ] {
            self.line(indent + 1, line);
        }
        self.line(indent, ") -> Ingested: ...");
    }
}

/// A single function is no overload.
fn overload(number: usize) -> &'static str {
    if number > 1 { "@overload" } else { "" }
}

/// A keyword of `table()`.
struct Filter {
    name: String,
    hint: String,
    required: bool,
}

fn columns(table: &Table) -> Vec<Column> {
    let mut columns = table.columns.clone();
    for partition in &table.partition_by {
        if let (None, Some(data_type)) = (table.column(&partition.name), &partition.data_type) {
            columns.push(Column {
                name: partition.name.clone(),
                data_type: data_type.clone(),
                nullable: false,
                docs: String::new(),
                unit: None,
                pii: false,
                since: None,
                renamed_from: None,
                deprecated: None,
                aliases: Vec::new(),
            });
        }
    }
    columns
}

fn filters(table: &Table) -> Vec<Filter> {
    let arguments: &[Argument] = match &table.source {
        Source::Function { arguments } => arguments,
        _ => &[],
    };
    let columns = columns(table);
    let is_column = |name: &str| columns.iter().any(|column| column.name == name);
    let only_arguments = arguments.iter().filter(|a| !is_column(&a.name));
    let mut filters: Vec<Filter> = only_arguments
        .map(|argument| Filter {
            name: argument.name.clone(),
            hint: argument_hint(&argument.data_type),
            required: argument.required,
        })
        .collect();
    for column in &columns {
        filters.push(Filter {
            name: column.name.clone(),
            hint: filter_hint(&column.data_type),
            // A later condition on the frame may give it, too.
            required: false,
        });
    }
    // The client reads a mapping in `storage_options` as what it is for every table.
    filters.retain(|filter| is_python_keyword(&filter.name) && filter.name != "storage_options");
    filters
}

/// Parameters of every table.
fn options(table: &Table) -> Vec<String> {
    let names: Vec<String> = columns(table)
        .iter()
        .map(|column| python_string(&column.name))
        .collect();
    let name = if names.is_empty() {
        "str".to_owned()
    } else {
        format!("Literal[{}]", names.join(", "))
    };
    let mut options = vec![
        "filters: _Filters = ...,".to_owned(),
        format!("columns: Sequence[{name}] | None = ...,"),
    ];
    if matches!(table.source, Source::Delta { .. }) {
        options.push("version: int | None = ...,".into());
        options.push("as_of: str | date | datetime | None = ...,".into());
    }
    options.push("storage_options: Mapping[str, str] | None = ...,".into());
    options
}

/// Values that can stand for one of the type.
fn value_hint(data_type: &Type) -> Option<String> {
    Some(match data_type {
        Type::Bool => "bool".into(),
        Type::Float32 | Type::Float64 => "float".into(),
        Type::String => "str".into(),
        Type::Binary => "bytes".into(),
        Type::Date => "_Date".into(),
        Type::Timestamp => "_Timestamp".into(),
        Type::Decimal { .. } => "_Decimal".into(),
        Type::List { item, .. } => format!("Sequence[{}]", value_hint(item)?),
        Type::Map { .. } | Type::Struct { .. } | Type::Blob => return None,
        _ => "int".into(),
    })
}

/// One value, null, or any of several.
fn filter_hint(data_type: &Type) -> String {
    match value_hint(data_type) {
        Some(hint) => format!("_Any[{hint}]"),
        None => "None".into(),
    }
}

fn argument_hint(data_type: &Type) -> String {
    match value_hint(data_type) {
        Some(hint) => format!("{hint} | None"),
        None => "None".into(),
    }
}

/// Whether Python reads the name as an attribute, and the client gives it.
fn is_attribute(name: &str, taken: &[&str]) -> bool {
    // What only `table()` can't take as a keyword is fine behind a point.
    let parameters = ["self", "name", "filters", "columns", "version", "as_of"];
    !name.starts_with('_')
        && (is_python_keyword(name) || parameters.contains(&name))
        && !taken.contains(&name)
}

fn table_docs(table: &Table) -> String {
    let mark = if table.deprecated.is_some() {
        "Deprecated. "
    } else {
        ""
    };
    format!("{mark}{}", plain(&table.summary()))
}

fn column_docs(column: &Column) -> String {
    let unit = column.unit.as_ref().map(|unit| format!(" [{unit}]"));
    let docs = plain(&neurolake_model::catalog::summary(&column.docs));
    format!("{}{}. {docs}", column.data_type, unit.unwrap_or_default())
        .trim_end_matches(". ")
        .to_owned()
}

/// Markdown without the marks of code and the destinations of links.
fn plain(markdown: &str) -> String {
    let mut out = String::with_capacity(markdown.len());
    let mut rest = markdown;
    while let Some(at) = rest.find("](") {
        let (before, after) = rest.split_at(at);
        let Some(open) = before.rfind('[') else {
            out.push_str(&rest[..at + 2]);
            rest = &after[2..];
            continue;
        };
        let Some(close) = after.find(')') else { break };
        out.push_str(&before[..open]);
        out.push_str(&before[open + 1..]);
        rest = &after[close + 1..];
    }
    out.push_str(rest);
    out.replace('`', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_become_their_text() {
        for (markdown, text) in [
            ("plain", "plain"),
            (
                "see [`a.b`](table:a.b), then [c](table:c#d).",
                "see a.b, then c.",
            ),
            ("array[0](x) and a](b", "array0 and a](b"),
        ] {
            assert_eq!(plain(markdown), text);
        }
    }

    #[test]
    fn members_of_the_client_are_no_tables() {
        for (name, is) in [
            ("spikes", true),
            ("filters", true),
            ("table", false),
            ("sql", false),
            ("yield", false),
            ("_hidden", false),
            ("größe", false),
        ] {
            assert_eq!(is_attribute(name, OF_DATABASE), is, "{name}");
        }
    }

    #[test]
    fn fingerprints_are_those_of_the_algorithm() {
        assert_eq!(fingerprint(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fingerprint(b"a"), 0xaf63_dc4c_8601_ec8c);
    }
}
