//! Rows as they were accepted, put into the columns of a table: by name, without loss.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, ListArray, MapArray, RecordBatch, StringArray, StructArray,
    new_empty_array, new_null_array,
};
use datafusion::arrow::compute::kernels::cmp;
use datafusion::arrow::compute::{CastOptions, cast, cast_with_options, concat, nullif};
use datafusion::arrow::datatypes::{DataType, FieldRef, SchemaRef};
use datafusion::arrow::error::ArrowError;

use crate::schema::words;
use crate::sources::conform::fits;

type ArrowResult<T> = Result<T, ArrowError>;

/// Batches in the order of their offsets.
#[derive(Debug)]
pub(super) struct Rows {
    runs: Vec<Run>,
    count: usize,
}

/// Batches of one schema. There are many small ones, and few schemas.
#[derive(Debug)]
struct Run {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    count: usize,
}

impl Rows {
    pub(super) fn new(batches: Vec<RecordBatch>) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        for batch in batches {
            if batch.num_rows() == 0 {
                continue;
            }
            let schema = batch.schema();
            match runs.last_mut() {
                Some(run) if Arc::ptr_eq(&run.schema, &schema) || run.schema == schema => {
                    run.count += batch.num_rows();
                    run.batches.push(batch);
                }
                _ => runs.push(Run {
                    schema,
                    count: batch.num_rows(),
                    batches: vec![batch],
                }),
            }
        }
        Self {
            count: runs.iter().map(|run| run.count).sum(),
            runs,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether some row has no value for a column.
    pub(super) fn lack(&self, names: &[String]) -> bool {
        self.runs.iter().any(|run| match run.position(names) {
            Some(position) => run
                .batches
                .iter()
                .any(|batch| batch.column(position).logical_null_count() > 0),
            None => true,
        })
    }

    /// A column of all rows.
    pub(super) fn column(
        &self,
        names: &[String],
        to: &DataType,
        empty_is_null: bool,
    ) -> ArrowResult<ArrayRef> {
        let parts = self.runs.iter().map(|run| run.column(names, to));
        let parts = parts.collect::<ArrowResult<Vec<_>>>()?;
        let column = match parts.as_slice() {
            [] => new_empty_array(to),
            [only] => Arc::clone(only),
            parts => joined(parts)?,
        };
        if !empty_is_null {
            return Ok(column);
        }
        let empty = StringArray::new_scalar("");
        let is_empty = cmp::eq(column.as_string::<i32>(), &empty)?;
        nullif(&column, &is_empty)
    }
}

impl Run {
    fn position(&self, names: &[String]) -> Option<usize> {
        names
            .iter()
            .find_map(|name| self.schema.index_of(name).ok())
    }

    fn column(&self, names: &[String], to: &DataType) -> ArrowResult<ArrayRef> {
        let Some(position) = self.position(names) else {
            return Ok(new_null_array(to, self.count));
        };
        let parts: Vec<ArrayRef> = self
            .batches
            .iter()
            .map(|batch| Arc::clone(batch.column(position)))
            .collect();
        let column = match parts.as_slice() {
            [only] => Arc::clone(only),
            parts => joined(parts)?,
        };
        fitted(&column, to)
    }
}

fn joined(parts: &[ArrayRef]) -> ArrowResult<ArrayRef> {
    let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
    concat(&parts)
}

/// The same values as another type.
///
/// Not by DataFusion's `cast_column`: it panics where a null meets a field that has none.
fn fitted(column: &ArrayRef, to: &DataType) -> ArrowResult<ArrayRef> {
    use DataType as T;
    if column.data_type() == to {
        return Ok(Arc::clone(column));
    }
    match (column.data_type(), to) {
        (T::Struct(_), T::Struct(fields)) => {
            let column = structs(column.as_struct(), fields)?;
            Ok(Arc::new(column))
        }
        (T::List(_), T::List(item)) => {
            let column = column.as_list::<i32>();
            let values = fitted(column.values(), item.data_type())?;
            let list = ListArray::try_new(
                Arc::clone(item),
                column.offsets().clone(),
                values,
                column.nulls().cloned(),
            )?;
            Ok(Arc::new(list))
        }
        (T::Map(..), T::Map(entry, sorted)) => {
            let T::Struct(fields) = entry.data_type() else {
                return Err(misfit(column.data_type(), to));
            };
            let column = column.as_map();
            let entries = entries(column.entries(), fields)?;
            let map = MapArray::try_new(
                Arc::clone(entry),
                column.offsets().clone(),
                entries,
                column.nulls().cloned(),
                *sorted,
            )?;
            Ok(Arc::new(map))
        }
        (from, to) => value(column, from, to),
    }
}

/// Fields by name; the missing ones null.
fn structs(column: &StructArray, fields: &[FieldRef]) -> ArrowResult<StructArray> {
    for (field, values) in column.fields().iter().zip(column.columns()) {
        let is_known = fields.iter().any(|known| known.name() == field.name());
        if !is_known && values.logical_null_count() < values.len() {
            return Err(ArrowError::CastError(format!(
                "the field `{}` has values and is not stored yet",
                field.name()
            )));
        }
    }
    let children = fields
        .iter()
        .map(|field| match column.column_by_name(field.name()) {
            Some(values) => fitted(values, field.data_type()),
            None => Ok(new_null_array(field.data_type(), column.len())),
        });
    StructArray::try_new_with_length(
        fields.into(),
        children.collect::<ArrowResult<_>>()?,
        column.nulls().cloned(),
        column.len(),
    )
}

/// Key and value, which writers name as they like.
fn entries(column: &StructArray, fields: &[FieldRef]) -> ArrowResult<StructArray> {
    let children = fields.iter().zip(column.columns());
    let children = children.map(|(field, values)| fitted(values, field.data_type()));
    StructArray::try_new(
        fields.into(),
        children.collect::<ArrowResult<_>>()?,
        column.nulls().cloned(),
    )
}

fn value(column: &ArrayRef, from: &DataType, to: &DataType) -> ArrowResult<ArrayRef> {
    let both_times = matches!(
        (from, to),
        (DataType::Timestamp(..), DataType::Timestamp(..))
    );
    if !fits(from, to) && !fits(to, from) && !both_times {
        return Err(misfit(from, to));
    }
    let checked = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let there = cast_with_options(column, to, &checked)?;
    // A narrower type may hold these values all the same.
    if !fits(from, to) && cast(&there, from)?.to_data() != column.to_data() {
        return Err(misfit(from, to));
    }
    Ok(there)
}

fn misfit(from: &DataType, to: &DataType) -> ArrowError {
    ArrowError::CastError(format!(
        "accepted as {}, stored as {}, and a value doesn't fit",
        words(from),
        words(to)
    ))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{
        Float32Array, Float64Array, Int32Array, Int64Array, TimestampMicrosecondArray,
    };
    use datafusion::arrow::datatypes::{Field, Fields, TimeUnit};

    use super::*;

    fn fit(column: impl Array + 'static, to: &DataType) -> Option<ArrayRef> {
        fitted(&(Arc::new(column) as ArrayRef), to).ok()
    }

    #[test]
    fn values_fit_or_are_refused() {
        let narrow = fit(Int64Array::from(vec![Some(7), None]), &DataType::Int32);
        let expected: ArrayRef = Arc::new(Int32Array::from(vec![Some(7), None]));
        assert_eq!(narrow, Some(expected));
        assert!(fit(Int64Array::from(vec![i64::MAX]), &DataType::Int32).is_none());
        let nan = Float64Array::from(vec![f64::NAN, 0.5, -0.0]);
        assert!(fit(nan, &DataType::Float32).is_some());
        assert!(fit(Float64Array::from(vec![0.1]), &DataType::Float32).is_none());
        assert!(fit(Float32Array::from(vec![0.1]), &DataType::Float64).is_some());
        assert!(fit(StringArray::from(vec!["1"]), &DataType::Int32).is_none());
        assert!(fit(Int32Array::from(vec![1]), &DataType::Utf8).is_none());
        let utc = TimestampMicrosecondArray::from(vec![1_001]).with_timezone("UTC");
        let local = DataType::Timestamp(TimeUnit::Microsecond, None);
        let coarse = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        let fitted = fit(utc.clone(), &local).expect("the same instant");
        let expected: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1_001]));
        assert_eq!(&fitted, &expected);
        assert!(fit(utc, &coarse).is_none());
    }

    #[test]
    fn fields_are_found_by_name_and_nothing_is_dropped() {
        let field = |name: &str, nullable| Arc::new(Field::new(name, DataType::Int32, nullable));
        let column = |y: Option<i32>| {
            let fields = Fields::from(vec![field("y", true), field("x", true)]);
            let x: ArrayRef = Arc::new(Int32Array::from(vec![1]));
            let y: ArrayRef = Arc::new(Int32Array::from(vec![y]));
            StructArray::new(fields, vec![y, x], None)
        };
        let to = |fields: Vec<FieldRef>| DataType::Struct(fields.into());
        let older = to(vec![field("x", true)]);
        assert!(fit(column(Some(2)), &older).is_none());
        let fitted = fit(column(None), &older).expect("no value is lost");
        assert_eq!(fitted.as_struct().column_names(), ["x"]);
        let newer = to(vec![field("x", true), field("y", true), field("z", true)]);
        let fitted = fit(column(Some(2)), &newer).expect("a null for `z`");
        assert_eq!(fitted.as_struct().column(2).null_count(), 1);
        // And no panic where a null is not allowed.
        let strict = to(vec![field("x", true), field("y", false)]);
        assert!(fit(column(None), &strict).is_none());
        assert!(fit(column(Some(2)), &strict).is_some());
    }
}
