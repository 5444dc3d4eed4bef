//! Names of columns that a statement gives no name.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName,
    ObjectNamePart, SelectItem, SetExpr, Statement, VisitMut, VisitorMut,
};

/// Names of the first columns, up to the first that isn't known before planning. `None`: the column
/// keeps its name.
pub fn column_names(statement: &Statement) -> Vec<Option<String>> {
    let Statement::Query(query) = statement else {
        return Vec::new();
    };
    let mut body = query.body.as_ref();
    loop {
        match body {
            SetExpr::Query(query) => body = query.body.as_ref(),
            // The first of them names the columns.
            SetExpr::SetOperation { left, .. } => body = left.as_ref(),
            SetExpr::Select(select) => {
                return select
                    .projection
                    .iter()
                    .map_while(|item| match item {
                        SelectItem::UnnamedExpr(expression) => Some(name(expression)),
                        SelectItem::ExprWithAlias { .. } => Some(None),
                        _ => None,
                    })
                    .collect();
            }
            _ => return Vec::new(),
        }
    }
}

/// Stands between a name and the number of its repetition.
const REPEATED: char = '\u{1}';

/// The engine wants columns to have different names: those that come again get a number, which
/// [`without_number`] takes away.
pub(super) fn number_repeated(statement: &mut Statement) {
    if let Statement::Query(query) = statement {
        number_in(&mut query.body);
    }
}

fn number_in(body: &mut SetExpr) {
    match body {
        SetExpr::Query(query) => number_in(&mut query.body),
        SetExpr::SetOperation { left, right, .. } => {
            number_in(left);
            number_in(right);
        }
        SetExpr::Select(select) => {
            let mut known = HashSet::new();
            for (number, item) in select.projection.iter_mut().enumerate() {
                let (expression, shown, written) = match item {
                    SelectItem::UnnamedExpr(expression) => {
                        (&*expression, name(expression), without_casts(expression))
                    }
                    SelectItem::ExprWithAlias { expr, alias } => {
                        let shown = shown_as(alias);
                        (&*expr, Some(shown.clone()), shown)
                    }
                    _ => continue,
                };
                if known.insert(written) {
                    continue;
                }
                let shown = shown.or_else(|| match expression {
                    Expr::Identifier(name) => Some(shown_as(name)),
                    Expr::CompoundIdentifier(names) => names.last().map(shown_as),
                    _ => None,
                });
                let Some(shown) = shown else { continue };
                *item = SelectItem::ExprWithAlias {
                    expr: expression.clone(),
                    alias: Ident::with_quote('"', format!("{shown}{REPEATED}{number}")),
                };
            }
        }
        _ => {}
    }
}

/// The name that the engine gives to an expression: it leaves out casts.
fn without_casts(expression: &Expr) -> String {
    struct Casts;
    impl VisitorMut for Casts {
        type Break = ();

        fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
            while let Expr::Cast { expr: inner, .. } | Expr::Nested(inner) = expression {
                *expression = *inner.clone();
            }
            ControlFlow::Continue(())
        }
    }
    let mut expression = expression.clone();
    let _ = expression.visit(&mut Casts);
    expression.to_string().to_lowercase()
}

fn shown_as(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    }
}

/// The name of a column as the client wrote it.
pub fn without_number(name: &str) -> &str {
    // A library's word for a column that `*` repeats.
    let name = name.strip_prefix("__alias_").unwrap_or(name);
    name.split(REPEATED).next().unwrap_or(name)
}

/// As `FigureColname` of PostgreSQL does it.
fn name(expression: &Expr) -> Option<String> {
    Some(match expression {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => return None,
        // An element has the name of its list.
        Expr::CompoundFieldAccess { root, .. } => match root.as_ref() {
            Expr::Identifier(name) => shown_as(name),
            Expr::CompoundIdentifier(names) => shown_as(names.last()?),
            inner => return name(inner),
        },
        Expr::Function(function) => match last(&function.name)?.as_str() {
            // What an operator was rewritten to.
            "get_field" => field(function)?,
            name => name.to_owned(),
        },
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => return name(inner),
        Expr::Cast {
            expr: inner,
            data_type,
            ..
        } => match inner.as_ref() {
            Expr::Identifier(name) => name.value.clone(),
            Expr::CompoundIdentifier(names) => names.last()?.value.clone(),
            inner => match name(inner) {
                Some(name) if name != UNKNOWN => name,
                _ => data_type.to_string().to_lowercase(),
            },
        },
        Expr::Case { .. } => "case".to_owned(),
        Expr::Exists { .. } => "exists".to_owned(),
        Expr::Extract { .. } => "extract".to_owned(),
        Expr::Floor { .. } => "floor".to_owned(),
        Expr::Ceil { .. } => "ceil".to_owned(),
        Expr::Position { .. } => "position".to_owned(),
        Expr::Substring { .. } => "substring".to_owned(),
        Expr::Trim { .. } => "btrim".to_owned(),
        Expr::Array(_) => "array".to_owned(),
        Expr::Subquery(query) => {
            let statement = Statement::Query(query.clone());
            return match column_names(&statement).into_iter().next() {
                Some(Some(name)) => Some(name),
                _ => None,
            };
        }
        _ => UNKNOWN.to_owned(),
    })
}

/// The field that `get_field` takes out.
fn field(function: &Function) -> Option<String> {
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    match list.args.last()? {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(name))) => {
            name.value.clone().into_string()
        }
        _ => None,
    }
}

const UNKNOWN: &str = "?column?";

fn last(name: &ObjectName) -> Option<String> {
    let ident = name.0.last().and_then(ObjectNamePart::as_ident)?;
    Some(ident.value.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_named_as_postgres_names_them() {
        let sql = "select 1, count(*), a, t.b, a::text, 3::int, (max(a)), a + 1 as c, \
                   case when true then 1 end, exists(select 1), interval '1 day' * 2, (f(x)).n, *, 2 from t";
        let statements = super::super::dialect::parse(sql).expect("it is right");
        let names = column_names(&statements[0]);
        let names: Vec<&str> = names
            .iter()
            .map(|name| name.as_deref().unwrap_or("-"))
            .collect();
        assert_eq!(
            names,
            [
                "?column?", "count", "-", "-", "a", "int", "max", "-", "case", "exists",
                "?column?", "n"
            ]
        );
    }

    #[test]
    fn repeated_columns_keep_their_names() {
        for (sql, wanted) in [
            ("select 1, 1, 2", ["?column?", "?column?", "?column?"]),
            ("select a, a::text, t.a from t", ["a", "a", "a"]),
            (
                "select sum(a), sum(a::int), sum(b) from t",
                ["sum", "sum", "sum"],
            ),
            ("select a as x, b as X, c as \"X\" from t", ["x", "x", "X"]),
            ("select a[1], a[1], a[2] from t", ["a", "a", "a"]),
        ] {
            let statements = super::super::dialect::parse(sql).expect("it is right");
            let Statement::Query(query) = &statements[0] else {
                panic!("{sql}");
            };
            let SetExpr::Select(select) = query.body.as_ref() else {
                panic!("{sql}");
            };
            let given = column_names(&statements[0]);
            let found = select.projection.iter().zip(given).map(|(item, given)| {
                let written = match item {
                    SelectItem::ExprWithAlias { alias, .. } => shown_as(alias),
                    SelectItem::UnnamedExpr(Expr::Identifier(name)) => shown_as(name),
                    SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => {
                        names.last().map(shown_as).unwrap_or_default()
                    }
                    other => other.to_string(),
                };
                given.unwrap_or_else(|| without_number(&written).to_owned())
            });
            assert_eq!(found.collect::<Vec<_>>(), wanted, "{sql}");
            let texts: HashSet<String> =
                select.projection.iter().map(ToString::to_string).collect();
            assert_eq!(texts.len(), 3, "{sql}");
        }
    }
}
