//! The shape of `neurolake.toml`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use neurolake_query::suggest::nearest;
use serde::Deserialize;

use super::keys::{self, is_secret_option};
use super::value::Text;
use crate::cli::failure::Failure;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct File {
    pub(super) catalog: Option<Text>,
    pub(super) data: Option<Text>,
    pub(super) http: Http,
    pub(super) pg: Pg,
    pub(super) flight: Flight,
    pub(super) limits: Limits,
    pub(super) log: Log,
    pub(super) ingest: Ingest,
    pub(super) maintenance: Maintenance,
    pub(super) stores: BTreeMap<String, Store>,
    pub(super) accounts: BTreeMap<String, Account>,
    pub(super) roles: BTreeMap<String, Role>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Http {
    pub(super) listen: Option<Text>,
    pub(super) public: Option<Text>,
    pub(super) origins: Vec<Text>,
    pub(super) hosts: Vec<Text>,
    pub(super) concurrent_queries: Option<Text>,
    pub(super) queued_queries: Option<Text>,
    pub(super) cache: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Pg {
    pub(super) listen: Option<Text>,
    pub(super) public: Option<Text>,
    pub(super) connections: Option<Text>,
    pub(super) certificate: Option<Text>,
    pub(super) key: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Account {
    pub(super) token: Option<Text>,
    pub(super) role: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Role {
    pub(super) tables: Vec<Text>,
    pub(super) columns: BTreeMap<String, Vec<Text>>,
    pub(super) rows: BTreeMap<String, Text>,
    pub(super) pii: Option<Text>,
    pub(super) authorized: Vec<Text>,
    pub(super) ingest: Vec<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Flight {
    pub(super) listen: Option<Text>,
    pub(super) public: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Limits {
    pub(super) memory: Option<Text>,
    pub(super) deadline: Option<Text>,
    pub(super) max_rows: Option<Text>,
    pub(super) parallelism: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Log {
    pub(super) slow_query: Option<Text>,
    pub(super) audit: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Ingest {
    pub(super) queue: Option<Text>,
    pub(super) user: Option<Text>,
    pub(super) password: Option<Text>,
    pub(super) token: Option<Text>,
    pub(super) root_certificates: Option<Text>,
    pub(super) replicas: Option<Text>,
    pub(super) stream_bytes: Option<Text>,
    pub(super) queue_bytes: Option<Text>,
    pub(super) memory: Option<Text>,
    pub(super) body_bytes: Option<Text>,
    pub(super) flush_age: Option<Text>,
    pub(super) flush_rows: Option<Text>,
    pub(super) flush_bytes: Option<Text>,
    pub(super) lag: Option<Text>,
    pub(super) writer: Option<Text>,
    pub(super) lease: Option<Text>,
    pub(super) tail: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Maintenance {
    pub(super) enabled: Option<Text>,
    pub(super) compact_every: Option<Text>,
    pub(super) target_bytes: Option<Text>,
    pub(super) checkpoint_every: Option<Text>,
    pub(super) keep_log: Option<Text>,
    pub(super) vacuum_every: Option<Text>,
    pub(super) keep_files: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Store {
    pub(super) local: Option<Text>,
    pub(super) copies: Option<Text>,
    pub(super) postgres: Option<Postgres>,
    pub(super) sheets: Option<Sheets>,
    pub(super) endpoint: Option<Text>,
    pub(super) region: Option<Text>,
    pub(super) allow_http: Option<Text>,
    pub(super) virtual_hosted_style_request: Option<Text>,
    pub(super) skip_signature: Option<Text>,
    pub(super) access_key_id: Option<Text>,
    pub(super) secret_access_key: Option<Text>,
    pub(super) session_token: Option<Text>,
    pub(super) lock: Option<Lock>,
    pub(super) options: BTreeMap<String, Text>,
}

impl Store {
    /// Settings of object stores that have a key of their own and are no secrets.
    pub(super) fn plain(&self) -> [(&'static str, Option<&Text>); 5] {
        [
            ("endpoint", self.endpoint.as_ref()),
            ("region", self.region.as_ref()),
            ("allow_http", self.allow_http.as_ref()),
            (
                "virtual_hosted_style_request",
                self.virtual_hosted_style_request.as_ref(),
            ),
            ("skip_signature", self.skip_signature.as_ref()),
        ]
    }

    pub(super) fn secrets(&self) -> [(&'static str, Option<&Text>); 3] {
        [
            ("access_key_id", self.access_key_id.as_ref()),
            ("secret_access_key", self.secret_access_key.as_ref()),
            ("session_token", self.session_token.as_ref()),
        ]
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Lock {
    pub(super) dynamodb: Option<Text>,
    pub(super) region: Option<Text>,
    pub(super) endpoint: Option<Text>,
}

impl Lock {
    pub(super) fn plain(&self) -> [(&'static str, Option<&Text>); 3] {
        [
            ("dynamodb", self.dynamodb.as_ref()),
            ("region", self.region.as_ref()),
            ("endpoint", self.endpoint.as_ref()),
        ]
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Postgres {
    pub(super) host: Option<Text>,
    pub(super) port: Option<Text>,
    pub(super) dbname: Option<Text>,
    pub(super) user: Option<Text>,
    pub(super) password: Option<Text>,
    pub(super) connection: Option<Text>,
    pub(super) sslmode: Option<Text>,
    pub(super) sslrootcert: Option<Text>,
    pub(super) pool_size: Option<Text>,
}

impl Postgres {
    pub(super) fn plain(&self) -> [(&'static str, Option<&Text>); 6] {
        [
            ("host", self.host.as_ref()),
            ("port", self.port.as_ref()),
            ("dbname", self.dbname.as_ref()),
            ("user", self.user.as_ref()),
            ("sslmode", self.sslmode.as_ref()),
            ("sslrootcert", self.sslrootcert.as_ref()),
        ]
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Sheets {
    pub(super) service_account: Option<Text>,
    pub(super) api: Option<Text>,
    pub(super) public: Option<Text>,
    pub(super) refresh: Option<Text>,
}

impl File {
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| Failure::read(path, error))?;
        Self::parse(&text, path)
    }

    pub(super) fn parse(text: &str, path: &Path) -> Result<Self, Failure> {
        let mut unknown = Vec::new();
        let malformed = |error: toml::de::Error| malformed(text, path, &error);
        let deserializer = toml::Deserializer::parse(text).map_err(malformed)?;
        let file = serde_ignored::deserialize(deserializer, |key| unknown.push(key.to_string()))
            .map_err(malformed)?;
        if unknown.is_empty() {
            return Ok(file);
        }
        let lines: Vec<String> = unknown.iter().map(|key| unknown_key(key)).collect();
        Err(Failure::usage(format!(
            "`{}` holds settings that don't exist\n{}",
            path.display(),
            lines.join("\n")
        ))
        .hint("`config --reference` shows every setting with an example"))
    }
}

fn unknown_key(key: &str) -> String {
    let generic = keys::generic(key);
    let (parent, name) = generic.rsplit_once('.').unwrap_or(("", &generic));
    let siblings = keys::children(parent);
    match nearest(name, siblings.iter().map(String::as_str)) {
        Some(near) => format!("  `{key}`: did you mean `{near}`?"),
        None => format!("  `{key}`: there are {}", siblings.join(", ")),
    }
}

/// Says where, without the line itself: it may hold a secret.
fn malformed(text: &str, path: &Path, error: &toml::de::Error) -> Failure {
    let place = error.span().map_or_else(String::new, |span| {
        let before = &text[..text.floor_char_boundary(span.start)];
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .map_or(0, |line| line.chars().count())
            + 1;
        format!(":{line}:{column}")
    });
    // A wrong type is reported with the value.
    let message = error
        .message()
        .split(": string \"")
        .next()
        .unwrap_or_default();
    Failure::usage(format!("{}{place}: {message}", path.display()))
        .hint("`config --reference` shows every setting with an example")
}

fn show_role(f: &mut fmt::Formatter<'_>, name: &str, role: &Role) -> fmt::Result {
    let list = |values: &[Text]| {
        let shown: Vec<String> = values.iter().map(|value| value.shown(false)).collect();
        format!("[{}]", shown.join(", "))
    };
    writeln!(f, "\n[roles.{name:?}]\ntables = {}", list(&role.tables))?;
    for (table, columns) in &role.columns {
        writeln!(f, "columns.{table:?} = {}", list(columns))?;
    }
    for (table, condition) in &role.rows {
        writeln!(f, "rows.{table:?} = {}", condition.shown(false))?;
    }
    if let Some(pii) = &role.pii {
        writeln!(f, "pii = {}", pii.shown(false))?;
    }
    for (key, values) in [("authorized", &role.authorized), ("ingest", &role.ingest)] {
        if !values.is_empty() {
            writeln!(f, "{key} = {}", list(values))?;
        }
    }
    Ok(())
}

/// Prints the settings without secrets.
pub(crate) struct Shown<'a>(pub(super) &'a File);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, account) in &self.0.accounts {
            writeln!(f, "\n[accounts.{name:?}]")?;
            if let Some(token) = &account.token {
                writeln!(f, "token = {}", token.shown(true))?;
            }
            if let Some(role) = &account.role {
                writeln!(f, "role = {}", role.shown(false))?;
            }
        }
        for (name, role) in &self.0.roles {
            show_role(f, name, role)?;
        }
        for (name, store) in &self.0.stores {
            writeln!(f, "\n[stores.{name}]")?;
            let one =
                |f: &mut fmt::Formatter<'_>, key: &str, value: Option<&Text>, secret| match value {
                    Some(value) => writeln!(f, "{key} = {}", value.shown(secret)),
                    None => Ok(()),
                };
            one(f, "local", store.local.as_ref(), false)?;
            one(f, "copies", store.copies.as_ref(), false)?;
            for (key, value) in store.plain() {
                one(f, key, value, false)?;
            }
            for (key, value) in store.secrets() {
                one(f, key, value, true)?;
            }
            for (key, value) in &store.options {
                one(
                    f,
                    &format!("options.{key}"),
                    Some(value),
                    is_secret_option(key),
                )?;
            }
            if let Some(lock) = &store.lock {
                for (key, value) in lock.plain() {
                    one(f, &format!("lock.{key}"), value, false)?;
                }
            }
            if let Some(postgres) = &store.postgres {
                for (key, value) in postgres.plain() {
                    one(f, &format!("postgres.{key}"), value, false)?;
                }
                one(f, "postgres.password", postgres.password.as_ref(), true)?;
                one(f, "postgres.connection", postgres.connection.as_ref(), true)?;
                one(f, "postgres.pool_size", postgres.pool_size.as_ref(), false)?;
            }
            if let Some(sheets) = &store.sheets {
                one(
                    f,
                    "sheets.service_account",
                    sheets.service_account.as_ref(),
                    true,
                )?;
                one(f, "sheets.api", sheets.api.as_ref(), false)?;
                one(f, "sheets.public", sheets.public.as_ref(), false)?;
                one(f, "sheets.refresh", sheets.refresh.as_ref(), false)?;
            }
        }
        Ok(())
    }
}
