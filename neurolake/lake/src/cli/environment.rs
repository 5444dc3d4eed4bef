//! Every environment variable that is read.

use std::path::PathBuf;

use tracing_subscriber::EnvFilter;

use super::status::Above;

/// File of settings.
pub(crate) const CONFIG: &str = "NEUROLAKE_CONFIG";
/// `catalog.json` to use in place of the program's own tables.
pub(crate) const CATALOG: &str = "NEUROLAKE_CATALOG";
/// Folder of data.
pub(crate) const DATA: &str = "NEUROLAKE_DATA";
/// What is logged to standard error, such as `info` or `neurolake_serve=debug`.
pub(crate) const LOG: &str = "NEUROLAKE_LOG";
/// How it is logged: as text, or as `json`.
pub(crate) const LOG_FORMAT: &str = "NEUROLAKE_LOG_FORMAT";
/// No colours, see <https://no-color.org>.
pub(crate) const NO_COLOR: &str = "NO_COLOR";

/// All of them with what they mean, for the reference.
pub(crate) const ALL: [(&str, &str); 7] = [
    (CONFIG, "File of settings; `--config` wins."),
    (
        CATALOG,
        "`catalog.json` to use in place of the program's own tables; `--catalog` wins.",
    ),
    (DATA, "Folder of data; `--data` wins."),
    (
        LOG,
        "What is logged to standard error: `warn` (default), `info`, `neurolake_serve=debug`...",
    ),
    (
        LOG_FORMAT,
        "`json`: an object a line, for collectors of logs.",
    ),
    (NO_COLOR, "Set to anything: no colours."),
    (
        "AWS_*, AZURE_*, GOOGLE_*",
        "What the clients of clouds know themselves, for stores without keys of their own.",
    ),
];

/// A path, where the variable is set and not empty.
pub(crate) fn path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// Everything that is text, for the clients of clouds, which know variables of their own.
pub(crate) fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

pub(crate) fn no_color() -> bool {
    path(NO_COLOR).is_some()
}

/// Beside a level, which is `warn` where nothing is asked for. deltalake warns of what is as it
/// should be, such as a binary column without statistics, and its kernel logs each error that it
/// also returns, and each table that it opens.
const QUIET: &str = "deltalake_core=error,buoyant_kernel=off";

/// Logs to standard error.
pub(crate) fn start_log() {
    let wanted = std::env::var(LOG).ok();
    let filter = match wanted.as_deref() {
        None => None,
        Some(level @ ("error" | "warn" | "info")) => {
            Some(EnvFilter::new(format!("{level},{QUIET}")))
        }
        Some(wanted) => EnvFilter::try_new(wanted).ok(),
    };
    let filter = filter.unwrap_or_else(|| EnvFilter::new(format!("warn,{QUIET}")));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Above)
        .with_ansi(false);
    // A program that embeds this one may have a log of its own.
    let _ = match std::env::var_os(LOG_FORMAT) {
        Some(format) if format == "json" => log.json().try_init(),
        _ => log.try_init(),
    };
}
