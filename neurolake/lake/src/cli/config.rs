//! Settings: from `neurolake.toml`, the environment and arguments to the values that rooms take.
//!
//! Read in this order: `file` (the shape of the file), `keys` (every key with its explanation),
//! `value` (one value: literal, `env:NAME`, `file:PATH`), `stores`, `ingest`, `accounts`.

mod accounts;
mod file;
mod ingest;
pub(crate) mod keys;
mod stores;
pub(crate) mod value;

use std::path::{Path, PathBuf};
use std::time::Duration;

use neurolake_query::{Limits, Role, Stores};
use neurolake_serve::{Account, Tls};
use secrecy::ExposeSecret;

use self::file::File;
use self::value::Place;
use super::arguments::Arguments;
use super::environment;
use super::failure::Failure;

pub(crate) use self::file::Shown;
pub(crate) use self::ingest::{Ingest, Maintenance, Queue};
pub(crate) use self::value::{bytes, duration};

/// Name of the file of settings.
const FILE: &str = "neurolake.toml";

/// Everything that is set.
#[derive(Debug)]
pub(crate) struct Config {
    /// Where the settings were read from.
    pub(crate) path: Option<PathBuf>,
    pub(crate) data: PathBuf,
    pub(crate) catalog: Option<PathBuf>,
    pub(crate) http: Http,
    pub(crate) pg: Pg,
    pub(crate) accounts: Vec<Account>,
    pub(crate) roles: Vec<Role>,
    pub(crate) flight: Flight,
    pub(crate) limits: Limits,
    pub(crate) log: Log,
    pub(crate) ingest: Ingest,
    pub(crate) maintenance: Maintenance,
    /// `None`: no store is configured, so everything lies in the folder of data.
    pub(crate) stores: Option<Stores>,
    file: File,
}

/// The doors.
#[derive(Debug)]
pub(crate) struct Http {
    pub(crate) listen: Option<String>,
    pub(crate) public: Option<String>,
    pub(crate) origins: Vec<String>,
    pub(crate) hosts: Vec<String>,
    pub(crate) concurrent_queries: usize,
    pub(crate) queued_queries: usize,
    pub(crate) cache_bytes: usize,
}

/// The PostgreSQL door.
#[derive(Debug)]
pub(crate) struct Pg {
    pub(crate) listen: Option<String>,
    pub(crate) public: Option<String>,
    pub(crate) connections: usize,
    pub(crate) tls: Option<Tls>,
}

/// What is written about queries.
#[derive(Debug)]
pub(crate) struct Log {
    /// `None`: none is slow.
    pub(crate) slow_query: Option<Duration>,
    pub(crate) audit: Option<PathBuf>,
}

/// The Arrow Flight SQL door.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) listen: Option<String>,
    pub(crate) public: Option<String>,
}

impl Config {
    pub(crate) fn load(arguments: &Arguments) -> Result<Self, Failure> {
        let path = find(arguments)?;
        let file = match &path {
            Some(path) => File::read(path)?,
            None => File::default(),
        };
        let base = path
            .as_deref()
            .and_then(Path::parent)
            .map(Path::to_owned)
            .unwrap_or_default();
        let place = Place::new(path.as_deref(), &base);
        let data = match arguments
            .data
            .clone()
            .or_else(|| environment::path(environment::DATA))
        {
            Some(data) => data,
            None => match &file.data {
                Some(data) => base.join(place.text("data", data)?),
                None => PathBuf::from(".neurolake"),
            },
        };
        let catalog = arguments
            .catalog
            .clone()
            .or_else(|| environment::path(environment::CATALOG));
        let catalog = match (catalog, &file.catalog) {
            (Some(catalog), _) => Some(catalog),
            (None, Some(catalog)) => Some(base.join(place.text("catalog", catalog)?)),
            (None, None) => None,
        };
        let (accounts, roles) = accounts::accounts(&file, &place)?;
        Ok(Self {
            data: absolute(&data)?,
            catalog,
            http: http(&file, &place)?,
            pg: pg(&file, &place)?,
            accounts,
            roles,
            flight: flight(&file, &place)?,
            limits: limits(&file, &place)?,
            log: log(&file, &place, &base)?,
            ingest: ingest::ingest(&file, &place)?,
            maintenance: ingest::maintenance(&file, &place)?,
            stores: stores::stores(&file, &place)?,
            path,
            file,
        })
    }

    /// Where the server is reached as an account that may do everything, if accounts are needed.
    pub(crate) fn as_owner(&self, address: &str) -> String {
        let owner = self.accounts.iter().find(|account| account.role.is_none());
        let (Some(owner), Ok(mut url)) = (owner, address.parse::<reqwest::Url>()) else {
            return address.to_owned();
        };
        let token = owner.token.expose_secret();
        // An address that can hold no account is none of a server.
        let _ = url.set_username(&owner.name);
        let _ = url.set_password(Some(token));
        url.into()
    }

    /// The settings that the file holds, secrets replaced.
    pub(crate) fn shown(&self) -> Shown<'_> {
        Shown(&self.file)
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::read(path, error))
}

fn find(arguments: &Arguments) -> Result<Option<PathBuf>, Failure> {
    let named = arguments
        .config
        .clone()
        .or_else(|| environment::path(environment::CONFIG));
    if let Some(path) = named {
        return absolute(&path).map(Some);
    }
    let here = std::env::current_dir()
        .map_err(|error| Failure::system("can't find the current folder").caused_by(error))?;
    Ok(here
        .ancestors()
        .map(|folder| folder.join(FILE))
        .find(|path| path.is_file()))
}

fn http(file: &File, place: &Place<'_>) -> Result<Http, Failure> {
    let section = &file.http;
    let defaults = neurolake_serve::Settings::default();
    let public = place.optional("http.public", section.public.as_ref())?;
    let mut http = Http {
        cache_bytes: defaults.cache_bytes,
        listen: place.optional("http.listen", section.listen.as_ref())?,
        public: public.map(|public| public.trim_end_matches('/').to_owned()),
        origins: place.list("http.origins", &section.origins)?,
        hosts: place.list("http.hosts", &section.hosts)?,
        concurrent_queries: place
            .number(
                "http.concurrent_queries",
                section.concurrent_queries.as_ref(),
            )?
            .unwrap_or(defaults.concurrent_queries),
        queued_queries: place
            .number("http.queued_queries", section.queued_queries.as_ref())?
            .unwrap_or(defaults.queued_queries),
    };
    if let Some(cache) = place.optional("http.cache", section.cache.as_ref())? {
        http.cache_bytes = match cache.as_str() {
            "0" => 0,
            text => value::bytes(text)
                .ok_or_else(|| place.wrong("http.cache", "a size such as 128MiB, or 0"))?,
        };
    }
    if let Some(public) = &http.public
        && !public.starts_with("http://")
        && !public.starts_with("https://")
    {
        return Err(place.wrong("http.public", "an address such as https://lake.example.org"));
    }
    Ok(http)
}

fn pg(file: &File, place: &Place<'_>) -> Result<Pg, Failure> {
    let section = &file.pg;
    let defaults = neurolake_serve::Settings::default();
    let public = place.optional("pg.public", section.public.as_ref())?;
    let is_address = |text: &str| {
        let parts = text.rsplit_once(':');
        parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
    };
    if public.as_deref().is_some_and(|public| !is_address(public)) {
        return Err(place.wrong(
            "pg.public",
            "a name and a port such as lake.example.org:5432",
        ));
    }
    let tls = match (&section.certificate, &section.key) {
        (None, None) => None,
        (Some(certificates), Some(key)) => Some(Tls {
            certificates: place.text("pg.certificate", certificates)?,
            key: place.secret("pg.key", key)?.into(),
        }),
        _ => return Err(place.conflict("`pg.certificate` and `pg.key` belong together")),
    };
    Ok(Pg {
        tls,
        listen: place.optional("pg.listen", section.listen.as_ref())?,
        public,
        connections: place
            .number("pg.connections", section.connections.as_ref())?
            .unwrap_or(defaults.pg_connections),
    })
}

fn flight(file: &File, place: &Place<'_>) -> Result<Flight, Failure> {
    let section = &file.flight;
    let public = place.optional("flight.public", section.public.as_ref())?;
    let is_address = |text: &str| {
        let known = ["grpc://", "grpc+tls://"];
        known.iter().any(|scheme| text.starts_with(scheme))
    };
    if public.as_deref().is_some_and(|public| !is_address(public)) {
        return Err(place.wrong(
            "flight.public",
            "an address such as grpc+tls://lake.example.org:443",
        ));
    }
    Ok(Flight {
        listen: place.optional("flight.listen", section.listen.as_ref())?,
        public,
    })
}

fn log(file: &File, place: &Place<'_>, base: &Path) -> Result<Log, Failure> {
    let section = &file.log;
    let default = neurolake_serve::Settings::default().slow_query;
    let slow_query = section.slow_query.as_ref();
    let audit = place.optional("log.audit", section.audit.as_ref())?;
    Ok(Log {
        slow_query: time_or_none(place, "log.slow_query", slow_query, default)?,
        audit: audit.map(|path| base.join(path)),
    })
}

/// A time, or `none` for no end.
fn time_or_none(
    place: &Place<'_>,
    key: &str,
    value: Option<&value::Text>,
    default: Option<Duration>,
) -> Result<Option<Duration>, Failure> {
    let Some(text) = place.optional(key, value)? else {
        return Ok(default);
    };
    if text == "none" {
        return Ok(None);
    }
    let time = value::duration(&text).filter(|time| *time > Duration::ZERO);
    let time = time.ok_or_else(|| place.wrong(key, "a time such as 30s or 5m, or none"))?;
    Ok(Some(time))
}

fn limits(file: &File, place: &Place<'_>) -> Result<Limits, Failure> {
    let section = &file.limits;
    let mut limits = Limits::default();
    if let Some(memory) = place.optional("limits.memory", section.memory.as_ref())? {
        limits.memory_bytes = value::bytes(&memory)
            .ok_or_else(|| place.wrong("limits.memory", "a size such as 512MiB or 2GiB"))?;
    }
    let deadline = section.deadline.as_ref();
    limits.deadline = time_or_none(place, "limits.deadline", deadline, limits.deadline)?;
    if let Some(rows) = place.number("limits.max_rows", section.max_rows.as_ref())? {
        limits.max_rows = Some(rows);
    }
    if let Some(cores) = place.number("limits.parallelism", section.parallelism.as_ref())? {
        if cores == 0 {
            return Err(place.wrong("limits.parallelism", "a number from 1 upwards"));
        }
        limits.parallelism = cores;
    }
    Ok(limits)
}
