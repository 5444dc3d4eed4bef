//! The last look at a plan before it becomes physical.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::Column;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan};
use datafusion::physical_plan::ExecutionPlan;

use crate::error::Error;
use crate::sources::function::{FunctionProvider, provider_of};
use crate::stop::{Stop, stoppable};

/// Refuses what an optimized plan shouldn't hold, then plans as usual.
#[derive(Debug)]
pub(crate) struct Planner {
    inner: Arc<dyn QueryPlanner + Send + Sync>,
}

impl Planner {
    pub(crate) fn new(inner: Arc<dyn QueryPlanner + Send + Sync>) -> Self {
        Self { inner }
    }
}

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        check_arguments(plan)?;
        let plan = self.inner.create_physical_plan(plan, session).await?;
        match session.config().get_extension::<Stop>() {
            Some(stop) => stoppable(plan, &stop),
            None => Ok(plan),
        }
    }
}

/// An argument of a function that no filter gives is null in every row. A condition on it that
/// didn't reach the function, such as a join, would silently find nothing.
fn check_arguments(plan: &LogicalPlan) -> DataFusionResult<()> {
    plan.apply_with_subqueries(|node| {
        if matches!(node, LogicalPlan::Filter(_) | LogicalPlan::Join(_)) {
            for expression in node.expressions() {
                for column in expression.column_refs() {
                    if let Some(error) = open_argument(node, column) {
                        return Err(error.into());
                    }
                }
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// Follows a column down to the function whose argument it is.
fn open_argument(plan: &LogicalPlan, column: &Column) -> Option<Error> {
    match plan {
        LogicalPlan::TableScan(scan) => open_in_scan(scan, column),
        LogicalPlan::Projection(projection) => {
            let index = projection.schema.maybe_index_of_column(column)?;
            below(projection.expr.get(index)?, &projection.input)
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let index = alias.schema.maybe_index_of_column(column)?;
            let inner = Column::from(alias.input.schema().qualified_field(index));
            open_argument(&alias.input, &inner)
        }
        LogicalPlan::Union(union) => {
            let index = union.schema.maybe_index_of_column(column)?;
            union.inputs.iter().find_map(|input| {
                let inner = Column::from(input.schema().qualified_field(index));
                open_argument(input, &inner)
            })
        }
        other => other
            .inputs()
            .into_iter()
            .find(|input| input.schema().has_column(column))
            .and_then(|input| open_argument(input, column)),
    }
}

fn below(expression: &Expr, input: &LogicalPlan) -> Option<Error> {
    let columns = expression.column_refs();
    columns
        .into_iter()
        .find_map(|column| open_argument(input, column))
}

fn open_in_scan(scan: &TableScan, column: &Column) -> Option<Error> {
    let provider = provider_of(&scan.source)?;
    let function = provider.downcast_ref::<FunctionProvider>()?;
    let signature = &function.signature;
    signature
        .is_open(&column.name, &scan.filters)
        .then(|| signature.only_values(&column.name))
}
