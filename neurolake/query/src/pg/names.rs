//! Names of columns that a statement gives no name.

use datafusion::sql::sqlparser::ast::{
    Expr, ObjectName, ObjectNamePart, SelectItem, SetExpr, Statement,
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

/// As `FigureColname` of PostgreSQL does it.
fn name(expression: &Expr) -> Option<String> {
    Some(match expression {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::CompoundFieldAccess { .. } => {
            return None;
        }
        Expr::Function(function) => last(&function.name)?,
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
        let sql = "select 1, count(*), a, t.b, a::text, 1::int, (max(a)), a + 1 as c, \
                   case when true then 1 end, exists(select 1), *, 2 from t";
        let statements = super::super::dialect::parse(sql).expect("it is right");
        let names = column_names(&statements[0]);
        let names: Vec<&str> = names
            .iter()
            .map(|name| name.as_deref().unwrap_or("-"))
            .collect();
        assert_eq!(
            names,
            [
                "?column?", "count", "-", "-", "a", "int", "max", "-", "case", "exists"
            ]
        );
    }
}
