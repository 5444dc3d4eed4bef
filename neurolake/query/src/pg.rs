//! What clients of PostgreSQL expect of a server: its dialect, `pg_catalog`, `information_schema`
//! and functions about the session.
//!
//! Clients ask these before they ask anything of a person's. The tables of `pg_catalog` and most of
//! the rewriting come from `datafusion-pg-catalog`; this module gives them the lake's catalog and
//! adds what its clients were seen to miss.
//!
//! Read in this order: [`Session`] (a connection and what it has set), `dialect` (text to
//! statements), `rewrite`, `names`, `introspection` (what is listed), `information_schema`, `settings`, `functions`, `types`;
//! `template` (patterns of `to_char`).

mod dialect;
mod functions;
mod information_schema;
mod introspection;
mod names;
mod rewrite;
mod settings;
mod template;
mod types;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use datafusion::arrow::datatypes::{DataType, FieldRef, SchemaRef};
use datafusion::catalog::{CatalogProvider, MemoryCatalogProviderList, SchemaProvider};
use datafusion::common::ParamValues;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast;

pub(crate) use self::introspection::Introspection;
use self::introspection::PG_CATALOG;
pub use self::names::{column_names, without_number};
use self::settings::WithSettings;
pub use self::types::{modifier as type_modifier, type_name};
use crate::catalog::{SessionCatalog, UNNAMED};
use crate::error::{Error, Kind, Result};
use crate::inputs::is_repeatable;
use crate::lake::{Lake, Scope};
use crate::limited::{Bounds, limited};
use crate::plans::{Question, Ready, reads_only_tables, typed};
use crate::prepared::types_of_parameters;
use crate::session::{self, Answer, smaller};
use crate::stop::Stop;

/// Version of PostgreSQL that clients are told to expect.
pub const SERVER_VERSION: &str = "15.0";

/// The statements of a text, each in DataFusion's reach.
///
/// # Errors
/// The text is not SQL.
pub fn parse(sql: &str) -> Result<Vec<ast::Statement>> {
    dialect::parse(sql)
}

/// What no dialect of the engine plans and every door takes, such as `like ... escape`.
pub(crate) fn rewrite_any(statement: &mut Statement) {
    match statement {
        Statement::Statement(statement) => rewrite::of_any(statement),
        Statement::Explain(explain) => rewrite_any(&mut explain.statement),
        _ => {}
    }
}

/// Settings of a connection, such as `search_path`, by their names in lower case.
#[derive(Debug, Default)]
pub struct Variables(Mutex<BTreeMap<String, String>>);

impl Variables {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        // Nothing can panic while the map is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value of a setting.
    pub fn get(&self, name: &str) -> Option<String> {
        self.lock().get(&name.to_ascii_lowercase()).cloned()
    }

    /// Sets it.
    pub fn set(&self, name: &str, value: impl Into<String>) {
        self.lock().insert(name.to_ascii_lowercase(), value.into());
    }

    /// All settings, sorted.
    pub fn all(&self) -> BTreeMap<String, String> {
        self.lock().clone()
    }

    /// Replaces all settings.
    pub fn replace(&self, all: BTreeMap<String, String>) {
        *self.lock() = all;
    }
}

/// One connection of a client.
#[derive(Clone)]
pub struct Session {
    lake: Lake,
    introspection: Arc<Introspection>,
    /// What it has set.
    pub variables: Arc<Variables>,
    /// Who it is.
    pub user: Arc<str>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl Lake {
    /// A connection of a client of PostgreSQL.
    ///
    /// # Errors
    /// The tables that describe the lake can't be made; a bug.
    pub async fn postgres_session(&self, user: &str, variables: Arc<Variables>) -> Result<Session> {
        let access = &self.scope.access;
        let introspection = access
            .introspection
            .get_or_try_init(|| Introspection::new(&self.scope))
            .await?;
        Ok(Session {
            lake: self.clone(),
            introspection: Arc::clone(introspection),
            variables,
            user: user.into(),
        })
    }
}

/// A statement that only reads, planned but not begun. It sees its tables as they are now.
pub struct Planned {
    scope: Scope,
    state: SessionState,
    plan: Plan,
    text: String,
    limits: Bounded,
}

enum Plan {
    /// It may still wait for values.
    New(LogicalPlan),
    Ready(Ready),
}

struct Bounded {
    deadline: Option<Duration>,
    max_rows: Option<usize>,
}

impl Session {
    /// Plans a statement that only reads. With its values, a plan that was kept will do.
    ///
    /// `text` tells it from all other statements. As the client wrote it: statements that differ in
    /// the number of their quotes may be printed alike.
    ///
    /// # Errors
    /// It is wrong, does more than read, or names a table that can't be opened.
    pub async fn plan(
        &self,
        statement: &ast::Statement,
        text: &str,
        values: Option<&ParamValues>,
    ) -> Result<Planned> {
        let limits = &self.lake.scope.shared.limits;
        let bounds = Bounds::new(limits.deadline, None);
        // Each statement sees tables as they are when it begins.
        let scope = Scope {
            pins: Arc::default(),
            stop: Arc::default(),
            ..self.lake.scope.clone()
        };
        let lake = Lake {
            context: self.context(scope.clone()),
            scope,
        };
        let state = lake.context.state();
        let mut planned = Planned {
            text: text.to_owned(),
            plan: Plan::New(LogicalPlan::default()),
            state,
            scope: lake.scope.clone(),
            limits: Bounded {
                deadline: limits.deadline,
                max_rows: limits.max_rows,
            },
        };
        let kept = bounds.in_time(planned.kept(values)).await?;
        planned.plan = match kept {
            Some(ready) => Plan::Ready(ready),
            None => {
                let statement = Statement::Statement(Box::new(statement.clone()));
                let plan = session::plan_statement(&lake, statement);
                let (_, plan) = bounds.in_time(plan).await??;
                if !is_repeatable(&plan) || !reads_only_tables(&lake.scope, &plan) {
                    lake.scope.pins.noted().changes();
                }
                Plan::New(plan)
            }
        };
        Ok(planned)
    }

    /// DataFusion's session for one statement.
    fn context(&self, scope: Scope) -> SessionContext {
        let mut state = self.introspection.state().clone();
        state.register_catalog_list(Arc::new(MemoryCatalogProviderList::new()));
        let name = scope.access.catalog.name.clone();
        let config = state.config_mut();
        let options = config.options_mut();
        options.catalog.default_catalog.clone_from(&name);
        options.catalog.default_schema = self.default_database().unwrap_or(UNNAMED.to_owned());
        config.set_extension(Arc::clone(&scope.chain));
        config.set_extension(Arc::clone(&scope.stop));
        let context = SessionContext::new_with_state(state);
        functions::register(&context, self);
        context.register_catalog(
            name,
            Arc::new(WithSystem {
                inner: SessionCatalog::new(scope),
                introspection: Arc::clone(&self.introspection),
                variables: Arc::clone(&self.variables),
            }),
        );
        context
    }

    /// The database of tables that are named without one: the first of `search_path` that exists.
    pub fn default_database(&self) -> Option<String> {
        self.search_path().into_iter().next()
    }

    /// The databases of `search_path` that exist.
    fn search_path(&self) -> Vec<String> {
        let databases = &self.lake.catalog().databases;
        let path = self.variables.get("search_path").unwrap_or_default();
        path.split(',')
            .map(|name| name.trim().trim_matches('"').to_owned())
            .filter(|name| databases.iter().any(|database| database.name == *name))
            .collect()
    }

    /// Name of the lake, which is the database that clients connect to.
    pub fn database(&self) -> &str {
        &self.lake.catalog().name
    }
}

fn refuse_parameters(plan: &LogicalPlan) -> Result<()> {
    match plan.get_parameter_names()?.into_iter().min() {
        None => Ok(()),
        Some(name) => Err(Error::new(
            Kind::BadRequest,
            format!("there is no parameter {name}"),
        )),
    }
}

/// Type of a parameter, as far as the statement says.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// `None`: any.
    pub data_type: Option<DataType>,
    /// The column that it is compared with.
    pub field: Option<FieldRef>,
}

impl Planned {
    /// What decides about the plan, with the types of these values.
    fn question(&self, values: Option<&ParamValues>) -> Option<Question> {
        let options = &self.state.config_options().catalog;
        let dialect = format!("postgres {}", options.default_schema);
        Question::new(&self.scope, &dialect, &self.text, values)
    }

    async fn kept(&self, values: Option<&ParamValues>) -> Option<Ready> {
        let Self { scope, state, .. } = self;
        let question = self.question(values)?;
        scope
            .shared
            .plans
            .find(scope, state, &question, values)
            .await
    }

    fn plan(&self) -> &LogicalPlan {
        match &self.plan {
            Plan::New(plan) => plan,
            Plan::Ready(ready) => &ready.plan,
        }
    }

    /// Columns of the answer.
    pub fn schema(&self) -> SchemaRef {
        Arc::new(self.plan().schema().as_arrow().clone())
    }

    /// Whether the session would plan the same now, over tables as they are.
    pub async fn is_current(&self, session: &Session) -> bool {
        let database = session.default_database();
        let planned = &self.state.config_options().catalog.default_schema;
        if database.as_deref().unwrap_or(UNNAMED) != planned {
            return false;
        }
        let inputs = self.scope.pins.noted().inputs();
        match inputs {
            Some(inputs) => session.lake.is_unchanged(&inputs).await,
            // What describes the lake stays as it is.
            None => self.scope.pins.has_given_nothing(),
        }
    }

    /// Columns of the answer with parameters of these types, as far as it is known.
    pub fn schema_with(&self, types: &[DataType]) -> SchemaRef {
        let types: Vec<(String, DataType)> = (1..)
            .zip(types)
            .map(|(number, data_type)| (format!("${number}"), data_type.clone()))
            .collect();
        let Plan::New(plan) = &self.plan else {
            return self.schema();
        };
        let typed = typed(plan.clone(), &types).map_err(Error::from);
        match typed.and_then(|plan| session::coerce(&self.state, plan)) {
            Ok(plan) => Arc::new(plan.schema().as_arrow().clone()),
            Err(_) => self.schema(),
        }
    }

    /// Parameters `$1`, `$2`...
    ///
    /// # Errors
    /// One parameter has two types.
    pub fn parameters(&self) -> Result<Vec<Parameter>> {
        let (types, fields) = types_of_parameters(self.plan())?;
        let number = |name: &str| name.strip_prefix('$').and_then(|text| text.parse().ok());
        let highest: usize = types
            .keys()
            .filter_map(|name| number(name))
            .max()
            .unwrap_or(0);
        Ok((1..=highest)
            .map(|index| {
                let name = format!("${index}");
                Parameter {
                    data_type: types.get(&name).cloned().flatten(),
                    field: fields.get(&name).cloned(),
                }
            })
            .collect())
    }

    /// Runs it.
    ///
    /// # Errors
    /// A parameter doesn't fit, or a table can't be read. The stream ends with an error where a
    /// limit is reached.
    pub async fn run(
        self,
        parameters: Option<ParamValues>,
        deadline: Option<Duration>,
    ) -> Result<Answer> {
        let bounds = Bounds::new(
            smaller(deadline, self.limits.deadline),
            self.limits.max_rows,
        );
        let stop = self.state.config().get_extension::<Stop>();
        let question = self.question(parameters.as_ref());
        let Self {
            scope, state, plan, ..
        } = self;
        let started = async {
            let ready = match plan {
                Plan::Ready(ready) => ready,
                Plan::New(plan) => {
                    if parameters.is_none() {
                        refuse_parameters(&plan)?;
                    }
                    session::optimize(&scope, &state, question.as_ref(), plan, parameters).await?
                }
            };
            let (stream, profile) = session::start(&state, &ready.plan).await?;
            Ok::<_, Error>((ready, stream, profile))
        };
        let (ready, stream, profile) = bounds.in_time(started).await??;
        Ok(Answer {
            inputs: scope.pins.noted().inputs(),
            tables: ready.tables,
            has_kept_plan: ready.is_kept,
            profile,
            schema: stream.schema(),
            stream: limited(stream, &bounds, stop.unwrap_or_default()),
        })
    }
}

/// The lake's catalog with the databases that describe it.
#[derive(Debug)]
struct WithSystem {
    inner: SessionCatalog,
    introspection: Arc<Introspection>,
    variables: Arc<Variables>,
}

impl CatalogProvider for WithSystem {
    fn schema_names(&self) -> Vec<String> {
        self.inner.schema_names()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        match self.introspection.schema(name) {
            Some(inner) if name == PG_CATALOG => Some(Arc::new(WithSettings {
                inner,
                variables: Arc::clone(&self.variables),
            })),
            Some(schema) => Some(schema),
            None => self.inner.schema(name),
        }
    }
}
