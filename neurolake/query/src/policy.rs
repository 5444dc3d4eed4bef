//! What a statement may do: read.
//!
//! Three walls, since each has been seen to leak in other systems: the statement's syntax names
//! what is refused before any table is opened, the plan may hold only nodes that read, and every
//! table refuses to be written to.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{ScanArgs, ScanResult, Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Constraints, DFSchemaRef, Statistics};
use datafusion::datasource::ViewTable;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::dml::{InsertOp, MergeIntoClause};
use datafusion::logical_expr::{Expr, LogicalPlan, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{self, Query, Select, Visit, Visitor};

use crate::error::{Error, Kind, Result};
use crate::sources::function::FunctionProvider;

/// Refuses every statement that is not a query, an `explain`, a `describe` or a `show`.
///
/// # Errors
/// [`Kind::NotAllowed`] names what is refused.
pub(crate) fn check_statement(statement: &Statement) -> Result<()> {
    match statement {
        Statement::Statement(statement) => match statement.visit(&mut Reading) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(error) => Err(error),
        },
        Statement::Explain(explain) => check_statement(&explain.statement),
        Statement::CreateExternalTable(_) => Err(refused("create external table")),
        Statement::CopyTo(_) => Err(refused("copy")),
        Statement::Reset(_) => Err(setting("reset")),
    }
}

/// Visits statements inside of statements too.
struct Reading;

impl Visitor for Reading {
    type Break = Error;

    fn pre_visit_statement(&mut self, statement: &ast::Statement) -> ControlFlow<Error> {
        use ast::Statement as S;
        match statement {
            S::Query(_)
            | S::Explain { .. }
            | S::ExplainTable { .. }
            | S::ShowTables { .. }
            | S::ShowColumns { .. }
            | S::ShowVariable { .. }
            | S::ShowFunctions { .. } => ControlFlow::Continue(()),
            S::Set(_) => ControlFlow::Break(setting("set")),
            S::Prepare { .. } | S::Execute { .. } | S::Deallocate { .. } => ControlFlow::Break(
                Error::new(
                    Kind::NotAllowed,
                    format!("`{}` is not allowed here", verb(statement)),
                )
                .with_hint("write `$1` or `$name` in the query and send the values beside it"),
            ),
            S::StartTransaction { .. } | S::Commit { .. } | S::Rollback { .. } => {
                ControlFlow::Break(
                    Error::new(
                        Kind::NotAllowed,
                        format!("`{}` is not allowed here", verb(statement)),
                    )
                    .with_hint("each statement sees one version of every table by itself"),
                )
            }
            other => ControlFlow::Break(refused(&verb(other))),
        }
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Error> {
        if query.locks.is_empty() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(refused("select for update"))
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Error> {
        if select.into.is_none() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(refused("select into"))
        }
    }
}

/// The first words of a statement, such as `drop table`.
fn verb(statement: &ast::Statement) -> String {
    let text = statement.to_string();
    let mut words = text.split_whitespace().map(str::to_lowercase);
    let first = words.next().unwrap_or_default();
    match (first.as_str(), words.next()) {
        ("create" | "drop" | "alter", Some(second)) => format!("{first} {second}"),
        _ => first,
    }
}

fn refused(what: &str) -> Error {
    Error::new(
        Kind::NotAllowed,
        format!("`{what}` is not allowed: everything here is read-only"),
    )
    .with_hint("only `select`, `explain`, `describe` and `show` are answered")
}

fn setting(what: &str) -> Error {
    Error::new(
        Kind::NotAllowed,
        format!("`{what}` is not allowed: settings belong to the program"),
    )
    .with_hint("each statement has a session of its own, which ends with it")
}

/// Refuses every plan that could change something.
///
/// # Errors
/// [`Kind::NotAllowed`] names what is refused.
pub fn check(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        match node {
            LogicalPlan::Dml(statement) => Err(refused(&statement.op.to_string().to_lowercase())),
            LogicalPlan::Ddl(statement) => Err(refused(statement.name())),
            LogicalPlan::Copy(_) => Err(refused("copy")),
            LogicalPlan::Statement(statement) => Err(refused(statement.name())),
            LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Join(_)
            | LogicalPlan::Repartition(_)
            | LogicalPlan::Union(_)
            | LogicalPlan::TableScan(_)
            | LogicalPlan::EmptyRelation(_)
            | LogicalPlan::Subquery(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Values(_)
            | LogicalPlan::Explain(_)
            | LogicalPlan::Analyze(_)
            | LogicalPlan::Extension(_)
            | LogicalPlan::Distinct(_)
            | LogicalPlan::DescribeTable(_)
            | LogicalPlan::Unnest(_)
            | LogicalPlan::RecursiveQuery(_) => Ok(()),
        }?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// The table without any way to write to it.
pub(crate) fn read_only(table: Arc<dyn TableProvider>) -> Arc<dyn TableProvider> {
    // These can't be written to, and are looked for by their type.
    if table.is::<ViewTable>() || table.is::<FunctionProvider>() || table.is::<ReadOnly>() {
        return table;
    }
    #[cfg(feature = "postgres")]
    if table.is::<datafusion_federation::FederatedTableProviderAdaptor>() {
        return table;
    }
    Arc::new(ReadOnly(table))
}

/// Forwards everything that reads.
#[derive(Debug)]
struct ReadOnly(Arc<dyn TableProvider>);

fn no_writes<T>() -> DataFusionResult<T> {
    Err(refused("writing").into())
}

#[async_trait]
impl TableProvider for ReadOnly {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    fn constraints(&self) -> Option<&Constraints> {
        self.0.constraints()
    }

    fn table_type(&self) -> TableType {
        self.0.table_type()
    }

    fn get_table_definition(&self) -> Option<&str> {
        self.0.get_table_definition()
    }

    fn get_logical_plan(&self) -> Option<Cow<'_, LogicalPlan>> {
        self.0.get_logical_plan()
    }

    fn get_column_default(&self, column: &str) -> Option<&Expr> {
        self.0.get_column_default(column)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        self.0.scan(state, projection, filters, limit).await
    }

    async fn scan_with_args<'a>(
        &self,
        state: &dyn Session,
        args: ScanArgs<'a>,
    ) -> DataFusionResult<ScanResult> {
        self.0.scan_with_args(state, args).await
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        self.0.supports_filters_pushdown(filters)
    }

    fn statistics(&self) -> Option<Statistics> {
        self.0.statistics()
    }

    async fn insert_into(
        &self,
        _state: &dyn Session,
        _input: Arc<dyn ExecutionPlan>,
        _insert_op: InsertOp,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        no_writes()
    }

    async fn delete_from(
        &self,
        _state: &dyn Session,
        _filters: Vec<Expr>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        no_writes()
    }

    async fn update(
        &self,
        _state: &dyn Session,
        _assignments: Vec<(String, Expr)>,
        _filters: Vec<Expr>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        no_writes()
    }

    async fn truncate(&self, _state: &dyn Session) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        no_writes()
    }

    async fn merge_into(
        &self,
        _state: &dyn Session,
        _source: Arc<dyn ExecutionPlan>,
        _merge_schema: DFSchemaRef,
        _on: Expr,
        _clauses: Vec<MergeIntoClause>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        no_writes()
    }
}
