//! Statements mean what they mean in PostgreSQL, on every door, where the engine takes them otherwise
//! without a word:
//!
//! - a date and an interval make an instant, since the interval may have hours;
//! - operators, `between`, `in` and `order by` compare intervals by their length, of days of 24 hours and
//!   months of 30 days, not part by part;
//! - a number with a fraction becomes the nearest integer, not the one towards zero;
//! - integers that don't fit their type are an error; they don't start again from the other end;
//! - instants, floats and intervals become the text that PostgreSQL writes;
//! - instants may be written without seconds, and days without zeros in front;
//! - `in` and `exists` over a subquery are true, false or unknown.
//!
//! Done right after a statement is planned, before the engine decides on common types, and again
//! when types of parameters are known.

mod functions;
mod instants;
mod subqueries;

use datafusion::arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::functions::math;
use datafusion::logical_expr::expr::{InList, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Between, BinaryExpr, Cast, Expr, ExprSchemable, LogicalPlan, Operator, TryCast,
};
use datafusion::sql::sqlparser::ast;

pub(crate) use self::functions::{arithmetic, registered};

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);
const INSTANT: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// Gives a plan PostgreSQL's meaning. A second time changes nothing, but for parameters that have a type
/// or a value by then.
pub(crate) fn apply(plan: LogicalPlan) -> Result<LogicalPlan> {
    rewrite(plan, false)
}

/// [`apply`], where parameters are of the types that their values will have.
pub(crate) fn apply_typed(plan: LogicalPlan) -> Result<LogicalPlan> {
    rewrite(plan, true)
}

fn rewrite(plan: LogicalPlan, knows_parameters: bool) -> Result<LogicalPlan> {
    let mut is_changed = false;
    let plan = plan.transform_up_with_subqueries(|node| {
        let changed = rewrite_node(node, knows_parameters)?;
        is_changed |= changed.transformed;
        match is_changed {
            // Types of what is below may be others.
            true => changed.map_data(LogicalPlan::recompute_schema),
            false => Ok(changed),
        }
    })?;
    Ok(plan.data)
}

fn rewrite_node(node: LogicalPlan, knows_parameters: bool) -> Result<Transformed<LogicalPlan>> {
    let is_sort = matches!(node, LogicalPlan::Sort(_));
    let mut is_of_interest = false;
    for expression in node.expressions() {
        subqueries::check(&expression)?;
        is_of_interest |= is_sort || expression.exists(|inner| Ok(may_change(inner)))?;
    }
    if !is_of_interest {
        return Ok(Transformed::no(node));
    }
    let schema = merge_schema(&node.inputs());
    let types = Types {
        schema: &schema,
        // Their types are written down.
        are_fixed: matches!(node, LogicalPlan::Values(_)),
        knows_parameters,
    };
    let names = NamePreserver::new(&node);
    let is_filter = matches!(node, LogicalPlan::Filter(_));
    // The engine plans no subqueries in these.
    let takes_subqueries = !matches!(node, LogicalPlan::Join(_) | LogicalPlan::Values(_));
    node.map_expressions(|expression| {
        // Its parts are columns of the plan, and would lose their names.
        if matches!(expression, Expr::GroupingSet(_)) {
            return Ok(Transformed::no(expression));
        }
        let name = names.save(&expression);
        let mut changed = expression.transform_up(|expression| types.rewrite(expression))?;
        if takes_subqueries && subqueries::has_any(&changed.data)? {
            let is_changed = changed.transformed;
            changed = subqueries::rewrite(changed.data, &schema, is_filter)?;
            changed.transformed |= is_changed;
        }
        if is_sort && types.is_length(&changed.data) {
            changed = Transformed::yes(functions::interval_length(changed.data));
        }
        Ok(match changed.transformed {
            true => changed.update_data(|expression| name.restore(expression)),
            false => changed,
        })
    })
}

fn may_change(expression: &Expr) -> bool {
    match expression {
        Expr::BinaryExpr(_)
        | Expr::Between(_)
        | Expr::InList(_)
        | Expr::Cast(_)
        | Expr::TryCast(_)
        | Expr::InSubquery(_)
        | Expr::Exists(_) => true,
        Expr::ScalarFunction(call) => is_concatenation(call) || is_length_of(call),
        _ => false,
    }
}

/// `length`, which the engine knows of texts only.
fn is_length_of(call: &ScalarFunction) -> bool {
    call.func.name() == "character_length" && call.args.len() == 1
}

fn is_concatenation(call: &ScalarFunction) -> bool {
    matches!(call.func.name(), "concat" | "concat_ws")
}

/// What is known of the columns below an expression.
struct Types<'a> {
    schema: &'a DFSchema,
    are_fixed: bool,
    knows_parameters: bool,
}

impl Types<'_> {
    fn of(&self, expression: &Expr) -> Option<DataType> {
        // Parameters may have no type yet.
        expression.get_type(self.schema).ok()
    }

    fn is_length(&self, expression: &Expr) -> bool {
        matches!(self.of(expression), Some(DataType::Interval(_)))
    }

    fn rewrite(&self, expression: Expr) -> Result<Transformed<Expr>> {
        match expression {
            Expr::BinaryExpr(binary) => self.binary(binary),
            Expr::Between(Between {
                expr,
                negated,
                low,
                high,
            }) => {
                let mut all = [*expr, *low, *high];
                let is_changed = self.compared(&mut all);
                let [expr, low, high] = all.map(Box::new);
                let between = Expr::Between(Between {
                    expr,
                    negated,
                    low,
                    high,
                });
                Ok(transformed(between, is_changed))
            }
            Expr::InList(InList {
                expr,
                mut list,
                negated,
            }) => {
                list.insert(0, *expr);
                let is_changed = self.compared(&mut list);
                let expr = Box::new(list.remove(0));
                let list = Expr::InList(InList {
                    expr,
                    list,
                    negated,
                });
                Ok(transformed(list, is_changed))
            }
            Expr::Cast(Cast { expr, field }) => {
                let (expr, is_changed) = self.cast(*expr, field.data_type());
                let expr = Box::new(expr);
                Ok(transformed(Expr::Cast(Cast { expr, field }), is_changed))
            }
            Expr::TryCast(TryCast { expr, field }) => {
                let (expr, is_changed) = self.cast(*expr, field.data_type());
                let expr = Box::new(expr);
                let cast = Expr::TryCast(TryCast { expr, field });
                Ok(transformed(cast, is_changed))
            }
            Expr::ScalarFunction(mut call) if is_concatenation(&call) => {
                let mut is_changed = false;
                for argument in &mut call.args {
                    is_changed |= self.spell(argument);
                }
                Ok(transformed(Expr::ScalarFunction(call), is_changed))
            }
            Expr::ScalarFunction(mut call) if is_length_of(&call) => {
                let of = self.of(&call.args[0]);
                match of.is_some_and(|of| of.is_binary()) {
                    true => Ok(Transformed::yes(functions::bytes(call.args.remove(0)))),
                    false => Ok(Transformed::no(Expr::ScalarFunction(call))),
                }
            }
            other => Ok(Transformed::no(other)),
        }
    }

    fn binary(&self, BinaryExpr { left, op, right }: BinaryExpr) -> Result<Transformed<Expr>> {
        let mut sides = [*left, *right];
        let mut is_changed = false;
        match op {
            Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom => is_changed = self.compared(&mut sides),
            Operator::Plus | Operator::Minus | Operator::Multiply => {
                match (self.of(&sides[0]), self.of(&sides[1])) {
                    (Some(left), Some(right))
                        if left.is_integer()
                            && right.is_integer()
                            && (self.knows_parameters || !sides.iter().any(has_parameter)) =>
                    {
                        let types = BinaryTypeCoercer::new(&left, &op, &right);
                        let (left, right) = types.get_input_types()?;
                        // Of some there is no integer that holds both.
                        if left == right && left.is_integer() {
                            // PostgreSQL has no others: differences of ranks and counts may be negative.
                            let whole = match left.is_unsigned_integer() {
                                true => DataType::Int64,
                                false => left,
                            };
                            let [first, second] = sides;
                            let first = first.cast_to(&whole, self.schema)?;
                            let second = second.cast_to(&whole, self.schema)?;
                            return Ok(Transformed::yes(functions::checked(op, first, second)));
                        }
                    }
                    (Some(day), Some(DataType::Interval(_)))
                        if is_day(&day) && op != Operator::Multiply && !self.are_fixed =>
                    {
                        sides[0] = instant(take(&mut sides[0]));
                        is_changed = true;
                    }
                    (Some(DataType::Interval(_)), Some(day))
                        if is_day(&day) && op == Operator::Plus && !self.are_fixed =>
                    {
                        sides[1] = instant(take(&mut sides[1]));
                        is_changed = true;
                    }
                    _ => {}
                }
            }
            Operator::StringConcat => {
                let is_text = |side: &Expr| self.of(side).is_some_and(|of| of.is_string());
                if sides.iter().any(is_text) {
                    let [first, second] = &mut sides;
                    is_changed = self.spell(first);
                    is_changed |= self.spell(second);
                }
            }
            _ => {}
        }
        let [left, right] = sides.map(Box::new);
        let binary = Expr::BinaryExpr(BinaryExpr { left, op, right });
        Ok(transformed(binary, is_changed))
    }

    /// Prepares expressions that are compared with the first of them.
    fn compared(&self, all: &mut [Expr]) -> bool {
        let types: Vec<_> = all.iter().map(|expression| self.of(expression)).collect();
        let has = |wanted: fn(&DataType) -> bool| types.iter().flatten().any(wanted);
        if has(is_length) {
            let is_plain =
                !has(|of| matches!(of, DataType::Interval(_))) && !has(DataType::is_string);
            if is_plain {
                return false;
            }
            for (expression, data_type) in all.iter_mut().zip(&types) {
                match data_type {
                    Some(_) if is_text(expression) => {
                        *expression = cast(take(expression), INTERVAL);
                    }
                    Some(DataType::Null) => *expression = cast(take(expression), INTERVAL),
                    Some(of) if is_length(of) => {}
                    // The engine says what is wrong with it.
                    _ => return false,
                }
            }
            for expression in all {
                *expression = functions::interval_length(take(expression));
            }
            return true;
        }
        let mut is_changed = false;
        if let Some(temporal) = types.iter().flatten().find(|of| is_temporal(of)) {
            for expression in all.iter_mut() {
                is_changed |= instants::complete(expression, temporal);
            }
        }
        // Whole days after a day are a day as well, and files are told apart by their days.
        if has(is_day) {
            for expression in all {
                if let Some(day) = self.day(expression) {
                    *expression = day;
                    is_changed = true;
                }
            }
        }
        is_changed
    }

    /// A sum of a day and of whole days, without the instant that [`apply`] made of it.
    fn day(&self, expression: &Expr) -> Option<Expr> {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expression else {
            return None;
        };
        let with = |left: Expr, right: Expr| {
            let (left, right) = (Box::new(left), Box::new(right));
            Some(Expr::BinaryExpr(BinaryExpr {
                left,
                op: *op,
                right,
            }))
        };
        let below = |side: &Expr| match side {
            Expr::Cast(Cast { expr, field }) if *field.data_type() == INSTANT => self
                .of(expr)
                .is_some_and(|of| is_day(&of))
                .then(|| expr.as_ref().clone()),
            other => self.day(other),
        };
        match op {
            Operator::Plus | Operator::Minus if is_whole_days(right) => {
                with(below(left)?, right.as_ref().clone())
            }
            Operator::Plus if is_whole_days(left) => with(left.as_ref().clone(), below(right)?),
            _ => None,
        }
    }

    fn cast(&self, mut expression: Expr, to: &DataType) -> (Expr, bool) {
        if to.is_string() {
            let is_changed = self.spell(&mut expression);
            return (expression, is_changed);
        }
        if is_temporal(to) {
            let is_changed = instants::complete(&mut expression, to);
            return (expression, is_changed);
        }
        if !to.is_integer() || is_whole(&expression) {
            return (expression, false);
        }
        match self.of(&expression) {
            Some(from) if from.is_decimal() => (math::round().call(vec![expression]), true),
            // What is written with a point is exact in PostgreSQL, which rounds halves of exact numbers
            // away from zero, and those of floats to the even number.
            Some(from) if from.is_floating() && is_written(&expression) => {
                (math::round().call(vec![expression]), true)
            }
            Some(from) if from.is_floating() => (functions::nearest(expression), true),
            _ => (expression, false),
        }
    }

    /// Makes it the text that PostgreSQL writes.
    fn spell(&self, expression: &mut Expr) -> bool {
        let is_spelled = self
            .of(expression)
            .is_some_and(|of| functions::is_spelled(&of));
        if is_spelled {
            *expression = functions::text(take(expression));
        }
        is_spelled
    }
}

fn transformed(expression: Expr, is_changed: bool) -> Transformed<Expr> {
    match is_changed {
        true => Transformed::yes(expression),
        false => Transformed::no(expression),
    }
}

fn take(expression: &mut Expr) -> Expr {
    std::mem::take(expression)
}

fn cast(expression: Expr, to: DataType) -> Expr {
    Expr::Cast(Cast::new(Box::new(expression), to))
}

fn has_parameter(expression: &Expr) -> bool {
    let is_parameter = |inner: &Expr| Ok(matches!(inner, Expr::Placeholder(_)));
    // It only fails where the closure does.
    expression.exists(is_parameter).unwrap_or(true)
}

fn instant(day: Expr) -> Expr {
    cast(day, INSTANT)
}

fn is_day(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Date32 | DataType::Date64)
}

fn is_length(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(_) | DataType::Duration(_))
}

fn is_interval(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(_))
}

/// What two instants are apart.
fn is_apart(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Duration(_))
}

fn is_temporal(data_type: &DataType) -> bool {
    is_day(data_type) || matches!(data_type, DataType::Timestamp(..))
}

/// Whether it is an interval without hours.
fn is_whole_days(expression: &Expr) -> bool {
    match expression {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(value)), _) => value.nanoseconds == 0,
        Expr::Literal(ScalarValue::IntervalYearMonth(Some(_)), _) => true,
        Expr::Literal(ScalarValue::IntervalDayTime(Some(value)), _) => value.milliseconds == 0,
        _ => false,
    }
}

/// Whether it is rounded already.
fn is_whole(expression: &Expr) -> bool {
    let names = ["ceil", "floor", "round", "trunc", functions::NEAREST];
    matches!(expression, Expr::ScalarFunction(call)
        if call.args.len() == 1 && names.contains(&call.func.name()))
}

fn is_written(expression: &Expr) -> bool {
    match expression {
        Expr::Literal(..) => true,
        Expr::Negative(inner) => is_written(inner),
        _ => false,
    }
}

/// Operators of intervals while a statement is planned: what the engine doesn't plan, and what decides on
/// types, which unions, rows of `values` and subqueries keep.
#[derive(Debug)]
pub(crate) struct Operators;

impl ExprPlanner for Operators {
    fn plan_binary_op(
        &self,
        binary: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        use ast::BinaryOperator::{Divide, Eq, Gt, GtEq, Lt, LtEq, Minus, Multiply, NotEq, Plus};

        let RawBinaryExpr {
            op,
            mut left,
            mut right,
        } = binary;
        let types = Types {
            schema,
            are_fixed: false,
            knows_parameters: false,
        };
        let is_any = matches!(
            op,
            Divide | Eq | Gt | GtEq | Lt | LtEq | Minus | Multiply | NotEq | Plus
        );
        let is_of = |side: &Expr, wanted: fn(&DataType) -> bool| {
            is_any && types.of(side).is_some_and(|of| wanted(&of))
        };
        let (is_left, is_right) = (is_of(&left, is_length), is_of(&right, is_length));
        let is_number = |side: &Expr| {
            is_of(side, DataType::is_numeric)
                || matches!(side, Expr::Placeholder(_)) && types.of(side).is_none()
        };
        let number = |side: Expr| cast(side, DataType::Float64);
        match op {
            Multiply if is_left && is_number(&right) => {
                let product = functions::multiple(left, number(right));
                return Ok(PlannerResult::Planned(product));
            }
            Multiply if is_right && is_number(&left) => {
                let product = functions::multiple(right, number(left));
                return Ok(PlannerResult::Planned(product));
            }
            Divide if is_left && is_number(&right) => {
                let quotient = functions::part(left, number(right));
                return Ok(PlannerResult::Planned(quotient));
            }
            Eq | NotEq | Lt | LtEq | Gt | GtEq if is_left && is_text(&right) => {
                right = cast(right, INTERVAL);
            }
            Eq | NotEq | Lt | LtEq | Gt | GtEq if is_text(&left) && is_right => {
                left = cast(left, INTERVAL);
            }
            Plus | Minus if is_of(&left, is_interval) && is_of(&right, is_apart) => {
                right = functions::interval(right);
            }
            Plus | Minus if is_of(&left, is_apart) && is_of(&right, is_interval) => {
                left = functions::interval(left);
            }
            Plus | Minus if is_right && is_of(&left, is_day) => left = instant(left),
            Plus if is_left && is_of(&right, is_day) => right = instant(right),
            _ => {}
        }
        Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }))
    }
}

fn is_text(expression: &Expr) -> bool {
    matches!(expression, Expr::Literal(value, _) if value.data_type().is_string())
}
