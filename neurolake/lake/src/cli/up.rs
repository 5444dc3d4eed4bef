//! `up`: one process that serves everything.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use catalog_gen::output;
use catalog_gen::site::{Site, SiteOptions};
use catalog_gen::snippets::Snippets;
use datafusion::common::utils::quote_identifier;
use neurolake_model::Catalog;
use neurolake_serve::{Doors, MoreMetrics, Settings, System};
use serde::{Deserialize, Serialize};

use super::arguments::Up;
use super::demo::make_up;
use super::exit::Exit;
use super::failure::Failure;
use super::ingest::{self, Receiving};
use super::listen::{self, Addresses, Serving, Sockets, asked_to_end};
use super::output::write_atomically;
use super::query::count;
use super::talk::{pretty_json, print};
use super::{Context, Outcome, open, simulate, status};
use crate::made_up::Options;

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
    // Before the long work: a port that is taken should be known at once.
    let sockets = Sockets::open(context, &arguments.listen).await?;
    let mut end = Box::pin(asked_to_end()?);
    let ready = tokio::select! {
        ready = get_ready(context, sockets.addresses()) => ready?,
        () = &mut end => return Ok(Exit::Done),
    };
    let serving = Serving::new(sockets, ready.doors.clone())?;
    let _endpoints = ready.announce(context)?;
    let status = ready.receiving.as_ref();
    let status = status.filter(|_| context.talk.is_watched());
    let status = status.map(|receiving| tokio::spawn(status::show(receiving.totals())));
    let serve = serving.serve(context, end);
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
    if let Some(status) = status {
        status.abort();
        status::clear();
    }
    if let Some(receiving) = ready.receiving {
        receiving.finish().await;
    }
    served.map(|()| Exit::Done)
}

fn prepare(data: &Path) -> Result<(), Failure> {
    fs::create_dir_all(data).map_err(|error| Failure::write(data, error))?;
    let ignore = data.join(".gitignore");
    if !ignore.exists() {
        fs::write(&ignore, "*\n").map_err(|error| Failure::write(&ignore, error))?;
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
            open::warn_of_no_data(context);
        }
    }
    catalog.endpoints = addresses.endpoints();
    let site = data.join("site");
    write_site(&catalog, &site)?;
    let system = System::default();
    let mut receiving = ingest::receive(context, &catalog, Some(&system)).await?;
    let mut settings = Settings {
        site: Some(site),
        ..listen::settings(context, &catalog, system.clone())?
    };
    if let Some(receiving) = &mut receiving {
        receiving.start(context);
        let metrics = receiving.metrics();
        let more = MoreMetrics::new(move |registry| metrics.register(registry));
        settings.more_metrics = Some(more);
        settings.routes = receiving.routes(context);
    }
    let lake = match &receiving {
        Some(receiving) => receiving.lake.clone(),
        None => open::lake_of_server(context, catalog.clone(), &system)?,
    };
    let doors = Doors::new(lake.engine().clone(), settings)?;
    let http = addresses.http.clone();
    Ok(Ready {
        doors,
        receiving,
        running: Running {
            catalog: format!("{http}/catalog.json"),
            sql: format!("{http}/api/sql"),
            http,
            postgres: addresses.pg.clone().map(|address| Postgres {
                address,
                database: catalog.name.clone(),
            }),
            flight: addresses.flight.clone(),
            data: data.clone(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        tables: catalog.tables().count(),
        first: first_table(&catalog),
    })
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
