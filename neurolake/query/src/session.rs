//! From a request to a stream of record batches.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::MemoryCatalogProviderList;
use datafusion::catalog::information_schema::INFORMATION_SCHEMA;
use datafusion::common::{DFSchema, ParamValues, TableReference};
use datafusion::error::DataFusionError;
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{
    FunctionRegistry, SendableRecordBatchStream, SessionState, SessionStateBuilder,
};
use datafusion::logical_expr::{DescribeTable, LogicalPlan};
use datafusion::optimizer::Analyzer;
use datafusion::optimizer::analyzer::type_coercion::TypeCoercion;
use datafusion::prelude::{SessionConfig, SessionContext};

use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::planner::object_name_to_table_reference;
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use futures::future::BoxFuture;

use crate::catalog::{self, SessionCatalog, UNNAMED};
use crate::error::{Error, Kind, Result};
use crate::inputs::{Inputs, is_repeatable};
use crate::lake::{Lake, Limits, Scope};
use crate::like;
use crate::limited::{Bounds, limited};
use crate::pg;
use crate::planner::Planner;
use crate::plans::{Question, Ready, reads_only_tables};
use crate::policy;
use crate::profile::{Profile, tables};
use crate::semantics;
use crate::stop::Stop;

/// A statement with its parameters.
#[derive(Debug, Clone)]
pub struct Request {
    /// One statement.
    pub sql: String,
    /// Values of `$1`, `$2`... or of `$name`.
    pub parameters: Option<ParamValues>,
    /// How long it may take, if less than [`Limits::deadline`].
    pub deadline: Option<Duration>,
    /// How many rows it may answer, if less than [`Limits::max_rows`].
    pub max_rows: Option<usize>,
    /// How long ago the versions that it reads may have been the newest. `None`: about half a
    /// second, at no cost. Less costs a look at each table.
    pub max_staleness: Option<Duration>,
    /// Versions that it must not be answered without.
    pub min_versions: Vec<MinVersion>,
}

/// A version of a Delta table, or a later one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MinVersion {
    /// Name of the database.
    pub database: String,
    /// Name of the table.
    pub table: String,
    /// The number of the version.
    pub version: u64,
}

impl Request {
    /// A statement without parameters.
    pub fn new(sql: impl Into<String>) -> Self {
        Self {
            sql: sql.into(),
            parameters: None,
            deadline: None,
            max_rows: None,
            max_staleness: None,
            min_versions: Vec::new(),
        }
    }
}

/// Rows as they come.
pub struct Answer {
    /// Known before the first row.
    pub schema: SchemaRef,
    /// The rows. The query runs on the runtime that [`Lake::query`] was called on, so the stream
    /// may be read from any other. Dropping it cancels the query.
    pub stream: SendableRecordBatchStream,
    /// What it is made from. `None`: the same question may be answered otherwise at any time.
    pub inputs: Option<Inputs>,
    /// Tables that the statement names, as `database.table`.
    pub tables: Vec<String>,
    /// Whether it was planned for an earlier statement.
    pub has_kept_plan: bool,
    /// What it has done so far.
    pub profile: Profile,
}

impl Lake {
    /// Runs one read-only statement in a session of its own.
    ///
    /// # Errors
    /// The statement is wrong or not allowed, or a table that it names can't be opened. The stream
    /// ends with an error where a limit is reached.
    pub async fn query(&self, request: Request) -> Result<Answer> {
        let limits = &self.scope.shared.limits;
        let bounds = Bounds::new(
            smaller(request.deadline, limits.deadline),
            smaller(request.max_rows, limits.max_rows),
        );
        let stop = Arc::<Stop>::default();
        let started = self.start(request, Arc::clone(&stop));
        let started = bounds.in_time(started).await??;
        Ok(Answer {
            stream: limited(started.stream, &bounds, stop),
            ..started
        })
    }

    async fn start(&self, request: Request, stop: Arc<Stop>) -> Result<Answer> {
        for wanted in &request.min_versions {
            self.at_least(wanted).await?;
        }
        let lake = Scope {
            pins: Arc::default(),
            max_staleness: request.max_staleness,
            stop,
            ..self.scope.clone()
        }
        .lake();
        let Request {
            sql, parameters, ..
        } = request;
        let scope = &lake.scope;
        let question = Question::new(scope, "", &sql, parameters.as_ref());
        let state = lake.context.state();
        let plans = &scope.shared.plans;
        let kept = match &question {
            Some(question) => {
                plans
                    .find(scope, &state, question, parameters.as_ref())
                    .await
            }
            None => None,
        };
        let ready = match kept {
            Some(ready) => ready,
            None => {
                let (state, plan) = plan(&lake, &sql).await?;
                if !is_repeatable(&plan) || !reads_only_tables(scope, &plan) {
                    scope.pins.noted().changes();
                }
                optimize(scope, &state, question.as_ref(), plan, parameters).await?
            }
        };
        let (stream, profile) = start(&state, &ready.plan).await?;
        Ok(Answer {
            schema: stream.schema(),
            stream,
            inputs: scope.pins.noted().inputs(),
            tables: ready.tables,
            has_kept_plan: ready.is_kept,
            profile,
        })
    }
}

/// Decides on common types: only then it's known what a union or a `case` gives.
pub(crate) fn coerce(state: &SessionState, plan: LogicalPlan) -> Result<LogicalPlan> {
    let rules = Analyzer::with_rules(vec![Arc::new(TypeCoercion::new())]);
    Ok(rules.execute_and_check(plan, state.config_options(), |_, _| {})?)
}

/// Makes a plan ready to run, and keeps it if that's possible.
pub(crate) async fn optimize(
    scope: &Scope,
    state: &SessionState,
    question: Option<&Question>,
    plan: LogicalPlan,
    parameters: Option<ParamValues>,
) -> Result<Ready> {
    let tables = tables(scope, &plan);
    if let Some(parameters) = &parameters {
        check_parameters(&plan, parameters)?;
    }
    if let Some(question) = question {
        let plans = &scope.shared.plans;
        let about = (&plan, tables.as_slice());
        let kept = plans.keep(scope, state, question, about, parameters.as_ref());
        if let Some(ready) = kept.await {
            return Ok(ready);
        }
    }
    let plan = match parameters {
        Some(parameters) => semantics::apply(plan.with_param_values(parameters)?)?,
        None => plan,
    };
    Ok(Ready {
        plan: state.optimize(&plan)?,
        tables,
        is_kept: false,
    })
}

/// Begins to run an optimized plan.
pub(crate) async fn start(
    state: &SessionState,
    plan: &LogicalPlan,
) -> Result<(SendableRecordBatchStream, Profile)> {
    let planner = state.query_planner();
    let plan = planner.create_physical_plan(plan, state).await?;
    let profile = Profile::new(&plan);
    let stream = datafusion::physical_plan::execute_stream(plan, state.task_ctx())?;
    Ok((stream, profile))
}

pub(crate) fn smaller<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Puts values in.
pub(crate) fn with_parameters(plan: LogicalPlan, parameters: ParamValues) -> Result<LogicalPlan> {
    check_parameters(&plan, &parameters)?;
    Ok(semantics::apply(plan.with_param_values(parameters)?)?)
}

/// Refuses values that the statement has no place for.
fn check_parameters(plan: &LogicalPlan, parameters: &ParamValues) -> Result<()> {
    let names = plan.get_parameter_names()?;
    if let ParamValues::List(values) = parameters {
        let highest = names
            .iter()
            .filter_map(|name| name.strip_prefix('$')?.parse::<usize>().ok())
            .max();
        if values.len() > highest.unwrap_or(0) {
            return Err(Error::new(
                Kind::BadRequest,
                format!(
                    "{} values are given for {} parameters",
                    values.len(),
                    highest.unwrap_or(0)
                ),
            )
            .with_hint("the first value is `$1`"));
        }
    }
    if let ParamValues::Map(values) = parameters {
        let unknown = values
            .keys()
            .find(|name| !names.contains(&format!("${name}")));
        if let Some(unknown) = unknown {
            return Err(Error::new(
                Kind::BadRequest,
                format!("the statement has no parameter `${unknown}`"),
            ));
        }
    }
    Ok(())
}

/// Plans a statement that only reads.
pub(crate) async fn plan(lake: &Lake, sql: &str) -> Result<(SessionState, LogicalPlan)> {
    let statement = parse(&lake.context.state(), sql)?;
    plan_statement(lake, statement).await
}

/// Plans a parsed statement that only reads.
///
/// On the heap: views are planned while what reads them is, and each would put the whole state of
/// this on the stack.
pub(crate) fn plan_statement(
    lake: &Lake,
    statement: Statement,
) -> BoxFuture<'_, Result<(SessionState, LogicalPlan)>> {
    Box::pin(async move {
        let state = lake.context.state();
        policy::check_statement(&statement)?;
        if let Some(plan) = describe(&lake.scope, &state, &statement)? {
            return Ok((state, plan));
        }
        let names = state.resolve_table_references(&statement)?;
        check_catalogs(&state, &names)?;
        let plan = state
            .statement_to_plan(statement)
            .await
            .map_err(|error| explain_missing(&lake.scope, &names, error))?;
        policy::check(&plan)?;
        Ok((state, semantics::apply(plan)?))
    })
}

/// Brackets in brackets of a statement at most. Beyond some forty the parser needs minutes to find out
/// that it is too deep: at each depth it tries more than one way.
const DEEPEST: usize = 32;

/// Refuses what would keep the parser busy.
pub(crate) fn check_nesting(sql: &str) -> Result<()> {
    // What is no sequence of tokens is for the parser to complain about.
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize();
    let mut depth = 0_usize;
    for token in tokens.unwrap_or_default() {
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
            Token::RParen | Token::RBracket | Token::RBrace => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return Err(Error::new(
                Kind::BadRequest,
                format!("the statement has brackets in brackets more than {DEEPEST} deep"),
            )
            .with_hint("name parts of it with `with`"));
        }
    }
    Ok(())
}

/// Exactly one statement.
fn parse(state: &SessionState, sql: &str) -> Result<Statement> {
    check_nesting(sql)?;
    let recursion_limit = state.config_options().sql_parser.recursion_limit.get();
    let mut statements = DFParserBuilder::new(sql)
        .with_dialect(&GenericDialect {})
        .with_recursion_limit(recursion_limit)
        .build()?
        .parse_statements()?;
    match (statements.pop_front(), statements.len()) {
        (Some(mut statement), 0) => {
            pg::rewrite_any(&mut statement);
            Ok(statement)
        }
        (None, _) => {
            Err(Error::new(Kind::BadRequest, "there is no statement")
                .with_hint("write `select ...`"))
        }
        (Some(_), more) => Err(Error::new(
            Kind::NotAllowed,
            format!("{} statements where one is allowed", more + 1),
        )
        .with_hint("send each statement by itself")),
    }
}

/// `describe x`, answered from the declaration where that has columns.
fn describe(
    scope: &Scope,
    state: &SessionState,
    statement: &Statement,
) -> Result<Option<LogicalPlan>> {
    let Statement::Statement(statement) = statement else {
        return Ok(None);
    };
    let ast::Statement::ExplainTable { table_name, .. } = statement.as_ref() else {
        return Ok(None);
    };
    let options = &state.config_options().catalog;
    let name = object_name_to_table_reference(table_name.clone(), true)?
        .resolve(&options.default_catalog, &options.default_schema);
    if name.catalog.as_ref() != options.default_catalog
        || name.schema.as_ref() == INFORMATION_SCHEMA
    {
        return Ok(None);
    }
    let schema = catalog::declared_schema(scope, &name.schema, &name.table)?;
    let Some(schema) = schema else {
        return Ok(None);
    };
    let output_schema = Arc::new(DFSchema::try_from(LogicalPlan::describe_schema())?);
    Ok(Some(LogicalPlan::DescribeTable(DescribeTable {
        schema,
        output_schema,
    })))
}

/// There is one catalog, and it need not be named.
fn check_catalogs(state: &SessionState, names: &[TableReference]) -> Result<()> {
    let known = &state.config_options().catalog.default_catalog;
    for reference in names {
        if let TableReference::Full {
            catalog,
            schema,
            table,
        } = reference
            && catalog.as_ref() != known.as_str()
        {
            return Err(
                Error::new(Kind::NotFound, format!("there is no catalog `{catalog}`")).with_hint(
                    format!("write `{schema}.{table}`, or `{known}.{schema}.{table}`"),
                ),
            );
        }
    }
    Ok(())
}

/// A name of one part that is neither a table function nor defined by a `with`.
fn explain_missing(scope: &Scope, names: &[TableReference], error: DataFusionError) -> Error {
    if let DataFusionError::Plan(message) = error.find_root() {
        let is_missing = |table: &str| {
            message.starts_with("table '") && message.ends_with(&format!("{table}' not found"))
        };
        for name in names {
            if let TableReference::Bare { table } = name
                && is_missing(table)
            {
                return scope.shared.tables.unnamed(table);
            }
        }
    }
    error.into()
}

/// DataFusion's state behind a pointer that hides its type. Whether a future can be sent is decided
/// for each async function anew, and a state reaches every type of a plan: each function that
/// touches a lake would take seconds to compile.
pub(crate) struct Template(Arc<dyn Any + Send + Sync>);

impl Template {
    pub(crate) fn state(&self) -> &SessionState {
        let state = self.0.downcast_ref();
        state.expect("nothing else is ever put in")
    }
}

/// What every session starts from.
pub(crate) fn template(limits: &Limits) -> Result<Template> {
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
        .set_bool("datafusion.sql_parser.collect_spans", true)
        // `select min(a), max(b + 1)` loses rows: apache/datafusion#24816.
        .set_bool(
            "datafusion.optimizer.enable_aggregate_dynamic_filter_pushdown",
            false,
        )
        .set_str("datafusion.execution.time_zone", "UTC");
    let builder = SessionStateBuilder::new_with_default_features()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_query_planner(Arc::new(Planner::new(query_planner())));
    #[cfg(feature = "postgres")]
    let builder = builder.with_optimizer_rules(crate::sources::postgres::optimizer_rules());
    let mut state = builder.build();
    state.register_udf(Arc::new(like::function()))?;
    for function in semantics::registered() {
        state.register_udf(function)?;
    }
    state.register_expr_planner(Arc::new(semantics::Operators))?;
    Ok(Template(Arc::new(state)))
}

/// Whole parts of a plan go to a database that can run them.
#[cfg(feature = "postgres")]
fn query_planner() -> Arc<dyn QueryPlanner + Send + Sync> {
    Arc::new(datafusion_federation::FederatedQueryPlanner::new())
}

#[cfg(not(feature = "postgres"))]
fn query_planner() -> Arc<dyn QueryPlanner + Send + Sync> {
    Arc::new(datafusion::execution::session_state::DefaultQueryPlanner {})
}

/// A session whose catalog is the lake's.
pub(crate) fn context(scope: &Scope) -> SessionContext {
    let shared = &scope.shared;
    // Not by a builder, which registers each function again.
    let mut state = shared.template.state().clone();
    state.register_catalog_list(Arc::new(MemoryCatalogProviderList::new()));
    let name = scope.access.catalog.name.clone();
    let config = state.config_mut();
    config
        .options_mut()
        .catalog
        .default_catalog
        .clone_from(&name);
    UNNAMED.clone_into(&mut config.options_mut().catalog.default_schema);
    config.set_extension(Arc::clone(&scope.chain));
    config.set_extension(Arc::clone(&scope.stop));
    let context = SessionContext::new_with_state(state);
    context.register_catalog(name, Arc::new(SessionCatalog::new(scope.clone())));
    context
}
