//! `config`

use std::fmt::Write;
use std::time::Duration;

use neurolake_ingest::queue::nats::NatsCredentials;

use super::arguments::ShowConfig;
use super::config::{Config, Queue, keys};
use super::exit::Exit;
use super::listen::{LISTEN, LISTEN_FLIGHT, LISTEN_PG};
use super::talk::print;
use super::{Context, Outcome};

pub(super) fn run(context: &Context<'_>, arguments: &ShowConfig) -> Outcome {
    if arguments.reference {
        print(&keys::reference())?;
    } else {
        print(&effective(context))?;
    }
    Ok(Exit::Done)
}

fn effective(context: &Context<'_>) -> String {
    let config = &context.config;
    let mut text = match &config.path {
        Some(path) => format!("# from {}\n", path.display()),
        None => "# no neurolake.toml: these are the defaults\n".to_owned(),
    };
    if let Some(catalog) = &config.catalog {
        let _ = writeln!(text, "catalog = {:?}", catalog.display().to_string());
    }
    let _ = writeln!(text, "data = {:?}", config.data.display().to_string());
    let http = &config.http;
    let listen = http.listen.as_deref().unwrap_or(LISTEN);
    let _ = writeln!(text, "\n[http]\nlisten = {listen:?}");
    if let Some(public) = &http.public {
        let _ = writeln!(text, "public = {public:?}");
    }
    let _ = writeln!(
        text,
        "origins = {:?}\nhosts = {:?}\nconcurrent_queries = {}\nqueued_queries = {}\ncache = {}",
        http.origins, http.hosts, http.concurrent_queries, http.queued_queries, http.cache_bytes
    );
    let (pg, flight) = (&config.pg, &config.flight);
    let _ = write!(
        text,
        "\n[pg]\n{}connections = {}\n",
        beside(pg.listen.as_ref(), LISTEN_PG, pg.public.as_ref()),
        pg.connections
    );
    if pg.tls.is_some() {
        text.push_str("certificate = \"***\"\nkey = \"***\"\n");
    }
    let _ = write!(
        text,
        "\n[flight]\n{}",
        beside(
            flight.listen.as_ref(),
            LISTEN_FLIGHT,
            flight.public.as_ref()
        )
    );
    let log = &config.log;
    let slow_query = time_or_none(log.slow_query);
    let _ = writeln!(text, "\n[log]\nslow_query = {slow_query}");
    if let Some(audit) = &log.audit {
        let _ = writeln!(text, "audit = {:?}", audit.display().to_string());
    }
    let limits = &config.limits;
    let _ = writeln!(text, "\n[limits]\nmemory = {}", limits.memory_bytes);
    let _ = writeln!(text, "deadline = {}", time_or_none(limits.deadline));
    if let Some(rows) = limits.max_rows {
        let _ = writeln!(text, "max_rows = {rows}");
    }
    let _ = writeln!(text, "parallelism = {}", limits.parallelism);
    ingestion(&mut text, config);
    if config.stores.is_none() {
        let _ = write!(
            text,
            "\n# no stores: buckets lie in {0}/buckets, copies of databases and sheets in {0}/copies\n",
            config.data.display()
        );
    }
    let _ = write!(text, "{}", config.shown());
    text
}

fn time_or_none(time: Option<Duration>) -> String {
    match time {
        Some(time) => format!("\"{}ms\"", time.as_millis()),
        None => "\"none\"".to_owned(),
    }
}

/// Where a door beside HTTP listens.
fn beside(listen: Option<&String>, default: &str, public: Option<&String>) -> String {
    let listen = listen.map_or(default, String::as_str);
    let mut text = format!("listen = {listen:?}\n");
    if let Some(public) = public {
        let _ = writeln!(text, "public = {public:?}");
    }
    text
}

fn ingestion(text: &mut String, config: &Config) {
    let ingest = &config.ingest;
    text.push_str("\n[ingest]\n");
    match &ingest.queue {
        Queue::Embedded => {
            let folder = config.data.join(super::ingest::QUEUE);
            let _ = writeln!(text, "# queue: embedded, in {}", folder.display());
        }
        Queue::Nats(settings) => {
            let _ = writeln!(
                text,
                "queue = {:?}\nreplicas = {}\nstream_bytes = {}",
                settings.url, settings.replicas, settings.max_stream_bytes
            );
            match &settings.credentials {
                Some(NatsCredentials::Token(_)) => text.push_str("token = \"***\"\n"),
                Some(NatsCredentials::User { name, .. }) => {
                    let _ = writeln!(text, "user = {name:?}\npassword = \"***\"");
                }
                None => {}
            }
            if let Some(roots) = &settings.root_certificates {
                let _ = writeln!(
                    text,
                    "root_certificates = {:?}",
                    roots.display().to_string()
                );
            }
        }
    }
    let settings = &ingest.settings;
    let _ = writeln!(
        text,
        "queue_bytes = {}\nmemory = {}\nbody_bytes = {}\nflush_age = \"{}ms\"\nflush_rows = {}\n\
         flush_bytes = {}\nlag = \"{}s\"\nwriter = {}",
        settings.queue_bytes,
        settings.tail_bytes,
        ingest.body_bytes,
        settings.flush.age.as_millis(),
        settings.flush.rows,
        settings.flush.bytes,
        settings.lag.as_secs(),
        ingest.writer,
    );
    if let Some(tail) = &ingest.tail {
        let _ = writeln!(text, "tail = {tail:?}");
    }
    let maintenance = &config.maintenance;
    let vacuum_every = match maintenance.vacuum_every {
        Some(every) => format!("{}s", every.as_secs()),
        None => "none".to_owned(),
    };
    let _ = writeln!(
        text,
        "\n[maintenance]\nenabled = {}\ncompact_every = \"{}s\"\ntarget_bytes = {}\n\
         checkpoint_every = {}\nkeep_log = \"{}s\"\nvacuum_every = {vacuum_every:?}\nkeep_files = \"{}s\"",
        maintenance.enabled,
        maintenance.compact_every.as_secs(),
        maintenance.target_bytes,
        maintenance.checkpoint_every,
        maintenance.keep_log.as_secs(),
        maintenance.keep_files.as_secs(),
    );
}
