//! The lake as a program sees it: typed tables and SQL.

use neurolake_query as query;
use neurolake_query::datafusion::dataframe::DataFrame;

use crate::registry;
use crate::{Result, Table};

/// The tables of a catalog with their data. Cloning is cheap.
///
/// A session sees one version of each table, from the first time that it reads the table;
/// [`Lake::session`] begins a new one.
#[derive(Debug, Clone)]
pub struct Lake(query::Lake);

impl Lake {
    /// A declared table as a lazy frame. Function tables have no struct, see
    /// [`Lake::table_named`].
    ///
    /// # Errors
    /// The table can't be opened.
    pub async fn table<T: Table>(&self) -> Result<DataFrame> {
        let (database, table) = registry::names::<T>();
        self.table_named(&database, &table).await
    }

    /// A table as a lazy frame, by its names.
    ///
    /// # Errors
    /// There is no such table, or it can't be opened.
    pub async fn table_named(&self, database: &str, table: &str) -> Result<DataFrame> {
        self.0.table(database, table).await
    }

    /// A query in SQL as a lazy frame. Tables are named `database.table`.
    ///
    /// # Errors
    /// The statement is wrong or does more than read, or a table that it names can't be opened.
    pub async fn sql(&self, statement: &str) -> Result<DataFrame> {
        self.0.sql(statement).await
    }

    /// Runs one read-only statement, with parameters and limits, in a session of its own.
    ///
    /// # Errors
    /// As [`Lake::sql`], or a limit is reached.
    pub async fn query(&self, request: query::Request) -> Result<query::Answer> {
        self.0.query(request).await
    }

    /// A new session, which sees the newest version of each table.
    #[must_use]
    pub fn session(&self) -> Self {
        Self(self.0.session())
    }

    /// What is declared.
    pub fn catalog(&self) -> &neurolake_model::Catalog {
        self.0.catalog()
    }

    /// The query engine below.
    pub fn engine(&self) -> &query::Lake {
        &self.0
    }
}

impl From<query::Lake> for Lake {
    fn from(lake: query::Lake) -> Self {
        Self(lake)
    }
}
