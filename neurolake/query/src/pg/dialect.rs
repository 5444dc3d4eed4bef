//! Text to statements.

use std::sync::LazyLock;

use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion_pg_catalog::sql::PostgresCompatibilityParser;
use datafusion_pg_catalog::sql::rules::{self, SqlStatementRewriteRule};

use super::{names, rewrite};
use crate::error::Result;
use crate::session::check_nesting;

static COMPATIBILITY: LazyLock<PostgresCompatibilityParser> =
    LazyLock::new(PostgresCompatibilityParser::new);

/// The same for statements about data, without the rule that takes away subqueries which can't be
/// planned: it gives null in their place, and the first of several rows.
static ABOUT_DATA: LazyLock<Vec<Box<dyn SqlStatementRewriteRule>>> = LazyLock::new(|| {
    vec![
        Box::new(rules::AliasDuplicatedProjectionRewrite),
        Box::new(rules::ResolveUnqualifiedIdentifier),
        Box::new(rules::RewriteArrayAnyAllOperation),
        Box::new(rules::StripCallableQualifier),
        Box::new(rules::FixArrayLiteral),
        Box::new(rules::CurrentUserVariableToSessionUserFunctionCall),
        Box::new(rules::StripCollate),
        Box::new(rules::FixVersionColumnName),
    ]
});

/// How deep a statement may be nested.
const DEEPEST: usize = 50;

pub(super) fn parse(sql: &str) -> Result<Vec<Statement>> {
    check_nesting(sql)?;
    let mut statements = parsed(sql).map_err(datafusion::error::DataFusionError::from)?;
    for statement in &mut statements {
        rewrite::of_postgres(statement)?;
        names::number_repeated(statement);
    }
    Ok(statements)
}

fn parsed(sql: &str) -> std::result::Result<Vec<Statement>, ParserError> {
    // A few questions of clients about the catalog can't be planned at all and are replaced as a
    // whole, token by token, which loses the places of errors.
    if asks_the_catalog(sql) {
        let mut statements = COMPATIBILITY.parse(sql)?;
        statements.iter_mut().for_each(rewrite::of_the_catalog);
        return Ok(statements);
    }
    let statements = Parser::new(&PostgreSqlDialect {})
        .with_recursion_limit(DEEPEST)
        .try_with_sql(sql)?
        .parse_statements()?;
    Ok(statements
        .into_iter()
        .map(|statement| {
            let rules = ABOUT_DATA.iter();
            rules.fold(statement, |statement, rule| rule.rewrite(statement))
        })
        .collect())
}

fn asks_the_catalog(sql: &str) -> bool {
    let sql = sql.to_ascii_lowercase();
    [
        "pg_",
        "information_schema",
        "abort",
        "regclass",
        "regtype",
        "regproc",
        "regnamespace",
    ]
    .iter()
    .any(|word| sql.contains(word))
}
