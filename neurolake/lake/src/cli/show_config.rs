//! `config`

use std::fmt::Write;

use super::arguments::ShowConfig;
use super::config::keys;
use super::exit::Exit;
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
    let listen = http.listen.as_deref().unwrap_or(super::up::LISTEN);
    let _ = writeln!(text, "\n[http]\nlisten = {listen:?}");
    if let Some(public) = &http.public {
        let _ = writeln!(text, "public = {public:?}");
    }
    let _ = writeln!(
        text,
        "origins = {:?}\nhosts = {:?}\nconcurrent_queries = {}\nqueued_queries = {}",
        http.origins, http.hosts, http.concurrent_queries, http.queued_queries
    );
    let limits = &config.limits;
    let _ = writeln!(text, "\n[limits]\nmemory = {}", limits.memory_bytes);
    match limits.deadline {
        Some(deadline) => {
            let _ = writeln!(text, "deadline = \"{}ms\"", deadline.as_millis());
        }
        None => text.push_str("deadline = \"none\"\n"),
    }
    if let Some(rows) = limits.max_rows {
        let _ = writeln!(text, "max_rows = {rows}");
    }
    let _ = writeln!(text, "parallelism = {}", limits.parallelism);
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
