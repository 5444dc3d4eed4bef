//! A table of which a role sees a part.
//!
//! A condition of the statement must not meet a hidden row: what it says about a value, in an error
//! such as that of a cast, would give the value away. So the role's condition is planned by itself, and
//! what the statement adds to it is only what can't fail. The rest of the plan sees a leaf that tells
//! nothing of files, numbers of rows or bounds.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Column;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, Operator, TableProviderFilterPushDown, TableType,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

use crate::error::{Error, Kind};
use crate::sources::function::unqualified;
use futures::TryStreamExt;

/// The rows and columns that a role sees.
#[derive(Debug)]
pub(super) struct Guarded {
    schema: SchemaRef,
    plan: LogicalPlan,
}

impl Guarded {
    pub(super) fn new(plan: LogicalPlan) -> Self {
        Self {
            schema: Arc::new(plan.schema().as_arrow().clone()),
            plan,
        }
    }
}

#[async_trait]
impl TableProvider for Guarded {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
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
            .map(|filter| match is_leakproof(filter) {
                true => TableProviderFilterPushDown::Exact,
                false => TableProviderFilterPushDown::Unsupported,
            })
            .collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let mut plan = LogicalPlanBuilder::from(self.plan.clone());
        for filter in filters {
            plan = plan.filter(unqualified(filter.clone())?)?;
        }
        if let Some(projection) = projection {
            let columns = projection.iter().map(|index| {
                Expr::Column(Column::from(self.plan.schema().qualified_field(*index)))
            });
            plan = plan.project(columns)?;
        }
        if let Some(limit) = limit {
            plan = plan.limit(0, Some(limit))?;
        }
        let plan = state.create_physical_plan(&plan.build()?).await?;
        Ok(Arc::new(GuardedExec { plan }))
    }
}

/// Whether a condition can be computed for any row without an error that shows a value.
fn is_leakproof(filter: &Expr) -> bool {
    let mut is_leakproof = true;
    let visited = filter.apply(|expression| {
        let is_plain = match expression {
            Expr::BinaryExpr(binary) => matches!(
                binary.op,
                Operator::Eq
                    | Operator::NotEq
                    | Operator::Lt
                    | Operator::LtEq
                    | Operator::Gt
                    | Operator::GtEq
                    | Operator::IsDistinctFrom
                    | Operator::IsNotDistinctFrom
                    | Operator::And
                    | Operator::Or
            ),
            Expr::Column(_)
            | Expr::Literal(..)
            | Expr::Not(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::Between(_)
            | Expr::InList(_) => true,
            _ => false,
        };
        is_leakproof &= is_plain;
        Ok(if is_plain {
            TreeNodeRecursion::Continue
        } else {
            TreeNodeRecursion::Stop
        })
    });
    is_leakproof && visited.is_ok()
}

/// What went wrong below, without the values of rows that the role doesn't see.
fn neutral(error: DataFusionError) -> DataFusionError {
    let error = Error::from(error);
    if matches!(error.kind, Kind::TooMuch | Kind::Timeout | Kind::Broken) {
        return error.into();
    }
    tracing::error!(%error, "what a role reads can't be computed");
    Error::new(
        Kind::Broken,
        "what your role sees of a table can't be computed",
    )
    .with_hint("the server's log says why; tell whoever keeps the roles")
    .into()
}

/// A plan that is nobody's business.
#[derive(Debug)]
struct GuardedExec {
    plan: Arc<dyn ExecutionPlan>,
}

impl DisplayAs for GuardedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GuardedExec: the rows that the role sees")
    }
}

impl ExecutionPlan for GuardedExec {
    fn name(&self) -> &'static str {
        "GuardedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.plan.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn reset_state(self: Arc<Self>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self {
            plan: reset_plan_states(Arc::clone(&self.plan))?,
        }))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> DataFusionResult<SendableRecordBatchStream> {
        let rows = self.plan.execute(partition, context).map_err(neutral)?;
        let schema = rows.schema();
        let rows = rows.map_err(neutral);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::DataType;
    use datafusion::prelude::{cast, col, lit};

    use super::*;

    #[test]
    fn what_can_fail_stays_above() {
        for plain in [
            col("a").eq(lit(1)),
            col("a").between(lit(1), lit(2)).and(col("b").is_null()),
            col("a").in_list(vec![lit(1)], true).or(lit(1).lt(col("b"))),
        ] {
            assert!(is_leakproof(&plain), "{plain}");
        }
        for leaking in [
            cast(col("a"), DataType::Int64).eq(lit(1)),
            (lit(1) / col("a")).eq(lit(1)),
            col("a").like(lit("x%")),
            col("a").eq(lit(1)).and((col("a") + lit(1)).gt(lit(3))),
        ] {
            assert!(!is_leakproof(&leaking), "{leaking}");
        }
    }
}
