//! The log of one table, followed and continued by ourselves.
//!
//! deltalake opens the table once. From then on each commit of somebody else is read when it is in
//! the way, and a commit of ours is put as the next version if there is none: two requests, however
//! long the log and however many files are live. deltalake would put a snapshot of all live files
//! together before each commit, and list the whole log after it.
//!
//! What happened to a commit is never concluded from an error: the store may have done what it
//! didn't answer. The log itself is read, and the commit's id and the table's transactions decide.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use bytes::Bytes;
use deltalake::kernel::engine::arrow_conversion::{TryIntoArrow, TryIntoKernel};
use deltalake::kernel::{Add, Metadata, MetadataExt, Remove, StructType};
use deltalake::writer::{DeltaWriter, RecordBatchWriter};
use deltalake::{DeltaTable, DeltaTableError};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use neurolake_model::Table;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::commits::{self, Put};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::snapshot::{Erased, log_error};
use crate::time::{self, Instant};
use crate::types::arrow_schema;

/// Tells the time, for what is written into logs.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// After so long without a look, commits that are missing may have been cleaned up: the table is
/// opened again. Far below the shortest retention of logs that maintenance allows.
const STALE: Duration = Duration::from_mins(10);
/// How often a commit is tried. Whoever loses has read what won, so that each try is a new race.
const MOST_TRIES: u32 = 50;
/// How often the same request is sent to a store that fails.
const MOST_FAILURES: u32 = 6;
/// How many files are put at the same time.
const MOST_PUTS: usize = 8;
/// Bytes that even a slow line takes in a second.
const SLOWEST: u64 = 1 << 20;

/// How a log is written.
#[derive(Clone)]
pub struct LogOptions {
    /// Tells the time.
    pub clock: Clock,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemTime::now),
        }
    }
}

impl fmt::Debug for LogOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogOptions").finish_non_exhaustive()
    }
}

/// One table's log, as far as it has been read.
pub struct Log {
    location: Location,
    options: LogOptions,
    /// As of when it was opened, or its schema changed.
    table: Erased,
    schema: SchemaRef,
    partition_columns: Vec<String>,
    version: u64,
    /// What the table is was changed by a commit that was read: it must be opened as of `version`.
    is_outdated: bool,
    /// Transactions as of `version`, of the applications that were asked for or seen.
    transactions: HashMap<String, Option<i64>>,
    looked: Looked,
}

/// When the end of the log was last seen. Two clocks: one stands still while a machine sleeps, the
/// other can be set.
#[derive(Clone, Copy)]
struct Looked(Instant, SystemTime);

/// Files that are written, but stand in no commit yet.
#[derive(Debug, Clone, Default)]
pub struct DataFiles(pub(crate) Vec<Add>);

impl DataFiles {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes others in.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Bytes of all together.
    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|add| add.size.cast_unsigned()).sum()
    }
}

/// What a commit does.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// Files that come.
    pub(crate) adds: DataFiles,
    /// Files that go. The commit fails if one of them is gone already.
    pub(crate) removes: Vec<Remove>,
    /// The version in which all of them were there.
    pub(crate) planned_at: u64,
    /// What happens once only.
    pub(crate) transaction: Option<Transaction>,
    pub(crate) metadata: Option<Metadata>,
    /// The operation's name in the history, such as `WRITE`.
    pub(crate) operation: &'static str,
}

impl Change {
    /// Files that come, in one step of an application.
    pub fn append(adds: DataFiles, step: Transaction) -> Self {
        Self {
            adds,
            transaction: Some(step),
            operation: "WRITE",
            ..Self::default()
        }
    }

    /// Files that hold the rows of others, which were all there in the version `planned_at`.
    pub(crate) fn rewrite(
        adds: DataFiles,
        removes: Vec<Remove>,
        planned_at: u64,
        step: Transaction,
    ) -> Self {
        Self {
            adds,
            removes,
            planned_at,
            transaction: Some(step),
            operation: "OPTIMIZE",
            ..Self::default()
        }
    }
}

/// A step of an application. The commit happens only if the table stands where the step begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// Who makes steps.
    pub application: String,
    /// Where the step begins: the version of the application's last transaction.
    pub from: Option<i64>,
    /// Where it ends.
    pub to: i64,
}

/// A commit that is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The version; for a change that was there already, one that has it.
    pub version: u64,
    /// The transaction was there already: nothing was committed. The change's files are unused,
    /// unless they were committed by an attempt before that had no answer.
    pub was_there: bool,
}

/// What somebody else's commit did, as far as it matters here.
#[derive(Debug)]
struct Seen {
    version: u64,
    id: Option<String>,
    transactions: Vec<(String, i64)>,
    removes: Vec<String>,
    is_other_table: bool,
}

impl Log {
    /// Opens a table.
    ///
    /// # Errors
    /// There is none, it can't be read, or it has features that a writer must honour and this one
    /// doesn't know.
    pub async fn open(location: &Location, options: &LogOptions) -> Result<Self> {
        Self::open_at(location, options, None).await
    }

    async fn open_at(
        location: &Location,
        options: &LogOptions,
        version: Option<u64>,
    ) -> Result<Self> {
        let looked = Looked(Instant::now(), (options.clock)());
        let folder = location.local_path("_delta_log");
        if folder.is_some_and(|folder| !folder.exists()) {
            // deltalake takes a folder that is missing for a broken one.
            return Err(Error::NotATable {
                url: location.url.to_string(),
            });
        }
        let mut table = DeltaTable::new(location.log_store());
        let load = async {
            match version {
                Some(version) => table.load_version(version).await,
                None => table.load().await,
            }
        };
        let loaded = time::timeout(commits::PATIENCE * 4, time::elsewhere(load)).await;
        loaded
            .unwrap_or_else(|_| Err(DeltaTableError::generic("no answer in time")))
            .map_err(|source| log_error(location, source))?;
        let broken = |source| log_error(location, source);
        let state = table.snapshot().map_err(broken)?;
        if let Some(reason) = unwritable(&table) {
            return Err(Error::CantWrite {
                url: location.url.to_string(),
                reason,
            });
        }
        let schema: Schema = state
            .schema()
            .as_ref()
            .try_into_arrow()
            .map_err(|source| broken(DeltaTableError::Arrow { source }))?;
        Ok(Self {
            version: state.version(),
            schema: Arc::new(schema),
            partition_columns: state.metadata().partition_columns().to_vec(),
            location: location.clone(),
            options: options.clone(),
            table: Erased::new(table),
            is_outdated: false,
            transactions: HashMap::new(),
            looked,
        })
    }

    /// Opens a table, or makes an empty one. `schema` holds the partition columns too.
    ///
    /// # Errors
    /// As [`Log::open`], or a type has no counterpart in Delta.
    pub async fn open_or_create(
        location: &Location,
        schema: &Schema,
        partition_by: &[String],
        options: &LogOptions,
    ) -> Result<Self> {
        match Self::open(location, options).await {
            Err(Error::NotATable { .. }) => {}
            opened => return opened,
        }
        let content = first_commit(schema, partition_by, options)
            .map_err(|source| write_error(location, source))?;
        for failures in 1.. {
            match location.commits.put(location, 0, content.clone()).await {
                Ok(Put::Done | Put::Taken) => break,
                Err(source) if failures >= MOST_FAILURES => return Err(unclear(location, source)),
                Err(_) => back_off(failures).await,
            }
        }
        if let Some(log) = location.local_path("_delta_log") {
            sync(vec![log.join(format!("{:020}.json", 0)), log])
                .await
                .map_err(|source| unclear(location, local(source)))?;
        }
        Self::open(location, options).await
    }

    /// Opens a table as it is declared: makes it if it isn't there, and adds columns that it lacks.
    ///
    /// # Errors
    /// As [`Log::open_or_create`] and [`Log::add_columns`].
    pub async fn open_declared(
        location: &Location,
        table: &Table,
        options: &LogOptions,
    ) -> Result<Self> {
        let declared = arrow_schema(&table.columns);
        let partitions: Vec<String> = table
            .partition_by
            .iter()
            .map(|partition| partition.name.clone())
            .collect();
        let mut log = Self::open_or_create(location, &declared, &partitions, options).await?;
        log.add_columns(&declared).await?;
        Ok(log)
    }

    /// The newest version that was read or written.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The stored schema, with the partition columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Names of the partition columns, in the order of partitioning.
    pub fn partition_columns(&self) -> &[String] {
        &self.partition_columns
    }

    /// Where the table lies.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Where an application stands, as of [`Log::version`].
    ///
    /// # Errors
    /// The log can't be read.
    pub async fn transaction(&mut self, application: &str) -> Result<Option<i64>> {
        if let Some(known) = self.transactions.get(application) {
            return Ok(*known);
        }
        // Commits since the table was opened were read one by one: had one of them had this
        // application, it would be known.
        let table = self.table.get();
        let state = table.snapshot();
        let state = state.map_err(|source| log_error(&self.location, source))?;
        let log_store = table.log_store();
        let asked = state.transaction_version(log_store.as_ref(), application);
        let found = time::elsewhere(asked)
            .await
            .map_err(|source| log_error(&self.location, source))?;
        self.transactions.insert(application.to_owned(), found);
        Ok(found)
    }

    /// Reads what others committed since.
    ///
    /// # Errors
    /// The log can't be read.
    pub async fn refresh(&mut self) -> Result<()> {
        match self.is_stale() || !self.follow(&mut Vec::new()).await? {
            true => self.reopen().await,
            false => Ok(()),
        }
    }

    fn is_stale(&self) -> bool {
        let Looked(monotonic, wall) = self.looked;
        let now = (self.options.clock)();
        let by_wall = now.duration_since(wall).unwrap_or(Duration::MAX);
        monotonic.elapsed() >= STALE || by_wall >= STALE
    }

    async fn reopen(&mut self) -> Result<()> {
        *self = Self::open(&self.location, &self.options).await?;
        Ok(())
    }

    /// Reads commits up to the end, into `seen`. A change of the schema opens the table anew.
    /// Returns whether the end is the end: after a long sleep what is missing may have been
    /// cleaned up, and what is there may have come into the past.
    async fn follow(&mut self, seen: &mut Vec<Seen>) -> Result<bool> {
        while !self.is_stale() {
            let looked = Looked(Instant::now(), (self.options.clock)());
            let next = self.version + 1;
            let content = commits::read_commit(&self.location, next).await;
            let content = content.map_err(|source| store_error(&self.location, source))?;
            self.looked = looked;
            let Some(content) = content else {
                break;
            };
            let commit = Seen::read(next, &content).map_err(|source| {
                let source = DeltaTableError::generic(format!("version {next}: {source}"));
                log_error(&self.location, source)
            })?;
            self.version = next;
            self.is_outdated |= commit.is_other_table;
            for (application, version) in &commit.transactions {
                self.transactions
                    .insert(application.clone(), Some(*version));
            }
            seen.push(commit);
        }
        if self.is_outdated {
            // Not the newest: what was committed since has not been seen.
            let table = Self::open_at(&self.location, &self.options, Some(self.version)).await?;
            let transactions = std::mem::take(&mut self.transactions);
            *self = Self {
                transactions,
                looked: self.looked,
                ..table
            };
        }
        Ok(!self.is_stale())
    }

    /// Writes rows as Parquet files with statistics, for each partition its own. They stand in no
    /// commit yet. The rows have the columns of [`Log::schema`].
    ///
    /// # Errors
    /// The rows don't fit, or the store refuses.
    pub async fn write(&self, batches: impl IntoIterator<Item = RecordBatch>) -> Result<DataFiles> {
        let mut writer = self.writer()?;
        for batch in batches {
            writer.write(batch).await?;
        }
        writer.finish().await
    }

    /// Writes rows as they come.
    ///
    /// # Errors
    /// The table can't be written.
    pub fn writer(&self) -> Result<FileWriter> {
        let failed = |source| write_error(&self.location, source);
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .build();
        let finished = Location {
            store: Arc::new(InMemory::new()),
            ..self.location.clone()
        };
        let mut table = DeltaTable::new(finished.log_store());
        table.state.clone_from(&self.table.get().state);
        let writer = RecordBatchWriter::for_table(&table).map_err(failed)?;
        Ok(FileWriter {
            writer: Box::new(writer.with_writer_properties(properties)),
            finished,
            location: self.location.clone(),
        })
    }

    /// Makes the change the next version.
    ///
    /// # Errors
    /// - [`Error::Fenced`]: the application stands elsewhere; somebody else takes its steps.
    /// - [`Error::Conflict`]: a file that goes is gone, or the schema changed: nothing was
    ///   committed.
    /// - [`Error::Unclear`]: the store fails; the commit may have happened or happen later. The
    ///   files must stay. The next commit with the same transaction will know.
    pub async fn commit(&mut self, change: Change) -> Result<Committed> {
        self.sync_files(&change.adds).await?;
        let mut pending = None;
        let committed = self.try_commit(&change, &mut pending).await;
        match (committed, pending) {
            // Nothing else is there yet, so that it may still happen.
            (Err(_), Some((version, source))) if version > self.version => {
                Err(unclear(&self.location, source))
            }
            (committed, _) => committed,
        }
    }

    /// `pending` is an attempt that may have happened, and its version.
    async fn try_commit(
        &mut self,
        change: &Change,
        pending: &mut Option<(u64, object_store::Error)>,
    ) -> Result<Committed> {
        let id = Uuid::new_v4().to_string();
        let content = self.encode(change, &id)?;
        let basis = self.basis(change);
        let mut checked = change.planned_at;
        let mut seen = Vec::new();
        let mut failures = 0;
        for _ in 0..MOST_TRIES {
            if self.is_stale() {
                self.reopen().await?;
            }
            if let Some(there) = self.where_it_stands(change).await? {
                return Ok(there);
            }
            if self.basis(change) != basis {
                return Err(self.conflict("its schema changed"));
            }
            self.refuse_removed(change, &seen, &mut checked).await?;
            let next = self.version + 1;
            let commits = Arc::clone(&self.location.commits);
            let put = commits.put(&self.location, next, content.clone()).await;
            let slept = self.is_stale();
            match put {
                Ok(Put::Done) if !slept => return self.done(next, change).await,
                Ok(Put::Done) => *pending = Some((next, slept_through())),
                Ok(Put::Taken) => {}
                Err(source) => *pending = Some((next, source)),
            }
            // Whatever was answered, what is there decides; but not what is long past.
            let followed = self.follow(&mut seen).await;
            if self.is_stale() {
                continue;
            }
            if let Some(ours) = seen.iter().find(|commit| commit.is(&id)) {
                return self.done(ours.version, change).await;
            }
            match followed {
                Err(Error::Store { .. }) if failures + 1 < MOST_FAILURES => {}
                followed => drop(followed?),
            }
            if self.version < next {
                failures += 1;
                if failures >= MOST_FAILURES && pending.is_some() {
                    break;
                }
                back_off(failures).await;
            }
        }
        Err(self.conflict("others commit all the time"))
    }

    /// What a change was made for.
    fn basis(&self, change: &Change) -> (SchemaRef, Vec<String>, Option<Metadata>) {
        let state = self.table.get().snapshot().ok();
        // It replaces all of it.
        let replaced = state.filter(|_| change.metadata.is_some());
        (
            Arc::clone(&self.schema),
            self.partition_columns.clone(),
            replaced.map(|state| state.metadata().clone()),
        )
    }

    /// Whether the change's step was made already.
    async fn where_it_stands(&mut self, change: &Change) -> Result<Option<Committed>> {
        let Some(step) = &change.transaction else {
            return Ok(None);
        };
        let found = self.transaction(&step.application).await?;
        if found == step.from {
            return Ok(None);
        }
        if found.is_some_and(|found| found >= step.to) {
            return Ok(Some(Committed {
                version: self.version,
                was_there: true,
            }));
        }
        Err(Error::Fenced {
            url: self.location.url.to_string(),
            application: step.application.clone(),
            expected: step.from,
            found,
        })
    }

    async fn done(&mut self, version: u64, change: &Change) -> Result<Committed> {
        // Others may have committed since, and their transactions are newer.
        if self.version < version {
            self.version = version;
            self.looked = Looked(Instant::now(), (self.options.clock)());
            self.is_outdated |= change.metadata.is_some();
            if let Some(step) = &change.transaction {
                let transactions = &mut self.transactions;
                transactions.insert(step.application.clone(), Some(step.to));
            }
        }
        if let Some(log) = self.location.local_path("_delta_log") {
            // It happened; only whether it survives a loss of power is not known.
            let commit = log.join(format!("{version:020}.json"));
            if let Err(error) = sync(vec![commit, log]).await {
                tracing::warn!(table = %self.location.url, %error, "a commit could not be synced");
            }
        }
        if self.is_outdated {
            self.follow(&mut Vec::new()).await?;
        }
        Ok(Committed {
            version,
            was_there: false,
        })
    }

    /// Looks for files that go among those that went in the versions after `checked`.
    async fn refuse_removed(
        &self,
        change: &Change,
        seen: &[Seen],
        checked: &mut u64,
    ) -> Result<()> {
        if change.removes.is_empty() {
            return Ok(());
        }
        for version in *checked + 1..=self.version {
            let read;
            let commit = match seen.iter().find(|commit| commit.version == version) {
                Some(commit) => commit,
                None => {
                    let content = commits::read_commit(&self.location, version).await;
                    let content = content.map_err(|source| store_error(&self.location, source))?;
                    read = content.and_then(|content| Seen::read(version, &content).ok());
                    let too_long_ago = || self.conflict("it was planned too long ago");
                    read.as_ref().ok_or_else(too_long_ago)?
                }
            };
            let gone: HashSet<&str> = commit.removes.iter().map(String::as_str).collect();
            let mut removes = change.removes.iter();
            if let Some(remove) = removes.find(|remove| gone.contains(remove.path.as_str())) {
                return Err(self.conflict(&format!("`{}` is gone", remove.path)));
            }
        }
        *checked = self.version;
        Ok(())
    }

    fn conflict(&self, reason: &str) -> Error {
        Error::Conflict {
            url: self.location.url.to_string(),
            reason: reason.to_owned(),
        }
    }

    /// Adds the columns that the table lacks. They must be nullable: rows that are there have no
    /// value for them. Returns whether there was one.
    ///
    /// # Errors
    /// A missing column is required, or as [`Log::commit`].
    pub async fn add_columns(&mut self, declared: &Schema) -> Result<bool> {
        for _ in 0..MOST_TRIES {
            let missing: Vec<_> = declared
                .fields()
                .iter()
                .filter(|field| self.schema.field_with_name(field.name()).is_err())
                .collect();
            if missing.is_empty() {
                return Ok(false);
            }
            if let Some(field) = missing.iter().find(|field| !field.is_nullable()) {
                return Err(Error::CantWrite {
                    url: self.location.url.to_string(),
                    reason: format!(
                        "its rows have no value for the required column `{}`",
                        field.name()
                    ),
                });
            }
            let fields = self.schema.fields().iter().chain(missing);
            let wider = Schema::new(fields.cloned().collect::<Vec<_>>());
            let change = Change {
                metadata: Some(self.metadata_with(&wider)?),
                operation: "ADD COLUMNS",
                ..Change::default()
            };
            match self.commit(change).await {
                Ok(_) => return Ok(true),
                // Somebody else may have added them.
                Err(Error::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(self.conflict("others change its schema all the time"))
    }

    fn metadata_with(&self, schema: &Schema) -> Result<Metadata> {
        let failed = |source| write_error(&self.location, source);
        let schema: StructType = schema
            .try_into_kernel()
            .map_err(|source| failed(DeltaTableError::Arrow { source }))?;
        let state = self.table.get().snapshot().map_err(failed)?;
        let metadata = state.metadata().clone();
        metadata
            .with_schema(&schema)
            .map_err(|source| failed(source.into()))
    }

    fn encode(&self, change: &Change, id: &str) -> Result<Bytes> {
        let now = millis((self.options.clock)());
        let is_append = change.removes.is_empty() && change.metadata.is_none();
        let parameters = match change.operation {
            "WRITE" => json!({ "mode": "Append" }),
            _ => json!({}),
        };
        let mut lines = vec![json!({ "commitInfo": {
            "timestamp": now,
            "operation": change.operation,
            "operationParameters": parameters,
            "isBlindAppend": is_append,
            "engineInfo": concat!("neurolake/", env!("CARGO_PKG_VERSION")),
            "txnId": id,
        } })];
        let failed = |source| {
            let source = DeltaTableError::generic(format!("an action can't be written: {source}"));
            write_error(&self.location, source)
        };
        let mut push = |name: &str, action: serde_json::Result<Value>| {
            lines.push(json!({ name: action.map_err(failed)? }));
            Ok(())
        };
        if let Some(step) = &change.transaction {
            push(
                "txn",
                Ok(json!({
                    "appId": step.application,
                    "version": step.to,
                    "lastUpdated": now,
                })),
            )?;
        }
        if let Some(metadata) = &change.metadata {
            push("metaData", serde_json::to_value(metadata))?;
        }
        for remove in &change.removes {
            push("remove", serde_json::to_value(remove))?;
        }
        for add in &change.adds.0 {
            push("add", serde_json::to_value(add))?;
        }
        Ok(lines_of(&lines))
    }

    /// A commit must not survive a loss of power without its files.
    async fn sync_files(&self, files: &DataFiles) -> Result<()> {
        let mut paths = Vec::new();
        for add in &files.0 {
            let Some(path) = self.location.local_path(&add.path) else {
                return Ok(());
            };
            // Folders too: a new one is an entry of the one above it.
            let folders = std::path::Path::new(&add.path).ancestors().count();
            paths.extend(path.ancestors().take(folders).map(ToOwned::to_owned));
        }
        paths.sort();
        paths.dedup();
        sync(paths)
            .await
            .map_err(|source| store_error(&self.location, local(source)))
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("url", &self.location.url.as_str())
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// Writes Parquet files, one for each partition.
pub struct FileWriter {
    writer: Box<RecordBatchWriter>,
    /// Where files are until they are whole. deltalake would put them into the store itself, but
    /// then nobody could tell rows that don't fit from a store that fails, and it panics if one
    /// does.
    finished: Location,
    location: Location,
}

impl FileWriter {
    /// Takes rows.
    ///
    /// # Errors
    /// The rows don't fit.
    pub async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        self.writer
            .write(batch)
            .await
            .map_err(|source| write_error(&self.location, source))
    }

    /// Bytes that are held in memory.
    pub fn buffered_bytes(&self) -> usize {
        self.writer.buffer_len()
    }

    /// Ends the files, and puts them into the store.
    ///
    /// # Errors
    /// The rows don't fit, or, as [`Error::Store`], the store refuses.
    pub async fn finish(self) -> Result<DataFiles> {
        let Self {
            mut writer,
            location,
            finished,
        } = self;
        let adds = writer.flush().await;
        let adds = adds.map_err(|source| write_error(&location, source))?;
        // It can't be shared with the puts.
        drop(writer);
        // Each owns what it needs: the compiler can't tell otherwise that they may be sent.
        let put = |add: &Add| put(finished.clone(), location.clone(), add.path.clone()).boxed();
        let puts = stream::iter(adds.iter().map(put).collect::<Vec<_>>());
        let puts = puts.buffered(MOST_PUTS).try_collect::<Vec<()>>().await;
        puts.map_err(|source| store_error(&location, source))?;
        Ok(DataFiles(adds))
    }
}

/// Takes a finished file to its store.
async fn put(finished: Location, location: Location, path: String) -> object_store::Result<()> {
    let path = Path::parse(format!("{}/{path}", location.path()))?;
    let content = finished.store.get(&path).await?.bytes().await?;
    finished.store.delete(&path).await?;
    let patience = commits::PATIENCE + Duration::from_secs(content.len() as u64 / SLOWEST);
    for failures in 1.. {
        let put = location.store.put(&path, content.clone().into());
        match commits::in_so_much_time(patience, put).await {
            Err(_) if failures < MOST_FAILURES => back_off(failures).await,
            answer => return answer.map(drop),
        }
    }
    Ok(())
}

impl fmt::Debug for FileWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileWriter").finish_non_exhaustive()
    }
}

impl Seen {
    fn read(version: u64, content: &Bytes) -> serde_json::Result<Self> {
        let mut seen = Self {
            version,
            id: None,
            transactions: Vec::new(),
            removes: Vec::new(),
            is_other_table: false,
        };
        let lines = content.split(|byte| *byte == b'\n');
        for line in lines.filter(|line| !line.trim_ascii().is_empty()) {
            let line: Line = serde_json::from_slice(line)?;
            if let Some(step) = line.txn {
                seen.transactions.push((step.app_id, step.version));
            }
            if let Some(remove) = line.remove {
                // Decodes the path as in `Remove` itself.
                seen.removes
                    .push(serde_json::from_value::<Remove>(remove)?.path);
            }
            if let Some(info) = line.commit_info {
                seen.id = info.txn_id;
            }
            seen.is_other_table |= line.meta_data.is_some() || line.protocol.is_some();
        }
        Ok(seen)
    }

    fn is(&self, id: &str) -> bool {
        self.id.as_deref() == Some(id)
    }
}

/// A line of a commit, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    txn: Option<Step>,
    meta_data: Option<serde::de::IgnoredAny>,
    protocol: Option<serde::de::IgnoredAny>,
    remove: Option<Value>,
    commit_info: Option<Info>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    app_id: String,
    version: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    txn_id: Option<String>,
}

fn lines_of(lines: &[Value]) -> Bytes {
    let mut content = String::new();
    for line in lines {
        content.push_str(&line.to_string());
        content.push('\n');
    }
    content.into()
}

fn first_commit(
    schema: &Schema,
    partition_by: &[String],
    options: &LogOptions,
) -> Result<Bytes, DeltaTableError> {
    let now = millis((options.clock)());
    let schema: StructType = schema.try_into_kernel()?;
    let info = json!({
        "timestamp": now,
        "operation": "CREATE TABLE",
        "operationParameters": {},
        "engineInfo": concat!("neurolake/", env!("CARGO_PKG_VERSION")),
    });
    let metadata = json!({
        "id": Uuid::new_v4().to_string(),
        "format": { "provider": "parquet", "options": {} },
        "schemaString": serde_json::to_string(&schema)?,
        "partitionColumns": partition_by,
        "configuration": {},
        "createdTime": now,
    });
    Ok(lines_of(&[
        json!({ "commitInfo": info }),
        json!({ "protocol": { "minReaderVersion": 1, "minWriterVersion": 2 } }),
        json!({ "metaData": metadata }),
    ]))
}

/// What a writer of this table would have to do and this one doesn't.
fn unwritable(table: &DeltaTable) -> Option<String> {
    /// Features that need nothing from a writer that appends plain files and removes files.
    const HARMLESS: &[&str] = &[
        "appendOnly",
        "timestampNtz",
        "v2Checkpoint",
        "vacuumProtocolCheck",
        "deletionVectors",
        "invariants",
        "checkConstraints",
        "changeDataFeed",
        "generatedColumns",
        "columnMapping",
        "identityColumns",
    ];
    let state = table.snapshot().ok()?;
    let protocol = state.protocol();
    let features = protocol.writer_features().unwrap_or_default();
    let unknown = |feature: &&str| !HARMLESS.contains(feature);
    if let Some(feature) = features.iter().map(AsRef::as_ref).find(unknown) {
        return Some(format!("it has the feature `{feature}`"));
    }
    if protocol.min_writer_version() > 7 {
        let version = protocol.min_writer_version();
        return Some(format!("it has version {version} of the protocol"));
    }
    // The others only matter where they are used.
    let configuration = state.metadata().configuration();
    let is_on = |key: &str| configuration.get(key).is_some_and(|value| value == "true");
    if configuration
        .keys()
        .any(|key| key.starts_with("delta.constraints."))
    {
        return Some("it has check constraints".into());
    }
    if is_on("delta.enableChangeDataFeed") {
        return Some("it has a change data feed".into());
    }
    if configuration.contains_key("delta.setTransactionRetentionDuration") {
        return Some("it forgets transactions, and with them which rows it has".into());
    }
    let mapping = configuration.get("delta.columnMapping.mode");
    if mapping.is_some_and(|mode| mode != "none") {
        return Some("it has column mapping".into());
    }
    let schema = serde_json::to_string(&state.schema().as_ref()).unwrap_or_default();
    [
        "delta.generationExpression",
        "delta.invariants",
        "delta.identity.",
    ]
    .into_iter()
    .find(|key| schema.contains(key))
    .map(|key| format!("a column has `{key}`"))
}

async fn back_off(failures: u32) {
    time::sleep(Duration::from_millis(50) * 2u32.pow(failures.min(6))).await;
}

/// Makes files and folders survive a loss of power; object_store doesn't.
async fn sync(paths: Vec<std::path::PathBuf>) -> std::io::Result<()> {
    if paths.is_empty() {
        return Ok(());
    }
    let sync = move || {
        for path in paths {
            std::fs::File::open(path)?.sync_all()?;
        }
        Ok(())
    };
    tokio::task::spawn_blocking(sync).await?
}

fn slept_through() -> object_store::Error {
    object_store::Error::Generic {
        store: "object store",
        source: "the machine slept during the commit".into(),
    }
}

fn local(source: std::io::Error) -> object_store::Error {
    object_store::Error::Generic {
        store: "local folder",
        source: source.into(),
    }
}

fn store_error(location: &Location, source: object_store::Error) -> Error {
    Error::Store {
        url: location.url.to_string(),
        source: Arc::new(source),
    }
}

fn unclear(location: &Location, source: object_store::Error) -> Error {
    Error::Unclear {
        url: location.url.to_string(),
        source: Arc::new(source),
    }
}

fn write_error(location: &Location, source: DeltaTableError) -> Error {
    Error::Write {
        url: location.url.to_string(),
        source: Arc::new(source),
    }
}

fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
