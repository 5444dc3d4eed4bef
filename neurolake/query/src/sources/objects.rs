//! Object stores: from a table's URI and the settings of its store to something that reads bytes.

use std::path::Path;
use std::sync::Arc;

use datafusion::datasource::object_store::ObjectStoreUrl;
use neurolake_delta::Location;
use object_store::ObjectStore;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use secrecy::ExposeSecret;
use url::Url;

use crate::error::{Error, Kind, Result};
use crate::lake::Shared;
use crate::stores::{DEFAULT, ObjectStoreSettings, Store};

/// A bucket that is open, with the place of a table in it.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    /// Address of the table's folder, ending with `/`.
    pub(crate) url: Url,
    /// The bucket, rooted at the bucket.
    pub(crate) store: Arc<dyn ObjectStore>,
    /// What DataFusion knows the bucket by. Two stores may have buckets of the same name, so the
    /// name of the store is part of it.
    pub(crate) object_store_url: ObjectStoreUrl,
    /// The folder inside of the bucket.
    pub(crate) path: object_store::path::Path,
}

impl Opened {
    pub(crate) fn location(&self) -> Location {
        Location {
            url: self.url.clone(),
            store: Arc::clone(&self.store),
        }
    }
}

/// Opens the bucket of a table. Connects to nothing yet.
pub(crate) fn open(shared: &Shared, name: Option<&str>, uri: &str) -> Result<Opened> {
    let name = name.unwrap_or(DEFAULT);
    let none = ObjectStoreSettings::default();
    let settings = match shared.stores.get(name) {
        Some(Store::Objects(settings)) => settings,
        Some(_) => return Err(broken(format!("the store `{name}` holds no files"))),
        None if name == DEFAULT => &none,
        None => {
            return Err(broken(format!("the store `{name}` is not configured"))
                .with_hint(format!("add `[stores.{name}]` to neurolake.toml")));
        }
    };
    let url = folder(uri)?;
    let (url, store, bucket) = match &settings.local {
        Some(root) => below(root, &url)?,
        None => remote(settings, url)?,
    };
    let store = match &shared.wrap_store {
        Some(wrap) => wrap(store),
        None => store,
    };
    let object_store_url = ObjectStoreUrl::parse(format!("store-{}://{bucket}", scheme_of(name)))?;
    let path = object_store::path::Path::from_url_path(url.path()).map_err(|error| {
        broken(format!("`{uri}` is not an address of a folder")).with_source(error)
    })?;
    Ok(Opened {
        url,
        store,
        object_store_url,
        path,
    })
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

/// Schemes have no underscores.
fn scheme_of(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect()
}

type Remote = (Url, Arc<dyn ObjectStore>, String);

/// Buckets as folders of this machine.
fn below(root: &Path, url: &Url) -> Result<Remote> {
    let bucket = url.host_str().unwrap_or_default();
    let folder = root.join(bucket).join(url.path().trim_matches('/'));
    let folder = std::path::absolute(&folder).map_err(|error| {
        broken(format!("`{}` is not a path", folder.display())).with_source(error)
    })?;
    let url = Url::from_directory_path(&folder)
        .map_err(|()| broken(format!("`{}` is not an absolute path", folder.display())))?;
    Ok((url, Arc::new(LocalFileSystem::new()), String::new()))
}

fn remote(settings: &ObjectStoreSettings, url: Url) -> Result<Remote> {
    let bucket = url.host_str().unwrap_or_default().to_owned();
    let store: Arc<dyn ObjectStore> = match url.scheme() {
        "file" => Arc::new(LocalFileSystem::new()),
        "s3" | "s3a" => {
            let mut builder = AmazonS3Builder::new().with_bucket_name(&bucket);
            let secrets = settings
                .secrets
                .iter()
                .map(|(key, value)| (key, value.expose_secret()));
            let options = settings
                .options
                .iter()
                .map(|(key, value)| (key, value.as_str()));
            for (key, value) in options.chain(secrets) {
                let key: AmazonS3ConfigKey = key
                    .parse()
                    .map_err(|_| broken(format!("`{key}` is not a setting of an S3 store")))?;
                builder = builder.with_config(key, value);
            }
            let store = builder.build().map_err(|error| {
                broken(format!("the bucket `{bucket}` can't be opened")).with_source(error)
            })?;
            Arc::new(store)
        }
        other => {
            return Err(broken(format!(
                "addresses that begin with `{other}://` are not supported"
            )));
        }
    };
    Ok((url, store, bucket))
}

fn broken(message: String) -> Error {
    Error::new(Kind::Broken, message)
}
