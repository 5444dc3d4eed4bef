//! What PostgreSQL understands, in a form that can be planned.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, GroupByExpr, Ident, ObjectName, ObjectNamePart, OrderByKind, Query,
    SelectItem, SetExpr, Statement, TableFactor, Value, ValueWithSpan, VisitMut, VisitorMut,
};

/// Rewrites any statement.
pub(super) fn of_any(statement: &mut Statement) {
    let _ = statement.visit(&mut Any);
}

/// Rewrites a question about the catalog.
pub(super) fn of_the_catalog(statement: &mut Statement) {
    let _ = statement.visit(&mut Catalog);
}

struct Any;

impl VisitorMut for Any {
    type Break = ();

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
            with_backslashes(pattern, &escape);
        }
        ControlFlow::Continue(())
    }
}

/// Patterns know one character that takes a meaning away, the backslash.
fn with_backslashes(pattern: &mut Expr, escape: &ValueWithSpan) {
    let Some(escape) = escape.value.clone().into_string() else {
        return;
    };
    if escape == "\\" {
        return;
    }
    let replace = |text: Expr, from: &str, to: &str| {
        let text_of = |text: &str| Expr::Value(Value::SingleQuotedString(text.to_owned()).into());
        call("replace", vec![text, text_of(from), text_of(to)])
    };
    let mut text = replace(pattern.clone(), "\\", "\\\\");
    if !escape.is_empty() {
        text = replace(text, &escape.repeat(2), "\u{1}");
        text = replace(text, &escape, "\\");
        text = replace(text, "\u{1}", &escape);
    }
    *pattern = text;
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
            Expr::Function(function) if spreads_a_key(function) => {
                *expression = Expr::Cast {
                    kind: CastKind::Cast,
                    expr: Box::new(Expr::Value(Value::Null.into())),
                    data_type: DataType::Int(None),
                    array: false,
                    format: None,
                };
            }
            Expr::Subquery(query) => {
                if reads_nothing(query) {
                    *expression = Expr::Value(Value::Null.into());
                } else {
                    one_row(query);
                }
            }
            Expr::BinaryOp { left, right, .. } if is_function(left) && is_zero(right) => {
                **right = Expr::Value(Value::SingleQuotedString("-".to_owned()).into());
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

fn column(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Identifier(name) => Some(&name.value),
        Expr::CompoundIdentifier(names) => names.last().map(|name| name.value.as_str()),
        _ => None,
    }
}

fn is_function(expression: &Expr) -> bool {
    column(expression).is_some_and(|name| FUNCTIONS.contains(&name))
}

fn is_zero(expression: &Expr) -> bool {
    matches!(expression, Expr::Value(value)
        if matches!(&value.value, Value::Number(number, _) if number == "0"))
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
