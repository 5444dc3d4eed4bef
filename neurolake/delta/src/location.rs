//! Where a table lies, and which of its versions is meant.

use std::sync::Arc;

use deltalake::logstore::{LogStoreRef, StorageConfig, default_logstore};
use object_store::ObjectStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use url::Url;

use crate::commits::{Commits, ConditionalPut};

/// The root folder of a table.
#[derive(Debug, Clone)]
pub struct Location {
    /// Address of the folder. Its path is looked up in `store`.
    pub url: Url,
    /// The bucket (or the file system) that holds the folder, rooted at the bucket.
    pub store: Arc<dyn ObjectStore>,
    /// How a commit becomes the only one of its version there.
    pub commits: Arc<dyn Commits>,
}

impl Location {
    /// A folder of a store that puts an object only if it is absent.
    pub fn new(url: Url, store: Arc<dyn ObjectStore>) -> Self {
        Self {
            url,
            store,
            commits: Arc::new(ConditionalPut),
        }
    }

    /// Commits are made in another way. All who write the table must make them so.
    #[must_use]
    pub fn with_commits(self, commits: Arc<dyn Commits>) -> Self {
        Self { commits, ..self }
    }

    /// The folder inside of the bucket.
    pub fn path(&self) -> Path {
        // A URL's path is percent-encoded; one that decodes to no path at all names nothing, and
        // opening the table will say so.
        Path::from_url_path(self.url.path()).unwrap_or_default()
    }

    /// A file or folder of the table, if it lies on this machine's disk.
    pub(crate) fn local_path(&self, relative: &str) -> Option<std::path::PathBuf> {
        match self.url.scheme() {
            "file" => Some(self.url.to_file_path().ok()?.join(relative)),
            _ => None,
        }
    }

    /// The log, for reading, and for commits that are put if absent, whatever `commits` says. Made
    /// by hand: deltalake's own registry knows only the stores that it can build itself.
    pub fn log_store(&self) -> LogStoreRef {
        let folder = PrefixStore::new(Arc::clone(&self.store), self.path());
        default_logstore(
            Arc::new(folder),
            Arc::clone(&self.store),
            &self.url,
            &StorageConfig::default(),
        )
    }

    /// The same folder under an address that no other store shares. deltalake's scan looks its
    /// store up by address, and two stores may have buckets of the same name.
    pub(crate) fn under_scheme(&self, scheme: &str) -> Self {
        let bucket = self.url.host_str().unwrap_or_default();
        let url = format!("{scheme}://{bucket}{}", self.url.path());
        Self {
            url: Url::parse(&url).unwrap_or_else(|_| self.url.clone()),
            ..self.clone()
        }
    }

    /// A folder of this machine, which need not exist yet.
    ///
    /// # Errors
    /// The path can't be made absolute.
    pub fn local(folder: &std::path::Path) -> std::io::Result<Self> {
        let folder = std::path::absolute(folder)?;
        let url = Url::from_directory_path(&folder).map_err(|()| {
            std::io::Error::new(
                std::io::ErrorKind::InvalidInput,
                format!("`{}` is not a path of a folder", folder.display()),
            )
        })?;
        let store = object_store::local::LocalFileSystem::new();
        Ok(Self::new(url, Arc::new(store)))
    }
}

/// An earlier state of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum At {
    /// By the number of the commit, counted from 0.
    Version(u64),
    /// The newest version that was committed at this time or before.
    Timestamp(chrono::DateTime<chrono::Utc>),
}

impl At {
    /// Reads `12`, `2026-03-01` or `2026-03-01T09:30:00Z`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(version) = text.parse() {
            return Some(Self::Version(version));
        }
        if let Ok(time) = chrono::DateTime::parse_from_rfc3339(text) {
            return Some(Self::Timestamp(time.to_utc()));
        }
        let day = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        Some(Self::Timestamp(
            day.and_time(chrono::NaiveTime::MIN).and_utc(),
        ))
    }
}
