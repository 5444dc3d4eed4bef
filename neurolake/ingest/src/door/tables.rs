//! What may be sent where.

use std::collections::BTreeMap;
use std::sync::Arc;

use neurolake_model::{Catalog, Table};

use super::answer::Problem;
use crate::queue::Stream;
use crate::validate::{Validator, nearest};

/// A table that takes events.
#[derive(Debug)]
pub struct Declared {
    /// Its stream.
    pub stream: Stream,
    /// Its declaration.
    pub table: Table,
    /// Its declaration, compiled.
    pub validator: Validator,
}

/// The tables of a catalog.
#[derive(Debug, Default)]
pub struct Tables {
    /// By database and name; `None` for tables that take no events.
    by_name: BTreeMap<(String, String), Option<Arc<Declared>>>,
}

impl Tables {
    /// Compiles the declarations of a catalog.
    pub fn new(catalog: &Catalog) -> Self {
        let tables = catalog.tables().map(|(database, table)| {
            let declared = table.ingest.then(|| {
                Arc::new(Declared {
                    stream: Stream::new(&database.name, &table.name),
                    validator: Validator::new(&table.columns),
                    table: table.clone(),
                })
            });
            ((database.name.clone(), table.name.clone()), declared)
        });
        Self {
            by_name: tables.collect(),
        }
    }

    /// The tables that take events, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Declared>> {
        self.by_name.values().flatten()
    }

    /// A table that takes events.
    pub fn get(&self, database: &str, table: &str) -> Option<&Arc<Declared>> {
        self.entry(database, table)?.as_ref()
    }

    fn entry(&self, database: &str, table: &str) -> Option<&Option<Arc<Declared>>> {
        self.by_name.get(&(database.to_owned(), table.to_owned()))
    }

    /// A table that takes events, or why there is none.
    pub(super) fn find(&self, database: &str, table: &str) -> Result<&Arc<Declared>, Problem> {
        match self.entry(database, table) {
            Some(Some(declared)) => Ok(declared),
            Some(None) => Err(
                Problem::not_found(format!("`{database}.{table}` takes no events")).with_hint(
                    "add `ingest` to its `#[table(...)]`; `GET /v1/ingest` lists those that do",
                ),
            ),
            None => {
                let wanted = format!("{database}.{table}");
                let names: Vec<String> =
                    self.iter().map(|table| table.stream.to_string()).collect();
                let hint = match nearest(&wanted, names.iter().map(String::as_str)) {
                    Some(nearest) => format!("did you mean `{nearest}`?"),
                    None => "`GET /v1/ingest` lists the tables that take events".into(),
                };
                let wanted = crate::validate::shortened(&wanted);
                Err(Problem::not_found(format!("there is no table `{wanted}`")).with_hint(hint))
            }
        }
    }
}
