//! `in` and `exists` over a subquery, which are true, false or unknown.
//!
//! The engine knows no unknown where it makes joins of them, but for `x not in (...)` that stands by
//! itself and reads nothing of the statement around it:
//! <https://github.com/apache/datafusion/issues/25347>,
//! <https://github.com/apache/datafusion/issues/25336>,
//! <https://github.com/apache/datafusion/issues/25480>. It forgets that an aggregate without groups has a
//! row over no rows: <https://github.com/apache/datafusion/issues/24960>. And it plans neither outside of
//! `where`. So they are taken apart here into questions that it answers rightly.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ExprSchema, JoinType, Spans, not_impl_err};
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, Filter, LogicalPlan, LogicalPlanBuilder, Operator, Subquery,
    lit, when,
};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::scalar::ScalarValue;

use super::functions::interval_length;
use super::is_length;

/// Refuses set operations of which a part reads the statement around them: the engine pulls conditions
/// out of the part, as if they stood behind the operation.
pub(super) fn check(expression: &Expr) -> Result<()> {
    expression.apply(|inner| {
        let (Expr::ScalarSubquery(subquery)
        | Expr::InSubquery(InSubquery { subquery, .. })
        | Expr::Exists(Exists { subquery, .. })) = inner
        else {
            return Ok(TreeNodeRecursion::Continue);
        };
        if subquery.outer_ref_columns.is_empty() {
            return Ok(TreeNodeRecursion::Continue);
        }
        subquery.subquery.apply(|node| {
            let is_of_sets = match node {
                LogicalPlan::Union(_) => true,
                LogicalPlan::Join(join) => {
                    matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
                }
                _ => false,
            };
            if is_of_sets && !node.all_out_ref_exprs().is_empty() {
                return not_impl_err!(
                    "a part of a `union`, `intersect` or `except` reads the statement around it; ask for each part by itself"
                );
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(())
}

/// Whether there is anything to take apart.
pub(super) fn has_any(expression: &Expr) -> Result<bool> {
    expression.exists(|inner| Ok(matches!(inner, Expr::InSubquery(_) | Expr::Exists(_))))
}

/// The expression of a plan with `schema` below it.
pub(super) fn rewrite(
    expression: Expr,
    schema: &DFSchema,
    is_filter: bool,
) -> Result<Transformed<Expr>> {
    let place = Place { schema, is_filter };
    match is_filter {
        true => place.condition(expression, true),
        false => place.value(expression),
    }
}

/// Where expressions stand.
struct Place<'a> {
    schema: &'a DFSchema,
    /// The engine plans `exists` in filters only.
    is_filter: bool,
}

impl Place<'_> {
    /// Of what is unknown as much becomes as of what is false. `is_alone`: nothing else makes a row pass.
    fn condition(&self, expression: Expr, is_alone: bool) -> Result<Transformed<Expr>> {
        Ok(match expression {
            Expr::BinaryExpr(BinaryExpr {
                left,
                op: op @ (Operator::And | Operator::Or),
                right,
            }) => {
                let is_alone = is_alone && op == Operator::And;
                let left = self.condition(*left, is_alone)?;
                let right = self.condition(*right, is_alone)?;
                let is_changed = left.transformed || right.transformed;
                let (left, right) = (Box::new(left.data), Box::new(right.data));
                let both = Expr::BinaryExpr(BinaryExpr { left, op, right });
                super::transformed(both, is_changed)
            }
            Expr::Not(inner) => match *inner {
                Expr::InSubquery(found) => {
                    let found = InSubquery {
                        negated: !found.negated,
                        ..found
                    };
                    Transformed::yes(self.found(found, is_alone)?.data)
                }
                other => self.value(Expr::Not(Box::new(other)))?,
            },
            Expr::InSubquery(found) => self.found(found, is_alone)?,
            other => self.value(other)?,
        })
    }

    /// `in` and `not in` where unknown is as good as false.
    fn found(&self, found: InSubquery, is_alone: bool) -> Result<Transformed<Expr>> {
        let is_correlated = !found.subquery.outer_ref_columns.is_empty();
        // Of other expressions the engine doesn't always know that they may be null.
        let is_column = matches!(found.expr.as_ref(), Expr::Column(_));
        let is_right = match found.negated {
            _ if !has_one_column(&found) => true,
            false => true,
            true => is_alone && !is_correlated && is_column,
        };
        let is_right = is_right && !self.compares_lengths(&found);
        if is_right && !has_one_row(&found.subquery)? && !has_any(&found.expr)? {
            return Ok(Transformed::no(Expr::InSubquery(found)));
        }
        self.taken_apart(found, true).map(Transformed::yes)
    }

    fn value(&self, expression: Expr) -> Result<Transformed<Expr>> {
        expression.transform_up(|expression| match expression {
            Expr::InSubquery(found) if has_one_column(&found) => {
                self.taken_apart(found, false).map(Transformed::yes)
            }
            Expr::Exists(exists) => {
                let Exists { subquery, negated } = &exists;
                if has_one_row(subquery)? {
                    return Ok(Transformed::yes(lit(!negated)));
                }
                if self.is_filter && !subquery.outer_ref_columns.is_empty() {
                    return Ok(Transformed::no(Expr::Exists(exists)));
                }
                let counted = self.exists(subquery.subquery.as_ref().clone())?;
                Ok(Transformed::yes(negate(counted, *negated)))
            }
            other => Ok(Transformed::no(other)),
        })
    }

    fn compares_lengths(&self, found: &InSubquery) -> bool {
        let row = found.subquery.subquery.schema().field(0);
        self.compares_lengths_with(&found.expr, row.data_type())
    }

    fn compares_lengths_with(&self, value: &Expr, row: &DataType) -> bool {
        let value = value.get_type(self.schema);
        is_length(row) && value.is_ok_and(|of| is_length(&of))
    }

    fn taken_apart(&self, found: InSubquery, is_condition: bool) -> Result<Expr> {
        let InSubquery {
            expr,
            subquery,
            negated,
        } = found;
        let value = self.value(*expr)?.data;
        if has_one_row(&subquery)? {
            let row = Expr::ScalarSubquery(subquery);
            return Ok(match negated {
                true => value.not_eq(row),
                false => value.eq(row),
            });
        }
        let plan = &named(&subquery, &value)?;
        let (qualifier, field) = plan.schema().qualified_field(0);
        let row = Expr::Column(Column::from((qualifier, field)));
        let outer = self.seen_from_inside(&value)?;
        let equal = match self.compares_lengths_with(&value, field.data_type()) {
            true => interval_length(row.clone()).eq(interval_length(outer)),
            false => row.clone().eq(outer),
        };
        let is_there = self.exists_where(plan, equal)?;
        // What is compared with null is unknown.
        let mut unknown = Vec::new();
        if field.is_nullable() {
            unknown.push(self.exists_where(plan, row.is_null())?);
        }
        let is_known = matches!(value, Expr::Column(_) | Expr::Literal(..));
        if !is_known || value.nullable(self.schema).unwrap_or(true) {
            unknown.push(value.is_null().and(self.exists(plan.clone())?));
        }
        let unknown = unknown.into_iter().reduce(Expr::or);
        Ok(match (unknown, negated) {
            (None, negated) => negate(is_there, negated),
            (Some(_), false) if is_condition => is_there,
            (Some(unknown), true) if is_condition => {
                negate(is_there, true).and(negate(unknown, true))
            }
            (Some(unknown), negated) => when(is_there, lit(!negated))
                .when(unknown, lit(ScalarValue::Boolean(None)))
                .otherwise(lit(negated))?,
        })
    }

    /// An expression from here as a subquery sees it.
    fn seen_from_inside(&self, value: &Expr) -> Result<Expr> {
        let changed = value.clone().transform_up(|expression| match expression {
            Expr::Column(column) => {
                let field = Arc::clone(self.schema.field_from_column(&column)?);
                Ok(Transformed::yes(Expr::OuterReferenceColumn(field, column)))
            }
            Expr::OuterReferenceColumn(_, column) => not_impl_err!(
                "`{column}` of two statements further out is compared with rows of a subquery by `in`; write `exists (select ... where ... = {column})`"
            ),
            Expr::ScalarSubquery(_) => {
                not_impl_err!("a subquery is looked for in the rows of another; name it with `with`")
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(changed.data)
    }

    fn exists_where(&self, plan: &LogicalPlan, condition: Expr) -> Result<Expr> {
        self.exists(
            LogicalPlanBuilder::from(plan.clone())
                .filter(condition)?
                .build()?,
        )
    }

    /// Whether a plan has rows, which is never unknown.
    fn exists(&self, plan: LogicalPlan) -> Result<Expr> {
        let is_correlated = !plan.all_out_ref_exprs().is_empty();
        if self.is_filter && is_correlated {
            return Ok(Expr::Exists(Exists {
                subquery: subquery(plan),
                negated: false,
            }));
        }
        let rows = LogicalPlanBuilder::from(plan);
        // Counted once, where it would be a join of all rows with all.
        let rows = match is_correlated {
            true => rows,
            false => rows.limit(0, Some(1))?,
        };
        let counted = rows
            .aggregate(Vec::<Expr>::new(), [count(lit(1)).alias("rows")])?
            .project([Expr::Column(Column::from_name("rows")).gt(lit(0))])?;
        Ok(Expr::ScalarSubquery(subquery(counted.build()?)))
    }
}

/// The rows so that their columns are told from those of `value`: the engine takes two of one name, of the same
/// table outside and inside, for one.
fn named(subquery: &Subquery, value: &Expr) -> Result<LogicalPlan> {
    let plan = subquery.subquery.as_ref();
    if subquery.outer_ref_columns.is_empty() {
        let column = Expr::Column(Column::from(plan.schema().qualified_field(0)));
        return LogicalPlanBuilder::from(plan.clone())
            .project([column.alias("__row")])?
            .alias("__rows")?
            .build();
    }
    // Under another name the engine doesn't find what reads the statement around.
    for column in value.column_refs() {
        if plan.exists(|node| Ok(node.schema().has_column(column)))? {
            return not_impl_err!(
                "`{column}` is a column of the subquery as well; give the table another name there"
            );
        }
    }
    Ok(plan.clone())
}

fn subquery(plan: LogicalPlan) -> Subquery {
    Subquery {
        outer_ref_columns: plan.all_out_ref_exprs(),
        subquery: Arc::new(plan),
        spans: Spans::new(),
    }
}

fn negate(expression: Expr, is_negated: bool) -> Expr {
    match (expression, is_negated) {
        (expression, false) => expression,
        (Expr::Exists(Exists { subquery, negated }), true) => Expr::Exists(Exists {
            subquery,
            negated: !negated,
        }),
        (expression, true) => Expr::Not(Box::new(expression)),
    }
}

/// If not, the engine says what is wrong with it.
fn has_one_column(found: &InSubquery) -> bool {
    found.subquery.subquery.schema().fields().len() == 1
}

/// Whether it reads the statement around it and has one row, of an aggregate without groups.
fn has_one_row(subquery: &Subquery) -> Result<bool> {
    if subquery.outer_ref_columns.is_empty() {
        return Ok(false);
    }
    let mut plan = subquery.subquery.as_ref();
    let mut is_filtered = false;
    loop {
        plan = match plan {
            LogicalPlan::Projection(node) => &node.input,
            LogicalPlan::SubqueryAlias(node) => &node.input,
            LogicalPlan::Sort(node) if node.fetch.is_none() => &node.input,
            LogicalPlan::Filter(node) => {
                if passes_nothing(node)? {
                    return Ok(false);
                }
                is_filtered = true;
                &node.input
            }
            LogicalPlan::Limit(node) => {
                is_filtered = true;
                &node.input
            }
            // The engine asks it once.
            LogicalPlan::Aggregate(_) if plan.all_out_ref_exprs().is_empty() => return Ok(false),
            LogicalPlan::Aggregate(node) if node.group_expr.is_empty() && is_filtered => {
                return not_impl_err!(
                    "a subquery reads the statement around it, and filters the one row of an aggregate; compare the aggregate: `(select count(*) ...) > 1`"
                );
            }
            LogicalPlan::Aggregate(node) => return Ok(node.group_expr.is_empty()),
            _ => return Ok(false),
        };
    }
}

/// Whether a condition on an aggregate without groups is not met over no rows: there is no row then, as the
/// engine has it.
fn passes_nothing(filter: &Filter) -> Result<bool> {
    let LogicalPlan::Aggregate(aggregate) = filter.input.as_ref() else {
        return Ok(false);
    };
    let condition = filter.predicate.clone().transform_up(|expression| {
        let Expr::Column(column) = &expression else {
            return Ok(Transformed::no(expression));
        };
        let index = aggregate.schema.index_of_column(column)?;
        let is_count = matches!(aggregate.aggr_expr.get(index).map(unalias),
            Some(Expr::AggregateFunction(call)) if call.func.name() == "count");
        let value = match is_count {
            true => ScalarValue::Int64(Some(0)),
            false => ScalarValue::try_from(aggregate.schema.field(index).data_type())?,
        };
        Ok(Transformed::yes(Expr::Literal(value, None)))
    })?;
    let simplifier = ExprSimplifier::new(SimplifyContext::default());
    let schema = DFSchema::empty();
    let coerced = simplifier.coerce(condition.data, &schema);
    let value = coerced.and_then(|condition| simplifier.simplify(condition));
    Ok(matches!(
        value,
        Ok(Expr::Literal(ScalarValue::Boolean(None | Some(false)), _))
    ))
}

fn unalias(expression: &Expr) -> &Expr {
    match expression {
        Expr::Alias(alias) => unalias(&alias.expr),
        other => other,
    }
}
