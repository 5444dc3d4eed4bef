//! A PostgreSQL server: its settings, and the connections that all tables of a store share.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use native_tls::{Certificate, TlsConnector};
use postgres_native_tls::MakeTlsConnector;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config};
use url::Url;

use crate::error::{Error, Kind, Result, chain};
use crate::stores::PostgresSettings;

/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a query waits for a free connection.
const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

/// One server of the settings. Nothing connects before the first query.
pub(crate) struct Server {
    store: String,
    config: Config,
    tls: MakeTlsConnector,
    address: String,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Client>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Reads the settings.
    ///
    /// # Errors
    /// A setting is unknown or can't be read.
    pub(crate) fn new(
        store: &str,
        settings: &PostgresSettings,
        deadline: Option<Duration>,
    ) -> Result<Self> {
        let broken = |message: String| {
            Error::new(Kind::Broken, format!("the store `{store}` {message}"))
                .with_hint(format!("correct `[stores.{store}]` in neurolake.toml"))
        };
        let parameters = parameters(settings).map_err(&broken)?;
        let (config, tls, address) = configure(&parameters, deadline).map_err(broken)?;
        Ok(Self {
            store: store.to_owned(),
            config,
            tls,
            address,
            permits: Arc::new(Semaphore::new(settings.pool_size.max(1))),
            idle: Mutex::default(),
        })
    }

    pub(crate) fn store(&self) -> &str {
        &self.store
    }

    /// A connection: an idle one, or a new one.
    pub(crate) async fn connection(self: &Arc<Self>) -> Result<Lease> {
        let permits = Arc::clone(&self.permits);
        let permit = tokio::time::timeout(WAIT_TIMEOUT, permits.acquire_owned())
            .await
            .map_err(|_| {
                Error::new(
                    Kind::Timeout,
                    format!("all connections to the store `{}` are busy", self.store),
                )
                .with_hint("try again later, or give the store a larger `pool_size`")
            })?
            .map_err(|_| Error::new(Kind::Internal, "the connections are closed"))?;
        let (client, fresh) = match self.take_idle() {
            Some(client) => (client, false),
            None => (self.connect().await?, true),
        };
        Ok(Lease {
            server: Arc::clone(self),
            client: Some(client),
            fresh,
            _permit: permit,
        })
    }

    fn take_idle(&self) -> Option<Client> {
        let mut idle = self.idle();
        idle.retain(|client| !client.is_closed());
        idle.pop()
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Client>> {
        // Nothing can panic while the list is held.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> Result<Client> {
        let connecting = self.config.connect(self.tls.clone());
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok((client, connection))) => {
                tokio::spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!(%error, "a connection to PostgreSQL ended");
                    }
                });
                Ok(client)
            }
            Ok(Err(error)) => Err(self.refused(&error)),
            Err(_) => Err(self.unreachable("it does not answer")),
        }
    }

    fn refused(&self, error: &tokio_postgres::Error) -> Error {
        let Some(database) = error.as_db_error() else {
            // The texts of the driver and of the TLS library name no setting.
            return self.unreachable(&chain(error));
        };
        let store = &self.store;
        let code = database.code();
        let message = if *code == SqlState::INVALID_PASSWORD
            || *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION
        {
            format!("the PostgreSQL server of the store `{store}` refuses the user or the password")
        } else {
            format!(
                "the PostgreSQL server of the store `{store}` refuses the connection: {}",
                database.message()
            )
        };
        let hint = format!("correct `[stores.{store}]` in neurolake.toml");
        Error::new(Kind::Broken, message).with_hint(hint)
    }

    fn unreachable(&self, why: &str) -> Error {
        Error::new(
            Kind::Broken,
            format!(
                "the PostgreSQL server of the store `{}` at {} can't be reached: {why}",
                self.store, self.address
            ),
        )
        .with_hint(format!(
            "start the server, or correct `[stores.{}]` in neurolake.toml",
            self.store
        ))
    }

    /// What an error of a running query means to the person who asked.
    pub(crate) fn failed(&self, table: &str, error: &tokio_postgres::Error) -> Error {
        let store = &self.store;
        let Some(database) = error.as_db_error() else {
            return Error::new(
                Kind::Broken,
                format!(
                    "the connection to the PostgreSQL server of the store `{store}` broke: {}",
                    chain(error)
                ),
            )
            .with_hint("try again");
        };
        let code = database.code();
        let said = database.message();
        let (kind, message) = if *code == SqlState::QUERY_CANCELED {
            let message = format!("PostgreSQL (store `{store}`) stopped the query: {said}");
            (Kind::Timeout, message)
        } else if *code == SqlState::UNDEFINED_TABLE || *code == SqlState::UNDEFINED_COLUMN {
            let message = format!("{table} has changed in PostgreSQL: {said}");
            (Kind::Broken, message)
        } else if *code == SqlState::INSUFFICIENT_PRIVILEGE {
            let message = format!("the user of the store `{store}` may not read {table}: {said}");
            (Kind::Broken, message)
        } else if code.code().starts_with("22") {
            (
                Kind::BadRequest,
                format!("PostgreSQL (store `{store}`): {said}"),
            )
        } else {
            let message = format!(
                "PostgreSQL (store `{store}`) can't answer: {said} (SQLSTATE {})",
                code.code()
            );
            (Kind::Broken, message)
        };
        Error::new(kind, message)
    }
}

/// A connection that goes back to its server when dropped.
pub(crate) struct Lease {
    server: Arc<Server>,
    client: Option<Client>,
    fresh: bool,
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    pub(crate) fn client(&self) -> Result<&Client> {
        self.client
            .as_ref()
            .ok_or_else(|| Error::new(Kind::Internal, "the connection was given back"))
    }

    /// Whether an error may only mean that the server was restarted since the last query.
    pub(crate) fn is_stale(&self) -> bool {
        !self.fresh && self.client.as_ref().is_none_or(Client::is_closed)
    }

    /// Stops the running query on the server; the connection is not used again.
    pub(crate) fn cancel(mut self) {
        let Some(client) = self.client.take() else {
            return;
        };
        // Without a runtime the program is ending, and the connections with it.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let token = client.cancel_token();
        let tls = self.server.tls.clone();
        runtime.spawn(async move {
            let cancelled = tokio::time::timeout(CONNECT_TIMEOUT, token.cancel_query(tls)).await;
            if let Ok(Err(error)) = cancelled {
                tracing::debug!(%error, "a query could not be cancelled");
            }
            drop(client);
            drop(self);
        });
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(client) = self.client.take()
            && !client.is_closed()
        {
            self.server.idle().push(client);
        }
    }
}

/// Parameters by libpq's names, from the settings and the connection string; what the settings say
/// wins. The password is under `password`.
fn parameters(settings: &PostgresSettings) -> Result<BTreeMap<String, SecretString>, String> {
    let mut parameters = match &settings.password {
        Some(secret) if is_address(secret.expose_secret()) => {
            // The parser's errors quote the text, which holds the password.
            from_address(secret.expose_secret())
                .ok_or("has a connection string that is not `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`")?
        }
        Some(secret) => BTreeMap::from([("password".to_owned(), secret.clone())]),
        None => BTreeMap::new(),
    };
    for (name, value) in &settings.options {
        parameters.insert(name.clone(), SecretString::from(value.as_str()));
    }
    Ok(parameters)
}

fn is_address(text: &str) -> bool {
    text.starts_with("postgres://") || text.starts_with("postgresql://")
}

fn from_address(text: &str) -> Option<BTreeMap<String, SecretString>> {
    let url = Url::parse(text).ok()?;
    let mut parameters = BTreeMap::new();
    let mut set = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            parameters.insert(name.to_owned(), SecretString::from(value));
        }
    };
    let host = url.host_str().map(|host| host.trim_matches(['[', ']']));
    set("host", Some(decode(host.unwrap_or_default())?));
    set("port", url.port().map(|port| port.to_string()));
    set("user", Some(decode(url.username())?));
    set(
        "password",
        Some(decode(url.password().unwrap_or_default())?),
    );
    set("dbname", Some(decode(url.path().trim_start_matches('/'))?));
    for (name, value) in url.query_pairs() {
        set(&name, Some(value.into_owned()));
    }
    Some(parameters)
}

/// Undoes percent encoding.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = after.get(2..)?;
        } else {
            bytes.push(first);
        }
    }
    String::from_utf8(bytes).ok()
}

const KNOWN: &str =
    "host, port, dbname, user, sslmode, sslrootcert, application_name, options, connect_timeout";

fn configure(
    parameters: &BTreeMap<String, SecretString>,
    deadline: Option<Duration>,
) -> Result<(Config, MakeTlsConnector, String), String> {
    let mut config = Config::new();
    let mut mode = "verify-full";
    let mut root_certificate = None;
    let mut options = String::new();
    let mut host = "localhost";
    let mut port = 5432;
    config.application_name("neurolake");
    config.connect_timeout(CONNECT_TIMEOUT);
    for (name, value) in parameters {
        let value = value.expose_secret();
        match name.as_str() {
            "host" => host = value,
            "port" => {
                port = value
                    .parse()
                    .map_err(|_| "has a `port` that is not a number up to 65535".to_owned())?;
            }
            "dbname" => drop(config.dbname(value)),
            "user" => drop(config.user(value)),
            "password" => drop(config.password(value)),
            "application_name" => drop(config.application_name(value)),
            "options" => {
                options.push_str(value);
                options.push(' ');
            }
            "sslmode" => mode = value,
            "sslrootcert" => root_certificate = Some(Path::new(value)),
            "connect_timeout" => {
                let seconds: u64 = value
                    .parse()
                    .map_err(|_| "has a `connect_timeout` that is not in seconds".to_owned())?;
                config.connect_timeout(Duration::from_secs(seconds.max(1)));
            }
            // The name itself may be a piece of a secret that was quoted wrongly.
            _ => {
                return Err(format!(
                    "has an unknown PostgreSQL setting; known are {KNOWN}"
                ));
            }
        }
    }
    config.host(host);
    config.port(port);
    if config.get_user().is_none() {
        return Err("names no `user`".to_owned());
    }
    // Even a bug of ours can't write then. What users set comes first, so that ours wins.
    options.push_str("-c default_transaction_read_only=on -c TimeZone=UTC -c DateStyle=ISO");
    options.push_str(" -c standard_conforming_strings=on");
    if let Some(deadline) = deadline {
        options.push_str(&format!(
            " -c statement_timeout={}",
            deadline.as_millis().max(1)
        ));
    }
    config.options(options);
    let tls = tls(mode, root_certificate)?;
    config.ssl_mode(match mode {
        "disable" => SslMode::Disable,
        "prefer" => SslMode::Prefer,
        _ => SslMode::Require,
    });
    Ok((config, tls, format!("{host}:{port}")))
}

fn tls(mode: &str, root_certificate: Option<&Path>) -> Result<MakeTlsConnector, String> {
    let (any_certificate, any_host) = match mode {
        "disable" | "prefer" | "require" => (true, true),
        "verify-ca" => (false, true),
        "verify-full" => (false, false),
        _ => {
            return Err(
                "has an unknown `sslmode`; known are disable, prefer, require, \
                        verify-ca, verify-full"
                    .to_owned(),
            );
        }
    };
    let mut builder = TlsConnector::builder();
    builder
        .danger_accept_invalid_certs(any_certificate)
        .danger_accept_invalid_hostnames(any_host);
    if let Some(path) = root_certificate {
        let unreadable = |why: String| format!("has an `sslrootcert` that can't be read: {why}");
        let pem = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
        let certificates =
            Certificate::stack_from_pem(&pem).map_err(|error| unreadable(error.to_string()))?;
        for certificate in certificates {
            builder.add_root_certificate(certificate);
        }
    }
    let connector = builder
        .build()
        .map_err(|error| format!("can't use TLS: {error}"))?;
    Ok(MakeTlsConnector::new(connector))
}
