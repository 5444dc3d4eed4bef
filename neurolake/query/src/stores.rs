//! Named storage instances: what a declaration's `store = "imaging"` stands for.
//!
//! A declaration names a store and never holds an address with a secret; the program reads its
//! settings and hands over this. Nothing here reads the environment, and no secret has a
//! `Debug` or `Serialize` that would print it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

/// The store of tables that name none.
pub const DEFAULT: &str = "default";

/// All stores by name.
#[derive(Debug, Clone, Default)]
pub struct Stores {
    /// Tables without `store` use [`DEFAULT`]; where that is missing, their URI alone must do.
    pub by_name: BTreeMap<String, Store>,
}

impl Stores {
    /// The store of this name.
    pub fn get(&self, name: &str) -> Option<&Store> {
        self.by_name.get(name)
    }
}

/// One store. What it can hold depends on its kind.
#[derive(Debug, Clone)]
pub enum Store {
    /// Buckets: Delta and Parquet tables.
    Objects(ObjectStoreSettings),
    /// A PostgreSQL database.
    Postgres(PostgresSettings),
    /// Google Sheets.
    Sheets(SheetsSettings),
    /// Copies of tables as Parquet files, in place of a database or of Google Sheets that this
    /// machine cannot reach: `FOLDER/database.table.parquet`, by the names of the catalog.
    Copies {
        /// Folder of the files.
        folder: PathBuf,
    },
}

/// Where buckets are and how to get in.
#[derive(Debug, Clone, Default)]
pub struct ObjectStoreSettings {
    /// Buckets are folders below this one: `s3://lake/neural/spikes` is `FOLDER/lake/neural/spikes`.
    /// Nothing else is needed then.
    pub local: Option<PathBuf>,
    /// Settings of the `object_store` crate by its own names (`endpoint`, `region`, `allow_http`,
    /// `skip_signature`, ...), without secrets.
    pub options: BTreeMap<String, String>,
    /// The same for secrets (`access_key_id`, `secret_access_key`, `session_token`, ...).
    pub secrets: BTreeMap<String, SecretString>,
}

/// How to reach a PostgreSQL server. The session is read-only for the server, too.
#[derive(Debug, Clone)]
pub struct PostgresSettings {
    /// Connection parameters of libpq by its own names, without secrets: `host` (`localhost`),
    /// `port` (`5432`), `dbname` (the user's name), `user` (must be given), `sslmode`,
    /// `sslrootcert`, `application_name` (`neurolake`), `options`, `connect_timeout` in seconds.
    ///
    /// `sslmode` is `verify-full` where nothing is said: the connection is encrypted and the
    /// server must prove that it is `host`, by a certificate that this machine or `sslrootcert` (a
    /// PEM file) trusts. Weaker: `verify-ca`, `require`, `prefer`, `disable`.
    pub options: BTreeMap<String, String>,
    /// Password, or a whole connection string `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`,
    /// resolved by the program. `options` win over what the string says.
    pub password: Option<SecretString>,
    /// Connections open at most. Too few, and queries wait for each other; too many, and the
    /// server refuses its other users.
    pub pool_size: usize,
}

impl Default for PostgresSettings {
    fn default() -> Self {
        Self {
            options: BTreeMap::new(),
            password: None,
            pool_size: 10,
        }
    }
}

/// How to reach Google Sheets.
#[derive(Debug, Clone)]
pub struct SheetsSettings {
    /// Content of a service account's key file (JSON). `None`: sheets are public.
    pub service_account: Option<SecretString>,
    /// Base address of the Sheets API, without a trailing slash.
    pub api: String,
    /// Base address of the spreadsheets themselves, for public sheets.
    pub public: String,
    /// How long an answer is kept where the declaration says nothing.
    pub refresh: Duration,
}

impl Default for SheetsSettings {
    fn default() -> Self {
        Self {
            service_account: None,
            api: "https://sheets.googleapis.com".into(),
            public: "https://docs.google.com".into(),
            refresh: Duration::from_secs(300),
        }
    }
}
