//! `up`: one process that serves everything.

use std::fs::{self, File, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use catalog_gen::site::{Site, SiteOptions};
use catalog_gen::snippets::Snippets;
use catalog_gen::{openapi, output};
use datafusion::common::utils::quote_identifier;
use neurolake_model::{Catalog, Endpoints};
use neurolake_serve::{Doors, FlightDoor, PgDoor, Settings};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use super::arguments::Up;
use super::demo::make_up;
use super::exit::Exit;
use super::failure::Failure;
use super::ingest::{self, Receiving};
use super::output::write_atomically;
use super::query::count;
use super::talk::{pretty_json, print};
use super::{Context, Outcome, open, simulate, status};
use crate::made_up::Options;

/// Where it listens when nothing else is said.
pub(super) const LISTEN: &str = "127.0.0.1:8080";
/// The same for clients of PostgreSQL.
pub(super) const LISTEN_PG: &str = "127.0.0.1:6543";
/// The same for clients of Arrow Flight SQL.
pub(super) const LISTEN_FLIGHT: &str = "127.0.0.1:32010";
/// Who serves the folder of data.
pub(super) const LOCK: &str = "up.lock";
/// Where everything is, for scripts.
pub(super) const ENDPOINTS: &str = "endpoints.json";

/// Content of `endpoints.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Running {
    pub(super) http: String,
    catalog: String,
    sql: String,
    /// `host:port` and database for clients of PostgreSQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    postgres: Option<Postgres>,
    /// Address for clients of Arrow Flight SQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    flight: Option<String>,
    data: PathBuf,
    pid: u32,
    version: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Postgres {
    address: String,
    database: String,
}

pub(super) async fn run(context: &Context<'_>, arguments: &Up) -> Outcome {
    let data = &context.config.data;
    prepare(data)?;
    let _lock = lock(data)?;
    check_entry(context)?;
    // Before the long work: a port that is taken should be known at once.
    let listener = listen(context, arguments).await?;
    let pg = Beside {
        context,
        door: "pg",
        given: arguments.pg.as_deref(),
        configured: context.config.pg.listen.as_deref(),
        default: LISTEN_PG,
    };
    let flight = Beside {
        context,
        door: "flight",
        given: arguments.flight.as_deref(),
        configured: context.config.flight.listen.as_deref(),
        default: LISTEN_FLIGHT,
    };
    let pg_listener = pg.listen().await?;
    let flight_listener = flight.listen().await?;
    let addresses = Addresses {
        http: address_of(&listener)?,
        pg: pg_listener.as_ref().map(address_of).transpose()?,
        flight: flight_listener.as_ref().map(address_of).transpose()?,
    };
    let mut end = Box::pin(asked_to_end()?);
    let ready = tokio::select! {
        ready = get_ready(context, &addresses) => ready?,
        () = &mut end => return Ok(Exit::Done),
    };
    let pg_door = PgDoor::new(&ready.doors).map_err(unusable)?;
    let _endpoints = ready.announce(context)?;
    let status = ready.receiving.as_ref();
    let status = status.filter(|_| context.talk.is_watched());
    let status = status.map(|receiving| tokio::spawn(status::show(receiving.totals())));
    let (ended, mut ending) = tokio::sync::watch::channel(false);
    let flight = match flight_listener {
        None => None,
        Some(listener) => {
            let mut ending = ending.clone();
            let door = FlightDoor::new(&ready.doors)
                .map_err(|error| Failure::system("can't start Flight SQL").caused_by(error))?;
            Some(tokio::spawn(door.serve(listener, async move {
                let _ = ending.wait_for(|is_ending| *is_ending).await;
            })))
        }
    };
    let pg = pg_listener.map(|listener| {
        let door = pg_door;
        let end = async move {
            let _ = ending.wait_for(|is_ending| *is_ending).await;
        };
        tokio::spawn(door.serve(listener, end))
    });
    let serve = ready.doors.clone().serve(listener, async move {
        end.await;
        let _ = ended.send(true);
    });
    let served = if arguments.simulate {
        let simulate = simulate::accompany(context, context.config.as_owner(&ready.running.http));
        tokio::select! {
            served = serve => served,
            ended = simulate => {
                ended?;
                Ok(())
            }
        }
    } else {
        serve.await
    };
    if let Some(pg) = pg {
        let _ = pg.await;
    }
    if let Some(flight) = flight {
        let _ = flight.await;
    }
    if let Some(status) = status {
        status.abort();
        status::clear();
    }
    if let Some(receiving) = ready.receiving {
        receiving.finish().await;
    }
    served.map_err(|error| Failure::system("the server broke down").caused_by(error))?;
    Ok(Exit::Done)
}

fn prepare(data: &Path) -> Result<(), Failure> {
    fs::create_dir_all(data).map_err(|error| Failure::write(data, error))?;
    let ignore = data.join(".gitignore");
    if !ignore.exists() {
        fs::write(&ignore, "*\n").map_err(|error| Failure::write(&ignore, error))?;
    }
    Ok(())
}

fn unusable(error: io::Error) -> Failure {
    Failure::usage("the setting `pg.certificate` can't be used").caused_by(error)
}

/// A role that doesn't fit, or a certificate, should be known at once.
fn check_entry(context: &Context<'_>) -> Result<(), Failure> {
    let config = &context.config;
    if let Some(tls) = &config.pg.tls {
        tls.check().map_err(unusable)?;
    }
    if config.roles.is_empty() {
        return Ok(());
    }
    let lake = open::lake_with(context, open::catalog(context)?, None)?;
    for role in &config.roles {
        lake.engine().with_role(role)?;
    }
    Ok(())
}

/// Held until the process ends, however it ends.
fn lock(data: &Path) -> Result<File, Failure> {
    let path = data.join(LOCK);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| Failure::write(&path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let known = fs::read_to_string(data.join(ENDPOINTS)).ok();
            let known: Option<Running> = known.and_then(|text| serde_json::from_str(&text).ok());
            let hint = match known {
                Some(running) => format!(
                    "it answers at {} (process {}); use that one, or another folder with `--data DIR`",
                    running.http, running.pid
                ),
                None => "wait until it is ready, or use another folder with `--data DIR`".into(),
            };
            Err(Failure::system(format!("`{}` is being served already", data.display())).hint(hint))
        }
        Err(TryLockError::Error(error)) => Err(Failure::write(&path, error)),
    }
}

async fn listen(context: &Context<'_>, arguments: &Up) -> Result<TcpListener, Failure> {
    let given = arguments.http.as_deref();
    let configured = context.config.http.listen.as_deref();
    let text = given.or(configured).unwrap_or(LISTEN);
    let addresses = resolve(text).await?;
    check_private(context, "http", given, text, &addresses)?;
    bind("--http", text, &addresses).await
}

/// A door beside HTTP, and where it may listen.
struct Beside<'a> {
    context: &'a Context<'a>,
    door: &'a str,
    given: Option<&'a str>,
    configured: Option<&'a str>,
    default: &'a str,
}

impl Beside<'_> {
    /// There is nothing to listen on for `none`. An address that nobody chose gives way to another
    /// program's.
    async fn listen(&self) -> Result<Option<TcpListener>, Failure> {
        let chosen = self.given.or(self.configured);
        let text = match chosen {
            Some("none") => return Ok(None),
            chosen => chosen.unwrap_or(self.default),
        };
        let addresses = resolve(text).await?;
        check_private(self.context, self.door, self.given, text, &addresses)?;
        if chosen.is_none()
            && let Ok(listener) = TcpListener::bind(&addresses[..]).await
        {
            return Ok(Some(listener));
        }
        let (text, addresses) = match chosen {
            None => ("127.0.0.1:0", resolve("127.0.0.1:0").await?),
            Some(_) => (text, addresses),
        };
        let option = format!("--{}", self.door);
        bind(&option, text, &addresses).await.map(Some)
    }
}

/// Whoever opens the lake to a network says who may come in.
fn check_private(
    context: &Context<'_>,
    door: &str,
    given: Option<&str>,
    text: &str,
    addresses: &[SocketAddr],
) -> Result<(), Failure> {
    let is_private = addresses.iter().all(|address| address.ip().is_loopback());
    if is_private || !context.config.accounts.is_empty() {
        return Ok(());
    }
    let who = match given {
        Some(_) => format!("`--{door}`"),
        None => format!("the setting `{door}.listen`"),
    };
    Err(Failure::usage(format!(
        "{who} opens the lake to the network at {text}, and there are no accounts"
    ))
    .hint(
        "write `[accounts.NAME]` with `token` and `role` in neurolake.toml, see `config --reference`",
    ))
}

fn address_of(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener
        .local_addr()
        .map_err(|error| Failure::system("can't tell the address").caused_by(error))
}

/// Where the doors listen.
struct Addresses {
    http: SocketAddr,
    pg: Option<SocketAddr>,
    flight: Option<SocketAddr>,
}

pub(super) async fn resolve(text: &str) -> Result<Vec<SocketAddr>, Failure> {
    let resolved = tokio::net::lookup_host(text).await.map_err(|error| {
        Failure::usage(format!("`{text}` is no address to listen on"))
            .caused_by(error)
            .hint("write it like 127.0.0.1:8080, or 127.0.0.1:0 for a free port")
    })?;
    Ok(resolved.collect())
}

/// Listens at the address that an option or a setting named.
pub(super) async fn bind(
    option: &str,
    text: &str,
    addresses: &[SocketAddr],
) -> Result<TcpListener, Failure> {
    TcpListener::bind(addresses).await.map_err(|error| {
        let failure = Failure::system(format!("can't listen on {text}"));
        let failure = match error.kind() {
            io::ErrorKind::AddrInUse => failure.hint(format!(
                "another program uses the port; take a free one with `{option} 127.0.0.1:0`"
            )),
            io::ErrorKind::PermissionDenied => failure.hint(format!(
                "ports below 1024 are reserved; take one above with `{option}`"
            )),
            _ => failure.hint(format!(
                "choose another address with `{option} ADDRESS:PORT`"
            )),
        };
        failure.caused_by(error)
    })
}

/// Ctrl-C, or what a supervisor sends.
pub(super) fn asked_to_end() -> Result<impl Future<Output = ()> + Send + 'static, Failure> {
    let unheard = |error| Failure::system("can't hear signals").caused_by(error);
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt()).map_err(unheard)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(unheard)?;
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => (),
                _ = terminate.recv() => (),
            }
        })
    }
    #[cfg(not(unix))]
    {
        let _: fn(io::Error) -> Failure = unheard;
        Ok(async {
            let _ = tokio::signal::ctrl_c().await;
        })
    }
}

/// Everything but the socket.
struct Ready {
    doors: Doors,
    /// `None`: no table takes events.
    receiving: Option<Receiving>,
    running: Running,
    tables: usize,
    /// Database and table for people to begin with.
    first: Option<(String, String)>,
}

async fn get_ready(context: &Context<'_>, addresses: &Addresses) -> Result<Ready, Failure> {
    let data = &context.config.data;
    let mut catalog = open::documented_catalog(context)?;
    if open::lacks_data(context) {
        if context.program.makes_up_data {
            make_up(context, &catalog, &Options::default()).await?;
        } else {
            context.talk.warn(
                &format!("there is no data in `{}`", data.display()),
                Some("say in neurolake.toml where data lies, or make some up with `demo`"),
            );
        }
    }
    let http = base_address(context, addresses.http);
    let postgres = addresses.pg.map(|address| {
        let public = context.config.pg.public.clone();
        public.unwrap_or_else(|| reached(address).to_string())
    });
    let flight = addresses.flight.map(|address| {
        let public = context.config.flight.public.clone();
        public.unwrap_or_else(|| format!("grpc://{}", reached(address)))
    });
    catalog.endpoints = Endpoints {
        http: http.clone(),
        postgres: postgres.clone(),
    };
    let site = data.join("site");
    write_site(&catalog, &site)?;
    let mut receiving = ingest::receive(context, &catalog).await?;
    let routes = match &mut receiving {
        Some(receiving) => {
            receiving.start(context);
            receiving.routes(context)
        }
        None => axum::Router::new(),
    };
    let settings = Settings {
        routes,
        openapi: Some(description(catalog.clone()).into()),
        endpoints: catalog.endpoints.clone(),
        site: Some(site),
        origins: context.config.http.origins.clone(),
        hosts: context.config.http.hosts.clone(),
        concurrent_queries: context.config.http.concurrent_queries,
        queued_queries: context.config.http.queued_queries,
        cache_bytes: context.config.http.cache_bytes,
        accounts: context.config.accounts.clone(),
        pg_tls: context.config.pg.tls.clone(),
        pg_connections: context.config.pg.connections,
        ..Settings::default()
    };
    let lake = match &receiving {
        Some(receiving) => receiving.lake.clone(),
        None => open::lake(context, catalog.clone())?,
    };
    let doors = Doors::new(lake.engine().clone(), settings)?;
    Ok(Ready {
        doors,
        receiving,
        running: Running {
            catalog: format!("{http}/catalog.json"),
            sql: format!("{http}/api/sql"),
            http,
            postgres: postgres.map(|address| Postgres {
                address,
                database: catalog.name.clone(),
            }),
            flight,
            data: data.clone(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        tables: catalog.tables().count(),
        first: first_table(&catalog),
    })
}

/// What the REST door says about itself.
fn description(catalog: Catalog) -> impl Fn(Option<&str>) -> Option<String> {
    move |database| {
        let document = match database {
            None => openapi::document(&catalog),
            Some(name) => openapi::database(&catalog, name)?,
        };
        Some(format!("{document}\n"))
    }
}

fn base_address(context: &Context<'_>, address: SocketAddr) -> String {
    if let Some(public) = &context.config.http.public {
        return public.clone();
    }
    if address.ip().is_unspecified() {
        context.talk.warn(
            "clients of other machines need to know this one's name",
            Some("set `http.public` in neurolake.toml"),
        );
    }
    format!("http://{}", reached(address))
}

/// Where this machine reaches what listens here.
fn reached(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        return SocketAddr::from(([127, 0, 0, 1], address.port()));
    }
    address
}

fn write_site(catalog: &Catalog, folder: &Path) -> Result<(), Failure> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        Failure::system(format!("can't write the site to `{}`", folder.display())).caused_by(error)
    };
    let snippets = Snippets::load(None).map_err(|error| failed(error.into()))?;
    let site = Site::new(catalog, SiteOptions::default(), &snippets)
        .map_err(|error| failed(error.into()))?;
    let render =
        |path: &str| -> Result<Vec<u8>, SiteProblem> { Ok(site.render(path)?.unwrap_or_default()) };
    output::write(folder, &site.paths(), render, |_| ())
        .map(drop)
        .map_err(|error| failed(error.into()))
}

#[derive(Debug, thiserror::Error)]
enum SiteProblem {
    #[error(transparent)]
    Output(#[from] output::OutputError),
    #[error(transparent)]
    Site(#[from] catalog_gen::site::SiteError),
}

/// A table that answers at once, for people to begin with.
fn first_table(catalog: &Catalog) -> Option<(String, String)> {
    let tables = || catalog.tables().filter(|(_, table)| !table.hidden);
    let stored = tables().find(|(_, table)| {
        matches!(table.source.kind(), "delta" | "parquet") && !table.example.is_empty()
    });
    let any = || tables().find(|(_, table)| table.source.kind() != "function");
    let (database, table) = stored.or_else(any)?;
    Some((database.name.clone(), table.name.clone()))
}

/// The file is gone when this is.
struct Announced(PathBuf);

impl Drop for Announced {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Ready {
    /// Tells scripts and people where everything is.
    fn announce(&self, context: &Context<'_>) -> Result<Announced, Failure> {
        let path = context.config.data.join(ENDPOINTS);
        write_atomically(&path, pretty_json(&self.running)?.as_bytes())?;
        let announced = Announced(path);
        let talk = context.talk;
        let running = &self.running;
        print(&format!("{}\n", running.http))?;
        let name = |text: &str| talk.faint(&format!("  {text:<9}"));
        let (sql, python) = match &self.first {
            Some((database, table)) => (
                format!(
                    "select * from {}.{} limit 5",
                    quote_identifier(database),
                    quote_identifier(table)
                ),
                format!("catalog.db(\"{database}\").table(\"{table}\").head(5).collect()"),
            ),
            None => ("select 1 as one".to_owned(), "catalog".to_owned()),
        };
        talk.say(&format!(
            "\n{head}\n\n{site}{http}\n{door}curl {sql_address} -d '{sql}'\n{client}import neurolake\n\
             {gap}catalog = neurolake.connect(\"{catalog}\")\n\
             {gap}{python}\n\
             {postgres}{flight}{data}{folder}\n\n{end}",
            head = talk.strong(&format!("neurolake is up: {}", count(self.tables, "table"))),
            site = name("site"),
            http = running.http,
            door = name("SQL"),
            sql_address = running.sql,
            client = name("Python"),
            gap = name(""),
            catalog = running.catalog,
            postgres = running.postgres.as_ref().map_or_else(String::new, |postgres| {
                let Postgres { address, database } = postgres;
                let address = format!("postgresql://{address}/{database}");
                format!("{}psql {address}\n", name("psql"))
            }),
            flight = running.flight.as_ref().map_or_else(String::new, |address| {
                format!("{}{address}\n", name("Flight"))
            }),
            data = name("data"),
            folder = running.data.display(),
            end = talk.faint("Ctrl-C ends it"),
        ));
        Ok(announced)
    }
}
