//! Bounds of floats in Parquet don't count NaN, which the engine takes for greater than every other
//! number: by them a file, row group or page that holds NaN would be skipped. So they are not shown
//! to the engine.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::metadata::CachedParquetMetaData;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::cache::cache_manager::{CachedFileMetadataEntry, FileMetadataCache};
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::basic::{LogicalType, Type};
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use datafusion::parquet::file::page_index::column_index::ColumnIndexMetaData;
use datafusion::parquet::schema::types::ColumnDescriptor;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::{ObjectMeta, ObjectStore};

/// Opens files, with footers kept in a cache and without bounds of floats.
pub(crate) struct NanSafe {
    cached: CachedParquetFileReaderFactory,
    footers: Arc<FileMetadataCache>,
}

impl NanSafe {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, footers: Arc<FileMetadataCache>) -> Self {
        Self {
            cached: CachedParquetFileReaderFactory::new(store, Arc::clone(&footers)),
            footers,
        }
    }
}

impl fmt::Debug for NanSafe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NanSafe").finish_non_exhaustive()
    }
}

impl ParquetFileReaderFactory for NanSafe {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> DataFusionResult<Box<dyn AsyncFileReader + Send>> {
        let object = file.object_meta.clone();
        let inner = self
            .cached
            .create_reader(partition, file, size_hint, metrics)?;
        Ok(Box::new(Reader {
            inner,
            object,
            footers: Arc::clone(&self.footers),
        }))
    }
}

struct Reader {
    inner: Box<dyn AsyncFileReader + Send>,
    object: ObjectMeta,
    footers: Arc<FileMetadataCache>,
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        self.inner.get_bytes(range)
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        self.inner.get_byte_ranges(ranges)
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        async move {
            let metadata = self.inner.get_metadata(options).await?;
            if !has_bounds_of_floats(&metadata) {
                return Ok(metadata);
            }
            let metadata = Arc::new(without_bounds_of_floats(&metadata)?);
            let entry = CachedParquetMetaData::new(Arc::clone(&metadata));
            // Once for each file, not for each query.
            self.footers.put(
                &self.object.location,
                CachedFileMetadataEntry::new(self.object.clone(), Arc::new(entry)),
            );
            Ok(metadata)
        }
        .boxed()
    }
}

fn is_float(column: &ColumnDescriptor) -> bool {
    matches!(column.physical_type(), Type::FLOAT | Type::DOUBLE)
        || column.logical_type_ref() == Some(&LogicalType::Float16)
}

fn has_bounds_of_floats(metadata: &ParquetMetaData) -> bool {
    let schema = metadata.file_metadata().schema_descr();
    let floats = schema.columns().iter().enumerate();
    floats
        .filter(|(_, column)| is_float(column))
        .any(|(position, _)| {
            let in_groups = metadata
                .row_groups()
                .iter()
                .any(|group| has_bounds(group.column(position)));
            let in_pages = metadata.column_index().into_iter().flatten();
            in_groups
                || in_pages
                    .filter_map(|group| group.get(position))
                    .any(|index| !matches!(index, ColumnIndexMetaData::NONE))
        })
}

fn has_bounds(column: &ColumnChunkMetaData) -> bool {
    column.statistics().is_some() || column.column_index_offset().is_some()
}

fn without_bounds_of_floats(metadata: &ParquetMetaData) -> Result<ParquetMetaData, ParquetError> {
    let mut builder = metadata.clone().into_builder();
    let mut groups = builder.take_row_groups();
    for group in &mut groups {
        for column in group.columns_mut() {
            if is_float(column.column_descr()) {
                *column = without_statistics(column)?;
            }
        }
    }
    let pages = builder.take_column_index().map(|mut groups| {
        for (group, columns) in metadata.row_groups().iter().zip(&mut groups) {
            for (column, index) in group.columns().iter().zip(columns) {
                if is_float(column.column_descr()) {
                    *index = ColumnIndexMetaData::NONE;
                }
            }
        }
        groups
    });
    Ok(builder
        .set_row_groups(groups)
        .set_column_index(pages)
        .build())
}

/// Also without the place of the bounds of its pages, or the engine would read them later.
fn without_statistics(column: &ColumnChunkMetaData) -> Result<ColumnChunkMetaData, ParquetError> {
    let builder = column.clone().into_builder().clear_statistics();
    builder
        .set_column_index_offset(None)
        .set_column_index_length(None)
        .build()
}
