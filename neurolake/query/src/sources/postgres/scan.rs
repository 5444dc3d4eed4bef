//! Statements in plans: which parts of a plan PostgreSQL answers, and running them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{
    Expr, Extension, LogicalPlan, TableProviderFilterPushDown, TableType,
};
use datafusion::optimizer::optimizer::{Optimizer, OptimizerConfig, OptimizerRule};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};
use datafusion_federation::{
    FederatedPlanNode, FederatedTableProviderAdaptor, FederationPlanner, FederationProvider,
};
use futures::{Stream, StreamExt};
use tokio_postgres::RowStream;
use tokio_postgres::types::Type;

use super::decode;
use super::server::{Lease, Server};
use super::sql::{self, Statement};
use super::table::Table;
use crate::error::{Error, Kind, Result};

/// Rows of one batch.
const BATCH_ROWS: usize = 8192;

/// What PostgreSQL can answer of a plan over one server's tables.
pub(super) struct Pushdown {
    server: Arc<Server>,
    context: String,
    optimizer: Arc<Optimizer>,
}

impl Pushdown {
    pub(super) fn new(server: &Arc<Server>) -> Self {
        let rule = PushDownRule {
            server: Arc::clone(server),
        };
        Self {
            server: Arc::clone(server),
            // Tables of one store share the server, and only they may stand in one statement.
            context: format!("{}@{:p}", server.store(), Arc::as_ptr(server)),
            optimizer: Arc::new(Optimizer::with_rules(vec![Arc::new(rule)])),
        }
    }
}

impl FederationProvider for Pushdown {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn compute_context(&self) -> Option<String> {
        Some(self.context.clone())
    }

    fn optimizer(&self) -> Option<Arc<Optimizer>> {
        Some(Arc::clone(&self.optimizer))
    }
}

impl fmt::Debug for Pushdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pushdown")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// Hands over the largest parts of a plan that can be translated.
#[derive(Debug)]
struct PushDownRule {
    server: Arc<Server>,
}

impl OptimizerRule for PushDownRule {
    fn name(&self) -> &'static str {
        "push_down_to_postgres"
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> DataFusionResult<Transformed<LogicalPlan>> {
        plan.transform_down(|plan| {
            if let LogicalPlan::Sort(sort) = &plan {
                // The engine may shuffle what a leaf of the plan yields, so the few rows are
                // sorted again; without a limit nothing is won.
                if sort.fetch.is_none() || sql::translate(&plan).is_none() {
                    return Ok(Transformed::no(plan));
                }
                let mut sorted = sort.clone();
                sorted.input = Arc::new(self.node(plan));
                let plan = LogicalPlan::Sort(sorted);
                return Ok(Transformed::new(plan, true, TreeNodeRecursion::Jump));
            }
            if is_ordered(&plan) || sql::translate(&plan).is_none() {
                return Ok(Transformed::no(plan));
            }
            Ok(Transformed::new(
                self.node(plan),
                true,
                TreeNodeRecursion::Jump,
            ))
        })
    }
}

impl PushDownRule {
    fn node(&self, plan: LogicalPlan) -> LogicalPlan {
        let planner = Arc::new(Planner {
            server: Arc::clone(&self.server),
        });
        LogicalPlan::Extension(Extension {
            node: Arc::new(FederatedPlanNode::new(plan, planner)),
        })
    }
}

/// Whether the order of the plan's rows means something.
fn is_ordered(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Sort(_) => true,
        LogicalPlan::Projection(node) => is_ordered(&node.input),
        LogicalPlan::Filter(node) => is_ordered(&node.input),
        LogicalPlan::Limit(node) => is_ordered(&node.input),
        LogicalPlan::SubqueryAlias(node) => is_ordered(&node.input),
        _ => false,
    }
}

struct Planner {
    server: Arc<Server>,
}

#[async_trait]
impl FederationPlanner for Planner {
    async fn plan_federation(
        &self,
        node: &FederatedPlanNode,
        _session: &dyn Session,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let statement = sql::translate(node.plan()).ok_or_else(|| {
            Error::new(Kind::Internal, "a plan for PostgreSQL can't be translated")
        })?;
        let schema = Arc::new(node.plan().schema().as_arrow().clone());
        Ok(Arc::new(PostgresExec::new(
            Arc::clone(&self.server),
            statement,
            schema,
        )))
    }
}

/// The table for plans: federated where the session knows how to, else scan by scan.
pub(super) fn provider(table: Arc<Table>) -> Arc<dyn TableProvider> {
    let scan = Arc::new(Scan(Arc::clone(&table)));
    Arc::new(FederatedTableProviderAdaptor::new_with_provider(
        table, scan,
    ))
}

#[derive(Debug)]
struct Scan(Arc<Table>);

#[async_trait]
impl TableProvider for Scan {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        Ok(filters
            .iter()
            .map(|filter| {
                if sql::can_filter(&self.0, filter) {
                    TableProviderFilterPushDown::Exact
                } else {
                    TableProviderFilterPushDown::Unsupported
                }
            })
            .collect())
    }

    async fn scan(
        &self,
        _session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let statement = sql::scan(&self.0, projection, filters, limit).ok_or_else(|| {
            Error::new(Kind::Internal, "a scan for PostgreSQL can't be translated")
        })?;
        let schema = match projection {
            Some(indices) => Arc::new(self.0.schema.project(indices)?),
            None => Arc::clone(&self.0.schema),
        };
        let server = Arc::clone(&self.0.server);
        Ok(Arc::new(PostgresExec::new(server, statement, schema)))
    }
}

/// A statement that runs on the server.
#[derive(Debug, Clone)]
struct PostgresExec {
    server: Arc<Server>,
    statement: Statement,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl PostgresExec {
    fn new(server: Arc<Server>, statement: Statement, schema: SchemaRef) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            server,
            statement,
            schema,
            properties: Arc::new(properties),
        }
    }
}

impl DisplayAs for PostgresExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "PostgresExec: store={}, sql={}",
            self.server.store(),
            self.statement.sql
        )
    }
}

impl ExecutionPlan for PostgresExec {
    fn name(&self) -> &'static str {
        "PostgresExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(
        &self,
        _partition: usize,
        _context: Arc<TaskContext>,
    ) -> DataFusionResult<SendableRecordBatchStream> {
        let rows = batches(self.clone()).map(|batch| batch.map_err(DataFusionError::from));
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            Arc::clone(&self.schema),
            rows,
        )))
    }
}

type Batch = datafusion::arrow::array::RecordBatch;

/// Runs the statement when first asked for a row.
fn batches(exec: PostgresExec) -> impl Stream<Item = Result<Batch>> + Send {
    let label = exec.statement.tables.join(", ");
    futures::stream::try_unfold(None, move |running: Option<Running>| {
        let exec = exec.clone();
        let label = label.clone();
        async move {
            let mut running = match running {
                Some(running) => running,
                None => start(&exec, &label).await?,
            };
            let mut rows = Vec::new();
            while !running.finished && rows.len() < BATCH_ROWS {
                match running.rows.next().await {
                    Some(Ok(row)) => rows.push(row),
                    Some(Err(error)) => return Err(exec.server.failed(&label, &error)),
                    None => running.finished = true,
                }
            }
            if rows.is_empty() {
                return Ok(None);
            }
            let batch = decode::batch(&label, &rows, &exec.schema)?;
            Ok(Some((batch, Some(running))))
        }
    })
}

async fn start(exec: &PostgresExec, label: &str) -> Result<Running> {
    loop {
        let lease = exec.server.connection().await?;
        // Held already while the server plans, so that giving up stops it there, too.
        let mut pending = Pending(Some(lease));
        let client = pending.lease()?.client()?;
        let parameters = std::iter::empty::<(&str, Type)>();
        match client
            .query_typed_raw(&exec.statement.sql, parameters)
            .await
        {
            Ok(rows) => {
                return Ok(Running {
                    rows: Box::pin(rows),
                    finished: false,
                    lease: pending.0.take(),
                });
            }
            Err(error) => {
                let lease = pending.0.take();
                if !lease.is_some_and(|lease| lease.is_stale()) {
                    return Err(exec.server.failed(label, &error));
                }
            }
        }
    }
}

/// A statement that was sent. Dropping it stops the server.
struct Pending(Option<Lease>);

impl Pending {
    fn lease(&self) -> Result<&Lease> {
        self.0
            .as_ref()
            .ok_or_else(|| Error::new(Kind::Internal, "the connection was given back"))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(lease) = self.0.take() {
            lease.cancel();
        }
    }
}

/// A statement whose rows arrive. Dropping it before the last one stops the server.
struct Running {
    rows: std::pin::Pin<Box<RowStream>>,
    finished: bool,
    lease: Option<Lease>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        if let Some(lease) = self.lease.take() {
            lease.cancel();
        }
    }
}
