//! The live files of a snapshot: where they are, their partition values and what is known about
//! their rows, as Arrow arrays with one row for each file.
//!
//! Bounds that a log gives are not always bounds. Here they are made wide enough that no file is
//! ever passed over that may hold a matching row, or dropped where that can't be done.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, StructArray,
    UInt64Array,
};
use arrow::compute::{cast, is_null};
use arrow::datatypes::{
    DataType, Decimal128Type, Field, Float32Type, Float64Type, Int64Type, Schema, SchemaRef,
    TimestampMicrosecondType, UInt64Type,
};
use arrow::error::ArrowError;
use chrono::{DateTime, Utc};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, ColumnStatistics, ScalarValue, Statistics};
use object_store::ObjectMeta;
use object_store::path::Path;

type ArrowResult<T> = Result<T, ArrowError>;

/// The live files of one version of a table.
pub struct Files {
    objects: Vec<ObjectMeta>,
    /// One column for each partition column, in the order of partitioning.
    partitions: RecordBatch,
    rows: UInt64Array,
    columns: HashMap<String, Bounds>,
    /// The columns that lie in the files.
    file_schema: SchemaRef,
    /// Made when a file is first planned.
    statistics: Vec<OnceLock<Arc<Statistics>>>,
    /// Of all files together.
    total: OnceLock<Statistics>,
}

/// What is known about one column, file by file.
#[derive(Clone)]
struct Bounds {
    min: Option<ArrayRef>,
    max: Option<ArrayRef>,
    nulls: Option<UInt64Array>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// There are rows with these values.
    Exact,
    /// No row lies outside.
    Wide,
    /// No row lies outside, except NaN, which bounds don't count.
    ExceptNan,
}

impl Files {
    /// Reads deltalake's table of files, made with `flatten = false`.
    pub(crate) fn new(
        folder: &Path,
        schema: &SchemaRef,
        partition_columns: &[String],
        adds: &RecordBatch,
    ) -> ArrowResult<Self> {
        let count = adds.num_rows();
        let (in_path, in_file) = split(schema, partition_columns)?;
        let rows = match adds.column_by_name("num_records") {
            Some(rows) => unsigned(rows)?,
            None => UInt64Array::new_null(count),
        };
        let mut columns = HashMap::new();
        for field in in_file.fields() {
            if let Some(bounds) = bounds(field, adds)? {
                columns.insert(field.name().clone(), bounds);
            }
        }
        Ok(Self {
            objects: objects(folder, adds)?,
            partitions: partitions(&in_path, adds)?,
            rows,
            columns,
            file_schema: in_file,
            statistics: std::iter::repeat_with(OnceLock::new).take(count).collect(),
            total: OnceLock::new(),
        })
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether the table has no rows.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// The file in its bucket.
    pub fn object(&self, file: usize) -> &ObjectMeta {
        &self.objects[file]
    }

    /// Values of the partition columns, one row for each file.
    pub fn partitions(&self) -> &RecordBatch {
        &self.partitions
    }

    /// Values of the partition columns of one file.
    ///
    /// # Errors
    /// Never: the types that can partition a table all have scalars.
    pub fn partition_values(&self, file: usize) -> datafusion::error::Result<Vec<ScalarValue>> {
        let columns = self.partitions.columns().iter();
        columns
            .map(|column| ScalarValue::try_from_array(column, file))
            .collect()
    }

    /// How many rows a file has, if the log says so.
    pub fn rows(&self, file: usize) -> Option<u64> {
        self.rows.is_valid(file).then(|| self.rows.value(file))
    }

    /// What is known about a file: first the columns in it, then the partition columns. A value is
    /// called exact only if it is.
    pub fn statistics(&self, file: usize) -> Arc<Statistics> {
        let made = self.statistics[file].get_or_init(|| Arc::new(self.file_statistics(file)));
        Arc::clone(made)
    }

    /// What is known about these files together, as [`Files::statistics`].
    ///
    /// # Errors
    /// Never: all files have the same columns.
    pub fn merged_statistics(&self, files: &[usize]) -> datafusion::error::Result<Statistics> {
        if files.len() != self.len() {
            return self.merge(files.iter().copied());
        }
        if let Some(total) = self.total.get() {
            return Ok(total.clone());
        }
        let total = self.merge(0..self.len())?;
        Ok(self.total.get_or_init(|| total).clone())
    }

    fn merge(&self, files: impl Iterator<Item = usize>) -> datafusion::error::Result<Statistics> {
        let fields = self.file_schema.fields().iter();
        let fields = fields.chain(self.partitions.schema_ref().fields()).cloned();
        let schema = Schema::new(fields.collect::<Vec<_>>());
        let parts: Vec<_> = files.map(|file| self.statistics(file)).collect();
        Statistics::try_merge_iter(parts.iter().map(AsRef::as_ref), &schema)
    }

    fn file_statistics(&self, file: usize) -> Statistics {
        let num_rows = self.rows(file).map_or(Precision::Absent, exact);
        let of_columns = self.file_schema.fields().iter().map(|field| {
            let bounds = self.columns.get(field.name());
            bounds.map_or_else(ColumnStatistics::new_unknown, |bounds| bounds.of(file))
        });
        let of_partitions = self.partitions.columns().iter().map(|column| {
            let unknown = ColumnStatistics::new_unknown();
            if column.is_null(file) {
                return ColumnStatistics {
                    null_count: num_rows,
                    ..unknown
                };
            }
            let value = ScalarValue::try_from_array(column, file);
            let value = value.map_or(Precision::Absent, Precision::Exact);
            ColumnStatistics {
                null_count: Precision::Exact(0),
                min_value: value.clone(),
                max_value: value,
                ..unknown
            }
        });
        let size = usize::try_from(self.objects[file].size).unwrap_or(usize::MAX);
        Statistics {
            num_rows,
            total_byte_size: Precision::Inexact(size),
            column_statistics: of_columns.chain(of_partitions).collect(),
        }
    }

    fn partition(&self, column: &Column) -> Option<&ArrayRef> {
        self.partitions.column_by_name(&column.name)
    }
}

fn exact(count: u64) -> Precision<usize> {
    usize::try_from(count).map_or(Precision::Absent, Precision::Exact)
}

impl Bounds {
    fn of(&self, file: usize) -> ColumnStatistics {
        let value = |array: &Option<ArrayRef>| {
            let array = array.as_ref().filter(|array| array.is_valid(file));
            let value = array.and_then(|array| ScalarValue::try_from_array(array, file).ok());
            match (value, self.kind) {
                (Some(value), Kind::Exact) => Precision::Exact(value),
                (Some(value), Kind::Wide) => Precision::Inexact(value),
                (_, Kind::ExceptNan) | (None, _) => Precision::Absent,
            }
        };
        let nulls = self.nulls.as_ref().filter(|nulls| nulls.is_valid(file));
        ColumnStatistics {
            null_count: nulls.map_or(Precision::Absent, |nulls| exact(nulls.value(file))),
            min_value: value(&self.min),
            max_value: value(&self.max),
            ..ColumnStatistics::new_unknown()
        }
    }
}

impl PruningStatistics for Files {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        if let Some(values) = self.partition(column) {
            return Some(Arc::clone(values));
        }
        let bounds = self.columns.get(&column.name)?;
        bounds
            .min
            .clone()
            .filter(|_| bounds.kind != Kind::ExceptNan)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        if let Some(values) = self.partition(column) {
            return Some(Arc::clone(values));
        }
        let bounds = self.columns.get(&column.name)?;
        bounds
            .max
            .clone()
            .filter(|_| bounds.kind != Kind::ExceptNan)
    }

    fn num_containers(&self) -> usize {
        self.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        if let Some(values) = self.partition(column) {
            let nulls = (0..self.len()).map(|file| match values.is_null(file) {
                true => self.rows(file),
                false => Some(0),
            });
            return Some(Arc::new(nulls.collect::<UInt64Array>()));
        }
        let nulls = self.columns.get(&column.name)?.nulls.clone()?;
        Some(Arc::new(nulls))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(self.rows.clone()))
    }

    /// Bounds of floats say nothing about `>` and `<`, because NaN is greater (or less) than all.
    /// But NaN equals no number, so they do say where a number is not.
    fn contained(&self, column: &Column, values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        let bounds = self.columns.get(&column.name)?;
        if bounds.kind != Kind::ExceptNan {
            return None;
        }
        let wanted: Vec<f64> = values.iter().map(number).collect::<Option<_>>()?;
        let (min, max) = (
            doubles(bounds.min.as_ref()?)?,
            doubles(bounds.max.as_ref()?)?,
        );
        let (min, max) = (
            min.as_primitive::<Float64Type>(),
            max.as_primitive::<Float64Type>(),
        );
        let contained = (0..self.len()).map(|file| {
            if min.is_null(file) || max.is_null(file) {
                return None;
            }
            let (min, max) = (min.value(file), max.value(file));
            let outside = wanted.iter().all(|value| *value < min || *value > max);
            outside.then_some(false)
        });
        Some(contained.collect())
    }
}

/// The value as a number; not if it is NaN.
fn number(value: &ScalarValue) -> Option<f64> {
    let value = match value {
        ScalarValue::Float32(Some(value)) => f64::from(*value),
        ScalarValue::Float64(Some(value)) => *value,
        _ => return None,
    };
    (!value.is_nan()).then_some(value)
}

fn doubles(array: &ArrayRef) -> Option<ArrayRef> {
    cast(array, &DataType::Float64).ok()
}

/// The partition columns in the order of partitioning, and the columns that lie in the files.
pub(crate) fn split(
    schema: &Schema,
    partition_columns: &[String],
) -> ArrowResult<(SchemaRef, SchemaRef)> {
    let in_path: Vec<Field> = partition_columns
        .iter()
        .map(|name| schema.field_with_name(name).cloned())
        .collect::<ArrowResult<_>>()?;
    let in_file: Vec<_> = schema
        .fields()
        .iter()
        .filter(|field| !partition_columns.contains(field.name()))
        .cloned()
        .collect();
    Ok((
        Arc::new(Schema::new(in_path)),
        Arc::new(Schema::new(in_file)),
    ))
}

/// Whether any file has rows that were deleted without rewriting it.
pub(crate) fn has_deletion_vectors(adds: &RecordBatch) -> bool {
    let Some(vectors) = adds.column_by_name("deletion_vector") else {
        return false;
    };
    let Some(kind) = child(vectors, "storageType") else {
        return true;
    };
    kind.null_count() < kind.len()
}

/// Whether any file lies outside of the table's folder, as in a shallow clone.
pub(crate) fn has_foreign_files(adds: &RecordBatch) -> bool {
    let Some(paths) = strings(adds, "path") else {
        return true;
    };
    let paths = paths.as_string::<i32>();
    paths
        .iter()
        .flatten()
        .any(|path| path.contains("://") || path.starts_with('/'))
}

fn strings(batch: &RecordBatch, name: &str) -> Option<ArrayRef> {
    cast(batch.column_by_name(name)?, &DataType::Utf8).ok()
}

fn objects(folder: &Path, adds: &RecordBatch) -> ArrowResult<Vec<ObjectMeta>> {
    let missing = |name: &str| ArrowError::SchemaError(format!("there is no column `{name}`"));
    let longs = |name: &'static str| {
        let column = adds.column_by_name(name).ok_or_else(|| missing(name))?;
        cast(column, &DataType::Int64)
    };
    let paths = strings(adds, "path").ok_or_else(|| missing("path"))?;
    let (sizes, times) = (longs("size_bytes")?, longs("modification_time")?);
    let (sizes, times) = (
        sizes.as_primitive::<Int64Type>(),
        times.as_primitive::<Int64Type>(),
    );
    let paths = paths.as_string::<i32>().iter().flatten().enumerate();
    paths
        .map(|(file, path)| {
            let location = object_path(folder, path)
                .map_err(|error| ArrowError::ExternalError(Box::new(error)))?;
            let last_modified = DateTime::from_timestamp_millis(times.value(file));
            Ok(ObjectMeta {
                location,
                last_modified: last_modified.unwrap_or(DateTime::<Utc>::UNIX_EPOCH),
                size: u64::try_from(sizes.value(file)).unwrap_or(0),
                e_tag: None,
                version: None,
            })
        })
        .collect()
}

/// The log writes paths as relative URLs: percent-encoded once more than the store's own names.
fn object_path(folder: &Path, path: &str) -> Result<Path, object_store::path::Error> {
    let relative = Path::from_url_path(path)?;
    Ok(folder.parts().chain(relative.parts()).collect())
}

fn partitions(schema: &SchemaRef, adds: &RecordBatch) -> ArrowResult<RecordBatch> {
    let values = adds.column_by_name("partition");
    let columns = schema.fields().iter().map(|field| {
        let values = values.and_then(|values| child(values, field.name()));
        let values = values.ok_or_else(|| {
            ArrowError::SchemaError(format!("files have no value for `{}`", field.name()))
        })?;
        cast(&values, field.data_type())
    });
    // A file may have no value for a column that is declared to have one; that is for a reader of
    // the rows to complain about.
    let fields = schema.fields().iter();
    let fields: Vec<_> = fields
        .map(|field| field.as_ref().clone().with_nullable(true))
        .collect();
    RecordBatch::try_new_with_options(
        Arc::new(Schema::new(fields)),
        columns.collect::<ArrowResult<_>>()?,
        &RecordBatchOptions::new().with_row_count(Some(adds.num_rows())),
    )
}

/// A field of a struct; null where the struct is.
fn child(parent: &ArrayRef, name: &str) -> Option<ArrayRef> {
    let parent: &StructArray = parent.as_struct_opt()?;
    let child = parent.column_by_name(name)?;
    if parent.null_count() == 0 {
        return Some(Arc::clone(child));
    }
    arrow::compute::nullif(child, &is_null(parent).ok()?).ok()
}

fn unsigned(array: &ArrayRef) -> ArrowResult<UInt64Array> {
    // A negative count becomes null: unknown.
    Ok(cast(array, &DataType::UInt64)?
        .as_primitive::<UInt64Type>()
        .clone())
}

/// What the log says about a column, as far as it can be trusted.
fn bounds(field: &Field, adds: &RecordBatch) -> ArrowResult<Option<Bounds>> {
    // Counts of nulls in nested columns are those of their leaves.
    if field.data_type().is_nested() {
        return Ok(None);
    }
    let given = |part: &str| child(adds.column_by_name(part)?, field.name());
    let nulls = match given("null_count") {
        Some(nulls) if nulls.data_type().is_integer() => Some(unsigned(&nulls)?),
        _ => None,
    };
    // What can't be cast is not known; so is what overflows.
    let typed = |array: ArrayRef| cast(&array, field.data_type()).ok();
    let min = given("min").and_then(typed);
    let max = given("max").and_then(typed);
    let (min, max, kind) = widen(field.data_type(), min, max);
    Ok(Some(Bounds {
        min,
        max,
        nulls,
        kind,
    }))
}

type Widened = (Option<ArrayRef>, Option<ArrayRef>, Kind);

fn widen(data_type: &DataType, min: Option<ArrayRef>, max: Option<ArrayRef>) -> Widened {
    match data_type {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Date32 => (min, max, Kind::Exact),
        // A minimum may be a prefix, a maximum a prefix with something greater behind it.
        DataType::Utf8 => (min, max, Kind::Wide),
        DataType::Float32 | DataType::Float64 => except_nan(data_type, min, max),
        // Written with milliseconds: cut off at the end of the text, which is towards zero for
        // writers that format the negative number.
        DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, _) => {
            let down = |micros: i64| match micros < 0 && micros % 1000 == 0 {
                true => micros.saturating_sub(999),
                false => micros,
            };
            let up = |micros: i64| match micros % 1000 {
                0 => micros.saturating_add(999),
                _ => micros,
            };
            (
                min.map(|min| mapped::<TimestampMicrosecondType>(&min, down)),
                max.map(|max| mapped::<TimestampMicrosecondType>(&max, up)),
                Kind::Wide,
            )
        }
        // Written through a 64-bit float by some, which keeps 15 digits; without a fraction also
        // through a 64-bit integer, which stops at its end.
        DataType::Decimal128(precision, _) if *precision <= 15 => (min, max, Kind::Wide),
        DataType::Decimal128(precision, scale) if *scale > 0 || *precision <= 18 => {
            let slack = |value: i128| (value.abs() >> 48) + 1;
            (
                min.map(|min| mapped::<Decimal128Type>(&min, |value| value - slack(value))),
                max.map(|max| mapped::<Decimal128Type>(&max, |value| value + slack(value))),
                Kind::Wide,
            )
        }
        _ => (None, None, Kind::Wide),
    }
}

fn mapped<T: arrow::datatypes::ArrowPrimitiveType>(
    array: &ArrayRef,
    map: impl Fn(T::Native) -> T::Native,
) -> ArrayRef {
    let array = array.as_primitive::<T>();
    let mapped = array.unary::<_, T>(map);
    Arc::new(mapped.with_data_type(array.data_type().clone()))
}

/// A bound that is NaN itself is none.
fn except_nan(data_type: &DataType, min: Option<ArrayRef>, max: Option<ArrayRef>) -> Widened {
    let numbers = |array: ArrayRef| -> ArrayRef {
        match data_type {
            DataType::Float32 => Arc::new(
                array
                    .as_primitive::<Float32Type>()
                    .unary_opt::<_, Float32Type>(|value| (!value.is_nan()).then_some(value)),
            ),
            _ => Arc::new(
                array
                    .as_primitive::<Float64Type>()
                    .unary_opt::<_, Float64Type>(|value| (!value.is_nan()).then_some(value)),
            ),
        }
    };
    (min.map(numbers), max.map(numbers), Kind::ExceptNan)
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
