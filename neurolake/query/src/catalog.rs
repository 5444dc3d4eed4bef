//! Names to tables, lazily: nothing is opened before a statement names it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::TableType;
use neurolake_delta::At;
use neurolake_model as model;

use crate::error::{Error, Kind, Result};
use crate::lake::Scope;
use crate::sources::function::FunctionTable;
use crate::sources::{self, Declared, Source};
use crate::suggest::nearest;

/// Where the engine looks for names without a database.
const DEFAULT_DATABASE: &str = "public";

/// All declared tables by database and name.
pub(crate) struct Tables {
    databases: HashMap<String, HashMap<String, Entry>>,
}

struct Entry {
    declared: Declared,
    function: Option<Arc<dyn FunctionTable>>,
    source: OnceLock<Arc<dyn Source>>,
}

impl Tables {
    pub(crate) fn new(
        catalog: &model::Catalog,
        mut functions: BTreeMap<(String, String), Arc<dyn FunctionTable>>,
    ) -> Self {
        let mut databases: HashMap<String, HashMap<String, Entry>> = HashMap::new();
        for (database, table) in catalog.tables() {
            let function = functions.remove(&(database.name.clone(), table.name.clone()));
            databases.entry(database.name.clone()).or_default().insert(
                table.name.clone(),
                Entry {
                    declared: Declared {
                        database: database.name.clone(),
                        table: table.clone(),
                    },
                    function,
                    source: OnceLock::new(),
                },
            );
        }
        Self { databases }
    }

    /// The table of this name.
    pub(crate) fn find(&self, database: &str, table: &str) -> Result<Arc<dyn Source>> {
        let tables = self.databases.get(database).ok_or_else(|| {
            let known = self.databases.keys().map(String::as_str);
            not_found(
                format!("there is no database `{database}`"),
                nearest(database, known),
            )
        })?;
        let entry = tables.get(table).ok_or_else(|| {
            let known = tables.keys().map(String::as_str);
            not_found(
                format!("there is no table `{table}` in the database `{database}`"),
                nearest(table, known),
            )
        })?;
        Ok(Arc::clone(entry.source.get_or_init(|| {
            sources::source(entry.declared.clone(), entry.function.clone())
        })))
    }
}

fn not_found(message: String, nearest: Option<&str>) -> Error {
    let error = Error::new(Kind::NotFound, message);
    match nearest {
        Some(name) => error.with_hint(format!("did you mean `{name}`?")),
        None => error,
    }
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
        let databases = &self.scope.shared.catalog.databases;
        databases
            .iter()
            .map(|database| database.name.clone())
            .collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
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
    fn declared(&self) -> &[model::Table] {
        let databases = &self.scope.shared.catalog.databases;
        databases
            .iter()
            .find(|database| database.name == self.name)
            .map_or(&[], |database| &database.tables)
    }
}

#[async_trait]
impl SchemaProvider for SessionDatabase {
    fn table_names(&self) -> Vec<String> {
        self.declared()
            .iter()
            .map(|table| table.name.clone())
            .collect()
    }

    async fn table(&self, name: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        // Names without a database end up here, those of table functions among them.
        if self.name == DEFAULT_DATABASE && self.declared().is_empty() {
            return Ok(None);
        }
        let (table, at) = parse_version(name)?;
        let provider = self.scope.provider(&self.name, table, at.as_ref()).await?;
        Ok(Some(provider))
    }

    async fn table_type(&self, name: &str) -> DataFusionResult<Option<TableType>> {
        let table = self.declared().iter().find(|table| table.name == name);
        Ok(table.map(|table| match table.source {
            model::Source::Sql { .. } => TableType::View,
            _ => TableType::Base,
        }))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.declared().iter().any(|table| table.name == name)
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

impl fmt::Debug for SessionDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionDatabase")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
