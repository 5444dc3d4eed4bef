//! What a statement asks for and what it will answer, without running it.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::ParamValues;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::LogicalPlan;
use futures::future::BoxFuture;

use crate::error::Result;
use crate::lake::Lake;
use crate::limited::Bounds;
use crate::pg::find_parameter;
use crate::session;

/// A statement that only reads, looked at.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Columns of the answer. Whether one may hold nulls is found out more exactly when it runs.
    pub schema: SchemaRef,
    /// Names such as `$1` and `$name` that wait for a value, and the type of each as far as the
    /// statement says. Numbers come first, in their order.
    pub parameters: Vec<(String, Option<DataType>)>,
}

impl Lake {
    /// Looks at a statement in a session of its own. Nothing runs, no data file is read.
    ///
    /// # Errors
    /// The statement is wrong or not allowed, or a table that it names can't be opened.
    pub fn prepare<'a>(
        &'a self,
        sql: &'a str,
        parameters: Option<ParamValues>,
    ) -> BoxFuture<'a, Result<Prepared>> {
        Box::pin(async move {
            let bounds = Bounds::new(self.scope.shared.limits.deadline, None);
            let lake = self.session();
            let (_, plan) = bounds.in_time(session::plan(&lake, sql)).await??;
            let plan = match parameters {
                Some(parameters) => session::with_parameters(plan, parameters)?,
                None => plan,
            };
            Ok(Prepared {
                schema: Arc::new(plan.schema().as_arrow().clone()),
                parameters: parameters_of(&plan)?,
            })
        })
    }
}

fn parameters_of(plan: &LogicalPlan) -> Result<Vec<(String, Option<DataType>)>> {
    let mut types = plan.get_parameter_types()?;
    let mut fields = HashMap::new();
    plan.apply_with_subqueries(|node| {
        for expression in node.expressions() {
            expression.apply(|expression| {
                find_parameter(expression, &mut types, &mut fields);
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let mut parameters: Vec<(String, Option<DataType>)> = types.into_iter().collect();
    let number = |name: &str| name.strip_prefix('$')?.parse::<usize>().ok();
    parameters.sort_by_cached_key(|(name, _)| (number(name).unwrap_or(usize::MAX), name.clone()));
    Ok(parameters)
}
