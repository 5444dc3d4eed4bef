//! One version of a table.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use chrono::{DateTime, Utc};
use datafusion::catalog::TableProvider;
use deltalake::kernel::engine::arrow_conversion::TryIntoArrow;
use deltalake::{DeltaTable, DeltaTableError};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::OnceCell;

use crate::error::{Error, Result};
use crate::fallback::Fallback;
use crate::files::{self, Files};
use crate::history::{self, CommitFile, Transaction};
use crate::location::Location;

/// What a reader may see in a protocol and still read the files as they are.
const PLAIN_FEATURES: &[&str] = &[
    // Only ways to write a log.
    "v2Checkpoint",
    "vacuumProtocolCheck",
    "inCommitTimestamp",
    // A type; and old files that are cast to it.
    "timestampNtz",
    "typeWidening",
    "typeWidening-preview",
    // These two are looked at more closely.
    "columnMapping",
    "deletionVectors",
];

/// One version of a table. Nothing in it changes; keep it as long as a statement runs.
pub struct Snapshot {
    location: Location,
    table: Erased,
    version: u64,
    time: Option<DateTime<Utc>>,
    schema: SchemaRef,
    file_schema: SchemaRef,
    commit: Option<CommitFile>,
    adds: OnceLock<Result<Adds>>,
    files: OnceLock<Result<Arc<Files>>>,
    /// By application, for those that were asked for.
    ingested: Mutex<HashMap<String, Arc<OnceCell<u64>>>>,
    /// By application.
    earlier: HashMap<String, Earlier>,
}

/// How far an earlier version had taken a queue.
#[derive(Debug, Clone, Copy)]
struct Earlier {
    version: u64,
    ingested: u64,
}

/// Commits that are read one by one to learn what became of an earlier version's transaction. With
/// more, reading the log as a whole is the smaller work.
const FOLLOWED: u64 = 64;

/// deltalake's table behind a pointer that hides its type. Whether a future can be sent is decided
/// for each async function anew, and deltalake's state has so many types that every function which
/// touches a lake would take seconds to compile.
#[derive(Clone)]
pub(crate) struct Erased(Arc<dyn Any + Send + Sync>);

impl Erased {
    pub(crate) fn new(table: DeltaTable) -> Self {
        Self(Arc::new(table))
    }

    pub(crate) fn get(&self) -> &DeltaTable {
        let table = self.0.downcast_ref();
        table.expect("nothing else is ever put in")
    }
}

/// deltalake's table of files, and why the files can't be read as they are.
struct Adds {
    batch: RecordBatch,
    special: Option<String>,
}

impl Snapshot {
    /// Opens the newest version, or the given one.
    pub(crate) async fn open(
        location: &Location,
        private: &Location,
        version: Option<u64>,
    ) -> Result<Self> {
        let mut table = DeltaTable::new(private.log_store());
        let loaded = match version {
            Some(version) => table.load_version(version).await,
            None => table.load().await,
        };
        loaded.map_err(|source| log_error(location, source))?;
        Self::of(location, table).await
    }

    /// The version after this one that is the newest, put together from the commits between.
    pub(crate) async fn update(&self, location: &Location) -> Result<Self> {
        let mut table = self.table.get().clone();
        table
            .update_incremental(None)
            .await
            .map_err(|source| log_error(location, source))?;
        Ok(Self {
            earlier: self.known(),
            ..Self::of(location, table).await?
        })
    }

    async fn of(location: &Location, table: DeltaTable) -> Result<Self> {
        let broken = |source| log_error(location, source);
        let state = table.snapshot().map_err(broken)?;
        let schema: Schema = state
            .schema()
            .as_ref()
            .try_into_arrow()
            .map_err(|source| broken(DeltaTableError::Arrow { source }))?;
        let schema = Arc::new(schema);
        let (_, file_schema) = files::split(&schema, state.metadata().partition_columns())
            .map_err(|source| broken(DeltaTableError::Arrow { source }))?;
        let version = state.version();
        let commit = history::commit_file(location, version).await?;
        Ok(Self {
            location: location.clone(),
            version,
            time: commit.as_ref().map(|commit| commit.time),
            schema,
            file_schema,
            commit,
            table: Erased::new(table),
            adds: OnceLock::new(),
            files: OnceLock::new(),
            ingested: Mutex::default(),
            earlier: HashMap::new(),
        })
    }

    /// Address of the table's folder.
    pub fn url(&self) -> &str {
        self.location.url.as_str()
    }

    /// The number of the commit, counted from 0.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// When it was committed. `None` if that commit is no longer there.
    pub fn time(&self) -> Option<DateTime<Utc>> {
        self.time
    }

    /// The stored schema: columns of files and partition columns, in the order of the table.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The stored schema without partition columns.
    pub fn file_schema(&self) -> &SchemaRef {
        &self.file_schema
    }

    /// Names of the partition columns, in the order of partitioning.
    pub fn partition_columns(&self) -> &[String] {
        self.metadata(deltalake::kernel::Metadata::partition_columns)
            .unwrap_or_default()
    }

    /// What stays the same from version to version, and differs in a table made anew.
    pub fn table_id(&self) -> &str {
        self.metadata(deltalake::kernel::Metadata::id)
            .unwrap_or_default()
    }

    fn metadata<'a, T>(
        &'a self,
        read: impl FnOnce(&'a deltalake::kernel::Metadata) -> T,
    ) -> Option<T> {
        self.table
            .get()
            .snapshot()
            .ok()
            .map(|state| read(state.metadata()))
    }

    /// Tells the version from others, also from one of the same number in a table that was made anew.
    /// The same in every process.
    pub fn tag(&self) -> String {
        match &self.commit {
            Some(commit) => format!("{}-{commit:?}", self.version),
            None => self.version.to_string(),
        }
    }

    pub(crate) fn commit(&self) -> Option<&CommitFile> {
        self.commit.as_ref()
    }

    /// The live files with what is known about them. Made when first asked for.
    ///
    /// # Errors
    /// The log contradicts itself.
    pub fn files(&self) -> Result<Arc<Files>> {
        let files = self.files.get_or_init(|| {
            let adds = self.adds()?;
            Files::new(
                &self.location.path(),
                &self.schema,
                self.partition_columns(),
                &adds.batch,
            )
            .map(Arc::new)
            .map_err(|source| Error::Files {
                url: self.url().to_owned(),
                source: Arc::new(source),
            })
        });
        files.clone()
    }

    /// Whether [`Snapshot::files`] was asked for.
    pub(crate) fn has_files(&self) -> bool {
        self.files.get().is_some()
    }

    /// How far this version has taken a queue: the last offset whose rows it holds, by the
    /// transaction of the queue's application (see [`crate::ingested_by`]). 0 if there is none.
    ///
    /// deltalake reads the log for it, which takes longer the more commits there are. That is done
    /// once for a table, when first asked; versions after it read the commits between.
    ///
    /// # Errors
    /// The log can't be read.
    pub async fn ingested(&self, application: &str) -> Result<u64> {
        let cell = Arc::clone(self.cells().entry(application.to_owned()).or_default());
        let ingested = cell.get_or_try_init(|| async {
            match self.ingested_since(application).await? {
                Some(ingested) => Ok(ingested),
                None => self.ingested_by_log(application).await,
            }
        });
        ingested.await.copied()
    }

    fn cells(&self) -> MutexGuard<'_, HashMap<String, Arc<OnceCell<u64>>>> {
        // Nothing can panic while the map is held.
        self.ingested.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks what was asked of a version before, so that no query has to wait for it. Should it
    /// fail, whoever asks tries again.
    pub(crate) async fn follow(&self, earlier: &Self) {
        for application in earlier.known().into_keys() {
            let _ = self.ingested(&application).await;
        }
    }

    fn known(&self) -> HashMap<String, Earlier> {
        let mut known = self.earlier.clone();
        for (application, cell) in self.cells().iter() {
            if let Some(ingested) = cell.get() {
                let here = Earlier {
                    version: self.version,
                    ingested: *ingested,
                };
                known.insert(application.clone(), here);
            }
        }
        known
    }

    /// What the commits after an earlier version say. `None`: they don't.
    async fn ingested_since(&self, application: &str) -> Result<Option<u64>> {
        let Some(earlier) = self.earlier.get(application) else {
            return Ok(None);
        };
        if self.version - earlier.version > FOLLOWED {
            return Ok(None);
        }
        // Newest first: a commit of a table that takes events mostly has the transaction.
        for version in (earlier.version + 1..=self.version).rev() {
            match history::transaction(&self.location, version, application).await? {
                Transaction::Version(offset) => return Ok(Some(offset_of(offset))),
                Transaction::Nothing => {}
                Transaction::Unknown => return Ok(None),
            }
        }
        Ok(Some(earlier.ingested))
    }

    /// Boxed, so that no caller's future holds deltalake's state.
    fn ingested_by_log<'a>(&'a self, application: &'a str) -> BoxFuture<'a, Result<u64>> {
        async move {
            let table = self.table.get();
            let broken = |source| log_error(&self.location, source);
            let state = table.snapshot().map_err(broken)?;
            let log = table.log_store();
            let version = state.transaction_version(log.as_ref(), application).await;
            Ok(version.map_err(broken)?.map_or(0, offset_of))
        }
        .boxed()
    }

    /// Why the files alone are not the table; read it with [`Snapshot::fallback_provider`] then.
    ///
    /// # Errors
    /// As [`Snapshot::files`].
    pub fn fallback_reason(&self) -> Result<Option<String>> {
        match self.special_protocol() {
            Some(reason) => Ok(Some(reason)),
            None => Ok(self.adds()?.special.clone()),
        }
    }

    /// deltalake's own scan. Its plan can't be sent to other machines.
    ///
    /// # Errors
    /// The table uses something that deltalake can't read either.
    pub fn fallback_provider(&self) -> Result<Arc<dyn TableProvider>> {
        let provider = Fallback::new(self.table.get()).map_err(|source| Error::Unsupported {
            url: self.url().to_owned(),
            reason: self
                .special_protocol()
                .unwrap_or_else(|| "something unknown".into()),
            source: Arc::new(source),
        })?;
        Ok(Arc::new(provider))
    }

    fn special_protocol(&self) -> Option<String> {
        let state = self.table.get().snapshot().ok()?;
        let protocol = state.protocol();
        let unknown = |feature: &&str| !PLAIN_FEATURES.contains(feature);
        let features = protocol.reader_features().unwrap_or_default();
        if let Some(feature) = features.iter().map(AsRef::as_ref).find(unknown) {
            return Some(format!("the table feature `{feature}`"));
        }
        if protocol.min_reader_version() > 3 {
            return Some(format!(
                "version {} of the protocol",
                protocol.min_reader_version()
            ));
        }
        let mapping = state
            .metadata()
            .configuration()
            .get("delta.columnMapping.mode");
        if let Some(mode) = mapping.filter(|mode| *mode != "none") {
            return Some(format!("column mapping by {mode}"));
        }
        let binary = |name: &&String| {
            let field = self
                .schema
                .field_with_name(name)
                .map(arrow::datatypes::Field::data_type);
            matches!(field, Ok(DataType::Binary))
        };
        let binary = self.partition_columns().iter().find(binary)?;
        Some(format!("the binary partition column `{binary}`"))
    }

    fn adds(&self) -> Result<&Adds> {
        let adds = self.adds.get_or_init(|| {
            let state = self.table.get().snapshot();
            let batch = state.and_then(|state| state.add_actions_table(false));
            let batch = batch.map_err(|source| Error::Log {
                url: self.url().to_owned(),
                source: Arc::new(source),
            })?;
            let special = if files::has_deletion_vectors(&batch) {
                Some("deletion vectors".to_owned())
            } else if files::has_foreign_files(&batch) {
                Some("files outside of its folder".to_owned())
            } else {
                None
            };
            Ok(Adds { batch, special })
        });
        adds.as_ref().map_err(Clone::clone)
    }
}

/// No queue counts below zero.
fn offset_of(version: i64) -> u64 {
    u64::try_from(version).unwrap_or(0)
}

pub(crate) fn log_error(location: &Location, source: DeltaTableError) -> Error {
    let url = location.url.to_string();
    // deltalake takes a folder that is missing for a broken one.
    let folder = location.local_path("_delta_log");
    if folder.is_some_and(|folder| !folder.exists()) {
        return Error::NotATable { url };
    }
    match source {
        DeltaTableError::NotATable(_) => Error::NotATable { url },
        DeltaTableError::ObjectStore { source } => Error::Store {
            url,
            source: Arc::new(source),
        },
        source => Error::Log {
            url,
            source: Arc::new(source),
        },
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("url", &self.url())
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
