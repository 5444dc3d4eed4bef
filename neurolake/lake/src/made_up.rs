//! Made-up data for a declared catalog, so that every table of a lake can be tried on a laptop.

use std::collections::BTreeMap;
use std::path::Path;

use neurolake_model::Catalog;

/// How much to make up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// 1 is for a laptop.
    pub size: f64,
    /// Another seed gives other values.
    pub seed: u64,
    /// Make up again what is there already.
    pub force: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            size: 1.0,
            seed: 1,
            force: false,
        }
    }
}

/// A table that is finished.
#[derive(Debug, Clone)]
pub struct Progress {
    /// `database.table`
    pub table: String,
    /// Its rows.
    pub rows: u64,
    /// Tables finished so far.
    pub done: usize,
    /// Tables in all.
    pub tables: usize,
}

/// What is in the folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Rows by table, `database.table`.
    pub rows: BTreeMap<String, u64>,
    /// Tables that were complete already and were left alone.
    pub kept: usize,
}

impl Summary {
    /// Rows of all tables.
    pub fn total(&self) -> u64 {
        self.rows.values().sum()
    }
}

/// Why data could not be made up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not built in.
    #[error("this build can't make up data")]
    Missing,
}

/// Fills a folder.
///
/// # Errors
/// Always, in this build.
pub async fn write(
    _catalog: &Catalog,
    _folder: &Path,
    _options: &Options,
    _progress: &(dyn Fn(Progress) + Sync),
) -> Result<Summary, Error> {
    std::future::ready(Err(Error::Missing)).await
}
