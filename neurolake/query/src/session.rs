//! From a request to a stream of record batches.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::MemoryCatalogProviderList;
use datafusion::common::ParamValues;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::catalog::SessionCatalog;
use crate::error::Result;
use crate::lake::{Lake, Limits, Scope};
use crate::policy;

/// A statement with its parameters.
#[derive(Debug, Clone)]
pub struct Request {
    /// One statement.
    pub sql: String,
    /// Values of `$1`, `$2`... or of `$name`.
    pub parameters: Option<ParamValues>,
}

impl Request {
    /// A statement without parameters.
    pub fn new(sql: impl Into<String>) -> Self {
        Self {
            sql: sql.into(),
            parameters: None,
        }
    }
}

/// Rows as they come.
pub struct Answer {
    /// Known before the first row.
    pub schema: SchemaRef,
    /// The rows. Dropping it cancels the query.
    pub stream: SendableRecordBatchStream,
}

impl Lake {
    /// Runs one read-only statement in a session of its own.
    ///
    /// # Errors
    /// The statement is wrong or not allowed, or a table that it names can't be opened.
    pub async fn query(&self, request: Request) -> Result<Answer> {
        let session = self.session();
        let state = session.context.state();
        let plan = plan(&state, &request.sql).await?;
        let plan = match request.parameters {
            Some(parameters) => plan.with_param_values(parameters)?,
            None => plan,
        };
        let plan = state.create_physical_plan(&plan).await?;
        let stream = datafusion::physical_plan::execute_stream(plan, state.task_ctx())?;
        Ok(Answer {
            schema: stream.schema(),
            stream,
        })
    }
}

/// Plans a statement that only reads.
pub(crate) async fn plan(state: &SessionState, statement: &str) -> Result<LogicalPlan> {
    let plan = state.create_logical_plan(statement).await?;
    policy::check(&plan)?;
    Ok(plan)
}

/// What every session starts from.
pub(crate) fn template(limits: &Limits) -> Result<SessionState> {
    // Memory is limited and spilling to disk is off: with both on, a chain of nested-loop joins
    // gives wrong answers without an error (apache/datafusion#24676).
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(limits.memory_bytes)))
        .with_disk_manager_builder(
            DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled),
        )
        .build_arc()?;
    let config = SessionConfig::new()
        .with_target_partitions(limits.parallelism)
        .with_create_default_catalog_and_schema(false)
        .set_str("datafusion.execution.time_zone", "UTC");
    Ok(SessionStateBuilder::new_with_default_features()
        .with_config(config)
        .with_runtime_env(runtime)
        .build())
}

/// A session whose catalog is the lake's.
pub(crate) fn context(scope: &Scope) -> SessionContext {
    let shared = &scope.shared;
    let mut state = SessionStateBuilder::new_from_existing(shared.template.clone())
        .with_catalog_list(Arc::new(MemoryCatalogProviderList::new()))
        .build();
    let name = shared.catalog.name.clone();
    state.config_mut().options_mut().catalog.default_catalog = name.clone();
    let context = SessionContext::new_with_state(state);
    context.register_catalog(name, Arc::new(SessionCatalog::new(scope.clone())));
    context
}
