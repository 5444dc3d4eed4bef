//! SQL views: what a statement reads and which columns it gives.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use neurolake_model::Input;
use sqlparser::ast::{
    Expr, ObjectName, ObjectNamePart, Query, SelectItem, SetExpr, Statement, Visit, Visitor,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

/// What a view's statement says.
#[derive(Debug, Default)]
pub struct View {
    /// Tables that it reads, sorted.
    pub inputs: Vec<Input>,
    /// Names of its columns. `None` where a wildcard or an unnamed expression hides them.
    pub columns: Option<Vec<String>>,
}

/// Why a statement can't be a view.
#[derive(Debug)]
pub enum SqlError {
    /// Not SQL; the parser's message, with line and column inside the statement.
    Syntax(String),
    /// SQL, but not one query; what it is.
    NotAQuery(String),
    /// A table without its database.
    Unqualified(String),
}

/// Reads a view's statement.
///
/// # Errors
/// See [`SqlError`].
pub fn view(statement: &str) -> Result<View, SqlError> {
    // The dialect that DataFusion parses with unless it is told otherwise.
    let statements = Parser::parse_sql(&GenericDialect {}, statement)
        .map_err(|error| SqlError::Syntax(error.to_string()))?;
    let query = match statements.as_slice() {
        [Statement::Query(query)] => query,
        [] => return Err(SqlError::NotAQuery("nothing".into())),
        [other] => {
            let text = other.to_string();
            let verb = text.split(' ').next().unwrap_or_default().to_lowercase();
            return Err(SqlError::NotAQuery(format!("`{verb}`")));
        }
        several => {
            return Err(SqlError::NotAQuery(format!("{} statements", several.len())));
        }
    };
    let mut relations = Relations::default();
    let _ = query.visit(&mut relations);
    let mut inputs = BTreeSet::new();
    for name in &relations.names {
        let parts: Vec<String> = name
            .0
            .iter()
            .map(|part| match part {
                ObjectNamePart::Identifier(ident) if ident.quote_style.is_none() => {
                    ident.value.to_lowercase()
                }
                ObjectNamePart::Identifier(ident) => ident.value.clone(),
                ObjectNamePart::Function(function) => function.to_string(),
            })
            .collect();
        match parts.as_slice() {
            [alone] if relations.common.contains(alone) => {}
            [_, database, table] | [database, table] => {
                inputs.insert(Input {
                    database: database.clone(),
                    table: table.clone(),
                });
            }
            _ => return Err(SqlError::Unqualified(name.to_string())),
        }
    }
    Ok(View {
        inputs: inputs.into_iter().collect(),
        columns: output_columns(&query.body),
    })
}

/// All names in `from`, and the names that `with` defines.
#[derive(Default)]
struct Relations {
    names: Vec<ObjectName>,
    common: BTreeSet<String>,
}

impl Visitor for Relations {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if let Some(with) = &query.with {
            for table in &with.cte_tables {
                let ident = &table.alias.name;
                self.common.insert(if ident.quote_style.is_some() {
                    ident.value.clone()
                } else {
                    ident.value.to_lowercase()
                });
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        self.names.push(relation.clone());
        ControlFlow::Continue(())
    }
}

fn output_columns(body: &SetExpr) -> Option<Vec<String>> {
    match body {
        SetExpr::Select(select) => select.projection.iter().map(output_column).collect(),
        SetExpr::Query(query) => output_columns(&query.body),
        // The first branch of `union` names the columns.
        SetExpr::SetOperation { left, .. } => output_columns(left),
        _ => None,
    }
}

fn output_column(item: &SelectItem) -> Option<String> {
    let ident = match item {
        SelectItem::ExprWithAlias { alias, .. } => alias,
        SelectItem::UnnamedExpr(Expr::Identifier(ident)) => ident,
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(idents)) => idents.last()?,
        _ => return None,
    };
    Some(if ident.quote_style.is_some() {
        ident.value.clone()
    } else {
        ident.value.to_lowercase()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(statement: &str) -> Vec<String> {
        let view = view(statement).expect("a query");
        view.inputs.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn lineage_is_every_table_and_no_common_table() {
        assert_eq!(
            inputs(
                "with recent as (select * from neural.spikes), n as (select 1)
                 select r.ts from recent r join demo.lab.animals a on a.id = r.id
                 where exists (select 1 from n, surgery.log) union all select ts from NEURAL.lfp"
            ),
            ["lab.animals", "neural.lfp", "neural.spikes", "surgery.log"]
        );
    }

    #[test]
    fn columns_are_known_unless_a_wildcard_hides_them() {
        let columns = |statement| view(statement).expect("a query").columns;
        assert_eq!(
            columns("select a.ts, avg(x) as Mean, \"Kept\" from d.t a"),
            Some(vec!["ts".into(), "mean".into(), "Kept".into()])
        );
        assert_eq!(columns("select * from d.t"), None);
        assert_eq!(columns("select count(*) from d.t"), None);
    }

    #[test]
    fn only_one_query_is_a_view() {
        assert!(matches!(view("selec 1"), Err(SqlError::Syntax(_))));
        assert!(matches!(
            view("drop table d.t"),
            Err(SqlError::NotAQuery(_))
        ));
        assert!(matches!(
            view("select 1; select 2"),
            Err(SqlError::NotAQuery(_))
        ));
        assert!(matches!(
            view("select * from t"),
            Err(SqlError::Unqualified(_))
        ));
    }
}
