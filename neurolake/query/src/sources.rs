//! One file per kind of table: how a declaration becomes a DataFusion table.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use neurolake_delta::At;
use neurolake_model as model;

use crate::error::Result;
use crate::lake::Scope;

pub(crate) mod copy;
pub(crate) mod delta;
pub(crate) mod function;
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
}

/// What a kind of table gets to know about its declaration.
#[derive(Debug, Clone)]
pub(crate) struct Declared {
    pub(crate) database: String,
    pub(crate) table: model::Table,
}

/// The source of a declared table.
pub(crate) fn source(
    declared: Declared,
    function: Option<Arc<dyn function::FunctionTable>>,
) -> Arc<dyn Source> {
    match &declared.table.source {
        model::Source::Delta { .. } => Arc::new(delta::Delta::new(declared)),
        model::Source::Parquet { .. } => Arc::new(parquet::Parquet::new(declared)),
        model::Source::Postgres { .. } => Arc::new(postgres::Postgres::new(declared)),
        model::Source::Sheet { .. } => Arc::new(sheet::Sheet::new(declared)),
        model::Source::Sql { .. } => Arc::new(view::View::new(declared)),
        model::Source::Function { .. } => Arc::new(function::Function::new(declared, function)),
    }
}
