//! Function tables.
//!
//! The function runs while the statement is planned, once its filters are known: arguments are
//! taken from them, the others go into the plan of what the function gives.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Column;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::dataframe::DataFrame;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::{
    Expr, LogicalPlanBuilder, TableProviderFilterPushDown, TableType, lit,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::scalar::ScalarValue;
use neurolake_delta::At;
use neurolake_model as model;

use crate::access::Access;
use crate::error::{Error, Kind, Result};
use crate::lake::{Chain, Lake, Pins, Scope, Shared};
use crate::schema::relax;
use crate::sources::conform::conform;
use crate::sources::{Declared, Source, without_versions};
use crate::stop::Stop;
use neurolake_delta::types::arrow_type;

mod bind;

use bind::Bound;
pub(crate) use bind::Signature;

/// Values of a function's arguments, in the order of declaration, cast to the declared types.
/// `None` where the query gives no value.
pub type Arguments = Vec<Option<ScalarValue>>;

/// The code of a function table.
#[async_trait]
pub trait FunctionTable: Send + Sync {
    /// The rows for these arguments. Required ones are there.
    async fn rows(&self, lake: Lake, arguments: Arguments) -> Result<DataFrame>;
}

pub(crate) struct Function {
    signature: Arc<Signature>,
    declared: Declared,
    code: Option<Arc<dyn FunctionTable>>,
}

impl Function {
    pub(crate) fn new(declared: Declared, function: Option<Arc<dyn FunctionTable>>) -> Self {
        Self {
            signature: Arc::new(Signature::new(&declared)),
            declared,
            code: function,
        }
    }
}

#[async_trait]
impl Source for Function {
    async fn provider(&self, scope: &Scope, at: Option<&At>) -> Result<Arc<dyn TableProvider>> {
        without_versions(&self.declared, at)?;
        let name = self.declared.name();
        let Some(function) = &self.code else {
            return Err(Error::new(
                Kind::Broken,
                format!("the code of the function table `{name}` is not part of this program"),
            )
            .with_hint("run the program of the workspace that declares it"));
        };
        if self.declared.table.columns.is_empty() {
            return Err(Error::new(
                Kind::Broken,
                format!("the function table `{name}` declares no columns"),
            )
            .with_hint("add `rows = Struct` to its `#[table(...)]`"));
        }
        Ok(Arc::new(FunctionProvider {
            schema: schema(&self.declared.table.columns, &self.signature),
            columns: self.declared.table.columns.as_slice().into(),
            signature: Arc::clone(&self.signature),
            function: Arc::clone(function),
            shared: Arc::clone(&scope.shared),
            access: Arc::clone(&scope.access),
            pins: Arc::downgrade(&scope.pins),
        }))
    }

    fn is_cheap(&self) -> bool {
        true
    }
}

/// Declared columns, and behind them the arguments that are none.
pub(crate) fn schema(columns: &[model::Column], signature: &Signature) -> SchemaRef {
    let declared = columns
        .iter()
        .map(|column| Field::new(&column.name, relax(&arrow_type(&column.data_type)), true));
    let arguments = signature
        .only_arguments()
        .map(|argument| Field::new(&argument.name, argument.value_type.clone(), true));
    Arc::new(Schema::new(declared.chain(arguments).collect::<Vec<_>>()))
}

/// A function table in one session.
pub(crate) struct FunctionProvider {
    schema: SchemaRef,
    columns: Arc<[model::Column]>,
    pub(crate) signature: Arc<Signature>,
    function: Arc<dyn FunctionTable>,
    shared: Arc<Shared>,
    access: Arc<Access>,
    // Views are pinned and hold what they read: a strong reference would be a circle.
    pins: Weak<Pins>,
}

impl FunctionProvider {
    /// A handle for the body of the function.
    fn lake(&self, state: &dyn Session) -> Result<Lake> {
        let chain = state.config().get_extension::<Chain>().unwrap_or_default();
        let scope = Scope {
            shared: Arc::clone(&self.shared),
            access: Arc::clone(&self.access),
            pins: self.pins.upgrade().unwrap_or_default(),
            chain,
            max_staleness: None,
            stop: state.config().get_extension::<Stop>().unwrap_or_default(),
        };
        Ok(scope.call(&self.signature.table)?.lake())
    }

    /// Declared columns as they are, arguments as their values.
    fn projected(&self, projection: Option<&Vec<usize>>, values: &Arguments) -> Vec<Expr> {
        let all: Vec<usize>;
        let indices = if let Some(indices) = projection {
            indices
        } else {
            all = (0..self.schema.fields().len()).collect();
            &all
        };
        indices
            .iter()
            .map(|&index| {
                let name = self.schema.field(index).name();
                match self.signature.shown(name, values) {
                    Some(value) => lit(value).alias(name),
                    None => Expr::Column(Column::from_name(name)),
                }
            })
            .collect()
    }

    fn call(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Call> {
        let bound = self.signature.bind(filters)?;
        Ok(Call {
            lake: self.lake(state)?,
            function: Arc::clone(&self.function),
            table: self.signature.table.clone(),
            columns: Arc::clone(&self.columns),
            projected: self.projected(projection, &bound.values),
            bound,
            limit,
        })
    }
}

/// One call of a function, and what becomes of its rows.
struct Call {
    lake: Lake,
    function: Arc<dyn FunctionTable>,
    table: String,
    columns: Arc<[model::Column]>,
    bound: Bound,
    projected: Vec<Expr>,
    limit: Option<usize>,
}

impl Call {
    async fn plan(self) -> Result<Arc<dyn ExecutionPlan>> {
        let name = &self.table;
        let frame = self
            .function
            .rows(self.lake, self.bound.values)
            .await
            .map_err(|mut error| {
                error.message = format!("the function table `{name}` failed: {}", error.message);
                // Of a statement that the client has never seen.
                error.position = None;
                error
            })?;
        let (state, plan) = frame.into_parts();
        let plan = conform(plan, &self.columns, &format!("the function table `{name}`"))?;
        let mut plan = LogicalPlanBuilder::from(plan);
        for filter in self.bound.filters {
            plan = plan.filter(unqualified(filter)?)?;
        }
        if let Some(limit) = self.limit {
            plan = plan.limit(0, Some(limit))?;
        }
        let mut projected = self.projected;
        let is_counted = projected.is_empty();
        if is_counted {
            projected.extend(
                self.columns
                    .first()
                    .map(|column| Expr::Column(Column::from_name(&column.name))),
            );
        }
        let plan = plan.project(projected)?.build()?;
        let plan = state.create_physical_plan(&plan).await?;
        if is_counted {
            let nothing = Vec::<(Arc<dyn PhysicalExpr>, String)>::new();
            return Ok(Arc::new(ProjectionExec::try_new(nothing, plan)?));
        }
        Ok(plan)
    }
}

/// Filters name columns as the statement does.
pub(crate) fn unqualified(filter: Expr) -> DataFusionResult<Expr> {
    filter
        .transform(|expression| {
            Ok(match expression {
                Expr::Column(column) => {
                    Transformed::yes(Expr::Column(Column::from_name(column.name)))
                }
                other => Transformed::no(other),
            })
        })
        .map(|transformed| transformed.data)
}

#[async_trait]
impl TableProvider for FunctionProvider {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        // Also those that can't be used: then `scan` says why.
        Ok(vec![TableProviderFilterPushDown::Exact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let call = self.call(state, projection, filters, limit)?;
        // A task of its own: planning inside of planning needs much of the stack.
        let plan = SpawnedTask::spawn(call.plan()).join().await;
        Ok(plan.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))??)
    }
}

impl fmt::Debug for FunctionProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionProvider")
            .field("table", &self.signature.table)
            .finish_non_exhaustive()
    }
}

/// The function table behind a source of a plan.
pub(crate) fn provider_of(
    source: &Arc<dyn datafusion::logical_expr::TableSource>,
) -> Option<Arc<dyn TableProvider>> {
    let provider = datafusion::datasource::source_as_provider(source).ok()?;
    let any: &dyn Any = provider.as_ref();
    any.is::<FunctionProvider>().then_some(provider)
}
