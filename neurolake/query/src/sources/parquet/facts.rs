//! What a file's footer says: whether its columns are the declared ones, and its statistics.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef, TimeUnit};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use neurolake_model::Column;
use object_store::ObjectMeta;
use object_store::path::Path;

use crate::error::{Error, Kind, Result};
use crate::schema::{self, Difference};
use crate::sources::objects::Opened;

/// One request for the footer of most files.
pub(crate) const FOOTER_BYTES: usize = 64 << 10;

/// Spark stores instants as INT96, which Parquet gives neither unit nor zone.
pub(crate) const INT96_UNIT: &str = "us";
pub(crate) const INT96_ZONE: &str = "UTC";

/// Files whose facts are remembered at most.
const MAX_FILES: usize = 200_000;

/// What is known of one file.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) rows: usize,
    /// Of the file's columns as the table serves them, in the table's order.
    pub(crate) columns: Arc<Vec<ColumnStatistics>>,
}

/// Facts by file, for one table.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<HashMap<Path, (Version, Facts)>>);

/// What changes when a file is overwritten.
#[derive(Debug, PartialEq)]
struct Version {
    size: u64,
    modified: chrono::DateTime<chrono::Utc>,
    tag: Option<String>,
}

impl Version {
    fn of(meta: &ObjectMeta) -> Self {
        Self {
            size: meta.size,
            modified: meta.last_modified,
            tag: meta.e_tag.clone(),
        }
    }
}

impl Known {
    /// The facts of a file, read from its footer at most once.
    pub(crate) async fn facts(
        &self,
        opened: &Opened,
        meta: &ObjectMeta,
        columns: &[Column],
        served: &SchemaRef,
    ) -> Result<Facts> {
        let version = Version::of(meta);
        let found = self
            .lock()
            .get(&meta.location)
            .filter(|(known, _)| *known == version)
            .map(|(_, facts)| facts.clone());
        if let Some(facts) = found {
            return Ok(facts);
        }
        let (metadata, stored) = footer(opened, meta).await?;
        refuse_breaking(opened, meta, columns, &stored)?;
        let facts = gather(&metadata, &stored, columns, served)?;
        let mut known = self.lock();
        if known.len() >= MAX_FILES {
            known.clear();
        }
        known.insert(meta.location.clone(), (version, facts.clone()));
        Ok(facts)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Path, (Version, Facts)>> {
        // Nothing can panic while the map is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Footer and columns of a file.
pub(crate) async fn footer(
    opened: &Opened,
    meta: &ObjectMeta,
) -> Result<(Arc<ParquetMetaData>, Schema)> {
    let reader = DFParquetMetadata::new(opened.store.as_ref(), meta)
        .with_metadata_size_hint(Some(FOOTER_BYTES))
        .with_file_metadata_cache(Some(Arc::clone(&opened.footers)))
        .with_page_index_policy(Some(PageIndexPolicy::Skip))
        .with_coerce_int96(Some(TimeUnit::Microsecond))
        .with_coerce_int96_tz(Some(INT96_ZONE.into()));
    let metadata = reader.fetch_metadata().await;
    let metadata = metadata.map_err(|error| unreadable(opened, meta, error))?;
    let schema = reader.fetch_schema().await;
    let schema = schema.map_err(|error| unreadable(opened, meta, error))?;
    Ok((metadata, schema))
}

fn unreadable(
    opened: &Opened,
    meta: &ObjectMeta,
    error: datafusion::error::DataFusionError,
) -> Error {
    use datafusion::error::DataFusionError as E;
    let address = opened.address_of(&meta.location);
    if let E::ObjectStore(error) = &error {
        let mut error = opened.explain(error);
        error.message = format!("`{address}` can't be read: {}", error.message);
        return error;
    }
    let text = format!(
        "`{address}` ({} bytes) is not a Parquet file, or it is damaged",
        meta.size
    );
    Error::new(Kind::Broken, text)
        .with_hint("it may have been written only half: write it again or delete it")
        .with_source(error)
}

fn refuse_breaking(
    opened: &Opened,
    meta: &ObjectMeta,
    columns: &[Column],
    stored: &Schema,
) -> Result<()> {
    let differences = schema::check(columns, stored);
    if schema::is_breaking(&differences) {
        return Err(breaking(&opened.address_of(&meta.location), &differences));
    }
    Ok(())
}

/// The error for a file whose columns are not the declared ones.
pub(crate) fn breaking(address: &str, differences: &[Difference]) -> Error {
    let text = format!(
        "`{address}` doesn't hold what is declared: {}",
        schema::summary(differences)
    );
    Error::new(Kind::Broken, text)
        .with_hint("write the file again, or correct the declaration; `neurolake doctor` shows all differences")
}

/// Columns that came from an inferred schema have no declaration; they are their own name.
fn stored_index(column: Option<&Column>, name: &str, stored: &Schema) -> Option<usize> {
    let name = match column {
        Some(column) => schema::stored_field(column, stored)?.name(),
        None => name,
    };
    stored.index_of(name).ok()
}

fn gather(
    metadata: &ParquetMetaData,
    stored: &Schema,
    columns: &[Column],
    served: &SchemaRef,
) -> Result<Facts> {
    let stored = Arc::new(stored.clone());
    let statistics = DFParquetMetadata::statistics_from_parquet_metadata(metadata, &stored)?;
    let rows = statistics.num_rows.get_value().copied().unwrap_or(0);
    let of = served.fields().iter().map(|field| {
        let column = columns.iter().find(|column| column.name == *field.name());
        match stored_index(column, field.name(), &stored) {
            Some(index) => fitted(
                &statistics.column_statistics[index],
                stored.field(index).data_type(),
                field.data_type(),
            ),
            None => ColumnStatistics {
                null_count: Precision::Exact(rows),
                ..ColumnStatistics::new_unknown()
            },
        }
    });
    Ok(Facts {
        rows,
        columns: Arc::new(of.collect()),
    })
}

/// Statistics of the stored type as those of the served one.
fn fitted(stored: &ColumnStatistics, from: &DataType, to: &DataType) -> ColumnStatistics {
    let cast = |value: &Precision<ScalarValue>| {
        // They don't count NaN.
        if from.is_floating() {
            return Precision::Absent;
        }
        value.cast_to(to).unwrap_or(Precision::Absent)
    };
    ColumnStatistics {
        null_count: stored.null_count,
        min_value: cast(&stored.min_value),
        max_value: cast(&stored.max_value),
        ..ColumnStatistics::new_unknown()
    }
}

impl Facts {
    /// Statistics of the file with its partition values behind its columns.
    pub(crate) fn statistics(&self, bytes: u64, partition_values: &[ScalarValue]) -> Statistics {
        let mut columns = self.columns.as_ref().clone();
        columns.extend(partition_values.iter().map(|value| self.constant(value)));
        Statistics {
            num_rows: Precision::Exact(self.rows),
            total_byte_size: Precision::Inexact(usize::try_from(bytes).unwrap_or(usize::MAX)),
            column_statistics: columns,
        }
    }

    fn constant(&self, value: &ScalarValue) -> ColumnStatistics {
        if value.is_null() {
            return ColumnStatistics {
                null_count: Precision::Exact(self.rows),
                ..ColumnStatistics::new_unknown()
            };
        }
        ColumnStatistics {
            null_count: Precision::Exact(0),
            min_value: Precision::Exact(value.clone()),
            max_value: Precision::Exact(value.clone()),
            ..ColumnStatistics::new_unknown()
        }
    }
}
