//! Rewrites many small files as few large ones, beside whoever writes.
//!
//! The commit is our own, because deltalake's would let two compactions of the same files both
//! happen and double every row: each of its attempts first makes sure that all files it was planned
//! from are still there (`Change::rewrite`). Rows are copied, never changed: the same partition
//! values, the same order within a partition, and null for columns that came later.
//!
//! New files whose commit fails stay where they are until [`mod@crate::vacuum`] finds them. Whether a
//! commit has failed is sometimes known only later, and then a file too many does no harm.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use arrow::array::{
    Array, ArrayRef, AsArray, RecordBatch, StringArray, UInt32Array, new_null_array,
};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use bytes::Bytes;
use deltalake::kernel::{LogicalFileView, Remove, cast_record_batch};
use deltalake::{DeltaTable, DeltaTableError};
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::{
    AsyncFileReader, ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder,
};
use parquet::basic::Type as PhysicalType;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use crate::error::{Error, Result};
use crate::files::split;
use crate::location::Location;
use crate::log::{Change, Clock, DataFiles, FileWriter, Log, LogOptions, Transaction};
use crate::snapshot::log_error;
use crate::time;

/// The application whose transactions count compactions.
pub const COMPACTED: &str = "neurolake/compact";

/// Files up to this size are read by one request; larger ones row group by row group.
const WHOLE: u64 = 4 << 20;
/// Files that are read ahead.
const READ_AHEAD: usize = 4;
/// Decoded rows that are held at a time, about.
const BATCH_BYTES: u64 = 8 << 20;
/// How often a commit is tried while other compactors commit.
const MOST_TRIES: usize = 10;

/// What is rewritten, and when.
#[derive(Debug, Clone)]
pub struct CompactOptions {
    /// Size of a file that is large enough. Half of it is enough to be left alone.
    pub target_bytes: u64,
    /// A row is rewritten only into a file with so many times the rows of the one that it is in, or
    /// into one of the target size. Fewer, and rows are rewritten more often; more, and more small
    /// files wait. At least 2.
    pub fan_in: u64,
    /// Files younger than this are left alone.
    pub settle: Duration,
    /// Bytes that go into one commit. A larger commit loses more work when it is killed.
    pub commit_bytes: u64,
    /// How commits are made.
    pub log: LogOptions,
}

impl Default for CompactOptions {
    fn default() -> Self {
        Self {
            target_bytes: 128 << 20,
            fan_in: 8,
            settle: Duration::from_secs(5),
            commit_bytes: 1 << 30,
            log: LogOptions::default(),
        }
    }
}

/// What was rewritten.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Compacted {
    /// Commits, and the version of the last.
    pub commits: usize,
    /// Version of the last commit.
    pub version: Option<u64>,
    /// Files that went.
    pub files_removed: usize,
    /// Files that came in their place.
    pub files_added: usize,
    /// Rows in them.
    pub rows: u64,
    /// Size of the files that went.
    pub bytes_read: u64,
    /// Size of the files that came.
    pub bytes_written: u64,
    /// Files that could not be rewritten, and why; they are as they were.
    pub left_alone: Vec<LeftAlone>,
}

/// Files that could not be rewritten together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftAlone {
    /// How many.
    pub files: usize,
    /// Why.
    pub reason: String,
}

/// Rewrites what is worth it. Can be dropped at any moment.
///
/// # Errors
/// There is no table, it can't be written, or the store fails. What was committed before stays.
pub async fn compact(location: &Location, options: &CompactOptions) -> Result<Compacted> {
    let plan = Plan::make(location, options).await?;
    if plan.bins.is_empty() {
        return Ok(Compacted::default());
    }
    let mut run = Run {
        planned_at: plan.version,
        log: Log::open(location, &options.log).await?,
        clock: Arc::clone(&options.log.clock),
        done: Compacted::default(),
    };
    let (mut group, mut bytes) = (Vec::new(), 0);
    for bin in plan.bins {
        match rewrite(&run.log, &bin).await {
            Ok((adds, rows)) => {
                bytes += bin.bytes();
                group.push(Rewritten { bin, adds, rows });
            }
            Err(Failure::Data(reason)) => run.done.leave(bin.files.len(), reason),
            Err(Failure::Store(error)) => return Err(error),
        }
        if bytes >= options.commit_bytes {
            run.commit(std::mem::take(&mut group)).await?;
            bytes = 0;
        }
    }
    run.commit(group).await?;
    Ok(run.done)
}

impl Compacted {
    fn leave(&mut self, files: usize, reason: String) {
        tracing::warn!(files, reason, "files are not compacted");
        self.left_alone.push(LeftAlone { files, reason });
    }
}

/// A live file.
#[derive(Debug, Clone)]
struct File {
    object: Path,
    remove: Remove,
    bytes: u64,
    rows: Option<u64>,
    /// When its newest row was written; what came at the same time counts down.
    time: (i64, Reverse<usize>),
}

/// Files of one partition that become one.
#[derive(Debug)]
struct Bin {
    partition: Partition,
    files: Vec<File>,
}

type Partition = BTreeMap<String, Option<String>>;

impl Bin {
    fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

struct Plan {
    version: u64,
    bins: Vec<Bin>,
}

impl Plan {
    async fn make(location: &Location, options: &CompactOptions) -> Result<Self> {
        let mut table = DeltaTable::new(location.log_store());
        let planned = async {
            time::elsewhere(table.load()).await?;
            Self::of(&table, location, options)
        };
        planned.await.map_err(|source| log_error(location, source))
    }

    fn of(
        table: &DeltaTable,
        location: &Location,
        options: &CompactOptions,
    ) -> Result<Self, DeltaTableError> {
        let state = table.snapshot()?;
        let now = (options.log.clock)()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let settled = i64::try_from(now.saturating_sub(options.settle).as_millis()).unwrap_or(0);
        let known = raw_paths(&state.add_actions_table(false)?)?;
        let mut partitions: BTreeMap<Partition, Vec<File>> = BTreeMap::new();
        // Newest first, as long as no checkpoint comes between.
        for (index, view) in state.log_data().iter().enumerate() {
            let file = File::of(&view, index, location);
            let is_plain =
                view.deletion_vector_descriptor().is_none() && file.is_found_by(&known)?;
            if is_plain && file.time.0 <= settled {
                let partition = view.partition_values_map().into_iter().collect();
                partitions.entry(partition).or_default().push(file);
            }
        }
        let bins = partitions.into_iter().flat_map(|(partition, files)| {
            let bins = choose(files, options).into_iter();
            bins.map(move |files| Bin {
                partition: partition.clone(),
                files,
            })
        });
        Ok(Self {
            version: state.version(),
            bins: bins.collect(),
        })
    }
}

impl File {
    fn of(view: &LogicalFileView, index: usize, location: &Location) -> Self {
        let relative = view.object_store_path();
        let folder = location.path();
        Self {
            object: folder.parts().chain(relative.parts()).collect(),
            remove: view.remove_action(false),
            bytes: view.size().cast_unsigned(),
            rows: view.num_records().map(|rows| rows as u64),
            time: (view.modification_time(), Reverse(index)),
        }
    }

    /// Whether the log would take our `remove` for the file's `add`. Paths are compared as they are
    /// written, and somebody else may write the same path in another way. Files outside of the
    /// table's folder are not ours.
    fn is_found_by(&self, raw_paths: &HashSet<String>) -> Result<bool, DeltaTableError> {
        let written = serde_json::to_value(&self.remove)?;
        let path = written["path"].as_str().unwrap_or_default();
        let is_foreign = path.contains("://") || path.starts_with('/');
        Ok(!is_foreign && raw_paths.contains(path))
    }
}

fn raw_paths(adds: &RecordBatch) -> Result<HashSet<String>, ArrowError> {
    let Some(paths) = adds.column_by_name("path") else {
        return Ok(HashSet::new());
    };
    let paths = cast(paths, &DataType::Utf8)?;
    let paths = paths.as_string::<i32>().iter().flatten();
    Ok(paths.map(ToOwned::to_owned).collect())
}

/// Sets of files of one partition that are worth rewriting. Each row then comes into a file with at
/// least `fan_in` times as many rows, or of the target size, so that it is rewritten only as often
/// as that fits into the largest file.
fn choose(files: Vec<File>, options: &CompactOptions) -> Vec<Vec<File>> {
    let is_small = |file: &File| file.bytes < options.target_bytes / 2;
    let mut small: Vec<File> = files.into_iter().filter(is_small).collect();
    // Small files are mostly overhead, so rows tell more than bytes.
    let by_rows = small.iter().all(|file| file.rows.is_some());
    let weight = |file: &File| match by_rows {
        true => file.rows.unwrap_or(0),
        false => file.bytes,
    };
    let is_worth = |count: usize, heaviest: u64, together: u64, bytes: u64| {
        let grows = together >= heaviest.saturating_mul(options.fan_in.max(2));
        count > 1 && (grows || bytes >= options.target_bytes)
    };
    small.sort_by_key(weight);
    let (mut count, mut together, mut bytes) = (0, 0, 0);
    for (index, file) in small.iter().enumerate() {
        together += weight(file);
        bytes += file.bytes;
        if is_worth(index + 1, weight(file), together, bytes) {
            count = index + 1;
        }
    }
    small.truncate(count);
    small.sort_by_key(|file| file.time);
    let mut bins = vec![Vec::new()];
    let mut bytes = 0;
    for file in small {
        if bytes >= options.target_bytes {
            bins.push(Vec::new());
            bytes = 0;
        }
        bytes += file.bytes;
        if let Some(bin) = bins.last_mut() {
            bin.push(file);
        }
    }
    // What is left over after full ones may wait for more.
    bins.retain(|files: &Vec<File>| {
        let weights = files.iter().map(weight);
        let heaviest = weights.clone().max().unwrap_or(0);
        let bytes = files.iter().map(|file| file.bytes).sum();
        is_worth(files.len(), heaviest, weights.sum(), bytes)
    });
    bins
}

struct Rewritten {
    bin: Bin,
    adds: DataFiles,
    rows: u64,
}

/// Why files were not rewritten.
enum Failure {
    /// These files are the trouble; others may do.
    Data(String),
    Store(Error),
}

async fn rewrite(log: &Log, bin: &Bin) -> Result<(DataFiles, u64), Failure> {
    let location = log.location();
    let shape = Shape::of(log, &bin.partition).map_err(|error| Failure::Data(error.to_string()))?;
    let mut writer = log.writer().map_err(Failure::Store)?;
    let files = stream::iter(bin.files.clone());
    let opened = files.map(|file| open(location, file)).buffered(READ_AHEAD);
    let mut opened = std::pin::pin!(opened);
    let mut rows = 0;
    while let Some(batches) = opened.next().await {
        let mut batches = batches?;
        while let Some(batch) = batches.next().await {
            let batch = batch.map_err(|error| Failure::of(location, error))?;
            rows += batch.num_rows() as u64;
            let batch = shape
                .fit(&batch)
                .map_err(|error| Failure::Data(error.to_string()))?;
            write(&mut writer, batch).await?;
        }
    }
    let expected = bin.files.iter().map(|file| file.rows).sum::<Option<u64>>();
    if expected.is_some_and(|expected| expected != rows) {
        return Err(Failure::Data(format!(
            "the log says that they hold {} rows, but there are {rows}",
            expected.unwrap_or_default()
        )));
    }
    let mut adds = writer.finish().await.map_err(Failure::Store)?;
    let newest = bin.files.iter().map(|file| file.time.0).max().unwrap_or(0);
    for add in &mut adds.0 {
        add.data_change = false;
        // Later compactions keep the order by it.
        add.modification_time = newest;
        add.partition_values = bin.partition.clone().into_iter().collect();
    }
    Ok((adds, rows))
}

async fn write(writer: &mut FileWriter, batch: RecordBatch) -> Result<(), Failure> {
    // Encoding takes its time; others on this thread get their turn.
    tokio::task::yield_now().await;
    writer.write(batch).await.map_err(Failure::Store)
}

type Batches = ParquetRecordBatchStream<Object>;

async fn open(location: &Location, file: File) -> Result<Batches, Failure> {
    let bytes_per_row = file.bytes / file.rows.unwrap_or(1).max(1);
    // Decoded rows are larger than encoded ones.
    let rows = BATCH_BYTES / 4 / bytes_per_row.max(1);
    let rows = usize::try_from(rows).unwrap_or(usize::MAX).clamp(64, 8_192);
    let opened = async {
        let object = Object::open(location, file).await?;
        let builder = ParquetRecordBatchStreamBuilder::new(object).await?;
        refuse(builder.metadata())?;
        builder.with_batch_size(rows).build()
    };
    opened.await.map_err(|error| Failure::of(location, error))
}

/// A Parquet file in a store.
struct Object {
    store: Arc<dyn ObjectStore>,
    path: Path,
    size: u64,
    /// All of it, if it is small.
    content: Option<Bytes>,
}

impl Object {
    async fn open(location: &Location, file: File) -> Result<Self, ParquetError> {
        let store = Arc::clone(&location.store);
        let content = match file.bytes <= WHOLE {
            true => Some(store.get(&file.object).await?.bytes().await?),
            false => None,
        };
        Ok(Self {
            store,
            path: file.object,
            size: content
                .as_ref()
                .map_or(file.bytes, |content| content.len() as u64),
            content,
        })
    }
}

impl Object {
    async fn read(&self, ranges: Vec<Range<u64>>) -> Result<Vec<Bytes>, ParquetError> {
        let Some(content) = &self.content else {
            return Ok(self.store.get_ranges(&self.path, &ranges).await?);
        };
        let slices = ranges.into_iter().map(|range| {
            if range.start > range.end || range.end > self.size {
                return Err(ParquetError::EOF(format!("`{}` is too short", self.path)));
            }
            // It is in memory, so its length is a usize.
            Ok(content.slice(range.start as usize..range.end as usize))
        });
        slices.collect()
    }
}

impl AsyncFileReader for Object {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        Box::pin(async move {
            let mut bytes = self.read(vec![range]).await?;
            Ok(bytes.pop().unwrap_or_default())
        })
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        Box::pin(self.read(ranges))
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        Box::pin(async move {
            let size = self.size;
            let read = ParquetMetaDataReader::new().load_and_finish(self, size);
            Ok(Arc::new(read.await?))
        })
    }
}

/// Timestamps of 96 bits reach further than the 64 bits that they would be read into.
fn refuse(metadata: &ParquetMetaData) -> Result<(), ParquetError> {
    let columns = metadata.file_metadata().schema_descr().columns().iter();
    match columns
        .clone()
        .find(|column| column.physical_type() == PhysicalType::INT96)
    {
        Some(column) => Err(ParquetError::NYI(format!(
            "the column `{}` has timestamps of 96 bits",
            column.name()
        ))),
        None => Ok(()),
    }
}

impl Failure {
    /// That a file isn't there is not the store's failure: it went after it was planned.
    fn of(location: &Location, error: ParquetError) -> Self {
        let error = match error {
            ParquetError::External(source) => match source.downcast::<object_store::Error>() {
                Ok(gone) if matches!(*gone, object_store::Error::NotFound { .. }) => {
                    ParquetError::External(gone)
                }
                Ok(source) => return Self::Store(Error::store(location, *source)),
                Err(source) => ParquetError::External(source),
            },
            error => error,
        };
        Self::Data(error.to_string())
    }
}

/// How rows of a partition's files become rows of the table.
struct Shape {
    table: SchemaRef,
    /// Without partition columns.
    file: SchemaRef,
    /// Values of the partition columns, one row.
    values: BTreeMap<String, ArrayRef>,
}

impl Shape {
    fn of(log: &Log, partition: &Partition) -> Result<Self, ArrowError> {
        let (in_path, in_file) = split(log.schema(), log.partition_columns())?;
        let mut values = BTreeMap::new();
        for field in in_path.fields() {
            let raw = partition.get(field.name()).cloned().flatten();
            let value: ArrayRef = Arc::new(StringArray::from(vec![raw.clone()]));
            let value = match field.data_type() {
                DataType::Binary => {
                    let reason = format!("the partition column `{}` is binary", field.name());
                    return Err(ArrowError::NotYetImplemented(reason));
                }
                data_type => cast(&value, data_type)?,
            };
            // What can't be cast becomes null.
            if raw.is_some_and(|raw| !raw.is_empty()) && value.is_null(0) {
                let reason = format!("a value of the partition column `{}`", field.name());
                return Err(ArrowError::CastError(reason));
            }
            values.insert(field.name().clone(), value);
        }
        Ok(Self {
            table: Arc::clone(log.schema()),
            file: in_file,
            values,
        })
    }

    /// Adds columns that came after the file was written, and those of the partition.
    fn fit(&self, batch: &RecordBatch) -> Result<RecordBatch, DeltaTableError> {
        let stored = cast_record_batch(batch, Arc::clone(&self.file), false, true)?;
        let column = |name: &String| match self.values.get(name) {
            Some(value) => repeat(value, batch.num_rows()),
            None => stored
                .column_by_name(name)
                .cloned()
                .ok_or_else(|| ArrowError::SchemaError(format!("there is no column `{name}`"))),
        };
        let columns = self.table.fields().iter().map(|field| column(field.name()));
        let columns = columns.collect::<Result<_, _>>()?;
        Ok(RecordBatch::try_new(Arc::clone(&self.table), columns)?)
    }
}

fn repeat(value: &ArrayRef, rows: usize) -> Result<ArrayRef, ArrowError> {
    if value.is_null(0) {
        return Ok(new_null_array(value.data_type(), rows));
    }
    let indices = UInt32Array::from_value(0, rows);
    take(value, &indices, None)
}

/// From one plan to its commits.
struct Run {
    planned_at: u64,
    log: Log,
    clock: Clock,
    done: Compacted,
}

impl Run {
    /// Commits all together; or, if a file of one is gone, each for itself.
    async fn commit(&mut self, group: Vec<Rewritten>) -> Result<()> {
        if group.is_empty() || self.try_commit(&group).await? {
            return Ok(());
        }
        let is_single = group.len() == 1;
        for one in group {
            let one = [one];
            if is_single || !self.try_commit(&one).await? {
                let files = one.iter().map(|one| one.bin.files.len()).sum();
                let reason = "some of them are gone, or the schema changed";
                self.done.leave(files, reason.into());
            }
        }
        Ok(())
    }

    /// Whether it happened.
    async fn try_commit(&mut self, group: &[Rewritten]) -> Result<bool> {
        for _ in 0..MOST_TRIES {
            let from = self.log.transaction(COMPACTED).await?;
            let step = Transaction {
                application: COMPACTED.to_owned(),
                from,
                to: from.unwrap_or(0) + 1,
            };
            let change = self.change(group, step);
            match self.log.commit(change).await {
                Ok(committed) if !committed.was_there => {
                    self.done.count(committed.version, group);
                    return Ok(true);
                }
                // Somebody else compacted other files, and took this step.
                Ok(_) | Err(Error::Fenced { .. }) => {}
                Err(Error::Conflict { reason, .. }) => {
                    tracing::debug!(table = %self.log.location().url, reason, "not compacted");
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    fn change(&self, group: &[Rewritten], step: Transaction) -> Change {
        let now = (self.clock)()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        let mut adds = DataFiles::default();
        let mut removes = Vec::new();
        for one in group {
            adds.extend(one.adds.clone());
            removes.extend(one.bin.files.iter().map(|file| Remove {
                deletion_timestamp: Some(now),
                ..file.remove.clone()
            }));
        }
        Change::rewrite(adds, removes, self.planned_at, step)
    }
}

impl Compacted {
    fn count(&mut self, version: u64, group: &[Rewritten]) {
        self.commits += 1;
        self.version = Some(version);
        for one in group {
            self.files_removed += one.bin.files.len();
            self.files_added += one.adds.len();
            self.rows += one.rows;
            self.bytes_read += one.bin.bytes();
            self.bytes_written += one.adds.bytes();
        }
    }
}
