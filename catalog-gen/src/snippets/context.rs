//! What a template sees of a table. Strings are made when a template asks for them, because most
//! templates ask for few.

use std::borrow::Borrow;
use std::fmt::Write as _;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Enumerator, Object};
use neurolake_model::{Catalog, Database, Partitioning, Source, Table, Type};

use super::filter::{self, Filter};
use super::graphql;
use super::literal::{self, Dialect};
use super::row::Row;
use crate::openapi;
use crate::site::percent_encode;

/// Rows that a snippet asks for.
const LIMIT: u32 = 10;

/// Names that a template may use.
pub(super) const VARIABLES: &[&str] = &[
    "accounts",
    "catalog",
    "database",
    "duckdb_secret",
    "filters",
    "glob",
    "graphql",
    "hive_types",
    "http",
    "kind",
    "limit",
    "partitioning",
    "postgres_host",
    "postgres_port",
    "python_imports",
    "rest",
    "root",
    "row_imports",
    "row_json",
    "row_python",
    "rust_arguments",
    "rust_imports",
    "rust_path",
    "sql",
    "store",
    "table",
    "uri",
];

/// Attributes of an element of `filters`.
pub(super) const FILTER_ATTRIBUTES: &[&str] = &[
    "duckdb",
    "in_path",
    "keyword",
    "name",
    "placeholder",
    "polars",
    "python",
    "rust",
    "spark",
    "sql",
    "tuple",
];

/// Attributes of an element of `hive_types`.
pub(super) const PARTITION_ATTRIBUTES: &[&str] = &["duckdb", "name", "polars"];

#[derive(Debug)]
pub(super) struct TableContext {
    catalog: Value,
    database: Value,
    table: Value,
    kind: &'static str,
    http: Value,
    postgres: Option<String>,
    accounts: bool,
    store: Option<Value>,
    rust_path: Value,
    files: Option<Files>,
    partitioning: &'static str,
    filters: Vec<Arc<Filter>>,
    filter_values: Value,
    hive_types: Vec<Value>,
    rust_arguments: Option<Vec<String>>,
    row: Option<Row>,
    sql: Value,
    graphql: Option<String>,
}

/// Where the files of a table lie.
#[derive(Debug)]
struct Files {
    uri: String,
    /// `uri`, followed by the example's values of directory partitions.
    root: Option<String>,
    /// All Parquet files below `root`.
    glob: Option<String>,
}

impl TableContext {
    pub(super) fn new(catalog: &Catalog, database: &Database, table: &Table) -> Self {
        let filters: Vec<Arc<Filter>> = filter::filters(table).into_iter().map(Arc::new).collect();
        Self {
            catalog: Value::from(catalog.name.as_str()),
            database: Value::from(database.name.as_str()),
            table: Value::from(table.name.as_str()),
            kind: table.source.kind(),
            http: Value::from(catalog.endpoints.http.as_str()),
            postgres: catalog.endpoints.postgres.clone(),
            accounts: catalog.endpoints.accounts,
            store: table.store.as_deref().map(Value::from),
            rust_path: Value::from(table.rust_path.as_str()),
            files: Files::new(table),
            partitioning: match table.source {
                Source::Parquet { partitioning, .. } => match partitioning {
                    Partitioning::None => "none",
                    Partitioning::Hive => "hive",
                    Partitioning::Directory => "directory",
                },
                _ => "none",
            },
            filter_values: filters
                .iter()
                .map(|filter| Value::from_dyn_object(filter.clone()))
                .collect(),
            hive_types: hive_types(table),
            rust_arguments: rust_arguments(table),
            row: Row::new(table),
            sql: Value::from(statement(&database.name, &table.name, &filters)),
            graphql: graphql::document(catalog, database, table, &filters, LIMIT),
            filters,
        }
    }

    fn files_column_filters(&self) -> impl Iterator<Item = &neurolake_model::Value> {
        let filters = self.filters.iter().filter(|filter| !filter.in_path);
        filters.flat_map(|filter| filter.condition.values())
    }

    fn rest(&self) -> Option<String> {
        let path = openapi::path(self.database.as_str()?, self.table.as_str()?);
        Some(format!("{path}?{}", rest_query(&self.filters)?))
    }

    fn postgres(&self) -> Option<(&str, &str)> {
        let address = self.postgres.as_deref()?;
        Some(match address.rsplit_once(':') {
            Some((host, port)) => (host.trim_matches(['[', ']']), port),
            None => (address, "5432"),
        })
    }
}

impl Object for TableContext {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let files = self.files.as_ref();
        let row = self.row.as_ref();
        Some(match key {
            "catalog" => self.catalog.clone(),
            "database" => self.database.clone(),
            "table" => self.table.clone(),
            "kind" => Value::from(self.kind),
            "http" => self.http.clone(),
            "accounts" => self.accounts.into(),
            "postgres_host" => Value::from(self.postgres().map(|(host, _)| host)),
            "postgres_port" => Value::from(self.postgres().map(|(_, port)| port)),
            "store" => Value::from(self.store.clone()),
            "rust_path" => self.rust_path.clone(),
            "rust_arguments" => Value::from(self.rust_arguments.clone()),
            "rust_imports" => rust_imports(&self.filters).into(),
            "row_imports" => row.map(Row::python_imports).unwrap_or_default().into(),
            "row_json" => Value::from(row.and_then(Row::json)),
            "row_python" => Value::from(row.and_then(Row::python)),
            "uri" => Value::from(files.map(|files| files.uri.as_str())),
            "root" => Value::from(files.and_then(|files| files.root.as_deref())),
            "glob" => Value::from(files.and_then(|files| files.glob.as_deref())),
            "duckdb_secret" => Value::from(files.and_then(|files| duckdb_secret(&files.uri))),
            "filters" => self.filter_values.clone(),
            "hive_types" => Value::from(self.hive_types.clone()),
            "python_imports" => literal::python_imports(self.files_column_filters()).into(),
            "partitioning" => Value::from(self.partitioning),
            "limit" => Value::from(LIMIT),
            "rest" => Value::from(self.rest()),
            "graphql" => Value::from(self.graphql.as_deref()),
            "sql" => self.sql.clone(),
            _ => return None,
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(VARIABLES)
    }
}

impl Object for Filter {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        Some(match key {
            "name" => Value::from(self.name.as_str()),
            "keyword" => Value::from(literal::is_python_keyword(&self.name)),
            "placeholder" => Value::from(self.placeholder),
            "in_path" => Value::from(self.in_path),
            "python" => Value::from(self.python()),
            "tuple" => Value::from(self.python_tuple()),
            "sql" => Value::from(self.sql(Dialect::Platform)),
            "duckdb" => Value::from(self.sql(Dialect::DuckDb)),
            "polars" => Value::from(self.polars()),
            "spark" => Value::from(self.spark()),
            "rust" => Value::from(self.rust()),
            _ => return None,
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(FILTER_ATTRIBUTES)
    }
}

/// A partition of a hive layout with its type.
#[derive(Debug)]
struct HiveType {
    name: String,
    data_type: Type,
}

impl Object for HiveType {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "name" => Value::from(self.name.as_str()),
            "polars" => Value::from(literal::polars_type(&self.data_type)),
            "duckdb" => Value::from(literal::duckdb_type(&self.data_type)),
            _ => return None,
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(PARTITION_ATTRIBUTES)
    }
}

/// All partitions of a hive layout, or none unless every type is known: clients take a complete
/// schema or infer it.
fn hive_types(table: &Table) -> Vec<Value> {
    let Source::Parquet {
        partitioning: Partitioning::Hive,
        ..
    } = table.source
    else {
        return Vec::new();
    };
    let types = table.partition_by.iter().map(|partition| {
        let data_type = partition
            .data_type
            .as_ref()
            .or_else(|| table.filter_type(&partition.name))?;
        literal::duckdb_type(data_type)?;
        Some(Value::from_object(HiveType {
            name: partition.name.clone(),
            data_type: data_type.clone(),
        }))
    });
    types.collect::<Option<Vec<_>>>().unwrap_or_default()
}

impl Files {
    fn new(table: &Table) -> Option<Self> {
        let (uri, partitioning) = match &table.source {
            Source::Delta { uri } => (uri, None),
            Source::Parquet { uri, partitioning } => (uri, Some(*partitioning)),
            _ => return None,
        };
        let trimmed = uri.trim_end_matches('/');
        let root = match partitioning {
            Some(Partitioning::Directory) => directory(trimmed, table),
            _ => Some(trimmed.to_owned()),
        };
        let glob = root.as_deref().filter(|_| partitioning.is_some());
        // A pattern would match other folders than the one that is meant.
        let glob = glob.filter(|_| !trimmed.contains(['*', '?', '[', '{']));
        Some(Self {
            uri: trimmed.to_owned(),
            glob: glob.map(|root| {
                if trimmed.ends_with(".parquet") {
                    root.to_owned()
                } else {
                    format!("{root}/**/*.parquet")
                }
            }),
            root,
        })
    }
}

/// The folder of the example's partition values; `None` where no folder has just these rows.
fn directory(uri: &str, table: &Table) -> Option<String> {
    use neurolake_model::Value as Example;
    let mut path = uri.to_owned();
    for partition in &table.partition_by {
        let example = table
            .example
            .iter()
            .find(|(name, _)| *name == partition.name);
        let value = match example.map(|(_, value)| value) {
            None => "*".to_owned(),
            Some(Example::Int(value)) => value.to_string(),
            Some(Example::Bool(value)) => value.to_string(),
            Some(Example::String(text) | Example::Date(text))
                if !text.is_empty() && !text.contains(['*', '?', '[', '{', '/', '%']) =>
            {
                text.clone()
            }
            Some(_) => return None,
        };
        path.push('/');
        path.push_str(&value);
    }
    while let Some(parent) = path.strip_suffix("/*") {
        path.truncate(parent.len());
    }
    Some(path)
}

/// The kind of secret that `DuckDB` needs to read with the reader's own credentials; empty where it
/// needs none, `None` where it cannot read: with GCS it speaks through HMAC keys only, and of
/// Azure's addresses it doesn't know the form `container@account`.
fn duckdb_secret(uri: &str) -> Option<&'static str> {
    let (scheme, rest) = uri.split_once("://").unwrap_or(("file", uri));
    match scheme {
        "s3" | "s3a" | "s3n" => Some("s3"),
        "az" | "azure" | "abfss" if !rest.contains('@') => Some("azure"),
        "file" | "http" | "https" => Some(""),
        _ => None,
    }
}

fn rust_imports(filters: &[Arc<Filter>]) -> Vec<&'static str> {
    use neurolake_model::Value as Example;
    let any = |wanted: fn(&Example) -> bool| {
        let mut values = filters.iter().flat_map(|filter| filter.condition.values());
        values.any(|value| match value {
            Example::List(items) => wanted(value) || items.iter().any(wanted),
            value => wanted(value),
        })
    };
    let mut lines = Vec::new();
    if any(|value| matches!(value, Example::Decimal(_))) {
        lines.push("use neurolake::datafusion::arrow::datatypes::DataType;");
    }
    if any(|value| matches!(value, Example::List(_))) {
        lines.push("use neurolake::datafusion::functions_nested::expr_fn::make_array;");
    }
    lines
}

/// The arguments of a function table behind `lake`; `None` for other tables, and where a value
/// cannot be written.
fn rust_arguments(table: &Table) -> Option<Vec<String>> {
    let Source::Function { arguments } = &table.source else {
        return None;
    };
    let written = arguments.iter().map(|argument| {
        let example = table
            .example
            .iter()
            .find(|(name, _)| *name == argument.name);
        let data_type = Some(&argument.data_type);
        match (example, argument.required) {
            (None, true) => {
                let value = literal::rust(&filter::placeholder(&argument.data_type), data_type)?;
                Some(format!("{value} /* {} */", argument.name))
            }
            (None | Some((_, neurolake_model::Value::Null)), false) => Some("None".to_owned()),
            (Some((_, value)), true) => literal::rust(value, data_type),
            (Some((_, value)), false) => {
                Some(format!("Some({})", literal::rust(value, data_type)?))
            }
        }
    });
    written.collect()
}

/// What stands behind `?` in an address of the REST door.
pub(super) fn rest_query<F: Borrow<Filter>>(filters: &[F]) -> Option<String> {
    let mut query = String::new();
    for filter in filters {
        let filter = filter.borrow();
        percent_encode(&mut query, &filter.name);
        query.push('=');
        percent_encode(&mut query, &filter.rest()?);
        query.push('&');
    }
    query.push_str(&any_rows());
    Some(query)
}

/// [`rest_query`] without conditions.
pub(super) fn any_rows() -> String {
    format!("limit={LIMIT}")
}

/// The statement for the platform's SQL doors, without a semicolon.
fn statement(database: &str, table: &str, filters: &[Arc<Filter>]) -> String {
    let mut sql = format!(
        "select *\nfrom {}.{}\n",
        literal::sql_name(database),
        literal::sql_name(table)
    );
    let conditions = filters
        .iter()
        .filter_map(|filter| filter.sql(Dialect::Platform));
    for (at, condition) in conditions.enumerate() {
        let word = if at == 0 { "where" } else { "  and" };
        let _ = writeln!(sql, "{word} {condition}");
    }
    let _ = write!(sql, "limit {LIMIT}");
    sql
}
