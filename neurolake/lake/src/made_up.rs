//! Made-up data for a declared catalog, so that every table of a lake can be tried on a laptop.
//!
//! [`fn@write`] fills a folder: buckets as folders (`buckets/BUCKET/PATH` for Delta and Parquet tables
//! and the files that blobs point at) and copies of relational tables and sheets
//! (`copies/DATABASE.TABLE.parquet`), as the stores `local` and `copies` of `neurolake.toml` read
//! them. Values are guessed from the declaration: type, unit, documentation, links between
//! columns, example. A crate of declarations may say better with [`crate::recipe!`].
//!
//! The same catalog, seed and size give the same rows, in Parquet files with the same bytes. What
//! was written is listed in `made-up.json` beside it; nothing else in the folder is ever touched.
//!
//! Read in this order: [`Options`], [`Maker`] (what a recipe talks to), `guess` (what is made up
//! without one), `files` (from rows to files).

mod cell;
mod files;
mod guess;
mod maker;
pub mod picture;
mod random;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::StreamExt;
use neurolake_model::{Catalog, Source, Table};
use neurolake_query::stores::DEFAULT;
use neurolake_query::{ObjectStoreSettings, Store, Stores};
use serde::{Deserialize, Serialize};

pub use cell::{Cell, Row};
pub use guess::{DAY, day, day_text, time};
pub use maker::{Maker, Recipe, blob};
pub use random::Random;

/// Changes whenever this program would make up something else, so that old data is made again.
const FORMAT: u32 = 1;

/// The list of what was written.
const LIST: &str = "made-up.json";

/// How much to make up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// 1 is for a laptop: a few hundred thousand rows in the demo lake.
    pub size: f64,
    /// Another seed gives other values.
    pub seed: u64,
    /// Make up again what is there already, changes to it included.
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
    /// Something is in the way.
    #[error(
        "{} was not made by this program and is left alone; choose an empty folder, or move it away",
        .path.display()
    )]
    Foreign {
        /// The file or folder.
        path: PathBuf,
    },
    /// There is data of another seed or size.
    #[error(
        "{} holds data of seed {seed} and size {size}; use them, choose another folder, or make it up again by force (changes made to it since are lost)",
        .folder.display()
    )]
    Different {
        /// The folder.
        folder: PathBuf,
        /// Its seed.
        seed: u64,
        /// Its size.
        size: f64,
    },
    /// The size is not a positive number.
    #[error("the size of made-up data must be a number above 0 and at most 10000, not {0}")]
    Size(f64),
    /// Two processes at once.
    #[error("another process is making up data in {}; wait for it", .0.display())]
    Busy(PathBuf),
    /// The list can't be read.
    #[error("{} is not a list of made-up data; choose another folder, or move it away", .path.display())]
    List {
        /// The list.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A file or folder can't be written.
    #[error("{} can't be written", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A Parquet file can't be written.
    #[error("{} can't be written", .path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// A Delta table can't be written.
    #[error(transparent)]
    Delta(#[from] neurolake_delta::Error),
    /// Values don't fit their column.
    #[error("{column} can't hold what was made up for it")]
    Value {
        /// The column.
        column: String,
        /// Why.
        #[source]
        source: arrow::error::ArrowError,
    },
    /// A recipe is wrong about its table.
    #[error("the recipe doesn't fit the declaration: {0}")]
    Recipe(String),
    /// Names the table.
    #[error("no data could be made up for {table}")]
    Table {
        /// `database.table`
        table: String,
        /// Why.
        #[source]
        source: Box<Error>,
    },
    /// A thread died.
    #[error("the work on a table was cut off")]
    CutOff(#[from] tokio::task::JoinError),
}

impl Error {
    fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}

/// What was written, or is about to be.
#[derive(Debug, Serialize, Deserialize)]
struct List {
    made_by: String,
    format: u32,
    seed: u64,
    size: f64,
    tables: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    /// Of the declaration.
    digest: String,
    /// `None` until the table is complete.
    rows: Option<u64>,
    /// Relative to the folder.
    paths: BTreeSet<PathBuf>,
}

impl List {
    fn load(folder: &Path) -> Result<Option<Self>, Error> {
        let path = folder.join(LIST);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::io(&path, source)),
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|source| Error::List { path, source })
    }

    fn save(&self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(LIST);
        let new = folder.join(format!("{LIST}.new"));
        let text = serde_json::to_string_pretty(self).map_err(|source| Error::List {
            path: path.clone(),
            source,
        })?;
        fs::write(&new, text + "\n").map_err(|source| Error::io(&new, source))?;
        fs::rename(&new, &path).map_err(|source| Error::io(&path, source))
    }
}

/// One table to be made.
struct Job {
    name: String,
    database: String,
    table: String,
    digest: String,
    place: PathBuf,
}

/// Makes up data for every stored table of a catalog.
///
/// Tables that are complete are kept, half-written ones and those whose declaration changed are
/// made again. `progress` is called after each table.
///
/// # Errors
/// See [`Error`]. Whatever was finished before is kept and found by the next call.
pub async fn write(
    catalog: &Catalog,
    folder: &Path,
    options: &Options,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Summary, Error> {
    if !(options.size > 0.0 && options.size <= 10_000.0) {
        return Err(Error::Size(options.size));
    }
    fs::create_dir_all(folder).map_err(|source| Error::io(folder, source))?;
    let lock = Arc::new(lock(folder)?);
    let mut list = open_list(folder, options)?;
    let jobs = jobs(catalog);
    check(folder, &list, &jobs)?;

    let mut summary = Summary::default();
    let tables = jobs.len();
    let catalog = Arc::new(catalog.clone());
    let mut work = Vec::new();
    for job in jobs {
        match list.tables.get(&job.name) {
            Some(Entry {
                digest,
                rows: Some(rows),
                paths,
            }) if *digest == job.digest
                && !options.force
                && paths.iter().all(|path| folder.join(path).exists()) =>
            {
                summary.rows.insert(job.name.clone(), *rows);
                summary.kept += 1;
                progress(Progress {
                    table: job.name,
                    rows: *rows,
                    done: summary.rows.len(),
                    tables,
                });
            }
            _ => work.push(job),
        }
    }
    // Each table is listed before it is written, so that a kill leaves nothing unknown.
    let list = Arc::new(tokio::sync::Mutex::new(&mut list));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let mut running = futures::stream::iter(work.into_iter().map(|job| {
        let (catalog, list, options) = (Arc::clone(&catalog), Arc::clone(&list), *options);
        let lock = Arc::clone(&lock);
        async move {
            let name = job.name.clone();
            let made = make(&catalog, folder, &options, job, &list, lock).await;
            made.map(|rows| (name.clone(), rows))
                .map_err(|source| Error::Table {
                    table: name,
                    source: Box::new(source),
                })
        }
    }))
    .buffer_unordered(workers);
    while let Some(made) = running.next().await {
        let (table, rows) = made?;
        summary.rows.insert(table.clone(), rows);
        progress(Progress {
            table,
            rows,
            done: summary.rows.len(),
            tables,
        });
    }
    Ok(summary)
}

/// Stores that read what [`fn@write`] made in this folder: one for each that the catalog names.
pub fn stores(catalog: &Catalog, folder: &Path) -> Stores {
    let mut stores = Stores::default();
    for (_, table) in catalog.tables() {
        let store = match &table.source {
            Source::Delta { .. } | Source::Parquet { .. } => Store::Objects(ObjectStoreSettings {
                local: Some(folder.join("buckets")),
                ..ObjectStoreSettings::default()
            }),
            Source::Postgres { .. } | Source::Sheet { .. } => Store::Copies {
                folder: folder.join("copies"),
            },
            Source::Sql { .. } | Source::Function { .. } => continue,
        };
        let name = table.store.as_deref().unwrap_or(DEFAULT);
        stores.by_name.entry(name.to_owned()).or_insert(store);
    }
    stores
}

/// Held while data is made up.
fn lock(folder: &Path) -> Result<fs::File, Error> {
    let path = folder.join(".made-up.lock");
    let file = fs::File::create(&path).map_err(|source| Error::io(&path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(Error::Busy(folder.to_owned())),
        Err(fs::TryLockError::Error(source)) => Err(Error::io(&path, source)),
    }
}

fn open_list(folder: &Path, options: &Options) -> Result<List, Error> {
    let fresh = List {
        made_by: format!("neurolake {}", env!("CARGO_PKG_VERSION")),
        format: FORMAT,
        seed: options.seed,
        size: options.size,
        tables: BTreeMap::new(),
    };
    let Some(old) = List::load(folder)? else {
        return Ok(fresh);
    };
    let same = old.seed == options.seed && old.size.to_bits() == options.size.to_bits();
    let complete = old.tables.values().any(|entry| entry.rows.is_some());
    if !same && complete && !options.force {
        return Err(Error::Different {
            folder: folder.to_owned(),
            seed: old.seed,
            size: old.size,
        });
    }
    Ok(List {
        tables: old.tables,
        ..fresh
    })
}

fn jobs(catalog: &Catalog) -> Vec<Job> {
    let mut places = BTreeSet::new();
    let mut jobs = Vec::new();
    for (database, table) in catalog.tables() {
        let Some(place) = files::place(&database.name, table) else {
            continue;
        };
        // Two declarations may read the same files; the first one decides.
        if places.insert(place.clone()) {
            jobs.push(Job {
                name: format!("{}.{}", database.name, table.name),
                database: database.name.clone(),
                table: table.name.clone(),
                digest: digest(table),
                place,
            });
        }
    }
    jobs
}

/// Of everything that decides about the stored rows.
fn digest(table: &Table) -> String {
    let text = format!(
        "{FORMAT} {:?} {:?} {:?} {:?} {:?}",
        table.source, table.columns, table.partition_by, table.sort_by, table.example
    );
    format!("{:016x}", random::hash(text.bytes()))
}

/// Refuses before anything is written.
fn check(folder: &Path, list: &List, jobs: &[Job]) -> Result<(), Error> {
    for job in jobs {
        refuse_foreign(folder, list, &job.place)?;
    }
    Ok(())
}

fn refuse_foreign(folder: &Path, list: &List, path: &Path) -> Result<(), Error> {
    let known = list.tables.values().any(|entry| entry.paths.contains(path));
    let full = folder.join(path);
    if !known && full.symlink_metadata().is_ok() && !is_empty_folder(&full) {
        return Err(Error::Foreign { path: full });
    }
    Ok(())
}

fn is_empty_folder(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

async fn make(
    catalog: &Arc<Catalog>,
    folder: &Path,
    options: &Options,
    job: Job,
    list: &tokio::sync::Mutex<&mut List>,
    lock: Arc<fs::File>,
) -> Result<u64, Error> {
    let (seed, size) = (options.seed, options.size);
    let mut paths = BTreeSet::from([job.place.clone()]);
    {
        let mut list = list.lock().await;
        if let Some(old) = list.tables.get(&job.name) {
            for path in &old.paths {
                remove(&folder.join(path))?;
            }
        }
        announce(&mut list, &job, &paths, None);
        list.save(folder)?;
    }
    let (catalog, full) = (Arc::clone(catalog), folder.join(&job.place));
    let (database, table) = (job.database.clone(), job.table.clone());
    let task = tokio::spawn(async move {
        // Whoever gives up on us must not find the folder free while we still write.
        let _lock = lock;
        let Some(declared) = catalog.table(&database, &table) else {
            return Ok((0, Vec::new()));
        };
        let mut maker = rows_of(&catalog, &database, declared, seed, size)?;
        let blobs = std::mem::take(&mut maker.files);
        let rows = files::write(&full, declared, maker).await?;
        Ok::<_, Error>((rows, blobs))
    });
    let (rows, blobs) = AbortOnDrop(task).await??;

    let mut list = list.lock().await;
    let blobs: Vec<(PathBuf, Vec<u8>)> = blobs
        .into_iter()
        .map(|(uri, content)| (files::below_buckets(&uri), content))
        .collect();
    if !blobs.is_empty() {
        for (path, _) in &blobs {
            refuse_foreign(folder, &list, path)?;
        }
        paths.extend(blobs.iter().map(|(path, _)| path.clone()));
        announce(&mut list, &job, &paths, None);
        list.save(folder)?;
        for (path, content) in blobs {
            let path = folder.join(path);
            let parent = path.parent().unwrap_or(folder);
            fs::create_dir_all(parent).map_err(|source| Error::io(parent, source))?;
            fs::write(&path, content).map_err(|source| Error::io(&path, source))?;
        }
    }
    announce(&mut list, &job, &paths, Some(rows));
    list.save(folder)?;
    Ok(rows)
}

/// A task that ends, at its next pause, when nobody waits for it any more.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T, tokio::task::JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn announce(list: &mut List, job: &Job, paths: &BTreeSet<PathBuf>, rows: Option<u64>) {
    let entry = Entry {
        digest: job.digest.clone(),
        rows,
        paths: paths.clone(),
    };
    list.tables.insert(job.name.clone(), entry);
}

fn rows_of<'a>(
    catalog: &'a Catalog,
    database: &str,
    table: &'a Table,
    seed: u64,
    size: f64,
) -> Result<Maker<'a>, Error> {
    let name = format!("{database}.{}", table.name);
    let mut maker = Maker::new(catalog, database, table, seed, size);
    let recipe = inventory::iter::<Recipe>
        .into_iter()
        .find(|recipe| recipe.table == name);
    match recipe {
        Some(recipe) => (recipe.make)(&mut maker),
        None => maker.guess(),
    }
    maker.finish();
    match maker.problem.take() {
        Some(problem) => Err(Error::Recipe(problem)),
        None => Ok(maker),
    }
}

fn remove(path: &Path) -> Result<(), Error> {
    let removed = match path.symlink_metadata() {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    removed.map_err(|source| Error::io(path, source))
}
