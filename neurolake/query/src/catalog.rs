//! Names to tables, lazily: nothing is opened before a statement names it.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::information_schema::{INFORMATION_SCHEMA, InformationSchemaProvider};
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, SchemaProvider, Session, TableProvider,
};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use neurolake_delta::{At, dead_letters};
use neurolake_model as model;

use crate::error::{Error, Kind, Result};
use crate::lake::{SYSTEM, Scope};
use crate::sources::function::{self, FunctionTable};
use crate::sources::{self, Declared, Source};
use crate::suggest::nearest;
use neurolake_delta::types::arrow_schema;

/// All declared tables by database and name.
pub(crate) struct Tables {
    catalog: Arc<model::Catalog>,
    databases: HashMap<String, HashMap<String, Entry>>,
}

struct Entry {
    declaration: Declaration,
    function: Option<Arc<dyn FunctionTable>>,
    source: OnceLock<Arc<dyn Source>>,
}

enum Declaration {
    /// Place in the catalog: of the database, of the table in it.
    Catalog(usize, usize),
    /// Beside a table that takes events. Not listed, like columns of a system.
    DeadLetters(Box<model::Table>),
    /// About the server itself. Not listed either.
    System(Box<model::Table>),
}

impl Entry {
    fn new(declaration: Declaration) -> Self {
        Self {
            declaration,
            function: None,
            source: OnceLock::new(),
        }
    }
}

impl Tables {
    pub(crate) fn new(
        catalog: Arc<model::Catalog>,
        mut functions: BTreeMap<(String, String), Arc<dyn FunctionTable>>,
        system: Vec<(model::Table, Arc<dyn FunctionTable>)>,
    ) -> Self {
        let mut databases: HashMap<String, HashMap<String, Entry>> = HashMap::new();
        for (outer, database) in catalog.databases.iter().enumerate() {
            let mut tables = HashMap::with_capacity(database.tables.len());
            for (inner, table) in database.tables.iter().enumerate() {
                let function = functions.remove(&(database.name.clone(), table.name.clone()));
                let entry = Entry {
                    function,
                    ..Entry::new(Declaration::Catalog(outer, inner))
                };
                tables.insert(table.name.clone(), entry);
            }
            for dead in database.tables.iter().filter_map(dead_letters::of) {
                tables
                    .entry(dead.name.clone())
                    .or_insert_with(|| Entry::new(Declaration::DeadLetters(Box::new(dead))));
            }
            databases.insert(database.name.clone(), tables);
        }
        for (table, function) in system {
            let tables = databases.entry(SYSTEM.to_owned()).or_default();
            tables.entry(table.name.clone()).or_insert_with(|| Entry {
                function: Some(function),
                ..Entry::new(Declaration::System(Box::new(table)))
            });
        }
        Self { catalog, databases }
    }

    /// The table of this name.
    pub(crate) fn find(&self, database: &str, table: &str) -> Result<Arc<dyn Source>> {
        let entry = self.entry(database, table)?;
        Ok(Arc::clone(entry.source.get_or_init(|| {
            let declared = Declared {
                database: database.to_owned(),
                table: self.declared(entry).clone(),
            };
            match entry.declaration {
                Declaration::Catalog(..) | Declaration::System(_) => {
                    sources::source(declared, entry.function.clone())
                }
                Declaration::DeadLetters(_) => sources::dead_letters(declared),
            }
        })))
    }

    fn entry(&self, database: &str, table: &str) -> Result<&Entry> {
        let Some(tables) = self.databases.get(database) else {
            return Err(self.no_database(database, table));
        };
        tables
            .get(table)
            .ok_or_else(|| self.no_table(database, table))
    }

    fn declared<'a>(&'a self, entry: &'a Entry) -> &'a model::Table {
        match &entry.declaration {
            Declaration::Catalog(database, table) => {
                &self.catalog.databases[*database].tables[*table]
            }
            Declaration::DeadLetters(table) | Declaration::System(table) => table,
        }
    }

    /// The declaration, where there is one of this name.
    pub(crate) fn declaration(&self, database: &str, table: &str) -> Option<&model::Table> {
        let entry = self.databases.get(database)?.get(table)?;
        Some(self.declared(entry))
    }

    fn no_database(&self, database: &str, table: &str) -> Error {
        if database == UNNAMED {
            return self.unnamed(table);
        }
        let error = not_found(format!("there is no database `{database}`"));
        match nearest(database, self.databases.keys().map(String::as_str)) {
            Some(name) => error.with_hint(format!("did you mean `{name}.{table}`?")),
            None => error.with_hint("see `show tables` for all names"),
        }
    }

    /// Why a name of one part is none.
    pub(crate) fn unnamed(&self, table: &str) -> Error {
        let error = not_found(format!("`{table}` is not the name of a table"));
        match self.elsewhere(table) {
            Some(name) => error.with_hint(format!("did you mean `{name}`?")),
            None => error.with_hint("tables are named `database.table`; see `show tables`"),
        }
    }

    fn no_table(&self, database: &str, table: &str) -> Error {
        let error = not_found(format!(
            "there is no table `{table}` in the database `{database}`"
        ));
        let known = self.databases.get(database).into_iter();
        let known = known.flat_map(HashMap::keys).map(String::as_str);
        if let Some(name) = nearest(table, known) {
            return error.with_hint(format!("did you mean `{database}.{name}`?"));
        }
        match self.elsewhere(table) {
            Some(name) => error.with_hint(format!("did you mean `{name}`?")),
            None => error.with_hint("see `show tables` for all names"),
        }
    }

    /// A table of this or nearly this name, in any database.
    fn elsewhere(&self, table: &str) -> Option<String> {
        let tables = || {
            let all = self.catalog.tables();
            all.map(|(database, table)| (database.name.as_str(), table.name.as_str()))
        };
        let name = nearest(table, tables().map(|(_, name)| name))?;
        let (database, _) = tables().find(|(_, known)| *known == name)?;
        Some(format!("{database}.{name}"))
    }
}

/// What DataFusion takes for the database of a table whose name has only one part. No declared
/// database has this name.
pub(crate) const UNNAMED: &str = "?";

fn not_found(message: String) -> Error {
    Error::new(Kind::NotFound, message)
}

/// The catalog of one session: `catalog.database.table`.
pub(crate) struct SessionCatalog {
    scope: Scope,
}

impl SessionCatalog {
    pub(crate) fn new(scope: Scope) -> Self {
        Self { scope }
    }
}

impl CatalogProvider for SessionCatalog {
    fn schema_names(&self) -> Vec<String> {
        let databases = &self.scope.access.catalog.databases;
        databases
            .iter()
            .map(|database| database.name.clone())
            .collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if name == INFORMATION_SCHEMA {
            let declarations = Declarations(self.scope.clone());
            return Some(Arc::new(InformationSchemaProvider::new(Arc::new(
                declarations,
            ))));
        }
        // Also for a name that doesn't exist: looking up a table in it gives the better error.
        Some(Arc::new(SessionDatabase {
            scope: self.scope.clone(),
            name: name.to_owned(),
        }))
    }
}

struct SessionDatabase {
    scope: Scope,
    name: String,
}

impl SessionDatabase {
    fn declaration(&self, table: &str) -> Option<Cow<'_, model::Table>> {
        let declared = self.scope.shared.tables.declaration(&self.name, table)?;
        self.scope.access.shown(&self.name, declared)
    }
}

#[async_trait]
impl SchemaProvider for SessionDatabase {
    fn table_names(&self) -> Vec<String> {
        let databases = &self.scope.access.catalog.databases;
        let database = databases.iter().find(|database| database.name == self.name);
        let tables = database.map_or(&[][..], |database| &database.tables);
        tables.iter().map(|table| table.name.clone()).collect()
    }

    async fn table(&self, name: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        if self.name == UNNAMED {
            // It may be a table function or a `with`; `explain_missing` looks at the rest.
            return Ok(None);
        }
        let (table, at) = parse_version(name)?;
        let provider = self.scope.provider(&self.name, table, at.as_ref()).await?;
        Ok(Some(provider))
    }

    async fn table_type(&self, name: &str) -> DataFusionResult<Option<TableType>> {
        Ok(self.declaration(name).as_deref().map(table_type))
    }

    fn table_exist(&self, name: &str) -> bool {
        parse_version(name).is_ok_and(|(name, _)| self.declaration(name).is_some())
    }
}

pub(crate) fn table_type(table: &model::Table) -> TableType {
    match table.source {
        model::Source::Sql { .. } => TableType::View,
        _ => TableType::Base,
    }
}

/// The schema of a table by its declaration alone. `None` where it is read from the table.
pub(crate) fn declared_schema(
    scope: &Scope,
    database: &str,
    table: &str,
) -> Result<Option<SchemaRef>> {
    let (table, _) = parse_version(table)?;
    let tables = &scope.shared.tables;
    let declared = tables.declared(tables.entry(database, table)?);
    scope.access.rule(database, declared)?;
    let shown = scope.access.shown(database, declared);
    Ok(shown.and_then(|shown| schema_of(database, &shown)))
}

pub(crate) fn schema_of(database: &str, table: &model::Table) -> Option<SchemaRef> {
    if table.columns.is_empty() {
        return None;
    }
    if let model::Source::Function { .. } = table.source {
        let signature = function::Signature::new(&Declared {
            database: database.to_owned(),
            table: table.clone(),
        });
        return Some(function::schema(&table.columns, &signature));
    }
    Some(arrow_schema(&table.columns))
}

/// The catalog for questions about tables: it answers from declarations and opens nothing.
#[derive(Clone)]
struct Declarations(Scope);

impl CatalogProviderList for Declarations {
    fn register_catalog(
        &self,
        _name: String,
        _catalog: Arc<dyn CatalogProvider>,
    ) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![self.0.access.catalog.name.clone()]
    }

    fn catalog(&self, _name: &str) -> Option<Arc<dyn CatalogProvider>> {
        Some(Arc::new(self.clone()))
    }
}

impl CatalogProvider for Declarations {
    fn schema_names(&self) -> Vec<String> {
        SessionCatalog::new(self.0.clone()).schema_names()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        Some(Arc::new(DeclaredDatabase(SessionDatabase {
            scope: self.0.clone(),
            name: name.to_owned(),
        })))
    }
}

#[derive(Debug)]
struct DeclaredDatabase(SessionDatabase);

#[async_trait]
impl SchemaProvider for DeclaredDatabase {
    fn table_names(&self) -> Vec<String> {
        self.0.table_names()
    }

    async fn table(&self, name: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        Ok(self.0.declaration(name).map(|table| {
            let schema = schema_of(&self.0.name, &table)
                .unwrap_or_else(|| Arc::new(datafusion::arrow::datatypes::Schema::empty()));
            let table: Arc<dyn TableProvider> = Arc::new(DeclaredTable::new(schema, &table));
            table
        }))
    }

    async fn table_type(&self, name: &str) -> DataFusionResult<Option<TableType>> {
        self.0.table_type(name).await
    }

    fn table_exist(&self, name: &str) -> bool {
        self.0.table_exist(name)
    }
}

/// A declaration in the shape of a table that nobody reads.
#[derive(Debug)]
pub(crate) struct DeclaredTable {
    schema: SchemaRef,
    table_type: TableType,
    definition: Option<String>,
}

impl DeclaredTable {
    pub(crate) fn new(schema: SchemaRef, table: &model::Table) -> Self {
        Self {
            schema,
            table_type: table_type(table),
            definition: match &table.source {
                model::Source::Sql { query } => Some(query.clone()),
                _ => None,
            },
        }
    }
}

#[async_trait]
impl TableProvider for DeclaredTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        self.table_type
    }

    fn get_table_definition(&self) -> Option<&str> {
        self.definition.as_deref()
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        _projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        Err(Error::new(Kind::Internal, "a declaration has no rows").into())
    }
}

/// Splits `spikes@12` and `spikes@2026-03-01T00:00:00Z` into the name and the version.
pub(crate) fn parse_version(name: &str) -> Result<(&str, Option<At>)> {
    let Some((table, version)) = name.split_once('@') else {
        return Ok((name, None));
    };
    let at = At::parse(version).ok_or_else(|| {
        Error::new(
            Kind::BadRequest,
            format!("`{version}` is neither the number of a version nor a point in time"),
        )
        .with_hint(format!(
            "write \"{table}@12\" or \"{table}@2026-03-01T00:00:00Z\""
        ))
    })?;
    Ok((table, Some(at)))
}

impl fmt::Debug for SessionCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionCatalog").finish_non_exhaustive()
    }
}

impl fmt::Debug for Declarations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Declarations").finish_non_exhaustive()
    }
}

impl fmt::Debug for SessionDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionDatabase")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::Lake;
    use crate::session::Request;

    fn lake() -> Lake {
        let table = |name: &str, source: serde_json::Value, columns: serde_json::Value| {
            serde_json::json!({
                "name": name, "source": source, "columns": columns, "rust_path": name,
                "location": {"file": "src/lib.rs", "line": 1},
            })
        };
        let delta = serde_json::json!({"kind": "delta", "uri": "/nowhere"});
        let columns = serde_json::json!([{"name": "a", "type": "int64", "nullable": false}]);
        let none = serde_json::json!([]);
        let query = |query: &str| serde_json::json!({"kind": "sql", "query": query});
        let catalog = serde_json::json!({
            "format_version": 1,
            "name": "lake",
            "databases": [{
                "name": "a",
                "location": {"file": "src/lib.rs", "line": 1},
                "tables": [
                    table("bare", delta.clone(), none.clone()),
                    table("delta", delta, columns),
                    table("inner", query("select 1 as x"), none.clone()),
                    table("outer", query("select * from a.inner"), none),
                ],
            }],
        });
        let catalog = serde_json::from_value(catalog).expect("a catalog");
        Lake::builder(catalog).build().expect("a lake")
    }

    fn opened(lake: &Lake) -> Vec<&str> {
        let tables = lake.scope.shared.tables.databases["a"].iter();
        let mut opened: Vec<&str> = tables
            .filter(|(_, entry)| entry.source.get().is_some())
            .map(|(name, _)| name.as_str())
            .collect();
        opened.sort_unstable();
        opened
    }

    #[tokio::test]
    async fn only_what_a_statement_reads_is_opened() {
        let lake = lake();
        for sql in [
            "show tables",
            "select * from information_schema.columns",
            "select * from information_schema.views",
            "select * from information_schema.tables",
            "describe a.delta",
            "select 1",
        ] {
            lake.query(Request::new(sql)).await.expect("an answer");
            assert!(opened(&lake).is_empty(), "{sql}");
        }
        let answer = lake.query(Request::new("select * from a.outer")).await;
        answer.expect("an answer");
        assert_eq!(opened(&lake), ["inner", "outer"]);
        let refused = lake.query(Request::new("describe a.bare")).await;
        assert!(refused.is_err());
        assert_eq!(opened(&lake), ["bare", "inner", "outer"]);
    }

    #[tokio::test]
    async fn a_session_keeps_what_it_opened() {
        let lake = lake();
        let first = lake.provider("a", "outer", None).await.expect("a table");
        let again = lake.provider("a", "outer", None).await.expect("a table");
        assert!(Arc::ptr_eq(&first, &again));
        let session = lake.session();
        let other = session.provider("a", "outer", None).await.expect("a table");
        assert!(!Arc::ptr_eq(&first, &other));
    }

    #[tokio::test]
    async fn a_session_ends_with_its_last_handle() {
        let lake = lake();
        lake.provider("a", "outer", None).await.expect("a table");
        let pins = Arc::downgrade(&lake.scope.pins);
        drop(lake);
        assert!(pins.upgrade().is_none());
    }
}
