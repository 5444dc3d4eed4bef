//! Delta tables, lowered to plain Parquet scans: what is planned is the engine's own
//! `DataSourceExec` over the files that may hold matching rows, which any machine can run.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::datatypes::{FieldRef, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::DFSchema;
use datafusion::common::config::TableParquetOptions;
use datafusion::common::tree_node::TreeNode;
use datafusion::datasource::TableType;
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfigBuilder, ParquetFileReaderFactory, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, Volatility};
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use neurolake_delta::{At, Files, Snapshot};
use neurolake_model as model;

use crate::error::{Error, Kind, Result};
use crate::inputs::Input;
use crate::lake::Scope;
use crate::schema::{self, Difference};
use crate::sources::floats::NanSafe;
use crate::sources::joined::joined;
use crate::sources::objects::{self, Opened};
use crate::sources::whole::Whole;
use crate::sources::{Declared, Inspection, Source};
use crate::tail::{Tail, TailError};

mod selective;

use selective::is_selective;

/// How often a table may run ahead of its snapshot, commit after commit, while one statement looks
/// at it.
const CHASES: usize = 10;

pub(crate) struct Delta {
    declared: Declared,
    /// Whoever has the first rows for it makes it; until then it is empty.
    made_when_needed: bool,
    /// Kept, because snapshots are cached by bucket.
    opened: OnceLock<Opened>,
}

/// What a statement sees of a table.
struct Seen {
    /// `None`: it isn't made yet.
    snapshot: Option<Arc<Snapshot>>,
    /// What is on its way to it, behind the snapshot. `None`: nobody keeps such rows.
    rows: Option<Vec<RecordBatch>>,
}

impl Delta {
    pub(crate) fn new(declared: Declared) -> Self {
        Self {
            made_when_needed: declared.table.ingest,
            declared,
            opened: OnceLock::new(),
        }
    }

    pub(crate) fn made_when_needed(declared: Declared) -> Self {
        Self {
            made_when_needed: true,
            ..Self::new(declared)
        }
    }

    fn opened(&self, scope: &Scope) -> Result<&Opened> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let table = &self.declared.table;
        let model::Source::Delta { uri } = &table.source else {
            return Err(Error::new(Kind::Internal, "not a Delta table"));
        };
        let opened = objects::open(&scope.shared, table.store.as_deref(), uri)?;
        Ok(self.opened.get_or_init(|| opened))
    }

    /// The table with what is on its way to it, at one moment.
    async fn see(&self, scope: &Scope) -> Result<Seen> {
        let location = self.opened(scope)?.location();
        let snapshots = &scope.shared.snapshots;
        let mut snapshot = self.there(match scope.max_staleness {
            Some(most) => snapshots.within(&location, most).await,
            None => snapshots.latest(&location).await,
        })?;
        let Some(tail) = self.tail(scope) else {
            return Ok(Seen {
                snapshot,
                rows: None,
            });
        };
        for _ in 0..CHASES {
            let unavailable = |error| self.unavailable(snapshot.as_deref(), &error);
            let application = tail.application().await.map_err(unavailable)?;
            let after = self.ingested(snapshot.as_deref(), &application).await?;
            match tail.rows(&application, after).await {
                Ok(rows) => {
                    return Ok(Seen {
                        snapshot,
                        rows: Some(rows),
                    });
                }
                Err(TailError::Gone { trimmed }) => {
                    // Another queue may say so, which the snapshot knows nothing about yet.
                    if tail.application().await.map_err(unavailable)? == application {
                        snapshot = self.newer(scope, snapshot, &application, trimmed).await?;
                    }
                }
                Err(TailError::Anew) => {}
                Err(error @ TailError::Unavailable(_)) => return Err(unavailable(error)),
            }
        }
        Err(Error::new(
            Kind::Timeout,
            format!(
                "{} is committed to faster than it can be looked at",
                self.declared.name()
            ),
        )
        .with_hint("try again; rows should stay in the queue for some seconds after their commit"))
    }

    fn tail(&self, scope: &Scope) -> Option<Arc<dyn Tail>> {
        let Declared { database, table } = &self.declared;
        let tails = scope.shared.tails.as_ref().filter(|_| table.ingest)?;
        tails.tail(database, &table.name)
    }

    /// No table is no error where one is made when needed.
    fn there(
        &self,
        found: neurolake_delta::Result<Arc<Snapshot>>,
    ) -> Result<Option<Arc<Snapshot>>> {
        match found {
            Ok(snapshot) => Ok(Some(snapshot)),
            Err(neurolake_delta::Error::NotATable { .. }) if self.made_when_needed => Ok(None),
            Err(error) => Err(self.explain(error)),
        }
    }

    async fn ingested(&self, snapshot: Option<&Snapshot>, application: &str) -> Result<u64> {
        match snapshot {
            Some(snapshot) => {
                let ingested = snapshot.ingested(application).await;
                ingested.map_err(|error| self.explain(error))
            }
            None => Ok(0),
        }
    }

    /// A snapshot that holds everything up to an offset, which is trimmed from the queue.
    async fn newer(
        &self,
        scope: &Scope,
        snapshot: Option<Arc<Snapshot>>,
        application: &str,
        trimmed: u64,
    ) -> Result<Option<Arc<Snapshot>>> {
        let location = self.opened(scope)?.location();
        let snapshots = &scope.shared.snapshots;
        // Somebody else may have looked meanwhile.
        let next = snapshot.map(|snapshot| snapshot.version() + 1);
        let newer = self.there(snapshots.refreshed(&location, next).await)?;
        if self.ingested(newer.as_deref(), application).await? >= trimmed {
            return Ok(newer);
        }
        let newest = self.there(snapshots.refreshed(&location, None).await)?;
        let ingested = self.ingested(newest.as_deref(), application).await?;
        if ingested >= trimmed {
            return Ok(newest);
        }
        // Trimmed is what was committed, and this look came after it.
        let name = self.declared.name();
        Err(Error::new(
            Kind::Broken,
            format!(
                "rows of {name} are missing: it holds them up to offset {ingested}, and its queue \
                 keeps them only from offset {} on",
                trimmed + 1
            ),
        )
        .with_hint("was the table restored, or made anew beside its queue?"))
    }

    fn unavailable(&self, snapshot: Option<&Snapshot>, why: &TailError) -> Error {
        let name = self.declared.name();
        let error = Error::new(
            Kind::Broken,
            format!("the rows on their way to {name} can't be read: {why}"),
        );
        match snapshot {
            Some(snapshot) => error.with_hint(format!(
                "try again; what is committed can be read as \"{}@{}\"",
                self.declared.table.name,
                snapshot.version()
            )),
            None => error.with_hint("try again"),
        }
    }

    fn explain(&self, error: neurolake_delta::Error) -> Error {
        match self.opened.get() {
            Some(opened) => explain(&self.declared, opened, error),
            None => Error::new(Kind::Internal, "a table that isn't open").with_source(error),
        }
    }

    /// The rows of a version.
    fn committed(&self, scope: &Scope, snapshot: Arc<Snapshot>) -> Result<Arc<dyn TableProvider>> {
        let opened = self.opened(scope)?;
        let name = self.declared.name();
        let differences = self.differences(&snapshot);
        if schema::is_breaking(&differences) {
            let summary = schema::summary(&differences);
            return Err(Error::new(
                Kind::Broken,
                format!("{name} is not stored as it is declared: {summary}"),
            )
            .with_hint(format!(
                "correct the declaration; `neurolake doctor {name}` shows more"
            )));
        }
        let special = snapshot.fallback_reason();
        let special = special.map_err(|error| self.explain(error))?;
        if let Some(reason) = special {
            tracing::debug!(table = name, reason, "read by deltalake's own scan");
            let provider = snapshot.fallback_provider();
            return provider.map_err(|error| self.explain(error));
        }
        Ok(Arc::new(DeltaTable::new(
            self.declared.clone(),
            opened.clone(),
            snapshot,
        )))
    }

    /// Which version the session reads.
    fn note(&self, scope: &Scope, at: Option<&At>, snapshot: &Arc<Snapshot>) {
        scope.pins.noted().read(Input {
            database: self.declared.database.clone(),
            table: self.declared.table.name.clone(),
            at: at.copied(),
            snapshot: Arc::downgrade(snapshot),
            tag: snapshot.tag(),
        });
    }

    /// Declared against stored.
    fn differences(&self, snapshot: &Snapshot) -> Vec<Difference> {
        match self.declared.table.columns.as_slice() {
            [] => Vec::new(),
            columns => schema::check(columns, snapshot.schema()),
        }
    }
}

#[async_trait]
impl Source for Delta {
    async fn provider(&self, scope: &Scope, at: Option<&At>) -> Result<Arc<dyn TableProvider>> {
        if let Some(at) = at {
            let location = self.opened(scope)?.location();
            let snapshot = scope.shared.snapshots.at(&location, at).await;
            let snapshot = snapshot.map_err(|error| self.explain(error))?;
            self.note(scope, Some(at), &snapshot);
            return self.committed(scope, snapshot);
        }
        let Seen { snapshot, rows } = self.see(scope).await?;
        let is_on_its_way = |rows: &Vec<RecordBatch>| !rows.is_empty();
        match &snapshot {
            Some(snapshot) if !rows.as_ref().is_some_and(is_on_its_way) => {
                self.note(scope, None, snapshot);
            }
            _ => scope.pins.noted().changes(),
        }
        let model::Table {
            columns,
            partition_by,
            ..
        } = &self.declared.table;
        let partition_columns = match &snapshot {
            Some(snapshot) => snapshot.partition_columns().to_vec(),
            None => partition_by.iter().map(|by| by.name.clone()).collect(),
        };
        let committed = match snapshot {
            Some(snapshot) => self.committed(scope, snapshot)?,
            None => Arc::new(EmptyTable::new(schema::served(columns))),
        };
        let Some(rows) = rows else {
            return Ok(committed);
        };
        let name = self.declared.name();
        Ok(joined(committed, rows, name, columns, &partition_columns))
    }

    fn has_versions(&self) -> bool {
        true
    }

    async fn is_unchanged(&self, scope: &Scope, input: &Input) -> bool {
        let now = match &input.at {
            None => self.see(scope).await.ok().and_then(|seen| {
                let has_rows = seen.rows.is_some_and(|rows| !rows.is_empty());
                seen.snapshot.filter(|_| !has_rows)
            }),
            Some(at) => {
                let location = self.opened(scope).map(Opened::location);
                match location {
                    Ok(location) => scope.shared.snapshots.at(&location, at).await.ok(),
                    Err(_) => None,
                }
            }
        };
        let then = input.snapshot.upgrade();
        matches!((now, then), (Some(now), Some(then)) if Arc::ptr_eq(&now, &then))
    }

    async fn inspect(&self, scope: &Scope) -> Result<Inspection> {
        let Some(snapshot) = self.see(scope).await?.snapshot else {
            return Ok(Inspection::default());
        };
        let broken = |error| self.explain(error);
        let mut inspection = Inspection {
            version: Some(snapshot.version()),
            differences: self.differences(&snapshot),
            ..Inspection::default()
        };
        if snapshot.fallback_reason().map_err(broken)?.is_some() {
            // What its files hold is not what the table holds.
            snapshot.fallback_provider().map_err(broken)?;
            return Ok(inspection);
        }
        let files = snapshot.files().map_err(broken)?;
        let every = 0..files.len();
        inspection.files = Some(files.len() as u64);
        inspection.rows = every.clone().map(|file| files.rows(file)).sum();
        inspection.bytes = Some(every.map(|file| files.object(file).size).sum());
        Ok(inspection)
    }
}

fn explain(declared: &Declared, opened: &Opened, error: neurolake_delta::Error) -> Error {
    let name = declared.name();
    if let Some(cause) = store_error(&error) {
        // Its own words may repeat what it was sent; these don't.
        let explained = opened.explain(cause);
        return Error {
            message: format!("{name} can't be read: {error}: {}", explained.message),
            ..explained
        };
    }
    let kind = if error.is_question() {
        Kind::NotFound
    } else {
        Kind::Broken
    };
    let explained = Error::new(kind, format!("{name} can't be read: {error}"));
    let explained = match error.hint() {
        Some(hint) => explained.with_hint(hint),
        None => explained,
    };
    match std::error::Error::source(&error) {
        Some(_) => explained.with_source(error),
        None => explained,
    }
}

/// What a store said, under all that was made of it.
fn store_error<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a object_store::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        if let Some(shared) = error.downcast_ref::<Arc<object_store::Error>>() {
            return Some(shared);
        }
        next = error.source();
    }
    None
}

/// One version of a table.
struct DeltaTable {
    declared: Declared,
    opened: Opened,
    snapshot: Arc<Snapshot>,
    /// The columns of the files, then the partition columns.
    scanned: TableSchema,
    /// Where each column of the table stands in `scanned`.
    positions: Vec<usize>,
}

impl DeltaTable {
    fn new(declared: Declared, opened: Opened, snapshot: Arc<Snapshot>) -> Self {
        let table = snapshot.schema();
        let partitions: Vec<FieldRef> = snapshot
            .partition_columns()
            .iter()
            .filter_map(|name| {
                table
                    .fields()
                    .find(name)
                    .map(|(_, field)| Arc::clone(field))
            })
            .collect();
        let scanned = TableSchema::builder(Arc::clone(snapshot.file_schema()))
            .with_table_partition_cols(partitions)
            .build();
        let in_scan = scanned.table_schema();
        let positions = table.fields().iter();
        let positions = positions
            .filter_map(|field| in_scan.fields().find(field.name()))
            .map(|(position, _)| position)
            .collect();
        Self {
            declared,
            opened,
            snapshot,
            scanned,
            positions,
        }
    }

    /// Whether the values of the partition columns decide the filter.
    fn is_decided_by_partition(&self, filter: &Expr) -> bool {
        let names = self.snapshot.partition_columns();
        let columns = filter.column_refs();
        // Also a filter without columns, such as a lone null: the optimizer would lose it.
        columns.iter().all(|column| names.contains(&column.name))
            && !needs_more_than_columns(filter)
    }

    /// The files that may hold rows for these filters.
    fn matching(
        &self,
        session: &dyn Session,
        files: &Files,
        filters: &[Expr],
    ) -> DataFusionResult<Vec<usize>> {
        let (by_partition, by_statistics): (Vec<_>, Vec<_>) = filters
            .iter()
            .cloned()
            .partition(|filter| self.is_decided_by_partition(filter));
        let mut keep = vec![true; files.len()];
        if let Some(filter) = conjunction(by_partition) {
            let values = files.partitions();
            let schema = DFSchema::try_from(values.schema())?;
            let filter = session.create_physical_expr(filter, &schema)?;
            let matches = filter.evaluate(values)?.into_array(files.len())?;
            let matches = truth(matches.as_boolean());
            keep.iter_mut()
                .zip(matches)
                .for_each(|(keep, is)| *keep &= is);
        }
        if let Some(filter) = conjunction(by_statistics) {
            let schema = self.snapshot.schema();
            let df_schema = DFSchema::try_from(Arc::clone(schema))?;
            let filter = session.create_physical_expr(filter, &df_schema)?;
            let predicate = PruningPredicateBuilder::new()
                .with_file_schema(Arc::clone(schema))
                .build(filter);
            // Whatever can't be judged by statistics is judged by reading.
            if let Some(predicate) = predicate
                && let Ok(matches) = predicate.prune(files)
            {
                keep.iter_mut()
                    .zip(matches)
                    .for_each(|(keep, is)| *keep &= is);
            }
        }
        let kept = keep.iter().enumerate().filter(|(_, keep)| **keep);
        Ok(kept.map(|(file, _)| file).collect())
    }

    fn partitioned_file(files: &Files, file: usize) -> DataFusionResult<PartitionedFile> {
        let mut partitioned = PartitionedFile::new_from_meta(files.object(file).clone())
            .with_partition_values(files.partition_values(file)?);
        // Not by `with_statistics`: it takes a null partition value for a value.
        partitioned.statistics = Some(files.statistics(file));
        Ok(partitioned)
    }

    /// `selective`: filters run inside the decoder.
    fn source(&self, session: &dyn Session, selective: bool) -> ParquetSource {
        let mut options = TableParquetOptions {
            global: session.config_options().execution.parquet.clone(),
            ..TableParquetOptions::default()
        };
        // Spark's old timestamps: as nanoseconds they would end in 2262.
        let coerce_int96 = &mut options.global.coerce_int96;
        *coerce_int96 = coerce_int96.take().or_else(|| Some("us".into()));
        options.global.pushdown_filters |= selective;
        let size_hint = options.global.metadata_size_hint;
        let cache = Arc::clone(&self.opened.footers);
        let store = Arc::new(Whole(Arc::clone(&self.opened.store)));
        let readers = Readers {
            files: NanSafe::new(store, cache),
            table: self.declared.name(),
            url: self.snapshot.url().to_owned(),
            opened: self.opened.clone(),
        };
        let source = ParquetSource::new(self.scanned.clone())
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::new(readers));
        match size_hint {
            Some(bytes) => source.with_metadata_size_hint(bytes),
            None => source,
        }
    }
}

#[async_trait]
impl TableProvider for DeltaTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.snapshot.schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match self.is_decided_by_partition(filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Inexact,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let files = self.snapshot.files();
        let files = files.map_err(|error| explain(&self.declared, &self.opened, error))?;
        let mut kept = self.matching(session, &files, filters)?;
        let is_exact = filters
            .iter()
            .all(|filter| self.is_decided_by_partition(filter));
        if let Some(limit) = limit.filter(|_| is_exact) {
            kept.truncate(enough(&files, &kept, limit));
        }
        let projection: Vec<usize> = match projection {
            Some(columns) => columns
                .iter()
                .map(|column| self.positions[*column])
                .collect(),
            None => self.positions.clone(),
        };
        if kept.is_empty() {
            let schema = self.scanned.table_schema().project(&projection)?;
            return Ok(Arc::new(EmptyExec::new(Arc::new(schema))));
        }
        let group: FileGroup = kept
            .iter()
            .map(|file| Self::partitioned_file(&files, *file))
            .collect::<DataFusionResult<Vec<_>>>()?
            .into();
        let selective = is_selective(files.as_ref(), &kept, filters);
        let url = self.opened.object_store_url.clone();
        let config = FileScanConfigBuilder::new(url, Arc::new(self.source(session, selective)))
            .with_file_groups(group.split_files(session.config().target_partitions()))
            .with_statistics(files.merged_statistics(&kept)?)
            .with_projection_indices(Some(projection))?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

/// How many of these files are surely enough for so many rows.
fn enough(files: &Files, kept: &[usize], limit: usize) -> usize {
    let mut rows = 0;
    for (position, file) in kept.iter().enumerate() {
        if rows >= limit as u64 {
            return position;
        }
        let Some(more) = files.rows(*file) else {
            return kept.len();
        };
        rows += more;
    }
    kept.len()
}

/// Whether it takes more than the values of its columns to know a filter's value, now and later. A
/// parameter has its value by the time that files are chosen.
pub(super) fn needs_more_than_columns(filter: &Expr) -> bool {
    let needs_more = |expr: &Expr| {
        Ok(match expr {
            Expr::ScalarFunction(call) => call.func.signature().volatility != Volatility::Immutable,
            Expr::Exists(_)
            | Expr::InSubquery(_)
            | Expr::ScalarSubquery(_)
            | Expr::SetComparison(_)
            | Expr::OuterReferenceColumn(..)
            | Expr::ScalarVariable(..)
            | Expr::AggregateFunction(_)
            | Expr::WindowFunction(_)
            | Expr::Unnest(_) => true,
            _ => false,
        })
    };
    // The closure never fails.
    filter.exists(needs_more).unwrap_or(true)
}

/// Null is not true.
fn truth(matches: &BooleanArray) -> Vec<bool> {
    let is_true = |row| matches.is_valid(row) && matches.value(row);
    (0..matches.len()).map(is_true).collect()
}

impl std::fmt::Debug for DeltaTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeltaTable")
            .field("snapshot", &self.snapshot)
            .finish_non_exhaustive()
    }
}

/// Opens the files of a table, with errors that say which table a file belongs to.
#[derive(Debug)]
struct Readers {
    files: NanSafe,
    table: String,
    url: String,
    opened: Opened,
}

impl ParquetFileReaderFactory for Readers {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> DataFusionResult<Box<dyn AsyncFileReader + Send>> {
        let about = format!("the file {} of {} at {}", file.path(), self.table, self.url);
        let inner = self
            .files
            .create_reader(partition, file, size_hint, metrics)?;
        Ok(Box::new(Reader {
            inner,
            about: Arc::new(About {
                what: about,
                opened: self.opened.clone(),
            }),
        }))
    }
}

struct Reader {
    inner: Box<dyn AsyncFileReader + Send>,
    about: Arc<About>,
}

struct About {
    what: String,
    opened: Opened,
}

impl About {
    fn explain(&self, source: ParquetError) -> ParquetError {
        let what = &self.what;
        let error = match store_error(&source) {
            Some(cause) => {
                let explained = self.opened.explain(cause);
                Error {
                    message: format!("{what} can't be read: {}", explained.message),
                    ..explained
                }
            }
            None => Error::new(Kind::Broken, format!("{what} can't be read")).with_source(source),
        };
        ParquetError::External(Box::new(error))
    }
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        let about = Arc::clone(&self.about);
        let bytes = self.inner.get_bytes(range);
        async move { bytes.await.map_err(|error| about.explain(error)) }.boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        let about = Arc::clone(&self.about);
        let bytes = self.inner.get_byte_ranges(ranges);
        async move { bytes.await.map_err(|error| about.explain(error)) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        let about = Arc::clone(&self.about);
        let metadata = self.inner.get_metadata(options);
        async move { metadata.await.map_err(|error| about.explain(error)) }.boxed()
    }
}
