//! One file per kind of table: how a declaration becomes a DataFusion table.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use neurolake_delta::At;
use neurolake_model as model;

use crate::error::{Error, Kind, Result};
use crate::inputs::Input;
use crate::lake::Scope;
use crate::schema::Difference;

pub(crate) mod conform;
pub(crate) mod copy;
pub(crate) mod delta;
pub(crate) mod floats;
pub(crate) mod function;
pub(crate) mod joined;
pub(crate) mod objects;
pub(crate) mod parquet;
pub(crate) mod postgres;
pub(crate) mod sheet;
pub(crate) mod view;
pub(crate) mod whole;

/// A declared table that can be asked for rows. Making one does no I/O; it lives as long as the
/// lake and keeps whatever its kind caches: connections, listings, answers.
#[async_trait]
pub(crate) trait Source: Send + Sync {
    /// The table as it is now, or was at an earlier time, for one session.
    async fn provider(&self, scope: &Scope, at: Option<&At>) -> Result<Arc<dyn TableProvider>>;

    /// Whether it is made anew each time, since it has no version to keep.
    fn is_cheap(&self) -> bool {
        false
    }

    /// Whether it has versions, and notes in the session which one was read.
    fn has_versions(&self) -> bool {
        false
    }

    /// Whether whoever reads it now would read what was read then.
    async fn is_unchanged(&self, _scope: &Scope, _input: &Input) -> bool {
        false
    }

    /// Whether it reads other tables of the catalog.
    fn reads_tables(&self) -> bool {
        false
    }

    /// What a checkup of the table finds. A kind whose served columns hide the stored ones says
    /// more than this does.
    async fn inspect(&self, scope: &Scope) -> Result<Inspection> {
        self.provider(scope, None).await?;
        Ok(Inspection::default())
    }
}

/// What a checkup of a table finds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inspection {
    /// Of a Delta table.
    pub(crate) version: Option<u64>,
    pub(crate) rows: Option<u64>,
    pub(crate) bytes: Option<u64>,
    pub(crate) files: Option<u64>,
    /// Declared against stored.
    pub(crate) differences: Vec<Difference>,
}

/// What a kind of table gets to know about its declaration.
#[derive(Debug, Clone)]
pub(crate) struct Declared {
    pub(crate) database: String,
    pub(crate) table: model::Table,
}

impl Declared {
    /// `database.table`
    pub(crate) fn name(&self) -> String {
        format!("{}.{}", self.database, self.table.name)
    }
}

/// Refuses to go back in time where nothing is kept.
pub(crate) fn without_versions(declared: &Declared, at: Option<&At>) -> Result<()> {
    if at.is_none() {
        return Ok(());
    }
    let name = declared.name();
    Err(Error::new(
        Kind::BadRequest,
        format!(
            "`{name}` has no versions: its kind is {}",
            declared.table.source.label()
        ),
    )
    .with_hint(format!("write `{name}` for its present state")))
}

/// The source of a declared table.
pub(crate) fn source(
    declared: Declared,
    function: Option<Arc<dyn function::FunctionTable>>,
) -> Arc<dyn Source> {
    match &declared.table.source {
        model::Source::Delta { .. } => Arc::new(delta::Delta::new(declared)),
        model::Source::Parquet { .. } => Arc::new(parquet::Parquet::new(declared)),
        model::Source::Postgres { .. } => Arc::new(copy::OrCopy::new(
            declared.clone(),
            Arc::new(postgres::Postgres::new(declared)),
        )),
        model::Source::Sheet { .. } => Arc::new(copy::OrCopy::new(
            declared.clone(),
            Arc::new(sheet::Sheet::new(declared)),
        )),
        model::Source::Sql { .. } => Arc::new(view::View::new(declared)),
        model::Source::Function { .. } => Arc::new(function::Function::new(declared, function)),
    }
}

/// The source of a table of rows that don't fit another one.
pub(crate) fn dead_letters(declared: Declared) -> Arc<dyn Source> {
    Arc::new(delta::Delta::made_when_needed(declared))
}
