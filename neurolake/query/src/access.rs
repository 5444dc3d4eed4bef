//! Who may read what: one role for each client, the same on every door.
//!
//! A role is applied where a table is opened, so it holds below views and functions too: what a view
//! reads, it reads with the rights of whoever asks. Names and documentation are public, as they are on
//! the site; rows, values and statistics are not.

mod guarded;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Column, DFSchema, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlanBuilder};
use neurolake_delta::dead_letters;
use neurolake_model as model;

use self::guarded::Guarded;
use crate::catalog::schema_of;
use crate::error::{Error, Kind, Result};
use crate::inputs::is_repeatable;
use crate::lake::Scope;
use crate::pg::Introspection;
use crate::suggest::nearest;

/// What somebody may read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Role {
    /// How it is called in errors, logs and metrics.
    pub name: String,
    /// Tables: `database.table`, `database.*` or `*`.
    pub tables: Vec<String>,
    /// The only columns that are shown, by table.
    pub columns: BTreeMap<String, Vec<String>>,
    /// A condition in SQL that holds for every row that is shown, by table.
    pub rows: BTreeMap<String, String>,
    /// Whether columns of personal data are shown.
    pub pii: bool,
    /// Views and functions that read with all rights, whatever the role may: what they give is
    /// what it is meant to see.
    pub authorized: Vec<String>,
    /// Tables that events may be sent to, named like [`Role::tables`]. Doors look at it.
    pub ingest: Vec<String>,
}

/// A role for one catalog.
pub(crate) struct Access {
    role: Option<Arc<str>>,
    /// What it sees of the catalog.
    pub(crate) catalog: Arc<model::Catalog>,
    /// `None`: everything. Tables that are not here can't be read.
    rules: Option<HashMap<String, HashMap<String, Rule>>>,
    /// What clients of PostgreSQL ask about the lake, made when the first of them comes.
    pub(crate) introspection: tokio::sync::OnceCell<Arc<Introspection>>,
}

/// How one table may be read.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Rule {
    only: Option<BTreeSet<String>>,
    hidden: BTreeSet<String>,
    rows: Option<String>,
    pub(crate) is_authorized: bool,
}

impl Rule {
    fn shows(&self, column: &str) -> bool {
        !self.hidden.contains(column) && self.only.as_ref().is_none_or(|only| only.contains(column))
    }

    fn is_whole(&self) -> bool {
        self.only.is_none() && self.hidden.is_empty() && self.rows.is_none()
    }

    /// The table's declaration as it is shown.
    fn shown<'a>(&self, table: &'a model::Table) -> Cow<'a, model::Table> {
        if self.only.is_none() && self.hidden.is_empty() {
            return Cow::Borrowed(table);
        }
        let mut shown = table.clone();
        shown.columns.retain(|column| self.shows(&column.name));
        shown
            .partition_by
            .retain(|partition| self.shows(&partition.name));
        shown.sort_by.retain(|column| self.shows(column));
        shown.example.retain(|(column, _)| self.shows(column));
        // A part of a key identifies nothing.
        if !shown.unique_by.iter().all(|column| self.shows(column)) {
            shown.unique_by.clear();
        }
        Cow::Owned(shown)
    }
}

impl Access {
    /// All rights.
    pub(crate) fn all(catalog: Arc<model::Catalog>) -> Self {
        Self {
            role: None,
            catalog,
            rules: None,
            introspection: tokio::sync::OnceCell::new(),
        }
    }

    /// # Errors
    /// The role names what doesn't exist, or a condition is none.
    pub(crate) fn of(role: &Role, catalog: &model::Catalog, state: &SessionState) -> Result<Self> {
        Reading { role, catalog }.check()?;
        let mut rules: HashMap<String, HashMap<String, Rule>> = HashMap::new();
        let mut seen = catalog.clone();
        for database in &mut seen.databases {
            let name = &database.name;
            let allowed = rules.entry(name.clone()).or_default();
            database.tables.retain_mut(|table| {
                let full = format!("{name}.{}", table.name);
                if !matches_any(&role.tables, &full) {
                    return false;
                }
                let rule = rule(role, &full, table);
                if rule.is_whole()
                    && let Some(dead) = dead_letters::of(table)
                {
                    allowed.insert(dead.name, rule.clone());
                }
                if let Cow::Owned(shown) = rule.shown(table) {
                    *table = shown;
                }
                allowed.insert(table.name.clone(), rule);
                true
            });
        }
        for (database, table) in catalog.tables() {
            let rule = rules.get(&database.name);
            let rule = rule.and_then(|tables| tables.get(&table.name));
            let rows = rule.and_then(|rule| rule.rows.as_ref());
            if let (Some(rows), Some(schema)) = (rows, schema_of(&database.name, table)) {
                condition(rows, &schema, state)
                    .map_err(|error| wrong_condition(role, &database.name, table, &error))?;
            }
        }
        seen.databases
            .retain(|database| !database.tables.is_empty());
        Ok(Self {
            role: Some(role.name.as_str().into()),
            catalog: Arc::new(seen),
            rules: Some(rules),
            introspection: tokio::sync::OnceCell::new(),
        })
    }

    /// `None`: all rights.
    pub(crate) fn role(&self) -> Option<&str> {
        self.role.as_deref()
    }

    /// How a declared table may be read. `None`: wholly.
    ///
    /// # Errors
    /// [`Kind::Forbidden`]: not at all.
    pub(crate) fn rule(&self, database: &str, table: &model::Table) -> Result<Option<&Rule>> {
        let Some(rules) = &self.rules else {
            return Ok(None);
        };
        let rule = rules.get(database);
        let rule = rule.and_then(|tables| tables.get(&table.name));
        let rule = rule.ok_or_else(|| self.forbidden(database, table))?;
        Ok(Some(rule).filter(|rule| !rule.is_whole() || rule.is_authorized))
    }

    fn forbidden(&self, database: &str, table: &model::Table) -> Error {
        let role = self.role().unwrap_or_default();
        let error = Error::new(
            Kind::Forbidden,
            format!("the role `{role}` may not read `{database}.{}`", table.name),
        );
        match &table.owner {
            Some(owner) => error.with_hint(format!("the table belongs to `{owner}`; ask there")),
            None => error.with_hint("ask whoever keeps the roles"),
        }
    }

    /// A declaration as it is shown; `None`: not at all.
    pub(crate) fn shown<'a>(
        &self,
        database: &str,
        table: &'a model::Table,
    ) -> Option<Cow<'a, model::Table>> {
        let Some(rules) = &self.rules else {
            return Some(Cow::Borrowed(table));
        };
        let rule = rules.get(database)?.get(&table.name)?;
        Some(rule.shown(table))
    }
}

fn rule(role: &Role, name: &str, table: &model::Table) -> Rule {
    let hidden = table
        .columns
        .iter()
        .filter(|column| !role.pii && is_pii(column));
    let arguments = match &table.source {
        model::Source::Function { arguments } => arguments.as_slice(),
        _ => &[],
    };
    let only = role.columns.get(name).map(|columns| {
        // Without its arguments a function can't be called.
        let arguments = arguments.iter().map(|argument| argument.name.clone());
        columns.iter().cloned().chain(arguments).collect()
    });
    Rule {
        only,
        hidden: hidden.map(|column| column.name.clone()).collect(),
        rows: role.rows.get(name).cloned(),
        is_authorized: matches_any(&role.authorized, name),
    }
}

/// A column of personal data, or one that holds such a field.
fn is_pii(column: &model::Column) -> bool {
    fn within(data_type: &model::Type) -> bool {
        match data_type {
            model::Type::List { item, .. } => within(item),
            model::Type::Map { key, value, .. } => within(key) || within(value),
            model::Type::Struct { fields } => fields.iter().any(is_pii),
            _ => false,
        }
    }
    column.pii || within(&column.data_type)
}

fn matches_any(patterns: &[String], table: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, table))
}

/// Whether a pattern (`database.table`, `database.*`, `*`) means the table `database.table`.
pub fn matches(pattern: &str, table: &str) -> bool {
    match pattern.strip_suffix(".*") {
        Some(database) => table.split_once('.').is_some_and(|(of, _)| of == database),
        None => pattern == "*" || pattern == table,
    }
}

/// A role before it is known to fit the catalog.
struct Reading<'a> {
    role: &'a Role,
    catalog: &'a model::Catalog,
}

impl Reading<'_> {
    fn check(&self) -> Result<()> {
        for pattern in &self.role.tables {
            self.pattern(pattern, "tables")?;
        }
        for pattern in &self.role.authorized {
            self.pattern(pattern, "authorized")?;
        }
        for pattern in &self.role.ingest {
            self.pattern(pattern, "ingest")?;
        }
        for (name, columns) in &self.role.columns {
            let table = self.table(name, "columns")?;
            self.shown(name, "columns")?;
            for column in columns {
                self.column(name, table, column)?;
            }
        }
        for name in self.role.rows.keys() {
            let table = self.table(name, "rows")?;
            self.shown(name, "rows")?;
            if let model::Source::Function { .. } = table.source {
                return Err(self
                    .wrong(format!("a condition for the function table `{name}`"))
                    .with_hint("give conditions for the tables that it reads"));
            }
        }
        Ok(())
    }

    fn wrong(&self, what: impl std::fmt::Display) -> Error {
        let role = &self.role.name;
        Error::new(Kind::BadRequest, format!("the role `{role}` has {what}"))
    }

    fn pattern(&self, pattern: &str, key: &str) -> Result<()> {
        if pattern == "*" {
            return Ok(());
        }
        let Some(name) = pattern.strip_suffix(".*") else {
            return self.table(pattern, key).map(drop);
        };
        let names = || {
            self.catalog
                .databases
                .iter()
                .map(|known| known.name.as_str())
        };
        if names().any(|known| known == name) {
            return Ok(());
        }
        let error = self.wrong(format!("`{pattern}` in `{key}`: there is no such database"));
        Err(match nearest(name, names()) {
            Some(near) => error.with_hint(format!("did you mean `{near}.*`?")),
            None => error.with_hint("write `*`, `database.*` or `database.table`"),
        })
    }

    fn table(&self, name: &str, key: &str) -> Result<&model::Table> {
        let found = name.split_once('.');
        let found = found.and_then(|(database, table)| self.catalog.table(database, table));
        found.ok_or_else(|| {
            let names: Vec<String> = self
                .catalog
                .tables()
                .map(|(database, table)| format!("{}.{}", database.name, table.name))
                .collect();
            let error = self.wrong(format!("`{name}` in `{key}`: there is no such table"));
            match nearest(name, names.iter().map(String::as_str)) {
                Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                None => error.with_hint("write `database.table`"),
            }
        })
    }

    /// What is said about a table that isn't shown is a mistake somewhere.
    fn shown(&self, name: &str, key: &str) -> Result<()> {
        if matches_any(&self.role.tables, name) {
            return Ok(());
        }
        Err(self
            .wrong(format!("`{name}` in `{key}`, which `tables` doesn't show"))
            .with_hint("add it to `tables`, or take it away here"))
    }

    fn column(&self, name: &str, table: &model::Table, column: &str) -> Result<()> {
        let known = || table.columns.iter().map(|known| known.name.as_str());
        // Columns that are not declared are only known when the table is opened.
        if table.columns.is_empty() || known().any(|known| known == column) {
            return Ok(());
        }
        let error = self.wrong(format!(
            "`{column}` in `columns` of `{name}`: there is no such column"
        ));
        Err(match nearest(column, known()) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error,
        })
    }
}

fn wrong_condition(role: &Role, database: &str, table: &model::Table, error: &Error) -> Error {
    Error::new(
        Kind::BadRequest,
        format!(
            "the role `{}` has a wrong condition in `rows` for `{database}.{}`: {}",
            role.name, table.name, error.message
        ),
    )
    .with_hint("write a condition on the table's own columns, such as `implant_id in (7, 8)`")
}

/// A condition on the columns of a table, from SQL.
fn condition(sql: &str, schema: &Schema, state: &SessionState) -> Result<Expr> {
    let schema = DFSchema::try_from(schema.clone())?;
    let expression = state.create_logical_expr(sql, &schema)?;
    let expression = expression.unalias();
    let is_of_a_row = |expression: &Expr| {
        !matches!(
            expression,
            Expr::AggregateFunction(_) | Expr::WindowFunction(_) | Expr::Unnest(_)
        )
    };
    if expression.exists(|expression| Ok(!is_of_a_row(expression)))? {
        return Err(Error::new(
            Kind::BadRequest,
            "it is about several rows, not about one",
        ));
    }
    match expression.get_type(&schema)? {
        DataType::Boolean => Ok(expression),
        other => Err(Error::new(
            Kind::BadRequest,
            format!("it gives {other}, not true or false"),
        )),
    }
}

/// The table as a role sees it.
pub(crate) fn restrict(
    provider: Arc<dyn TableProvider>,
    rule: &Rule,
    table: &str,
    scope: &Scope,
) -> Result<Arc<dyn TableProvider>> {
    let schema = provider.schema();
    let names = schema.fields().iter().map(|field| field.name());
    let shown: Vec<Expr> = names
        .filter(|name| rule.shows(name))
        .map(|name| Expr::Column(Column::from_name(name)))
        .collect();
    if rule.rows.is_none() && !rule.is_authorized && shown.len() == schema.fields().len() {
        return Ok(provider);
    }
    let name = TableReference::bare(table);
    let plan = LogicalPlanBuilder::scan(name, provider_as_source(provider), None)?;
    let Some(rows) = &rule.rows else {
        return Ok(Arc::new(Guarded::new(plan.project(shown)?.build()?)));
    };
    // What is wrong with it is for whoever keeps the roles.
    let state = scope.shared.template.state();
    let rows = condition(rows, &schema, state).map_err(|error| {
        tracing::error!(%error, table, "the condition of a role can't be applied");
        Error::new(
            Kind::Broken,
            format!("the condition of your role for `{table}` doesn't fit the table"),
        )
    })?;
    let plan = plan.filter(rows)?.project(shown)?.build()?;
    if !is_repeatable(&plan) {
        scope.pins.noted().changes();
    }
    Ok(Arc::new(Guarded::new(plan)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_tables() {
        assert!(matches("*", "neural.spikes"));
        assert!(matches("neural.*", "neural.spikes"));
        assert!(matches("neural.spikes", "neural.spikes"));
        for pattern in ["neural", "neur.*", "neural.spike", "spikes", ""] {
            assert!(!matches(pattern, "neural.spikes"), "{pattern}");
        }
    }
}
