//! Object stores: from a table's URI and the settings of its store to something that reads bytes.

use std::collections::HashMap;
use std::fmt;
use std::path::Path as FilePath;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::execution::cache::cache_manager::{CachedFileMetadataEntry, FileMetadataCache};
use datafusion::execution::cache::default_cache::DefaultCache;
use neurolake_delta::lock::dynamodb::{DynamoDb, DynamoDbSettings};
use neurolake_delta::{Location, LockedCommits, LogOptions};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use secrecy::ExposeSecret;
use url::{Position, Url};

use crate::error::{Error, Kind, Result};
use crate::lake::Shared;
use crate::stores::{DEFAULT, LockSettings, ObjectStoreSettings, Store};

/// Memory for the footers of one bucket's files.
const FOOTERS_BYTES: usize = 64 << 20;

/// What a bucket is called that is the file system of this machine.
const LOCAL: &str = "local";

/// A bucket that is open, with the place of a table in it.
#[derive(Clone)]
pub(crate) struct Opened {
    /// Address of the table's folder, ending with `/`.
    pub(crate) url: Url,
    /// The bucket, rooted at the bucket.
    pub(crate) store: Arc<dyn ObjectStore>,
    /// What DataFusion knows the bucket by; it is registered. Two stores may have buckets of the
    /// same name, so the name of the store is part of it.
    pub(crate) object_store_url: ObjectStoreUrl,
    /// The folder inside of the bucket.
    pub(crate) path: Path,
    /// Footers of Parquet files by path. One for each bucket, because DataFusion's own cache
    /// takes files with the same path in two buckets for the same file.
    pub(crate) footers: Arc<FileMetadataCache>,
    bucket: Arc<Bucket>,
}

/// The client of one bucket, shared by all tables in it.
struct Bucket {
    store_name: String,
    /// As in the address: `s3://lake`.
    address: String,
    store: Arc<dyn ObjectStore>,
    lock: Option<Arc<DynamoDb>>,
    object_store_url: ObjectStoreUrl,
    footers: Arc<FileMetadataCache>,
    /// Values that must not reach an error.
    secrets: Vec<secrecy::SecretString>,
    endpoint: Option<String>,
}

/// Buckets that are open, by store and address.
#[derive(Default)]
pub(crate) struct Buckets(Mutex<HashMap<(String, String), Arc<Bucket>>>);

impl Opened {
    pub(crate) fn location(&self) -> Location {
        let location = Location::new(self.url.clone(), Arc::clone(&self.store));
        match self.lock() {
            Some(lock) => {
                let clock = LogOptions::default().clock;
                location.with_commits(Arc::new(LockedCommits::new(lock, clock)))
            }
            None => location,
        }
    }

    /// What keeps commits apart, where the store itself doesn't.
    pub(crate) fn lock(&self) -> Option<Arc<DynamoDb>> {
        self.bucket.lock.clone()
    }

    /// Says which store and bucket failed and what to do; no secret is in it.
    pub(crate) fn explain(&self, error: &object_store::Error) -> Error {
        self.bucket.explain(error)
    }

    /// The address of a file, for errors.
    pub(crate) fn address_of(&self, path: &Path) -> String {
        match self.bucket.address.as_str() {
            "file://" => format!("/{path}"),
            address => format!("{address}/{path}"),
        }
    }
}

impl fmt::Debug for Opened {
    // Not the store: what its clients print is theirs to decide.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("store", &self.bucket.store_name)
            .field("url", &self.url.as_str())
            .finish_non_exhaustive()
    }
}

/// Opens the bucket of a table. Connects to nothing yet.
pub(crate) fn open(shared: &Shared, name: Option<&str>, uri: &str) -> Result<Opened> {
    let name = name.unwrap_or(DEFAULT);
    let none = ObjectStoreSettings::default();
    let settings = match shared.stores.get(name) {
        Some(Store::Objects(settings)) => settings,
        Some(other) => {
            return Err(broken(format!(
                "the store `{name}` is {}, it holds no files",
                other.label()
            ))
            .with_hint(format!(
                "give `[stores.{name}]` the settings of an object store or `local = \"FOLDER\"`"
            )));
        }
        None if name == DEFAULT => &none,
        None => return Err(not_configured(shared, name)),
    };
    let url = folder(uri)?;
    match &settings.local {
        Some(root) if url.scheme() != "file" => {
            let url = below(root, name, &url)?;
            opened(shared, name, &none, url)
        }
        _ => opened(shared, name, settings, url),
    }
}

/// A folder of this machine as a bucket.
pub(crate) fn open_folder(shared: &Shared, name: &str, folder: &FilePath) -> Result<Opened> {
    let url = file_url(folder)?;
    opened(shared, name, &ObjectStoreSettings::default(), url)
}

fn not_configured(shared: &Shared, name: &str) -> Error {
    let known = shared.stores.by_name.keys().map(String::as_str);
    let error = broken(format!("the store `{name}` is not configured"));
    error.with_hint(match crate::suggest::nearest(name, known) {
        Some(near) => format!("add `[stores.{name}]` to neurolake.toml; there is `{near}`"),
        None => format!("add `[stores.{name}]` to neurolake.toml"),
    })
}

fn opened(shared: &Shared, name: &str, settings: &ObjectStoreSettings, url: Url) -> Result<Opened> {
    let path = Path::from_url_path(url.path()).map_err(|error| {
        broken(format!("`{url}` is not an address of a folder")).with_source(error)
    })?;
    let bucket = bucket(shared, name, settings, &url)?;
    Ok(Opened {
        url,
        store: Arc::clone(&bucket.store),
        object_store_url: bucket.object_store_url.clone(),
        path,
        footers: Arc::clone(&bucket.footers),
        bucket,
    })
}

/// The bucket of an address, opened at most once.
fn bucket(
    shared: &Shared,
    name: &str,
    settings: &ObjectStoreSettings,
    url: &Url,
) -> Result<Arc<Bucket>> {
    let address = url[..Position::BeforePath].to_owned();
    let key = (name.to_owned(), address.clone());
    // Opening does no I/O, and nothing can panic while the map is held.
    let mut buckets = shared
        .buckets
        .0
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some(bucket) = buckets.get(&key) {
        return Ok(Arc::clone(bucket));
    }
    let (store, lock) = remote(name, settings, url)?;
    let store = match &shared.wrap_store {
        Some(wrap) => wrap(store),
        None => store,
    };
    let label = match url.scheme() {
        "file" => LOCAL.to_owned(),
        _ => address[url.scheme().len() + 3..].replace('@', "."),
    };
    let object_store_url =
        ObjectStoreUrl::parse(format!("{}-{}://{label}", scheme_of(name), url.scheme()))?;
    let runtime = shared.template.state().runtime_env();
    runtime.register_object_store(object_store_url.as_ref(), Arc::clone(&store));
    let bucket = Arc::new(Bucket {
        store_name: name.to_owned(),
        address,
        store,
        lock,
        object_store_url,
        footers: Arc::new(DefaultCache::<Path, CachedFileMetadataEntry>::new(
            FOOTERS_BYTES,
        )),
        secrets: secrets(settings).cloned().collect(),
        endpoint: settings.options.get("endpoint").cloned(),
    });
    buckets.insert(key, Arc::clone(&bucket));
    Ok(bucket)
}

/// The address as a URL that ends with `/`; a plain path becomes `file:///...`.
fn folder(uri: &str) -> Result<Url> {
    let not_an_address = || {
        broken(format!(
            "`{uri}` is neither an address (`s3://bucket/folder`) nor an absolute path"
        ))
    };
    if uri.contains("://") {
        let uri = format!("{}/", uri.trim_end_matches('/'));
        return Url::parse(&uri).map_err(|error| not_an_address().with_source(error));
    }
    Url::from_directory_path(uri).map_err(|()| not_an_address())
}

fn file_url(folder: &FilePath) -> Result<Url> {
    let folder = std::path::absolute(folder).map_err(|error| {
        broken(format!("`{}` is not a path", folder.display())).with_source(error)
    })?;
    Url::from_directory_path(&folder)
        .map_err(|()| broken(format!("`{}` is not an absolute path", folder.display())))
}

/// A scheme for the name of a store: another one for each name.
fn scheme_of(name: &str) -> String {
    let mut scheme = "store-".to_owned();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' => scheme.push(char::from(byte)),
            b'_' => scheme.push('.'),
            other => {
                use fmt::Write as _;
                // Writing to a string doesn't fail.
                let _ = write!(scheme, "+{other:02x}");
            }
        }
    }
    scheme
}

/// Buckets as folders of this machine.
fn below(root: &FilePath, name: &str, url: &Url) -> Result<Url> {
    let bucket = url.host_str().unwrap_or_default();
    if bucket.is_empty() || bucket.contains("..") {
        return Err(broken(format!("`{url}` names no bucket"))
            .with_hint("write an address such as `s3://bucket/folder`"));
    }
    let folder = root.join(bucket);
    if !folder.is_dir() {
        return Err(broken(format!(
            "there is no bucket `{bucket}` in the store `{name}`: the folder `{}` doesn't exist",
            folder.display()
        ))
        .with_hint(format!(
            "correct `local` of `[stores.{name}]`, or make the folder"
        )));
    }
    let path = Path::from_url_path(url.path()).map_err(|error| {
        broken(format!("`{url}` is not an address of a folder")).with_source(error)
    })?;
    file_url(&folder.join(path.as_ref()))
}

type Remote = (Arc<dyn ObjectStore>, Option<Arc<DynamoDb>>);

fn remote(name: &str, settings: &ObjectStoreSettings, url: &Url) -> Result<Remote> {
    let store: Arc<dyn ObjectStore> = match url.scheme() {
        "s3" | "s3a" => {
            let (store, region) = amazon(name, settings, url)?;
            let lock = settings.lock.as_ref();
            let lock = lock.map(|lock| dynamodb(name, lock, &store, region));
            return Ok((Arc::new(store), lock.transpose()?));
        }
        other if settings.lock.is_some() => {
            return Err(broken(format!(
                "the `lock` of the store `{name}` is for `s3://`, not for `{other}://`"
            ))
            .with_hint(format!(
                "give the other buckets of `[stores.{name}]` a store of their own"
            )));
        }
        "file" => Arc::new(LocalFileSystem::new()),
        #[cfg(feature = "azure")]
        "az" | "azure" | "abfs" | "abfss" => clouds::azure(name, settings, url)?,
        #[cfg(feature = "gcs")]
        "gs" => clouds::google(name, settings, url)?,
        other => {
            return Err(broken(format!(
                "addresses that begin with `{other}://` can't be read"
            ))
            .with_hint(match other {
                "az" | "azure" | "abfs" | "abfss" => {
                    "build with the feature `azure` of `neurolake-query`"
                }
                "gs" => "build with the feature `gcs` of `neurolake-query`",
                _ => "use `s3://`, `file://` or an absolute path",
            }));
        }
    };
    Ok((store, None))
}

fn dynamodb(
    name: &str,
    lock: &LockSettings,
    store: &AmazonS3,
    region: Option<String>,
) -> Result<Arc<DynamoDb>> {
    let wrong = |what: &str, error: String| {
        broken(format!("`lock` of the store `{name}` {what}: {error}"))
            .with_hint(format!("correct `[stores.{name}]` in neurolake.toml"))
    };
    let endpoint = lock.endpoint.as_deref().map(Url::parse).transpose();
    let region = lock.region.clone().or(region);
    let settings = DynamoDbSettings {
        table: lock.table.clone(),
        endpoint: endpoint
            .map_err(|error| wrong("has no address as `endpoint`", error.to_string()))?,
        ..DynamoDbSettings::new(region.as_deref().unwrap_or("us-east-1"))
    };
    let lock = DynamoDb::new(settings, Arc::clone(store.credentials()));
    let lock = lock.map_err(|error| wrong("can't be used", chain(&error)))?;
    Ok(Arc::new(lock))
}

/// The store, with the region that it was given.
fn amazon(
    name: &str,
    settings: &ObjectStoreSettings,
    url: &Url,
) -> Result<(AmazonS3, Option<String>)> {
    let bucket = url.host_str().unwrap_or_default();
    let mut builder = AmazonS3Builder::new()
        .with_client_options(client())
        .with_retry(retry());
    for (key, value) in all(settings, "aws_") {
        let Some(value) = value else { continue };
        match key.name.parse::<AmazonS3ConfigKey>() {
            Ok(known) => builder = builder.with_config(known, value),
            Err(_) if key.ambient => {}
            Err(_) => return Err(unknown_setting(name, &key.name, "an S3 store")),
        }
    }
    // Last: the declaration names the bucket, whatever `AWS_BUCKET` says.
    let region = builder.get_config_value(&AmazonS3ConfigKey::Region);
    let store = builder
        .with_bucket_name(bucket)
        .build()
        .map_err(|error| cannot_open(name, url, settings, &error))?;
    Ok((store, region))
}

#[cfg(any(feature = "azure", feature = "gcs"))]
mod clouds {
    use super::{Arc, ObjectStore, ObjectStoreSettings, Result, Url};
    use super::{all, cannot_open, client, retry, unknown_setting};

    #[cfg(feature = "azure")]
    pub(super) fn azure(
        name: &str,
        settings: &ObjectStoreSettings,
        url: &Url,
    ) -> Result<Arc<dyn ObjectStore>> {
        use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
        let mut builder = MicrosoftAzureBuilder::new()
            .with_url(url.as_str())
            .with_client_options(client())
            .with_retry(retry());
        for (key, value) in all(settings, "azure_") {
            let Some(value) = value else { continue };
            match key.name.parse::<AzureConfigKey>() {
                Ok(known) => builder = builder.with_config(known, value),
                Err(_) if key.ambient => {}
                Err(_) => return Err(unknown_setting(name, &key.name, "an Azure store")),
            }
        }
        let store = builder
            .build()
            .map_err(|error| cannot_open(name, url, settings, &error))?;
        Ok(Arc::new(store))
    }

    #[cfg(feature = "gcs")]
    pub(super) fn google(
        name: &str,
        settings: &ObjectStoreSettings,
        url: &Url,
    ) -> Result<Arc<dyn ObjectStore>> {
        use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
        let mut builder = GoogleCloudStorageBuilder::new()
            .with_url(url.as_str())
            .with_client_options(client())
            .with_retry(retry());
        for (key, value) in all(settings, "google_") {
            let Some(value) = value else { continue };
            match key.name.parse::<GoogleConfigKey>() {
                Ok(known) => builder = builder.with_config(known, value),
                Err(_) if key.ambient => {}
                Err(_) => return Err(unknown_setting(name, &key.name, "a Google store")),
            }
        }
        let store = builder
            .build()
            .map_err(|error| cannot_open(name, url, settings, &error))?;
        Ok(Arc::new(store))
    }
}

struct Key {
    name: String,
    ambient: bool,
}

/// All settings, in the order in which a later one wins. What the surroundings say counts only
/// where no secret is configured: half of one identity and half of another would be neither.
fn all<'a>(
    settings: &'a ObjectStoreSettings,
    prefix: &'a str,
) -> impl Iterator<Item = (Key, Option<&'a str>)> {
    let ambient = settings.ambient.iter().filter_map(move |(key, value)| {
        let name = key.to_ascii_lowercase();
        let wanted = settings.secrets.is_empty() && name.starts_with(prefix);
        let ambient = true;
        wanted.then(|| (Key { name, ambient }, Some(value.expose_secret())))
    });
    let http = settings
        .options
        .get("endpoint")
        .filter(|endpoint| endpoint.starts_with("http://"));
    let http = http.map(|_| (own("allow_http"), Some("true")));
    let options = settings.options.iter();
    let options = options.map(|(key, value)| (own(key), Some(value.as_str())));
    let secrets = settings.secrets.iter();
    let secrets = secrets.map(|(key, value)| (own(key), Some(value.expose_secret())));
    ambient.chain(http).chain(options).chain(secrets)
}

fn own(name: &str) -> Key {
    Key {
        name: name.to_ascii_lowercase(),
        ambient: false,
    }
}

/// A wrong address must show within seconds.
fn client() -> ClientOptions {
    ClientOptions::new()
        .with_connect_timeout(Duration::from_secs(3))
        .with_timeout(Duration::from_mins(1))
}

/// Long enough for a server that asks to slow down, short enough for a reader who waits.
fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
            base: 2.0,
        },
        max_retries: 4,
        retry_timeout: Duration::from_secs(8),
    }
}

fn unknown_setting(store: &str, key: &str, of: &str) -> Error {
    broken(format!("`{key}` of the store `{store}` is not a setting of {of}")).with_hint(format!(
        "correct `[stores.{store}]` in neurolake.toml; common settings are `endpoint`, `region`, `access_key_id` and `secret_access_key`"
    ))
}

fn cannot_open(
    store: &str,
    url: &Url,
    settings: &ObjectStoreSettings,
    error: &object_store::Error,
) -> Error {
    let cause = scrub(&chain(error), secrets(settings));
    broken(format!(
        "the bucket `{}` of the store `{store}` can't be opened: {cause}",
        &url[..Position::BeforePath]
    ))
    .with_hint(format!("correct `[stores.{store}]` in neurolake.toml"))
}

/// Values that must not be shown. Of the surroundings not all: `AWS_REGION` is no secret.
fn secrets(settings: &ObjectStoreSettings) -> impl Iterator<Item = &secrecy::SecretString> {
    let secret = |key: &String| {
        ["KEY", "SECRET", "TOKEN"]
            .iter()
            .any(|word| key.contains(word))
    };
    let ambient = settings.ambient.iter();
    let ambient = ambient.filter_map(move |(key, value)| secret(key).then_some(value));
    settings.secrets.values().chain(ambient)
}

impl Bucket {
    fn explain(&self, error: &object_store::Error) -> Error {
        let cause = scrub(&chain(error), self.secrets.iter());
        let (bucket, store) = (&self.address, &self.store_name);
        let what = Trouble::of(error, &cause);
        let message = match what {
            Trouble::NoBucket => format!("there is no bucket `{bucket}` in the store `{store}`"),
            Trouble::NoFile => format!("a file is missing in `{bucket}` of the store `{store}`"),
            Trouble::NoCredentials => {
                format!("there are no credentials for `{bucket}` of the store `{store}`")
            }
            Trouble::Refused => {
                format!("the store `{store}` refuses access to `{bucket}`")
            }
            Trouble::Unreachable => match &self.endpoint {
                Some(endpoint) => format!("the store `{store}` can't be reached at {endpoint}"),
                None => format!("the store `{store}` can't be reached for `{bucket}`"),
            },
            Trouble::Other => format!("`{bucket}` of the store `{store}` can't be read"),
        };
        let hint = match what {
            Trouble::NoBucket => format!(
                "check the address in the declaration, and `endpoint` and `region` of `[stores.{store}]`"
            ),
            Trouble::NoFile => "it was deleted meanwhile: run the query again".to_owned(),
            Trouble::NoCredentials => format!(
                "set `access_key_id` and `secret_access_key` of `[stores.{store}]` or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; for a public bucket set `skip_signature = \"true\"`"
            ),
            Trouble::Refused => {
                format!("check the credentials of `[stores.{store}]` and what they may read")
            }
            Trouble::Unreachable => {
                format!("check `endpoint` of `[stores.{store}]` and that the server is up")
            }
            Trouble::Other => {
                format!("run `neurolake doctor`; the settings are `[stores.{store}]`")
            }
        };
        broken(message).with_hint(hint).with_source(cause)
    }
}

#[derive(Clone, Copy)]
enum Trouble {
    NoBucket,
    NoFile,
    NoCredentials,
    Refused,
    Unreachable,
    Other,
}

impl Trouble {
    fn of(error: &object_store::Error, cause: &str) -> Self {
        use object_store::Error as E;
        let says = |words: &[&str]| words.iter().any(|word| cause.contains(word));
        match error {
            _ if says(&["NoSuchBucket", "ContainerNotFound"]) => Self::NoBucket,
            E::NotFound { .. } => Self::NoFile,
            E::PermissionDenied { .. } | E::Unauthenticated { .. } => Self::Refused,
            _ if says(&[
                "InvalidAccessKeyId",
                "SignatureDoesNotMatch",
                "AccessDenied",
                "403 Forbidden",
                "401 Unauthorized",
            ]) =>
            {
                Self::Refused
            }
            _ if says(&["169.254.169.254", "/latest/api/token", "metadata.google"]) => {
                Self::NoCredentials
            }
            _ if says(&["error sending request", "connect", "dns error", "timed out"]) => {
                Self::Unreachable
            }
            _ => Self::Other,
        }
    }
}

/// The error with all its causes, each once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

/// Servers repeat in their answers what they were asked, so that a key may come back.
fn scrub<'a>(text: &str, secrets: impl Iterator<Item = &'a secrecy::SecretString>) -> String {
    let mut text = text.to_owned();
    for secret in secrets {
        let secret = secret.expose_secret();
        // Values such as `true` or `us-east-1` are no secrets, and nothing would remain readable.
        if secret.len() >= 6 {
            text = text.replace(secret, "***");
        }
    }
    text
}

fn broken(message: String) -> Error {
    Error::new(Kind::Broken, message)
}
