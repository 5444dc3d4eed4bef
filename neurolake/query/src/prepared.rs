//! What a statement asks for and what it will answer, without running it.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef, SchemaRef};
use datafusion::common::ParamValues;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use futures::future::BoxFuture;

use crate::error::Result;
use crate::lake::Lake;
use crate::limited::Bounds;
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
            let (state, plan) = bounds.in_time(session::plan(&lake, sql)).await??;
            let plan = match parameters {
                Some(parameters) => session::with_parameters(plan, parameters)?,
                None => plan,
            };
            let parameters = parameters_of(&plan)?;
            let plan = match session::coerce(&state, plan.clone()) {
                Ok(plan) => plan,
                // A parameter may have no type yet.
                Err(_) => plan,
            };
            Ok(Prepared {
                schema: Arc::new(plan.schema().as_arrow().clone()),
                parameters,
            })
        })
    }
}

fn parameters_of(plan: &LogicalPlan) -> Result<Vec<(String, Option<DataType>)>> {
    let (types, _) = types_of_parameters(plan)?;
    let mut parameters: Vec<(String, Option<DataType>)> = types.into_iter().collect();
    let number = |name: &str| name.strip_prefix('$')?.parse::<usize>().ok();
    parameters.sort_by_cached_key(|(name, _)| (number(name).unwrap_or(usize::MAX), name.clone()));
    Ok(parameters)
}

/// Types by the parameters' names, as far as they are known.
type Types = HashMap<String, Option<DataType>>;

/// What a plan says about its parameters, and the fields that they are compared with.
pub(crate) fn types_of_parameters(
    plan: &LogicalPlan,
) -> Result<(Types, HashMap<String, FieldRef>)> {
    let mut types = plan.get_parameter_types()?;
    let mut fields = HashMap::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Limit(limit) = node {
            for count in [&limit.skip, &limit.fetch].into_iter().flatten() {
                guess(count, &DataType::Int64, &mut types);
            }
        }
        for expression in node.expressions() {
            expression.apply(|expression| {
                find_any(expression, node, &mut types);
                find_parameter(expression, &mut types, &mut fields);
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok((types, fields))
}

/// The type of a parameter of which nothing else is known.
fn guess(expression: &Expr, data_type: &DataType, types: &mut Types) {
    if let Expr::Placeholder(placeholder) = expression {
        types
            .entry(placeholder.id.clone())
            .or_default()
            .get_or_insert_with(|| data_type.clone());
    }
}

/// `x = any($1)`: a list of what `x` is.
fn find_any(expression: &Expr, node: &LogicalPlan, types: &mut Types) {
    if let Expr::ScalarFunction(call) = expression
        && let ("array_has", [list, item]) = (call.name(), call.args.as_slice())
        && let Some(input) = node.inputs().first()
        && let Ok(item) = item.get_type(input.schema())
    {
        guess(list, &DataType::new_list(item, true), types);
    }
}

/// `$1::int` says what `$1` is, where nothing else does.
fn find_parameter(expression: &Expr, types: &mut Types, fields: &mut HashMap<String, FieldRef>) {
    match expression {
        Expr::Cast(cast) => {
            if let Expr::Placeholder(placeholder) = cast.expr.as_ref() {
                let known = types.entry(placeholder.id.clone()).or_default();
                if known.is_none() {
                    *known = Some(cast.field.data_type().clone());
                }
            }
        }
        Expr::Placeholder(placeholder) => {
            types.entry(placeholder.id.clone()).or_default();
            if let Some(field) = &placeholder.field {
                fields.insert(placeholder.id.clone(), Arc::clone(field));
            }
        }
        _ => {}
    }
}
