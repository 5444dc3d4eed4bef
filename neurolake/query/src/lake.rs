//! The handle that everything hangs on: a catalog, its stores, and what is cached about them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::dataframe::DataFrame;
use datafusion::prelude::SessionContext;
use neurolake_delta::{At, Snapshots};
use neurolake_model::{self as model, Catalog};
use object_store::ObjectStore;

use crate::access::{self, Access, Role};
use crate::catalog::{self, Tables};
use crate::error::{Error, Kind, Result};
use crate::inputs::Noted;
use crate::plans::{Place, Plans};
use crate::session::MinVersion;
use crate::sources::function::FunctionTable;
use crate::sources::objects::Buckets;
use crate::stop::Stop;
use crate::stores::Stores;
use crate::tail::Tails;
use crate::{policy, session, sources};

/// A catalog with its data. Cloning is cheap and keeps the session; [`Lake::session`] makes a fresh
/// one over the same caches.
#[derive(Clone)]
pub struct Lake {
    pub(crate) scope: Scope,
    pub(crate) context: SessionContext,
}

/// What a table needs to open itself for one session.
#[derive(Clone)]
pub(crate) struct Scope {
    pub(crate) shared: Arc<Shared>,
    /// Who asks.
    pub(crate) access: Arc<Access>,
    /// Tables that the session has opened: each statement sees one version of a table, however
    /// often views and functions come back to it.
    pub(crate) pins: Arc<Pins>,
    /// Views and functions that are being planned, outermost first.
    pub(crate) chain: Arc<Chain>,
    /// How long ago the versions that are read may have been the newest.
    pub(crate) max_staleness: Option<Duration>,
    /// Gets the wish that the statement ends.
    pub(crate) stop: Arc<Stop>,
}

/// Names of views and functions, each read by the one before it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chain(Vec<String>);

/// Deeper nesting is a mistake in the catalog.
const DEEPEST: usize = 32;

impl Chain {
    fn with(&self, table: &str) -> Result<Self> {
        let mut names = self.0.clone();
        names.push(table.to_owned());
        if names.len() > DEEPEST {
            return Err(Error::new(
                Kind::Broken,
                format!(
                    "views and functions are nested more than {DEEPEST} deep: {}",
                    arrows(&names)
                ),
            )
            .with_hint("does a function read itself?"));
        }
        Ok(Self(names))
    }
}

/// A long chain with its middle left out.
fn arrows(names: &[String]) -> String {
    match names {
        [first, second, .., last] if names.len() > 6 => {
            format!("`{first}` -> `{second}` -> ... -> `{last}`")
        }
        _ => names
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(" -> "),
    }
}

impl Scope {
    /// The scope inside of a view.
    pub(crate) fn enter(&self, view: &str) -> Result<Self> {
        if let Some(start) = self.chain.0.iter().position(|name| name == view) {
            let mut circle = self.chain.0[start..].to_vec();
            circle.push(view.to_owned());
            return Err(Error::new(
                Kind::Broken,
                format!("views read each other in a circle: {}", arrows(&circle)),
            )
            .with_hint("let one of them read tables only"));
        }
        self.call(view)
    }

    /// The scope inside of a function. It may come back to itself with other arguments.
    pub(crate) fn call(&self, function: &str) -> Result<Self> {
        Ok(Self {
            chain: Arc::new(self.chain.with(function)?),
            ..self.clone()
        })
    }

    /// A handle for code that runs inside of the session, such as the body of a function table.
    pub(crate) fn lake(&self) -> Lake {
        Lake {
            context: session::context(self),
            scope: self.clone(),
        }
    }

    /// The table of this name, as the session sees it.
    pub(crate) async fn provider(
        &self,
        database: &str,
        table: &str,
        at: Option<&At>,
    ) -> Result<Arc<dyn TableProvider>> {
        let declared = self.shared.tables.declaration(database, table);
        let rule = match declared {
            Some(declared) => self.access.rule(database, declared)?,
            // What there isn't is for `find` to say.
            None => None,
        };
        let whole = match rule {
            Some(rule) if rule.is_authorized => {
                self.with_all_rights().opened(database, table, at).await?
            }
            _ => self.opened(database, table, at).await?,
        };
        let provider = match rule {
            Some(rule) => access::restrict(Arc::clone(&whole), rule, table, self)?,
            None => Arc::clone(&whole),
        };
        self.pins.give(Given {
            provider: Arc::downgrade(&provider),
            place: Place {
                database: database.to_owned(),
                table: table.to_owned(),
                at: at.copied(),
                has_all_rights: Arc::ptr_eq(&self.access, &self.shared.everything),
            },
            is_guarded: !Arc::ptr_eq(&whole, &provider),
        });
        Ok(provider)
    }

    /// The same session, reading with all rights.
    pub(crate) fn with_all_rights(&self) -> Self {
        Self {
            access: Arc::clone(&self.shared.everything),
            ..self.clone()
        }
    }

    /// The whole table, of which the session sees one version.
    async fn opened(
        &self,
        database: &str,
        table: &str,
        at: Option<&At>,
    ) -> Result<Arc<dyn TableProvider>> {
        let source = self.shared.tables.find(database, table)?;
        // What reads other tables depends on who asks, stored tables don't.
        let role = self.access.role().filter(|_| source.reads_tables());
        let key = (
            database.to_owned(),
            table.to_owned(),
            at.copied(),
            role.map(str::to_owned),
        );
        if let Some(pinned) = self.pins.providers().get(&key) {
            return Ok(Arc::clone(pinned));
        }
        let provider = policy::read_only(source.provider(self, at).await?);
        if !source.has_versions() && !source.reads_tables() {
            self.pins.noted().changes();
        }
        if source.is_cheap() {
            return Ok(provider);
        }
        Ok(Arc::clone(
            self.pins.providers().entry(key).or_insert(provider),
        ))
    }
}

/// Tables by name, version, and the role with which they read others.
#[derive(Default)]
pub(crate) struct Pins {
    providers: Mutex<HashMap<PinKey, Arc<dyn TableProvider>>>,
    given: Mutex<Vec<Given>>,
    noted: Mutex<Noted>,
}

/// A table that a statement was given.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    provider: Weak<dyn TableProvider>,
    pub(crate) place: Place,
    /// Only a part of the table, as the role sees it.
    pub(crate) is_guarded: bool,
}

type PinKey = (String, String, Option<At>, Option<String>);

impl Pins {
    fn providers(&self) -> MutexGuard<'_, HashMap<PinKey, Arc<dyn TableProvider>>> {
        // Nothing can panic while the map is held.
        self.providers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn given(&self) -> MutexGuard<'_, Vec<Given>> {
        // Nothing can panic while the list is held.
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give(&self, table: Given) {
        let mut given = self.given();
        given.retain(|given| given.provider.strong_count() > 0);
        let is_known = |given: &Given| given.provider.ptr_eq(&table.provider);
        if !given.iter().any(is_known) {
            given.push(table);
        }
    }

    pub(crate) fn has_given_nothing(&self) -> bool {
        self.given().is_empty()
    }

    /// Which table this is.
    pub(crate) fn given_as(&self, provider: &Arc<dyn TableProvider>) -> Option<Given> {
        let given = self.given();
        let mut given = given.iter();
        let is_it =
            |given: &&Given| std::ptr::addr_eq(given.provider.as_ptr(), Arc::as_ptr(provider));
        given.find(is_it).cloned()
    }

    /// What the session has read.
    pub(crate) fn noted(&self) -> MutexGuard<'_, Noted> {
        // Nothing can panic while it is held.
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What all sessions share.
pub(crate) struct Shared {
    pub(crate) everything: Arc<Access>,
    pub(crate) stores: Stores,
    pub(crate) limits: Limits,
    pub(crate) tables: Tables,
    pub(crate) plans: Plans,
    pub(crate) snapshots: Snapshots,
    /// Connections to PostgreSQL by store.
    pub(crate) postgres: sources::postgres::Servers,
    /// Answers of Google Sheets by store.
    pub(crate) sheets: sources::sheet::Clients,
    /// Rows on their way to tables that take events.
    pub(crate) tails: Option<Arc<dyn Tails>>,
    pub(crate) wrap_store: Option<WrapStore>,
    pub(crate) buckets: Buckets,
    /// Functions, optimizer rules and settings that every session starts from.
    pub(crate) template: session::Template,
}

/// Wraps each object store that is opened, for instance to count bytes.
pub type WrapStore = Arc<dyn Fn(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> + Send + Sync>;

/// What one query may use.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Memory for joins, sorts and aggregates of all queries together. Too small refuses queries,
    /// too large lets one query push everything else out.
    pub memory_bytes: usize,
    /// How long one query may run.
    pub deadline: Option<Duration>,
    /// Rows of one answer.
    pub max_rows: Option<usize>,
    /// Partitions that a query is split in; one per core is best.
    pub parallelism: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 2 << 30,
            deadline: Some(Duration::from_mins(5)),
            max_rows: None,
            parallelism: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        }
    }
}

/// Puts a [`Lake`] together.
pub struct LakeBuilder {
    catalog: Catalog,
    stores: Stores,
    limits: Limits,
    functions: BTreeMap<(String, String), Arc<dyn FunctionTable>>,
    system: Vec<(model::Table, Arc<dyn FunctionTable>)>,
    tails: Option<Arc<dyn Tails>>,
    wrap_store: Option<WrapStore>,
}

/// The database of tables about the server itself. They are not listed, and no role reads them.
pub const SYSTEM: &str = "system";

/// How one table of the catalog is doing, as far as it is known without asking its store.
#[derive(Debug, Clone)]
pub struct TableStatus {
    /// Name of the database.
    pub database: String,
    /// Name of the table.
    pub table: String,
    /// Kind of its source, such as `delta`.
    pub kind: &'static str,
    /// The version that queries see, of a Delta table that somebody has read.
    pub version: Option<u64>,
    /// How long ago that was known to be the newest version.
    pub age: Option<Duration>,
    /// Why the last look at it failed.
    pub error: Option<String>,
}

impl LakeBuilder {
    /// Where data lies.
    #[must_use]
    pub fn stores(mut self, stores: Stores) -> Self {
        self.stores = stores;
        self
    }

    /// What queries may use.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The code of a function table that the catalog declares.
    #[must_use]
    pub fn function(
        mut self,
        database: impl Into<String>,
        table: impl Into<String>,
        function: Arc<dyn FunctionTable>,
    ) -> Self {
        self.functions
            .insert((database.into(), table.into()), function);
        self
    }

    /// A table about the server itself, in the database [`SYSTEM`]. A table of the catalog goes
    /// before one of the same name.
    #[must_use]
    pub fn system(mut self, table: model::Table, function: Arc<dyn FunctionTable>) -> Self {
        self.system.push((table, function));
        self
    }

    /// Who keeps rows on their way to tables that take events. Without it, queries see what is
    /// committed.
    #[must_use]
    pub fn tails(mut self, tails: Arc<dyn Tails>) -> Self {
        self.tails = Some(tails);
        self
    }

    /// Wraps each object store that is opened, for instance to count bytes.
    #[must_use]
    pub fn wrap_stores(mut self, wrap: WrapStore) -> Self {
        self.wrap_store = Some(wrap);
        self
    }

    /// The lake. No table is opened yet, nothing is connected to.
    ///
    /// # Errors
    /// The memory limit can't be set up.
    pub fn build(self) -> Result<Lake> {
        let template = session::template(&self.limits)?;
        let catalog = Arc::new(self.catalog);
        let shared = Arc::new(Shared {
            tables: Tables::new(Arc::clone(&catalog), self.functions, self.system),
            everything: Arc::new(Access::all(catalog)),
            stores: self.stores,
            limits: self.limits,
            plans: Plans::default(),
            snapshots: Snapshots::default(),
            postgres: sources::postgres::Servers::default(),
            sheets: sources::sheet::Clients::default(),
            tails: self.tails,
            wrap_store: self.wrap_store,
            buckets: Buckets::default(),
            template,
        });
        let access = Arc::clone(&shared.everything);
        Ok(Lake::over(shared, access))
    }
}

impl Lake {
    /// A lake over this catalog.
    pub fn builder(catalog: Catalog) -> LakeBuilder {
        LakeBuilder {
            catalog,
            stores: Stores::default(),
            limits: Limits::default(),
            functions: BTreeMap::new(),
            system: Vec::new(),
            tails: None,
            wrap_store: None,
        }
    }

    pub(crate) fn over(shared: Arc<Shared>, access: Arc<Access>) -> Self {
        Scope {
            shared,
            access,
            pins: Arc::default(),
            chain: Arc::default(),
            max_staleness: None,
            stop: Arc::default(),
        }
        .lake()
    }

    /// A fresh session: settings of other sessions don't reach it.
    #[must_use]
    pub fn session(&self) -> Self {
        let Scope { shared, access, .. } = &self.scope;
        Self::over(Arc::clone(shared), Arc::clone(access))
    }

    /// The same lake for somebody with this role: the same caches and limits, other tables.
    ///
    /// # Errors
    /// The role names what doesn't exist, or one of its conditions is none.
    pub fn with_role(&self, role: &Role) -> Result<Self> {
        let shared = &self.scope.shared;
        let access = Access::of(role, &shared.everything.catalog, shared.template.state())?;
        Ok(Self::over(Arc::clone(shared), Arc::new(access)))
    }

    /// Name of the role; `None`: everything may be read.
    pub fn role(&self) -> Option<&str> {
        self.scope.access.role()
    }

    /// Whether every row and column of a table may be read.
    pub fn reads_whole(&self, database: &str, table: &str) -> bool {
        let Scope { shared, access, .. } = &self.scope;
        let declared = shared.tables.declaration(database, table);
        declared.is_some_and(|table| matches!(access.rule(database, table), Ok(None)))
    }

    /// What is declared, as far as the role sees it.
    pub fn catalog(&self) -> &Catalog {
        &self.scope.access.catalog
    }

    /// Where data lies.
    pub fn stores(&self) -> &Stores {
        &self.scope.shared.stores
    }

    /// DataFusion's session.
    pub fn context(&self) -> &SessionContext {
        &self.context
    }

    /// A table as a lazy frame.
    ///
    /// # Errors
    /// There is no such table, or it can't be opened.
    pub async fn table(&self, database: &str, table: &str) -> Result<DataFrame> {
        let provider = self.provider(database, table, None).await?;
        let reference =
            datafusion::common::TableReference::full(self.catalog().name.as_str(), database, table);
        let plan = datafusion::logical_expr::LogicalPlanBuilder::scan(
            reference,
            datafusion::datasource::provider_as_source(provider),
            None,
        )?
        .build()?;
        Ok(DataFrame::new(self.context.state(), plan))
    }

    /// A query in SQL as a lazy frame, in this session.
    ///
    /// # Errors
    /// The statement is wrong or does more than read, or a table that it names can't be opened.
    pub async fn sql(&self, statement: &str) -> Result<DataFrame> {
        let (state, plan) = session::plan(self, statement).await?;
        Ok(DataFrame::new(state, plan))
    }

    /// The folder of a Delta table, and the store that holds it.
    ///
    /// # Errors
    /// There is no such table, it is no Delta table, or its store is not configured.
    pub fn location(&self, database: &str, table: &str) -> Result<neurolake_delta::Location> {
        let shared = &self.scope.shared;
        let mut tables = self.catalog().tables();
        let found = tables.find(|(of, found)| of.name == database && found.name == table);
        match found.map(|(_, table)| (table, &table.source)) {
            Some((table, neurolake_model::Source::Delta { uri })) => {
                let opened = sources::objects::open(shared, table.store.as_deref(), uri)?;
                Ok(opened.location())
            }
            _ => Err(Error::new(
                Kind::NotFound,
                format!("there is no Delta table `{database}.{table}`"),
            )),
        }
    }

    /// How each table is doing, in the catalog's order. Nothing is opened to find out.
    pub fn status(&self) -> Vec<TableStatus> {
        let shared = &self.scope.shared;
        let known = |table: &model::Table| {
            let model::Source::Delta { uri } = &table.source else {
                return None;
            };
            let opened = sources::objects::open(shared, table.store.as_deref(), uri).ok()?;
            shared.snapshots.status_of(&opened.location())
        };
        let tables = self.catalog().tables();
        tables
            .map(|(database, table)| {
                let known = known(table);
                TableStatus {
                    database: database.name.clone(),
                    table: table.name.clone(),
                    kind: table.source.kind(),
                    version: known.as_ref().and_then(|known| known.version),
                    age: known.as_ref().and_then(|known| known.age),
                    error: known.and_then(|known| Some(known.error?.to_string())),
                }
            })
            .collect()
    }

    /// The version of a Delta table that is at least this new.
    pub(crate) async fn at_least(&self, wanted: &MinVersion) -> Result<()> {
        let MinVersion {
            database,
            table,
            version,
        } = wanted;
        let location = self.location(database, table)?;
        let snapshots = &self.scope.shared.snapshots;
        let snapshot = snapshots.refreshed(&location, Some(*version)).await;
        let found = snapshot.map_or(0, |snapshot| snapshot.version());
        if found >= *version {
            return Ok(());
        }
        Err(Error::new(
            Kind::Timeout,
            format!("`{database}.{table}` is not at version {version} yet, it is at {found}"),
        )
        .with_hint("try again in a moment"))
    }

    /// The columns that a table answers with. Its name may hold a version: `spikes@12`.
    ///
    /// # Errors
    /// There is no such table or version, or it can't be opened.
    pub async fn schema(&self, database: &str, table: &str) -> Result<SchemaRef> {
        let (table, at) = catalog::parse_version(table)?;
        let provider = self
            .session()
            .provider(database, table, at.as_ref())
            .await?;
        Ok(provider.schema())
    }

    /// The columns of a table by its declaration alone: nothing is opened. `None` where they are
    /// read from the table.
    ///
    /// # Errors
    /// There is no such table.
    pub fn declared_schema(&self, database: &str, table: &str) -> Result<Option<SchemaRef>> {
        catalog::declared_schema(&self.scope, database, table)
    }

    /// A table as DataFusion sees it, now or at an earlier time.
    ///
    /// # Errors
    /// There is no such table or version, or it can't be opened.
    pub async fn provider(
        &self,
        database: &str,
        table: &str,
        at: Option<&At>,
    ) -> Result<Arc<dyn TableProvider>> {
        self.scope.provider(database, table, at).await
    }
}

impl fmt::Debug for Lake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lake")
            .field("catalog", &self.catalog().name)
            .finish_non_exhaustive()
    }
}
