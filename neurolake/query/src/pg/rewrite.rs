//! What PostgreSQL understands, in a form that can be planned.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentList, FunctionArguments, GroupByExpr, Ident, LimitClause, ObjectName,
    ObjectNamePart, OrderByKind, Query, SelectItem, SetExpr, Statement, TableAliasColumnDef,
    TableFactor, TimezoneInfo, UnaryOperator, Value, ValueWithSpan, Visit, VisitMut, Visitor,
    VisitorMut,
};

use super::template;
use crate::error::{Error, Result};
use crate::like;

/// Rewrites any statement.
pub(super) fn of_any(statement: &mut Statement) {
    let _ = statement.visit(&mut Any);
}

/// Rewrites a statement of a client of PostgreSQL.
///
/// # Errors
/// A template pattern is not known.
pub(super) fn of_postgres(statement: &mut Statement) -> Result<()> {
    of_any(statement);
    match statement.visit(&mut Postgres) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Postgres;

impl VisitorMut for Postgres {
    type Break = Error;

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<Error> {
        // `generate_series(1, 3) as n` names its column, too.
        if let TableFactor::Table {
            name,
            args: Some(_),
            alias: Some(alias),
            ..
        } = table
            && alias.columns.is_empty()
            && is_named(name, "generate_series")
        {
            alias.columns.push(TableAliasColumnDef {
                name: alias.name.clone(),
                data_type: None,
            });
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<Error> {
        match expression {
            Expr::Function(function) if is_formatting(&function.name) => {
                let has_template = match translate_template(function) {
                    Ok(has_template) => has_template,
                    Err(error) => return ControlFlow::Break(error),
                };
                if has_template && is_named(&function.name, "to_timestamp") {
                    let instant = DataType::Timestamp(None, TimezoneInfo::Tz);
                    *expression = cast(Expr::Function(function.clone()), instant);
                }
            }
            // The engine has them without a sign.
            Expr::Function(function) => {
                let data_type = match function_name_of(function).as_deref() {
                    Some("row_number" | "rank" | "dense_rank") if function.over.is_some() => {
                        DataType::BigInt(None)
                    }
                    Some("ntile") if function.over.is_some() => DataType::Int(None),
                    Some("cardinality") => DataType::Int(None),
                    _ => return ControlFlow::Continue(()),
                };
                *expression = cast(Expr::Function(function.clone()), data_type);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn function_name_of(function: &Function) -> Option<String> {
    let name = function.name.0.last()?.as_ident()?;
    Some(name.value.to_ascii_lowercase())
}

fn is_formatting(name: &ObjectName) -> bool {
    ["to_char", "to_date", "to_timestamp"]
        .iter()
        .any(|formatting| is_named(name, formatting))
}

/// The engine's patterns are those of `strftime`. Whether there is one.
fn translate_template(function: &mut Function) -> Result<bool> {
    let reads_time = is_named(&function.name, "to_timestamp");
    let FunctionArguments::List(list) = &mut function.args else {
        return Ok(false);
    };
    let [_, FunctionArg::Unnamed(FunctionArgExpr::Expr(template))] = &mut list.args[..] else {
        return Ok(false);
    };
    if let Expr::Value(literal) = template
        && let Value::SingleQuotedString(text) = &mut literal.value
    {
        if text.contains('%') {
            return Ok(false);
        }
        *text = template::strftime(text)?;
        if reads_time {
            template::check_time(text)?;
        }
    } else {
        *template = call(template::FUNCTION, vec![template.clone()]);
    }
    Ok(true)
}

/// Rewrites a question about the catalog.
pub(super) fn of_the_catalog(statement: &mut Statement) {
    let _ = statement.visit(&mut Catalog);
}

struct Any;

impl VisitorMut for Any {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        // `fetch first 3 rows only` is the standard's word for `limit 3`.
        let Some(fetch) = &mut query.fetch else {
            return ControlFlow::Continue(());
        };
        if fetch.with_ties || fetch.percent {
            return ControlFlow::Continue(());
        }
        let limit = match fetch.quantity.take() {
            Some(quantity) => quantity,
            None => Expr::Value(Value::Number("1".to_owned(), false).into()),
        };
        query.fetch = None;
        match &mut query.limit_clause {
            Some(LimitClause::LimitOffset { limit: known, .. }) => *known = Some(limit),
            _ => {
                query.limit_clause = Some(LimitClause::LimitOffset {
                    limit: Some(limit),
                    offset: None,
                    limit_by: Vec::new(),
                });
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if let Expr::Like {
            pattern,
            escape_char,
            ..
        }
        | Expr::ILike {
            pattern,
            escape_char,
            ..
        } = expression
            && let Some(escape) = escape_char.take()
        {
            let arguments = vec![*pattern.clone(), Expr::Value(escape)];
            **pattern = call(like::FUNCTION, arguments);
        }
        // The parser gives the sign to the first part only.
        if let Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr: inner,
        } = expression
            && let Expr::Interval(_) = inner.as_ref()
        {
            **inner = Expr::Nested(inner.clone());
        }
        part_from_what_follows(expression);
        if let Expr::CompoundFieldAccess { root, access_chain } = expression
            && let Some(field) = field(root, access_chain)
        {
            *expression = field;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<()> {
        // A function of tables is looked up as it is written.
        if let TableFactor::Table {
            name,
            args: Some(_),
            ..
        }
        | TableFactor::Function { name, .. } = table
            && let Some(ObjectNamePart::Identifier(name)) = name.0.last_mut()
            && name.quote_style.is_none()
        {
            name.value = name.value.to_ascii_lowercase();
        }
        ControlFlow::Continue(())
    }
}

/// The parser takes what stands behind `a is distinct from b and` for a part of `b`.
fn part_from_what_follows(expression: &mut Expr) {
    let is_distinct = matches!(expression, Expr::IsDistinctFrom(..));
    let (Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right)) = expression
    else {
        return;
    };
    let left = left.clone();
    let mut whole = right.as_ref().clone();
    let mut first = &mut whole;
    let mut is_longer = false;
    while let Expr::BinaryOp {
        left: next,
        op: BinaryOperator::And | BinaryOperator::Or,
        ..
    } = first
    {
        first = next;
        is_longer = true;
    }
    if is_longer {
        let right = Box::new(first.clone());
        *first = match is_distinct {
            true => Expr::IsDistinctFrom(left, right),
            false => Expr::IsNotDistinctFrom(left, right),
        };
        *expression = whole;
    }
}

/// `(f(x)).n` is a field of what the function gives.
fn field(root: &Expr, accesses: &[AccessExpr]) -> Option<Expr> {
    let mut value = root.clone();
    for access in accesses {
        let AccessExpr::Dot(Expr::Identifier(name)) = access else {
            return None;
        };
        let name = Value::SingleQuotedString(name.value.clone());
        value = call("get_field", vec![value, Expr::Value(name.into())]);
    }
    Some(value)
}

/// Columns of `pg_type` that hold functions, which print as names; `-` is none.
const FUNCTIONS: [&str; 7] = [
    "typanalyze",
    "typinput",
    "typmodin",
    "typmodout",
    "typoutput",
    "typreceive",
    "typsend",
];

struct Catalog;

impl VisitorMut for Catalog {
    type Break = ();

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        match expression {
            Expr::Function(function) if is_named(&function.name, "array") => {
                if let FunctionArguments::Subquery(query) = &mut function.args {
                    *expression = if reads_nothing(query) {
                        Expr::Value(Value::Null.into())
                    } else {
                        array(query)
                    };
                }
            }
            Expr::Function(function) if looks_into_a_key(function) => {
                *expression = Expr::Value(Value::Boolean(false).into());
            }
            Expr::Function(function) if spreads_a_key(function) => {
                *expression = cast(Expr::Value(Value::Null.into()), DataType::Int(None));
            }
            Expr::CompoundFieldAccess { root, access_chain }
                if is_part_of_a_key(root, access_chain) =>
            {
                *expression = cast(Expr::Value(Value::Null.into()), DataType::Int(None));
            }
            Expr::Subquery(query) => {
                if reads_nothing(query) {
                    *expression = Expr::Value(Value::Null.into());
                } else {
                    one_row(query);
                }
            }
            Expr::BinaryOp { left, right, .. } if is_flag(left) => {
                if let Some(value) = truth(right) {
                    **right = Expr::Value(Value::Boolean(value).into());
                }
            }
            Expr::BinaryOp { left, right, .. } if is_function(left) => {
                if let Some(name) = function_name(right) {
                    **right = Expr::Value(Value::SingleQuotedString(name).into());
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Tables without rows: nothing here has defaults, heirs, members or policies.
const EMPTY: [&str; 6] = [
    "pg_attrdef",
    "pg_auth_members",
    "pg_inherits",
    "pg_partitioned_table",
    "pg_policy",
    "pg_sequence",
];

/// Whether a subquery has no rows, and so is null; its planning may be too much to ask for.
fn reads_nothing(query: &mut Query) -> bool {
    let is_empty = match query.body.as_ref() {
        SetExpr::Select(select) => matches!(&select.from[..], [from, ..]
            if matches!(&from.relation, TableFactor::Table { name, .. }
                if EMPTY.iter().any(|empty| is_named(name, empty)))),
        _ => false,
    };
    is_empty && only_expression(query).is_some_and(|expression| !is_aggregate(expression))
}

/// Columns with the numbers of the columns of a key. Nothing here has keys, and the library keeps
/// them as text.
const KEYS: [&str; 6] = [
    "confkey",
    "conkey",
    "indclass",
    "indcollation",
    "indkey",
    "indoption",
];

/// `indoption[1]`, also by a name that a subquery gives it.
fn is_part_of_a_key(root: &Expr, accesses: &[AccessExpr]) -> bool {
    let name = match accesses {
        [AccessExpr::Subscript(_)] => column(root),
        [.., AccessExpr::Dot(name), AccessExpr::Subscript(_)] => column(name),
        _ => None,
    };
    let name = name.unwrap_or_default().to_ascii_lowercase();
    KEYS.iter().any(|key| name.ends_with(key))
}

/// `unnest(indkey)` and `generate_subscripts(indkey, 1)`.
fn spreads_a_key(function: &Function) -> bool {
    if !is_named(&function.name, "unnest") && !is_named(&function.name, "generate_subscripts") {
        return false;
    }
    let FunctionArguments::List(list) = &function.args else {
        return false;
    };
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))) = list.args.first() else {
        return false;
    };
    column(argument).is_some_and(|name| KEYS.contains(&name))
}

/// `attnum = any(indkey)`, which is a function by now.
fn looks_into_a_key(function: &Function) -> bool {
    let FunctionArguments::List(list) = &function.args else {
        return false;
    };
    is_named(&function.name, "array_contains")
        && matches!(list.args.first(), Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(keys)))
            if column(keys).is_some_and(|name| KEYS.contains(&name)))
}

fn column(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Identifier(name) => Some(&name.value),
        Expr::CompoundIdentifier(names) => names.last().map(|name| name.value.as_str()),
        _ => None,
    }
}

/// Whether it is a column that is true or false.
fn is_flag(expression: &Expr) -> bool {
    const BEGINNINGS: [&str; 5] = ["attis", "attnotnull", "indis", "relhas", "relis"];
    column(expression).is_some_and(|name| BEGINNINGS.iter().any(|begin| name.starts_with(begin)))
}

/// `'t'` and `'f'`, which take the type of what they are compared with.
fn truth(expression: &Expr) -> Option<bool> {
    match expression {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) if text == "t" => Some(true),
            Value::SingleQuotedString(text) if text == "f" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn is_function(expression: &Expr) -> bool {
    column(expression).is_some_and(|name| FUNCTIONS.contains(&name))
}

/// The function that `0` or `'pg_catalog.array_in'::regproc` stands for, as it prints.
fn function_name(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) if number == "0" => Some("-".to_owned()),
            _ => None,
        },
        // `regproc`, or the number that the library has in its place.
        Expr::Cast { expr, .. } => {
            let Expr::Value(value) = expr.as_ref() else {
                return None;
            };
            let name = value.value.clone().into_string()?;
            Some(without_schema(&name))
        }
        // What the library makes of `'array_in'::regproc`.
        Expr::Subquery(query) => {
            let mut first = First::default();
            let _ = query.visit(&mut first);
            first.text.as_deref().map(without_schema)
        }
        _ => None,
    }
}

fn without_schema(name: &str) -> String {
    name.strip_prefix("pg_catalog.").unwrap_or(name).to_owned()
}

/// The first text of an expression.
#[derive(Default)]
struct First {
    text: Option<String>,
}

impl Visitor for First {
    type Break = ();

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<()> {
        self.text = value.value.clone().into_string();
        match self.text {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        }
    }
}

fn is_named(name: &ObjectName, wanted: &str) -> bool {
    name.0
        .last()
        .and_then(ObjectNamePart::as_ident)
        .is_some_and(|ident| ident.value.eq_ignore_ascii_case(wanted))
}

/// `array(select x from t)` is `(select array_agg(x) from t)`.
fn array(query: &mut Query) -> Expr {
    if unnests(query) {
        // Of a column of another table, which can't be planned. Clients ask so for options of
        // storage, which nothing here has.
        return Expr::Value(Value::Null.into());
    }
    let order = query.order_by.take();
    if let Some(expression) = only_expression(query) {
        let mut aggregate = call("array_agg", vec![expression.clone()]);
        if let (Some(order), Expr::Function(function)) = (order, &mut aggregate)
            && let OrderByKind::Expressions(expressions) = order.kind
            && !expressions.iter().any(|by| is_number(&by.expr))
            && let FunctionArguments::List(list) = &mut function.args
        {
            list.clauses.push(
                datafusion::sql::sqlparser::ast::FunctionArgumentClause::OrderBy(expressions),
            );
        }
        *expression = aggregate;
    }
    Expr::Subquery(Box::new(query.clone()))
}

fn is_number(expression: &Expr) -> bool {
    matches!(expression, Expr::Value(value) if matches!(value.value, Value::Number(..)))
}

fn unnests(query: &Query) -> bool {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return false;
    };
    let mut tables = select.from.iter().flat_map(|from| {
        let joined = from.joins.iter().map(|join| &join.relation);
        std::iter::once(&from.relation).chain(joined)
    });
    tables.any(|table| match table {
        TableFactor::Table { name, args, .. } => args.is_some() && is_named(name, "unnest"),
        TableFactor::Function { name, .. } => is_named(name, "unnest"),
        TableFactor::UNNEST { .. } => true,
        _ => false,
    })
}

/// A scalar subquery gives one row at most, which the planner wants to see: clients look up a row
/// by its number.
fn one_row(query: &mut Query) {
    if query.limit_clause.is_some() || query.fetch.is_some() || query.order_by.is_some() {
        return;
    }
    if let Some(expression) = only_expression(query)
        && !is_aggregate(expression)
    {
        *expression = call("first_value", vec![expression.clone()]);
    }
}

/// The expression of `select x from t where ...`.
fn only_expression(query: &mut Query) -> Option<&mut Expr> {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return None;
    };
    let is_grouped = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(expressions, _) => !expressions.is_empty(),
    };
    if is_grouped || select.distinct.is_some() || select.from.is_empty() {
        return None;
    }
    match &mut select.projection[..] {
        [
            SelectItem::UnnamedExpr(expression)
            | SelectItem::ExprWithAlias {
                expr: expression, ..
            },
        ] => Some(expression),
        _ => None,
    }
}

fn is_aggregate(expression: &Expr) -> bool {
    const AGGREGATES: [&str; 10] = [
        "array_agg",
        "avg",
        "bool_and",
        "bool_or",
        "count",
        "every",
        "max",
        "min",
        "string_agg",
        "sum",
    ];
    struct Find(bool);
    impl datafusion::sql::sqlparser::ast::Visitor for Find {
        type Break = ();

        fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
            if let Expr::Function(function) = expression {
                self.0 |= AGGREGATES.iter().any(|name| is_named(&function.name, name));
            }
            ControlFlow::Continue(())
        }
    }
    let mut find = Find(false);
    let _ = datafusion::sql::sqlparser::ast::Visit::visit(expression, &mut find);
    find.0
}

fn cast(expression: Expr, data_type: DataType) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(expression),
        data_type,
        array: false,
        format: None,
    }
}

fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let arguments = arguments.into_iter();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments
                .map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)))
                .collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}
