//! Where a table lies, and which of its versions is meant.

use std::sync::Arc;

use object_store::ObjectStore;
use url::Url;

/// The root folder of a table.
#[derive(Debug, Clone)]
pub struct Location {
    /// Address of the folder. Its path is looked up in `store`.
    pub url: Url,
    /// The bucket (or the file system) that holds the folder, rooted at the bucket.
    pub store: Arc<dyn ObjectStore>,
}

impl Location {
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
        Ok(Self {
            url,
            store: Arc::new(object_store::local::LocalFileSystem::new()),
        })
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
