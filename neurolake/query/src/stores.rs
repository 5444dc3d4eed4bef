//! Named storage instances: what a declaration's `store = "imaging"` stands for.
//!
//! A declaration names a store and never holds an address with a secret; the program reads its
//! settings and hands over this. Nothing here reads the environment, and no secret has a
//! `Debug` or `Serialize` that would print it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub use secrecy::SecretString;

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

impl Store {
    /// What it is, with its article.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Objects(_) => "an object store",
            Self::Postgres(_) => "a PostgreSQL database",
            Self::Sheets(_) => "an account of Google Sheets",
            Self::Copies { .. } => "a folder of copies",
        }
    }
}

/// Where buckets are and how to get in.
///
/// Which clouds there are: `s3://` (and whatever speaks its protocol), a folder of this machine,
/// with the feature `azure` also `az://` and `abfss://`, with `gcs` also `gs://`. One store may
/// serve several buckets; a bucket is opened once per lake and store.
///
/// # Settings of an S3 store
/// | key | where | meaning |
/// |---|---|---|
/// | `endpoint` | `options` | address of the server, such as `https://s3.example.org`; without it: AWS. `http://` allows plain HTTP |
/// | `region` | `options` | region; without it `us-east-1` |
/// | `allow_http` | `options` | `true` allows plain HTTP; follows from an `endpoint` with `http://` |
/// | `virtual_hosted_style_request` | `options` | `true`: the bucket is part of the host name |
/// | `skip_signature` | `options` | `true` for public buckets: no credentials are looked for |
/// | `request_payer` | `options` | `true`: you pay for requests of a bucket that wants it |
/// | `unsigned_payload`, `checksum_algorithm` | `options` | for servers that ask for it |
/// | `connect_timeout` | `options` | how long to wait for a connection, such as `5 seconds`; too short fails on slow networks, too long hides a wrong address |
/// | `timeout` | `options` | how long one request may take, such as `30 seconds`; too short fails on large row groups |
/// | `proxy_url` | `options` | HTTP proxy |
/// | `access_key_id` | `secrets` | who asks |
/// | `secret_access_key` | `secrets` | proof of it |
/// | `session_token` | `secrets` | for temporary credentials |
/// | `encryption_customer_key` | `secrets` | key of objects that are encrypted with a customer's key |
///
/// # Settings of an Azure store
/// `account_name`, `endpoint`, `use_emulator` in `options`; `account_key`, `sas_token`,
/// `client_secret` in `secrets`; more in the documentation of `object_store::azure::AzureConfigKey`.
///
/// # Settings of a Google store
/// `base_url`, `service_account` (a path), `skip_signature` in `options`; `service_account_key`
/// (JSON) in `secrets`; more in the documentation of `object_store::gcp::GoogleConfigKey`.
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
    /// What the surroundings of the program say (`AWS_ACCESS_KEY_ID`, `AWS_PROFILE`...), used where
    /// `secrets` is empty; `options` win over it. Keys are upper case. Without any of it the
    /// chain of the cloud decides: web identity, then the metadata of container or machine.
    pub ambient: BTreeMap<String, SecretString>,
    /// For S3 stores that don't put an object only if it is absent.
    pub lock: Option<LockSettings>,
}

/// A table of DynamoDB that keeps two commits from becoming the same version, as that of Delta's
/// `S3DynamoDBLogStore` does. All who write the tables of the store must use it, and by the same
/// addresses: `s3://lake/t` and `s3a://lake/t` are two tables to it. The credentials are the
/// store's.
#[derive(Debug, Clone)]
pub struct LockSettings {
    /// Its name.
    pub table: String,
    /// Its region. `None`: the store's.
    pub region: Option<String>,
    /// Address of the server. `None`: AWS.
    pub endpoint: Option<String>,
}

/// Beginnings of the variables that an object store may know.
const AMBIENT: [&str; 3] = ["AWS_", "AZURE_", "GOOGLE_"];

impl ObjectStoreSettings {
    /// Takes over the variables that object stores know (`AWS_*`, `AZURE_*`, `GOOGLE_*`) and leaves
    /// the others.
    #[must_use]
    pub fn with_environment(
        mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        for (key, value) in variables {
            let known = AMBIENT.iter().any(|prefix| key.starts_with(prefix));
            if known && !value.is_empty() {
                self.ambient.insert(key, value.into());
            }
        }
        self
    }

    /// Whether a client may read the files itself: nothing here is secret.
    pub fn is_direct(&self) -> bool {
        self.secrets.is_empty()
    }
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
            refresh: Duration::from_mins(5),
        }
    }
}
