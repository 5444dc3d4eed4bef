//! deltalake's own scan, for tables that are more than a list of Parquet files.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use deltalake::DeltaTable;
use deltalake::delta_datafusion::{DeltaScanConfig, DeltaScanNext};

/// Reads through deltalake, and only reads: its own provider would also insert.
pub(crate) struct Fallback {
    table: DeltaTable,
    scan: DeltaScanNext,
}

impl Fallback {
    pub(crate) fn new(table: &DeltaTable) -> Result<Self> {
        let snapshot = table.snapshot().map_err(DataFusionError::from)?;
        let config = DeltaScanConfig {
            // The stored schema as it is: no dictionaries, no views. And no filter in the decoder,
            // which costs more than it saves unless it is very selective.
            wrap_partition_values: false,
            schema_force_view_types: false,
            enable_parquet_pushdown: false,
            ..DeltaScanConfig::new()
        };
        Ok(Self {
            table: table.clone(),
            scan: DeltaScanNext::new(snapshot.snapshot().clone(), config)?,
        })
    }
}

#[async_trait]
impl TableProvider for Fallback {
    fn schema(&self) -> SchemaRef {
        self.scan.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        self.scan.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.table
            .update_datafusion_session(session)
            .map_err(DataFusionError::from)?;
        self.scan.scan(session, projection, filters, limit).await
    }
}

impl std::fmt::Debug for Fallback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fallback").finish_non_exhaustive()
    }
}
