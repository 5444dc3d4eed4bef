//! What has to be known before a document can be checked: its tables, and their schema in GraphQL.
//!
//! Only tables that a document names are looked at, so the size of the catalog costs nothing: a schema
//! of 10,000 tables takes seconds and gigabytes. A client that asks for the schema itself gets all
//! tables, or those of one database.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use async_graphql::dynamic::Schema;
use futures::{StreamExt, TryStreamExt};
use neurolake_model::Catalog;
use neurolake_query::{Error, Kind, Lake, Result};

use super::columns::Table;
use super::names::Names;
use super::types;
use crate::turn::Turn;

/// Schemas that are kept, those used last first.
const KEPT: usize = 32;

/// Tables in the schemas that are kept, but for the last one.
const KEPT_TABLES: usize = 1_000;

/// Tables whose columns are read from them at the same time.
const OPENED_AT_ONCE: usize = 16;

/// Tables that are described at once; a description takes about half a megabyte for each.
const MOST_DESCRIBED: usize = 1_000;

/// How long the columns of one table may take when all are asked for.
const OPENING: Duration = Duration::from_secs(10);

/// Tables in the terms of GraphQL.
pub(crate) struct Tables {
    pub(crate) names: Names,
    kept: Mutex<Vec<(Key, Arc<Prepared>)>>,
}

/// Tables by their places among the names; with their columns where those are read from the table, and
/// may change.
type Key = Vec<(usize, Option<SchemaRef>)>;

/// Some tables and their schema.
pub(crate) struct Prepared {
    pub(crate) tables: BTreeMap<usize, Arc<Table>>,
    pub(crate) schema: Schema,
}

/// Which tables a document needs.
pub(crate) enum Needed {
    /// All that there are, for their description; broken ones are left out.
    All(Vec<usize>),
    These(BTreeSet<usize>),
}

impl Tables {
    pub(crate) fn new(catalog: &Catalog) -> Self {
        Self {
            names: Names::new(catalog),
            kept: Mutex::default(),
        }
    }

    /// All tables, or those of one database.
    ///
    /// # Errors
    /// They are too many.
    pub(crate) fn all(&self, lake: &Lake, database: Option<&str>) -> Result<Needed> {
        let databases = &lake.catalog().databases;
        let is_meant = |place: &usize| {
            let (outer, _, _) = self.names.table(*place);
            database.is_none_or(|name| databases[outer].name == name)
        };
        let all: Vec<usize> = (0..self.names.len()).filter(is_meant).collect();
        if all.len() > MOST_DESCRIBED {
            let message = format!(
                "the schema of {} tables is too large to be described",
                all.len()
            );
            let hint = "ask `/api/graphql/{database}` for the schema of one database; other documents \
                        need no schema";
            return Err(Error::new(Kind::TooMuch, message).with_hint(hint));
        }
        Ok(Needed::All(all))
    }

    /// The columns of the tables that are needed.
    pub(crate) async fn open(&self, lake: &Lake, turn: &Turn, needed: &Needed) -> Result<Key> {
        let columns = |table: usize| self.columns(lake, turn, table);
        match needed {
            Needed::These(tables) => {
                let opened = futures::stream::iter(tables.iter().copied());
                let opened = opened.map(|table| async move { Ok((table, columns(table).await?)) });
                opened.buffered(OPENED_AT_ONCE).try_collect().await
            }
            Needed::All(tables) => {
                let opened = futures::stream::iter(tables.iter().copied());
                let opened = opened.map(|table| async move {
                    let columns = tokio::time::timeout(OPENING, columns(table)).await;
                    Some((table, columns.ok()?.ok()?))
                });
                let opened = opened.buffered(OPENED_AT_ONCE);
                Ok(opened.filter_map(std::future::ready).collect().await)
            }
        }
    }

    /// The columns of the tables that are needed, where looking into the catalog is enough.
    pub(crate) fn declared(&self, lake: &Lake, needed: &Needed) -> Option<Key> {
        let Needed::These(tables) = needed else {
            return None;
        };
        let is_declared = |place: &usize| {
            let (database, table, _) = self.names.table(*place);
            !lake.catalog().databases[database].tables[table]
                .columns
                .is_empty()
        };
        let is_enough = tables.iter().all(is_declared);
        is_enough.then(|| tables.iter().map(|place| (*place, None)).collect())
    }

    /// `None` where the columns are declared.
    async fn columns(&self, lake: &Lake, turn: &Turn, table: usize) -> Result<Option<SchemaRef>> {
        let (database, table, _) = self.names.table(table);
        let database = &lake.catalog().databases[database];
        let table = &database.tables[table];
        if table.columns.is_empty() {
            return turn.schema(&database.name, &table.name).await.map(Some);
        }
        Ok(None)
    }

    /// The tables with these columns.
    pub(crate) fn prepare(&self, lake: &Lake, key: Key) -> Result<Arc<Prepared>> {
        if let Some(kept) = self.kept_for(&key) {
            return Ok(kept);
        }
        let mut tables = BTreeMap::new();
        for (place, columns) in &key {
            tables.extend(
                self.table(lake, *place, columns.clone())?
                    .map(|table| (*place, table)),
            );
        }
        let all: Vec<Arc<Table>> = tables.values().cloned().collect();
        let schema = types::schema(&all).map_err(|error| {
            Error::new(Kind::Internal, "the tables make no GraphQL schema").with_source(error)
        })?;
        let prepared = Arc::new(Prepared { tables, schema });
        let mut kept = self.lock();
        kept.insert(0, (key, Arc::clone(&prepared)));
        let mut tables = 0;
        let mut place = 0;
        kept.retain(|(key, _)| {
            tables += key.len();
            place += 1;
            place == 1 || place <= KEPT && tables <= KEPT_TABLES
        });
        Ok(prepared)
    }

    fn table(
        &self,
        lake: &Lake,
        place: usize,
        columns: Option<SchemaRef>,
    ) -> Result<Option<Arc<Table>>> {
        let (database, table, name) = self.names.table(place);
        let database = &lake.catalog().databases[database];
        let table = &database.tables[table];
        let columns = match columns {
            Some(columns) => Some(columns),
            None => lake.declared_schema(&database.name, &table.name)?,
        };
        let table = columns.and_then(|columns| Table::new(name, &database.name, table, columns));
        Ok(table.map(Arc::new))
    }

    fn kept_for(&self, key: &Key) -> Option<Arc<Prepared>> {
        let mut kept = self.lock();
        let place = kept.iter().position(|(known, _)| known == key)?;
        let found = kept.remove(place);
        let prepared = Arc::clone(&found.1);
        kept.insert(0, found);
        Some(prepared)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Key, Arc<Prepared>)>> {
        // Nothing can panic while the list is held.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
