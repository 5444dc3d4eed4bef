//! Folders of Parquet files.
//!
//! DataFusion's own `ListingTable` is not used: it knows no directory partitioning, drops files
//! whose path it doesn't understand, takes null for a text, and reads a wider type into a narrower
//! one. What is read is the same plan that it makes: a `FileScanConfig` over pruned files.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::TableParquetOptions;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{DFSchema, ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use futures::{StreamExt, TryStreamExt, stream};
use neurolake_delta::At;
use neurolake_model::{self as model, Column, Partitioning};
use object_store::ObjectMeta;
use object_store::path::Path;
use tokio::time::Instant;

use crate::error::{Error, Kind, Result};
use crate::lake::Scope;
use crate::schema;
use crate::sources::floats::NanSafe;
use crate::sources::objects::{self, Opened};
use crate::sources::{Declared, Inspection, Source};
use neurolake_delta::types::arrow_type;

mod facts;
mod paths;
mod renames;

use facts::{Facts, Known};
use paths::Layout;
use renames::Renames;

/// New files show after this time at most. Shorter costs a listing for each query of a burst.
const LISTING_LIVES: Duration = Duration::from_secs(2);

/// Requests of one query for listings or footers at the same time.
const CONCURRENT_REQUESTS: usize = 32;

pub(crate) struct Parquet {
    declared: Declared,
    cache: Arc<Cache>,
}

/// When a folder was listed, and what lay there.
type Listing = (Instant, Arc<Vec<ObjectMeta>>);

/// What sessions share about one folder.
#[derive(Default)]
struct Cache {
    listings: Mutex<HashMap<Path, Listing>>,
    known: Known,
    /// Whether somebody has looked that this is not a Delta table.
    is_plain: std::sync::atomic::AtomicBool,
    /// Columns of a folder whose columns are not declared, with the files that they come from.
    inferred: Mutex<Option<(Vec<ObjectMeta>, SchemaRef)>>,
}

impl Parquet {
    pub(crate) fn new(declared: Declared) -> Self {
        Self {
            declared,
            cache: Arc::default(),
        }
    }

    fn name(&self) -> String {
        format!("{}.{}", self.declared.database, self.declared.table.name)
    }

    fn address(&self) -> Result<(&str, Partitioning)> {
        match &self.declared.table.source {
            model::Source::Parquet { uri, partitioning } => Ok((uri, *partitioning)),
            other => Err(Error::new(
                Kind::Internal,
                format!("{} is a {} table", self.name(), other.kind()),
            )),
        }
    }

    async fn folder(&self, scope: &Scope) -> Result<Folder> {
        let (uri, partitioning) = self.address()?;
        let table = &self.declared.table;
        let opened = objects::open(&scope.shared, table.store.as_deref(), uri)?;
        self.cache.refuse_delta(&opened, &self.name(), uri).await?;
        let layout = layout(table, partitioning);
        let columns: Vec<Column> = stored_columns(table);
        let file_schema = if table.columns.is_empty() {
            self.infer(&opened, &layout).await?
        } else {
            schema::served(&columns)
        };
        Ok(Folder::new(
            opened,
            layout,
            columns,
            &file_schema,
            table,
            Files::Listed(Arc::clone(&self.cache)),
        ))
    }

    /// The columns of all files together.
    async fn infer(&self, opened: &Opened, layout: &Layout) -> Result<SchemaRef> {
        let files = self
            .cache
            .list(opened, &[vec![opened.path.clone()]])
            .await?;
        if files.is_empty() {
            return Err(Error::new(
                Kind::Broken,
                format!(
                    "there is no Parquet file in `{}` of {}",
                    opened.url,
                    self.name()
                ),
            )
            .with_hint(
                "check the address; with declared columns an empty folder is an empty table",
            ));
        }
        if let Some((known, inferred)) = &*lock(&self.cache.inferred)
            && *known == files
        {
            return Ok(Arc::clone(inferred));
        }
        let schemas: Vec<(String, Schema)> = stream::iter(files.clone())
            .map(async |meta| {
                let (_, schema) = facts::footer(opened, &meta).await?;
                Ok::<_, Error>((opened.address_of(&meta.location), schema))
            })
            .buffered(CONCURRENT_REQUESTS)
            .try_collect()
            .await?;
        let inferred = union(&schemas, layout)?;
        *lock(&self.cache.inferred) = Some((files, Arc::clone(&inferred)));
        Ok(inferred)
    }
}

#[async_trait]
impl Source for Parquet {
    async fn provider(&self, scope: &Scope, at: Option<&At>) -> Result<Arc<dyn TableProvider>> {
        if at.is_some() {
            return Err(no_versions(&self.name(), "a folder of Parquet files"));
        }
        Ok(Arc::new(self.folder(scope).await?))
    }

    async fn inspect(&self, scope: &Scope) -> Result<Inspection> {
        self.folder(scope).await?.inspect_all().await
    }
}

/// The error for `table@version` where only the newest rows are kept.
pub(crate) fn no_versions(name: &str, what: &str) -> Error {
    Error::new(
        Kind::BadRequest,
        format!("{name} is {what}, which keeps no earlier versions"),
    )
    .with_hint("leave the version out; only Delta tables can be read as of an earlier time")
}

/// Declared columns that stand in files.
fn stored_columns(table: &model::Table) -> Vec<Column> {
    let columns = table.columns.iter();
    columns
        .filter(|column| !table.is_partition(&column.name))
        .cloned()
        .collect()
}

fn layout(table: &model::Table, partitioning: Partitioning) -> Layout {
    let columns = table.partition_by.iter().map(|partition| {
        // Text where nobody says it: a guess by the values would change with the values.
        let data_type = table.filter_type(&partition.name);
        let data_type = data_type.map_or(DataType::Utf8, arrow_type);
        (partition.name.clone(), data_type)
    });
    Layout {
        partitioning,
        columns: columns.collect(),
    }
}

/// All columns of all files, each with one type.
fn union(schemas: &[(String, Schema)], layout: &Layout) -> Result<SchemaRef> {
    let mut fields: Vec<(Field, &str)> = Vec::new();
    for (address, schema) in schemas {
        for field in schema.fields() {
            if layout.columns.iter().any(|(name, _)| name == field.name()) {
                continue;
            }
            let relaxed = schema::relax(&schema::decoded(field.data_type()));
            match fields
                .iter()
                .find(|(known, _)| known.name() == field.name())
            {
                None => fields.push((Field::new(field.name(), relaxed, true), address)),
                Some((known, _)) if *known.data_type() == relaxed => {}
                Some((known, first)) => {
                    return Err(Error::new(
                        Kind::Broken,
                        format!(
                            "`{}` is {} in `{first}` and {} in `{address}`",
                            field.name(),
                            schema::words(known.data_type()),
                            schema::words(&relaxed)
                        ),
                    )
                    .with_hint("declare the columns of the table: a declared type wins where every value fits"));
                }
            }
        }
    }
    let fields = fields.into_iter().map(|(field, _)| field);
    Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing can panic while one of these is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cache {
    /// Reading a Delta table's files without its log shows rows twice and deleted ones again.
    async fn refuse_delta(&self, opened: &Opened, name: &str, uri: &str) -> Result<()> {
        use std::sync::atomic::Ordering;
        if self.is_plain.load(Ordering::Relaxed) {
            return Ok(());
        }
        let log = opened.path.clone().join("_delta_log");
        let mut entries = opened.store.list(Some(&log));
        let first = entries.next().await.transpose();
        if first.map_err(|error| opened.explain(&error))?.is_some() {
            return Err(Error::new(
                Kind::Broken,
                format!("{name} is declared as a folder of Parquet files, but `{uri}` holds a Delta table"),
            )
            .with_hint(format!("declare it with `delta = \"{uri}\"`")));
        }
        self.is_plain.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Data files in these folders; of each folder the first spelling that has any.
    async fn list(&self, opened: &Opened, prefixes: &[Vec<Path>]) -> Result<Vec<ObjectMeta>> {
        let folders: Vec<Arc<Vec<ObjectMeta>>> = stream::iter(prefixes.to_vec())
            .map(|spellings| self.list_spellings(opened, spellings))
            .buffered(CONCURRENT_REQUESTS)
            .try_collect()
            .await?;
        let files = folders.iter().flat_map(|files| files.iter().cloned());
        Ok(files.collect())
    }

    async fn list_spellings(
        &self,
        opened: &Opened,
        spellings: Vec<Path>,
    ) -> Result<Arc<Vec<ObjectMeta>>> {
        let mut files = Arc::default();
        for prefix in &spellings {
            files = self.list_folder(opened, prefix).await?;
            if !files.is_empty() {
                break;
            }
        }
        Ok(files)
    }

    async fn list_folder(&self, opened: &Opened, prefix: &Path) -> Result<Arc<Vec<ObjectMeta>>> {
        let now = Instant::now();
        let known = lock(&self.listings).get(prefix).cloned();
        if let Some((since, files)) = known
            && now.duration_since(since) < LISTING_LIVES
        {
            return Ok(files);
        }
        let listed = opened.store.list(Some(prefix));
        let is_data = |meta: &ObjectMeta| {
            let below = meta.location.prefix_match(&opened.path);
            below.is_some_and(|below| paths::is_data(&below.collect()))
        };
        let mut files: Vec<ObjectMeta> = listed
            .try_filter(|meta| futures::future::ready(is_data(meta)))
            .try_collect()
            .await
            .map_err(|error| opened.explain(&error))?;
        // Stores list in any order; a limit without an order should still give the same rows.
        files.sort_by(|left, right| left.location.cmp(&right.location));
        let files = Arc::new(files);
        let mut listings = lock(&self.listings);
        listings.retain(|_, (since, _)| now.duration_since(*since) < LISTING_LIVES);
        listings.insert(prefix.clone(), (now, Arc::clone(&files)));
        Ok(files)
    }
}

/// Where the files of a [`Folder`] come from.
enum Files {
    Listed(Arc<Cache>),
    /// A single file.
    One(Box<ObjectMeta>, Known),
}

/// A folder as a table.
pub(crate) struct Folder {
    opened: Opened,
    layout: Layout,
    /// Declared columns that stand in files.
    columns: Vec<Column>,
    /// Columns as the table shows them, in the order of declaration.
    schema: SchemaRef,
    /// Columns as the scan gives them: of the file first, then of the path.
    table_schema: TableSchema,
    files: Files,
}

/// A file with its partition values.
struct Found {
    meta: ObjectMeta,
    values: Vec<ScalarValue>,
}

impl Folder {
    /// One file as a table: all declared columns stand in it.
    pub(crate) fn single(opened: Opened, meta: ObjectMeta, table: &model::Table) -> Self {
        let layout = Layout {
            partitioning: Partitioning::None,
            columns: Vec::new(),
        };
        let columns = table.columns.clone();
        let file_schema = schema::served(&columns);
        let files = Files::One(Box::new(meta), Known::default());
        Self::new(opened, layout, columns, &file_schema, table, files)
    }

    /// Reads the footer of a single file and compares its columns with the declared ones.
    pub(crate) async fn check(&self) -> Result<()> {
        if let Files::One(meta, _) = &self.files {
            self.facts(meta).await?;
        }
        Ok(())
    }

    fn new(
        opened: Opened,
        layout: Layout,
        columns: Vec<Column>,
        file_schema: &SchemaRef,
        table: &model::Table,
        files: Files,
    ) -> Self {
        let partition_fields = layout.columns.iter();
        let partition_fields: Vec<FieldRef> = partition_fields
            .map(|(name, data_type)| Arc::new(Field::new(name, data_type.clone(), true)))
            .collect();
        let table_schema = TableSchema::builder(Arc::clone(file_schema))
            .with_table_partition_cols(partition_fields)
            .build();
        let scanned = table_schema.table_schema();
        let declared = table.columns.iter();
        let declared: Vec<_> = declared
            .filter_map(|column| scanned.index_of(&column.name).ok())
            .collect();
        let rest = (0..scanned.fields().len()).filter(|index| !declared.contains(index));
        let order: Vec<_> = declared.iter().copied().chain(rest).collect();
        let schema = order
            .iter()
            .map(|index| Arc::clone(&scanned.fields()[*index]));
        Self {
            schema: Arc::new(Schema::new(schema.collect::<Vec<_>>())),
            opened,
            layout,
            columns,
            table_schema,
            files,
        }
    }

    fn is_partition_filter(&self, filter: &Expr) -> bool {
        let columns = &self.layout.columns;
        let only_partitions = filter
            .column_refs()
            .iter()
            .all(|column| columns.iter().any(|(name, _)| *name == column.name));
        let stops = |expr: &Expr| {
            let subquery = matches!(
                expr,
                Expr::ScalarSubquery(_)
                    | Expr::InSubquery(_)
                    | Expr::Exists(_)
                    | Expr::OuterReferenceColumn(..)
            );
            Ok(subquery || expr.is_volatile_node())
        };
        only_partitions && !filter.column_refs().is_empty() && !filter.exists(stops).unwrap_or(true)
    }

    /// Files that may hold rows for these filters on partition columns.
    async fn find(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<Found>> {
        let cache = match &self.files {
            Files::One(meta, _) => {
                let meta = meta.as_ref().clone();
                return Ok(vec![Found {
                    meta,
                    values: Vec::new(),
                }]);
            }
            Files::Listed(cache) => cache,
        };
        let prefixes = self.layout.prefixes(&self.opened.path, filters);
        let files = cache.list(&self.opened, &prefixes).await?;
        let found = files.into_iter().map(|meta| self.found(meta));
        let found = found.collect::<Result<Vec<_>>>()?;
        self.prune(state, filters, found)
    }

    fn found(&self, meta: ObjectMeta) -> Result<Found> {
        let below = meta.location.prefix_match(&self.opened.path);
        let below: Path = below.map(Iterator::collect).unwrap_or_default();
        let address = self.opened.address_of(&meta.location);
        let values = self.layout.values(&below, &address)?;
        Ok(Found { meta, values })
    }

    /// Evaluates the filters once, over the partition values of all files.
    fn prune(
        &self,
        state: &dyn Session,
        filters: &[Expr],
        found: Vec<Found>,
    ) -> Result<Vec<Found>> {
        let Some(filter) = conjunction(filters.iter().cloned()) else {
            return Ok(found);
        };
        if found.is_empty() {
            return Ok(found);
        }
        let fields = self.table_schema.table_partition_cols().clone();
        let schema = Arc::new(Schema::new(fields));
        let arrays = (0..schema.fields().len()).map(|index| {
            ScalarValue::iter_to_array(found.iter().map(|file| file.values[index].clone()))
        });
        let arrays = arrays.collect::<DataFusionResult<Vec<ArrayRef>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(found.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), arrays, &options)
            .map_err(datafusion::error::DataFusionError::from)?;
        let expression = state.create_physical_expr(filter, &DFSchema::try_from(schema)?)?;
        let kept = expression.evaluate(&batch)?.into_array(found.len())?;
        let kept = kept.as_boolean();
        let kept = found.into_iter().zip(kept.iter());
        Ok(kept
            .filter_map(|(file, keep)| (keep == Some(true)).then_some(file))
            .collect())
    }

    async fn facts(&self, meta: &ObjectMeta) -> Result<Facts> {
        let known = match &self.files {
            Files::Listed(cache) => &cache.known,
            Files::One(_, known) => known,
        };
        let schema = self.table_schema.file_schema();
        known.facts(&self.opened, meta, &self.columns, schema).await
    }

    /// The files with their statistics. With a limit only as many as are needed for it.
    async fn with_statistics(
        &self,
        found: Vec<Found>,
        limit: Option<usize>,
    ) -> Result<Vec<PartitionedFile>> {
        let wanted = limit.unwrap_or(usize::MAX);
        // A limit is mostly reached by the first file: the others' footers are not read ahead.
        let mut ahead = if limit.is_some() {
            1
        } else {
            CONCURRENT_REQUESTS
        };
        let mut files = Vec::with_capacity(found.len());
        let mut rows = 0_usize;
        let mut rest = found.into_iter();
        while rows < wanted {
            let next: Vec<Found> = rest.by_ref().take(ahead).collect();
            if next.is_empty() {
                break;
            }
            let described: Vec<(Found, Facts)> = stream::iter(next)
                .map(async |file| {
                    let facts = self.facts(&file.meta).await?;
                    Ok::<_, Error>((file, facts))
                })
                .buffered(CONCURRENT_REQUESTS)
                .try_collect()
                .await?;
            for (file, facts) in described {
                rows = rows.saturating_add(facts.rows);
                let statistics = facts.statistics(file.meta.size, &file.values);
                let mut partitioned =
                    PartitionedFile::new_from_meta(file.meta).with_partition_values(file.values);
                partitioned.statistics = Some(Arc::new(statistics));
                files.push(partitioned);
            }
            ahead = (ahead * 2).min(CONCURRENT_REQUESTS);
        }
        Ok(files)
    }

    /// Positions in the scan of the columns that a query wants.
    fn projected(&self, projection: Option<&Vec<usize>>) -> DataFusionResult<Vec<usize>> {
        let scanned = self.table_schema.table_schema();
        let position = |index: usize| Ok(scanned.index_of(self.schema.field(index).name())?);
        match projection {
            Some(indices) => indices.iter().map(|index| position(*index)).collect(),
            None => (0..self.schema.fields().len()).map(position).collect(),
        }
    }

    fn parquet_source(&self) -> ParquetSource {
        let mut options = TableParquetOptions::default();
        options.global.coerce_int96 = Some(facts::INT96_UNIT.into());
        options.global.coerce_int96_tz = Some(facts::INT96_ZONE.into());
        let reader = NanSafe::new(
            Arc::clone(&self.opened.store),
            Arc::clone(&self.opened.footers),
        );
        ParquetSource::new(self.table_schema.clone())
            .with_table_parquet_options(options)
            .with_metadata_size_hint(facts::FOOTER_BYTES)
            .with_parquet_file_reader_factory(Arc::new(reader))
    }

    fn plan(
        &self,
        files: Vec<PartitionedFile>,
        projection: Vec<usize>,
        limit: Option<usize>,
        partitions: usize,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let scanned = self.table_schema.table_schema();
        let statistics = files.iter().filter_map(|file| file.statistics.as_deref());
        let statistics = Statistics::try_merge_iter(statistics, scanned)?;
        let statistics = if limit.is_some() {
            // They count rows behind the limit too.
            statistics.to_inexact()
        } else {
            statistics
        };
        let groups = FileGroup::new(files).split_files(partitions.max(1));
        let names = self
            .columns
            .iter()
            .filter_map(|column| Some((column.name.clone(), column.renamed_from.clone()?)));
        let names: Vec<_> = names.collect();
        let url = self.opened.object_store_url.clone();
        let mut config = FileScanConfigBuilder::new(url, Arc::new(self.parquet_source()))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(Some(projection))?
            .with_limit(limit);
        if !names.is_empty() {
            config = config.with_expr_adapter(Some(Arc::new(Renames { names })));
        }
        Ok(DataSourceExec::from_data_source(config.build()))
    }

    /// What a checkup finds.
    pub(crate) async fn inspect_all(&self) -> Result<Inspection> {
        match &self.files {
            Files::One(meta, _) => self.inspect(std::slice::from_ref(meta.as_ref())).await,
            Files::Listed(cache) => {
                let everything = [vec![self.opened.path.clone()]];
                let files = cache.list(&self.opened, &everything).await?;
                self.inspect(&files).await
            }
        }
    }

    /// Everything that differs from the declaration, over all files.
    async fn inspect(&self, files: &[ObjectMeta]) -> Result<Inspection> {
        let mut inspection = Inspection {
            files: Some(files.len() as u64),
            bytes: Some(files.iter().map(|meta| meta.size).sum()),
            ..Inspection::default()
        };
        let mut rows = 0_u64;
        let mut footers = stream::iter(files.to_vec())
            .map(async |meta| {
                self.found(meta.clone())?;
                facts::footer(&self.opened, &meta).await
            })
            .buffered(CONCURRENT_REQUESTS);
        while let Some((metadata, stored)) = footers.try_next().await? {
            rows += u64::try_from(metadata.file_metadata().num_rows()).unwrap_or(0);
            if self.columns.is_empty() {
                continue;
            }
            for difference in schema::check(&self.columns, &stored) {
                let of_path = self.layout.columns.iter();
                let in_path = of_path.clone().any(|(name, _)| *name == difference.column);
                // A writer may repeat in the file what stands in the path.
                if !in_path && !inspection.differences.contains(&difference) {
                    inspection.differences.push(difference);
                }
            }
        }
        inspection
            .differences
            .sort_by_key(|difference| difference.judgement);
        inspection.rows = Some(rows);
        Ok(inspection)
    }
}

#[async_trait]
impl TableProvider for Folder {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        let support = filters.iter().map(|filter| {
            if self.is_partition_filter(filter) {
                TableProviderFilterPushDown::Exact
            } else {
                TableProviderFilterPushDown::Inexact
            }
        });
        Ok(support.collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let (partition_filters, others): (Vec<_>, Vec<_>) = filters
            .iter()
            .cloned()
            .partition(|filter| self.is_partition_filter(filter));
        let found = self.find(state, &partition_filters).await?;
        // A filter above the scan drops rows, so that the limit is none of the scan's.
        let limit = limit.filter(|_| others.is_empty());
        let files = self.with_statistics(found, limit).await?;
        let projection = self.projected(projection)?;
        if files.is_empty() {
            let schema = self.table_schema.table_schema().project(&projection)?;
            return Ok(Arc::new(EmptyExec::new(Arc::new(schema))));
        }
        self.plan(files, projection, limit, state.config().target_partitions())
    }
}

impl std::fmt::Debug for Folder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Folder")
            .field("opened", &self.opened)
            .finish_non_exhaustive()
    }
}
