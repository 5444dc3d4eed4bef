//! Ends joins that never wait.
//!
//! A join of every row with every row can keep a thread busy for hours without giving a row, and a task
//! that doesn't wait can't be ended from outside. So its condition, which is computed for one piece after
//! another, looks whether it should end; and joins that give many rows let others go first now and then.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{CrossJoinExec, NestedLoopJoinExec};
use tokio::time::Instant;

use crate::error::{Error, Kind};
use crate::limited::timeout;

/// The wish that a statement ends.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    is_set: AtomicBool,
    deadline: OnceLock<(Instant, Duration)>,
}

impl Stop {
    pub(crate) fn set(&self) {
        self.is_set.store(true, Ordering::Relaxed);
    }

    /// When it is to end, and how long that was from its beginning.
    pub(crate) fn set_at(&self, deadline: (Instant, Duration)) {
        let _ = self.deadline.set(deadline);
    }

    /// Why it should end now.
    fn reason(&self) -> Option<Error> {
        if let Some((end, length)) = self.deadline.get()
            && Instant::now() >= *end
        {
            return Some(timeout(*length));
        }
        let is_set = self.is_set.load(Ordering::Relaxed);
        is_set.then(|| Error::new(Kind::Timeout, "the query was stopped"))
    }
}

/// The plan with joins that can be ended.
pub(crate) fn stoppable(
    plan: Arc<dyn ExecutionPlan>,
    stop: &Arc<Stop>,
) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
    let plan = plan.transform_up(|plan| {
        if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
            let filter = join.filter().map(|filter| {
                let expression = Arc::new(Stoppable {
                    inner: Arc::clone(filter.expression()),
                    stop: Arc::clone(stop),
                });
                let columns = filter.column_indices().to_vec();
                JoinFilter::new(expression, columns, Arc::clone(filter.schema()))
            });
            let projection = join.projection().as_ref();
            let join = NestedLoopJoinExec::try_new(
                Arc::clone(join.left()),
                Arc::clone(join.right()),
                filter,
                join.join_type(),
                projection.map(|columns| columns.to_vec()),
            )?;
            let join = CooperativeExec::new(Arc::new(join));
            return Ok(Transformed::yes(Arc::new(join) as Arc<dyn ExecutionPlan>));
        }
        if plan.is::<CrossJoinExec>() {
            let join = CooperativeExec::new(plan);
            return Ok(Transformed::yes(Arc::new(join) as Arc<dyn ExecutionPlan>));
        }
        Ok(Transformed::no(plan))
    })?;
    Ok(plan.data)
}

/// A condition that fails once its statement should end.
#[derive(Debug)]
struct Stoppable {
    inner: Arc<dyn PhysicalExpr>,
    stop: Arc<Stop>,
}

impl PartialEq for Stoppable {
    fn eq(&self, other: &Self) -> bool {
        self.inner.eq(&other.inner)
    }
}

impl Eq for Stoppable {}

impl Hash for Stoppable {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl fmt::Display for Stoppable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl PhysicalExpr for Stoppable {
    fn data_type(&self, schema: &Schema) -> DataFusionResult<DataType> {
        self.inner.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> DataFusionResult<bool> {
        self.inner.nullable(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> DataFusionResult<ColumnarValue> {
        match self.stop.reason() {
            Some(error) => Err(error.into()),
            None => self.inner.evaluate(batch),
        }
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> DataFusionResult<Arc<dyn PhysicalExpr>> {
        Ok(match children.pop() {
            Some(inner) => Arc::new(Self {
                inner,
                stop: Arc::clone(&self.stop),
            }),
            None => self,
        })
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}
