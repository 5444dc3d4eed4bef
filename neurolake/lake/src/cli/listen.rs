//! The doors of a process: where they listen, how they are set, and how they end. For `up`, which
//! does everything, and `serve`, which only answers.

use std::fs::File;
use std::future::pending;
use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use catalog_gen::openapi;
use neurolake_model::{Catalog, Endpoints};
use neurolake_serve::{Doors, FlightDoor, PgDoor, Settings, System};
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::arguments::Listen;
use super::config::Config;
use super::failure::Failure;
use super::{Context, open};

/// Where it listens when nothing else is said.
pub(super) const LISTEN: &str = "127.0.0.1:8080";
/// The same for clients of PostgreSQL.
pub(super) const LISTEN_PG: &str = "127.0.0.1:6543";
/// The same for clients of Arrow Flight SQL.
pub(super) const LISTEN_FLIGHT: &str = "127.0.0.1:32010";

/// Sockets that nobody answers yet.
pub(super) struct Sockets {
    http: TcpListener,
    pg: Option<TcpListener>,
    flight: Option<TcpListener>,
    addresses: Addresses,
    hangup: Hangup,
}

/// Where clients reach the doors.
pub(super) struct Addresses {
    pub(super) http: String,
    /// `host:port`.
    pub(super) pg: Option<String>,
    pub(super) flight: Option<String>,
    has_accounts: bool,
}

impl Addresses {
    pub(super) fn endpoints(&self) -> Endpoints {
        Endpoints {
            http: self.http.clone(),
            postgres: self.pg.clone(),
            accounts: self.has_accounts,
        }
    }
}

impl Sockets {
    /// Listens as the arguments and the settings say.
    pub(super) async fn open(context: &Context<'_>, arguments: &Listen) -> Result<Self, Failure> {
        check_entry(context)?;
        let http = listen(context, arguments).await?;
        let config = &context.config;
        let beside = |door, given, configured, default| Beside {
            context,
            door,
            given,
            configured,
            default,
        };
        let pg = beside(
            "pg",
            arguments.pg.as_deref(),
            config.pg.listen.as_deref(),
            LISTEN_PG,
        );
        let flight = beside(
            "flight",
            arguments.flight.as_deref(),
            config.flight.listen.as_deref(),
            LISTEN_FLIGHT,
        );
        let (pg, flight) = (pg.listen().await?, flight.listen().await?);
        let at = address_of(&http)?;
        let at_pg = pg.as_ref().map(address_of).transpose()?;
        let at_flight = flight.as_ref().map(address_of).transpose()?;
        let of_pg = |address| reached(address).to_string();
        let of_flight = |address| format!("grpc://{}", reached(address));
        let addresses = Addresses {
            http: base_address(context, at),
            pg: at_pg.map(|at| config.pg.public.clone().unwrap_or_else(|| of_pg(at))),
            flight: at_flight.map(|at| {
                let public = config.flight.public.clone();
                public.unwrap_or_else(|| of_flight(at))
            }),
            has_accounts: !config.accounts.is_empty(),
        };
        Ok(Self {
            http,
            pg,
            flight,
            addresses,
            hangup: Hangup::listen(),
        })
    }

    pub(super) fn addresses(&self) -> &Addresses {
        &self.addresses
    }
}

/// Doors that are about to open.
pub(super) struct Serving {
    sockets: Sockets,
    doors: Doors,
    pg: PgDoor,
    flight: FlightDoor,
}

impl Serving {
    pub(super) fn new(sockets: Sockets, doors: Doors) -> Result<Self, Failure> {
        Ok(Self {
            pg: PgDoor::new(&doors).map_err(unusable)?,
            flight: FlightDoor::new(&doors)
                .map_err(|error| Failure::system("can't start Flight SQL").caused_by(error))?,
            sockets,
            doors,
        })
    }

    /// Answers until `end` is there; then running statements get a moment to end.
    pub(super) async fn serve(
        self,
        context: &Context<'_>,
        end: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Failure> {
        let (ended, ending) = tokio::sync::watch::channel(false);
        let end_of_door = || {
            let mut ending = ending.clone();
            async move {
                let _ = ending.wait_for(|is_ending| *is_ending).await;
            }
        };
        let Sockets {
            http,
            pg,
            flight,
            hangup,
            ..
        } = self.sockets;
        let pg = pg.map(|listener| tokio::spawn(self.pg.serve(listener, end_of_door())));
        let flight =
            flight.map(|listener| tokio::spawn(self.flight.serve(listener, end_of_door())));
        let serve = self.doors.clone().serve(http, async move {
            end.await;
            let _ = ended.send(true);
        });
        let served = tokio::select! {
            served = serve => served,
            () = reload(context, &self.doors, hangup) => Ok(()),
        };
        if let Some(pg) = pg {
            let _ = pg.await;
        }
        if let Some(flight) = flight {
            let _ = flight.await;
        }
        served.map_err(|error| Failure::system("the server broke down").caused_by(error))
    }
}

/// How the doors answer, as it is configured.
pub(super) fn settings(
    context: &Context<'_>,
    catalog: &Catalog,
    system: System,
) -> Result<Settings, Failure> {
    let config = &context.config;
    Ok(Settings {
        endpoints: catalog.endpoints.clone(),
        openapi: Some(description(catalog.clone()).into()),
        origins: config.http.origins.clone(),
        hosts: config.http.hosts.clone(),
        concurrent_queries: config.http.concurrent_queries,
        queued_queries: config.http.queued_queries,
        cache_bytes: config.http.cache_bytes,
        accounts: config.accounts.clone(),
        pg_tls: config.pg.tls.clone(),
        pg_connections: config.pg.connections,
        slow_query: config.log.slow_query,
        audit: config.log.audit.as_deref().map(audit).transpose()?,
        system,
        ..Settings::default()
    })
}

/// The file of who asked what. Others on this machine need not read it.
fn audit(path: &Path) -> Result<Arc<File>, Failure> {
    let mut options = File::options();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path);
    Ok(Arc::new(file.map_err(|error| Failure::write(path, error))?))
}

/// The wish that settings are read again. On a terminal a hangup means what it always does: the end.
struct Hangup(#[cfg(unix)] Option<Signal>);

impl Hangup {
    fn listen() -> Self {
        #[cfg(unix)]
        {
            let is_watched = io::stderr().is_terminal() || io::stdin().is_terminal();
            let listen = || signal(SignalKind::hangup()).ok();
            Self(if is_watched { None } else { listen() })
        }
        #[cfg(not(unix))]
        Self()
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.0
            && signal.recv().await.is_some()
        {
            return;
        }
        pending::<()>().await;
    }
}

/// Reads the settings again at each hangup. Accounts and roles hold from then on, for whoever comes; the
/// audit file is opened anew; everything else needs a restart.
async fn reload(context: &Context<'_>, doors: &Doors, mut hangup: Hangup) {
    loop {
        hangup.next().await;
        // Making the accounts takes a while, and clients are accepted here.
        match tokio::task::block_in_place(|| read_again(context, doors)) {
            Ok(accounts) => context.talk.say(&format!(
                "settings read again: {}",
                super::query::count(accounts, "account")
            )),
            Err(failure) => {
                context.talk.failure(&failure);
                let talk = context.talk;
                talk.warn("accounts and roles stay as they were", None);
            }
        }
    }
}

fn read_again(context: &Context<'_>, doors: &Doors) -> Result<usize, Failure> {
    let config = Config::load(context.arguments)?;
    if config.accounts.is_empty() != context.config.accounts.is_empty() {
        return Err(Failure::usage(
            "whether accounts are needed is decided when the server starts",
        )
        .hint("start it again"));
    }
    let audit = config.log.audit.as_deref().map(audit).transpose()?;
    doors.set_accounts(&config.accounts)?;
    doors.set_audit(audit);
    Ok(config.accounts.len())
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
    let lake = open::lake_with(context, open::catalog(context)?, None, None)?;
    for role in &config.roles {
        lake.engine().with_role(role)?;
    }
    Ok(())
}

async fn listen(context: &Context<'_>, arguments: &Listen) -> Result<TcpListener, Failure> {
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
