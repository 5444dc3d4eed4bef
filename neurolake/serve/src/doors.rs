//! What is answered where, and with which limits.

use std::fs::File;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware;
use axum::routing::get;
use axum::serve::ListenerExt;
use axum::{Extension, Router};
use neurolake_model::Endpoints;
use neurolake_query::{Error, Kind, Lake, Result};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle, Runtime};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::accounts::{Account, Accounts};
use crate::admission::Admission;
use crate::health::Health;
use crate::identity::RequestId;
use crate::kept::{self, Kept};
use crate::metrics::{self, Metrics, MoreMetrics};
use crate::pg::Tls;
use crate::refusal::Refusal;
use crate::rest::Description;
use crate::system::System;
use crate::{document, graphql, guard, health, identity, rest, site, sql};

/// Stack of a thread that plans: deeply nested statements recurse.
const STACK_BYTES: usize = 16 << 20;

/// How the doors answer.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where clients reach these doors; stands in `catalog.json`.
    pub endpoints: Endpoints,
    /// Who may ask. None: everybody, everything.
    pub accounts: Vec<Account>,
    /// Certificate and key for clients of PostgreSQL, who then can't come in without.
    pub pg_tls: Option<Tls>,
    /// Folder of the catalog site. `None`: there is no site.
    pub site: Option<PathBuf>,
    /// Other web sites, such as `https://catalog.example.org`, whose pages may ask. Without any,
    /// browsers let only pages of this server read its answers.
    pub origins: Vec<String>,
    /// Names, besides those of this machine, under which a server on a loopback address is reached,
    /// for instance through a proxy.
    pub hosts: Vec<String>,
    /// Bytes of a statement with its parameters at most.
    pub statement_bytes: usize,
    /// Queries that run at the same time. Too few lets a slow one block the others, too many makes
    /// all of them slow and hungry for memory.
    pub concurrent_queries: usize,
    /// Queries that wait for their turn; more are turned away with status 429.
    pub queued_queries: usize,
    /// How long a query waits for its turn before it is turned away.
    pub queue_wait: Duration,
    /// Clients of the PostgreSQL door at the same time. Each holds a socket and little memory.
    pub pg_connections: usize,
    /// Memory for answers that are kept as long as their tables don't change. 0: none are.
    pub cache_bytes: usize,
    /// How long running queries may go on after the end was asked for.
    pub grace: Duration,
    /// Describes `/api/rest` as OpenAPI. `None`: nobody does.
    pub openapi: Option<Description>,
    /// What the server says about itself; the lake should have its tables.
    pub system: System,
    /// Statements that take longer are logged with what they did. `None`: none.
    pub slow_query: Option<Duration>,
    /// Gets a line of JSON for each statement, without its values.
    pub audit: Option<Arc<File>>,
    /// Metrics of other parts of the process, for `/metrics`.
    pub more_metrics: Option<MoreMetrics>,
    /// More routes behind the same checks and request ids, such as those of ingestion.
    pub routes: Router,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            endpoints: Endpoints::default(),
            accounts: Vec::new(),
            pg_tls: None,
            site: None,
            origins: Vec::new(),
            hosts: Vec::new(),
            statement_bytes: 1 << 20,
            concurrent_queries: 16,
            queued_queries: 64,
            queue_wait: Duration::from_secs(30),
            pg_connections: 512,
            cache_bytes: 128 << 20,
            grace: Duration::from_secs(5),
            openapi: None,
            system: System::default(),
            slow_query: Some(Duration::from_secs(10)),
            audit: None,
            more_metrics: None,
            routes: Router::new(),
        }
    }
}

/// The HTTP doors of one lake. Cloning is cheap.
#[derive(Clone)]
pub struct Doors {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) lake: Lake,
    pub(crate) settings: Settings,
    pub(crate) admission: Admission,
    pub(crate) health: Health,
    pub(crate) accounts: ArcSwap<Accounts>,
    pub(crate) kept: Kept,
    pub(crate) metrics: Metrics,
    pub(crate) audit: ArcSwapOption<File>,
    /// `catalog.json` with the real endpoints.
    pub(crate) catalog: String,
    queries: QueryRuntime,
}

impl Shared {
    /// Where queries run: `/health` and the sockets have threads of their own.
    pub(crate) fn queries(&self) -> &Handle {
        self.queries.handle()
    }
}

impl Doors {
    /// Doors over a lake. Nothing is listened on yet.
    ///
    /// # Errors
    /// The system refuses threads for queries, or a role doesn't fit the catalog.
    pub fn new(lake: Lake, settings: Settings) -> Result<Self> {
        let mut catalog = lake.catalog().clone();
        catalog.endpoints = settings.endpoints.clone();
        let admission = Admission::new(&settings);
        let more_metrics = settings.more_metrics.as_ref();
        let shared = Arc::new(Shared {
            catalog: catalog.to_json(),
            metrics: Metrics::new(admission.turned_away(), more_metrics),
            admission,
            health: Health::default(),
            kept: Kept::new(settings.cache_bytes),
            audit: ArcSwapOption::new(settings.audit.clone()),
            accounts: ArcSwap::from_pointee(Accounts::new(&lake, &settings.accounts)?),
            queries: QueryRuntime::new().map_err(|error| {
                Error::new(Kind::Internal, "can't start threads for queries").with_source(error)
            })?,
            lake,
            settings,
        });
        shared.settings.system.over(&shared);
        Ok(Self { shared })
    }

    /// Writes to another audit file from now on, or to none.
    pub fn set_audit(&self, audit: Option<Arc<File>>) {
        self.shared.audit.store(audit);
    }

    /// Lets in others from now on. Whoever is connected stays as who it came.
    ///
    /// # Errors
    /// A role doesn't fit the catalog: nothing has changed.
    pub fn set_accounts(&self, accounts: &[Account]) -> Result<()> {
        let shared = &self.shared;
        let accounts = Accounts::new(&shared.lake, accounts)?;
        shared.accounts.store(Arc::new(accounts));
        Ok(())
    }

    /// Queries that are running at the moment, their answers being written or read.
    pub fn running_queries(&self) -> usize {
        self.shared.admission.running()
    }

    /// The routes.
    pub fn router(&self) -> Router {
        let settings = &self.shared.settings;
        let text = SizeAbove::new(1024)
            .and(NotForContentType::const_new("application/vnd.apache.arrow"))
            .and(NotForContentType::const_new(
                "application/vnd.apache.parquet",
            ))
            .and(NotForContentType::const_new("image/png"));
        let router = Router::new()
            .route("/api/sql", get(sql::get).post(sql::post))
            .route("/api/rest", get(rest::root))
            .route("/api/rest/", get(rest::root))
            .route("/api/rest/{database}", get(rest::database))
            .route("/api/rest/{database}/{table}", get(rest::table))
            .route("/api/graphql", get(graphql::get).post(graphql::post))
            .route(
                "/api/graphql/{database}",
                get(graphql::get).post(graphql::post),
            )
            .route_layer(middleware::from_fn_with_state(self.clone(), kept::keep))
            .route("/api/stores", get(document::stores))
            .route("/api/{*rest}", get(nothing).post(nothing))
            .route("/catalog.json", get(document::catalog))
            .route("/metrics", get(metrics::metrics))
            .route("/health", get(health::health))
            .route("/ready", get(health::ready))
            .method_not_allowed_fallback(wrong_method);
        let router = router.merge(settings.routes.clone().with_state(()));
        let router = match &settings.site {
            Some(folder) => router.fallback_service(site::files(folder)),
            None => router.fallback(nothing),
        };
        router
            .layer(
                CompressionLayer::new()
                    .gzip(true)
                    .zstd(true)
                    .compress_when(text),
            )
            .layer(DefaultBodyLimit::max(settings.statement_bytes))
            .layer(cors(settings))
            .layer(middleware::from_fn_with_state(self.clone(), guard::guard))
            .layer(middleware::from_fn(identity::identify))
            .with_state(self.clone())
    }

    /// Answers until `end` is there; then running queries get [`Settings::grace`].
    ///
    /// # Errors
    /// The listener fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        end: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let (end, too_long) = ending(end, self.shared.settings.grace);
        let service = self
            .router()
            .into_make_service_with_connect_info::<SocketAddr>();
        // Otherwise the end of a short answer waits until the client has confirmed its beginning,
        // which a client does after 40 ms.
        let listener = listener.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::debug!(%error, "answers on a connection may be late");
            }
        });
        let server = axum::serve(listener, service).with_graceful_shutdown(end);
        tokio::select! {
            outcome = server => outcome,
            () = too_long => Ok(()),
        }
    }
}

/// For a server that ends gracefully: when to take no more, and when to wait no longer.
pub(crate) fn ending(
    end: impl Future<Output = ()> + Send + 'static,
    grace: Duration,
) -> (
    impl Future<Output = ()> + Send + 'static,
    impl Future<Output = ()> + Send,
) {
    let (ended, mut ending) = tokio::sync::watch::channel(false);
    let end = async move {
        end.await;
        let _ = ended.send(true);
    };
    let too_long = async move {
        let _ = ending.wait_for(|is_ending| *is_ending).await;
        tokio::time::sleep(grace).await;
    };
    (end, too_long)
}

async fn nothing(Extension(id): Extension<RequestId>) -> axum::response::Response {
    let hint = "the doors are `/api/sql`, `/api/rest/{database}/{table}`, `/api/graphql`, `/api/stores`, `/catalog.json`, `/health`, `/ready`, `/metrics`";
    Refusal::not_found("there is nothing at this address")
        .with_hint(hint)
        .respond(&id)
}

async fn wrong_method(Extension(id): Extension<RequestId>) -> axum::response::Response {
    Refusal::method("this address doesn't know the method")
        .with_hint("use `GET`, or `POST` with the statement as body for `/api/sql`")
        .respond(&id)
}

fn cors(settings: &Settings) -> CorsLayer {
    let origins = settings
        .origins
        .iter()
        .filter_map(|origin| HeaderValue::from_str(origin).ok());
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([
            header::CONTENT_TYPE,
            header::ACCEPT,
            header::AUTHORIZATION,
            header::IF_NONE_MATCH,
            header::RANGE,
            rest::PREFER,
        ])
        .expose_headers([
            HeaderName::from_static(identity::HEADER),
            header::CONTENT_RANGE,
            header::LINK,
            header::ETAG,
        ])
}

/// Threads for queries. Ends without waiting, wherever it is dropped.
struct QueryRuntime(Option<Runtime>);

impl QueryRuntime {
    fn new() -> io::Result<Self> {
        // More than cores: whoever has little to do gets a turn beside those who never wait.
        let threads = 2 * std::thread::available_parallelism().map_or(1, NonZero::get);
        Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("neurolake-query")
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()
            .map(|runtime| Self(Some(runtime)))
    }

    fn handle(&self) -> &Handle {
        self.0
            .as_ref()
            .expect("it is taken only when it is dropped")
            .handle()
    }
}

impl Drop for QueryRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
