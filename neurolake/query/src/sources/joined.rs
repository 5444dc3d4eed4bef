//! A table's committed rows together with those on their way to it.
//!
//! The plan is the one of the committed rows, with rows in memory beside it. Those are filtered,
//! projected and cut off while planning, so nothing new has to run.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{AsArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::datasource::TableType;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, lit};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::union::UnionExec;
use neurolake_delta::types::arrow_type;
use neurolake_model as model;

use super::delta::needs_more_than_columns;
use crate::error::{Error, Kind};
use crate::schema;

mod fit;

use fit::Rows;

/// The committed rows of `table` and these, as one table. Where there is nothing to add, the
/// committed ones alone.
pub(crate) fn joined(
    committed: Arc<dyn TableProvider>,
    rows: Vec<RecordBatch>,
    name: String,
    declared: &[model::Column],
    partition_columns: &[String],
) -> Arc<dyn TableProvider> {
    let rows = Rows::new(rows);
    let stored = committed.schema();
    let new: Vec<&model::Column> = declared
        .iter()
        .filter(|column| schema::stored_field(column, &stored).is_none())
        .collect();
    if rows.is_empty() && new.is_empty() {
        return committed;
    }
    let mut columns = Vec::new();
    let mut fields = Vec::new();
    for field in stored.fields() {
        let empty_is_null =
            partition_columns.contains(field.name()) && *field.data_type() == DataType::Utf8;
        let column = Place {
            names: names(field.name(), declared),
            empty_is_null,
        };
        // A promise of "never null" is the table's, not that of rows which aren't in it yet.
        let nullable = field.is_nullable() || empty_is_null || rows.lack(&column.names);
        fields.push(field.as_ref().clone().with_nullable(nullable));
        columns.push(column);
    }
    // Columns that the next commit brings. They are there from the beginning, so that a statement
    // doesn't depend on whether rows are on their way.
    for column in new {
        let data_type = schema::relax(&arrow_type(&column.data_type));
        fields.push(Field::new(&column.name, data_type, true));
        columns.push(Place {
            names: names(&column.name, declared),
            empty_is_null: false,
        });
    }
    Arc::new(Joined {
        name,
        schema: Arc::new(Schema::new_with_metadata(fields, stored.metadata().clone())),
        stored: stored.fields().len(),
        committed,
        rows,
        columns,
    })
}

/// Where the values of a column stand in rows on their way.
#[derive(Debug)]
struct Place {
    /// Names that the column has or had.
    names: Vec<String>,
    /// As a table reads what was written: the protocol writes an empty text and null alike as the
    /// value of a partition.
    empty_is_null: bool,
}

fn names(column: &str, declared: &[model::Column]) -> Vec<String> {
    let mut names = vec![column.to_owned()];
    for known in declared {
        let Some(former) = &known.renamed_from else {
            continue;
        };
        if known.name == column {
            names.push(former.clone());
        } else if former == column {
            names.push(known.name.clone());
        }
    }
    names
}

/// See [`joined`].
#[derive(Debug)]
struct Joined {
    name: String,
    committed: Arc<dyn TableProvider>,
    rows: Rows,
    /// The committed columns, then those that are declared and not stored yet.
    schema: SchemaRef,
    stored: usize,
    /// One for each column of the schema.
    columns: Vec<Place>,
}

impl Joined {
    fn is_stored(&self, filter: &Expr) -> bool {
        let columns = filter.column_refs();
        columns.iter().all(|column| {
            self.schema
                .index_of(&column.name)
                .is_ok_and(|position| position < self.stored)
        })
    }

    fn support(&self, filter: &Expr) -> DataFusionResult<TableProviderFilterPushDown> {
        use TableProviderFilterPushDown as Support;
        if !self.is_stored(filter) {
            return Ok(Support::Inexact);
        }
        let committed = self.committed.supports_filters_pushdown(&[filter])?;
        Ok(match committed.first() {
            Some(Support::Exact) if needs_more_than_columns(filter) => Support::Inexact,
            Some(support) => support.clone(),
            None => Support::Unsupported,
        })
    }

    /// The rows on their way that match, with these columns.
    fn matching(
        &self,
        session: &dyn Session,
        projection: &[usize],
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<RecordBatch> {
        let mut needed: BTreeSet<usize> = projection.iter().copied().collect();
        for filter in filters {
            for column in filter.column_refs() {
                needed.insert(self.schema.index_of(&column.name)?);
            }
        }
        let needed: Vec<usize> = needed.into_iter().collect();
        let mut rows = self.batch(&needed)?;
        for filter in filters {
            if rows.num_rows() == 0 {
                break;
            }
            match keep(session, filter, &rows) {
                Ok(kept) => rows = kept,
                Err(error)
                    if matches!(self.support(filter)?, TableProviderFilterPushDown::Exact) =>
                {
                    return Err(error);
                }
                // It is applied once more above the scan, which says what is wrong, if anybody
                // gets to see it.
                Err(_) => {}
            }
        }
        let positions: Vec<usize> = projection
            .iter()
            .filter_map(|column| needed.binary_search(column).ok())
            .collect();
        let rows = rows.project(&positions)?;
        let kept = limit.map_or(rows.num_rows(), |limit| limit.min(rows.num_rows()));
        Ok(rows.slice(0, kept))
    }

    fn batch(&self, columns: &[usize]) -> DataFusionResult<RecordBatch> {
        let schema = Arc::new(self.schema.project(columns)?);
        if self.rows.is_empty() {
            return Ok(RecordBatch::new_empty(schema));
        }
        let arrays = columns.iter().map(|position| {
            let place = &self.columns[*position];
            let field = self.schema.field(*position);
            self.rows
                .column(&place.names, field.data_type(), place.empty_is_null)
                .map_err(|error| self.misfit(field.name(), error))
        });
        let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows.len()));
        Ok(RecordBatch::try_new_with_options(schema, arrays, &options)?)
    }

    fn misfit(&self, column: &str, error: datafusion::arrow::error::ArrowError) -> Error {
        Error::new(
            Kind::Broken,
            format!(
                "the rows on their way to {} can't be read: `{column}` doesn't fit in the stored column",
                self.name
            ),
        )
        .with_hint(format!(
            "other columns can be read; `neurolake doctor {}` compares the declaration with the table",
            self.name
        ))
        .with_source(error)
    }

    async fn committed(
        &self,
        session: &dyn Session,
        projection: &[usize],
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let known: Vec<Expr> = filters
            .iter()
            .filter(|filter| self.is_stored(filter))
            .cloned()
            .collect();
        let limit = limit.filter(|_| known.len() == filters.len());
        let stored: Vec<usize> = projection
            .iter()
            .copied()
            .filter(|column| *column < self.stored)
            .collect();
        let plan = self
            .committed
            .scan(session, Some(&stored), &known, limit)
            .await?;
        if stored.len() == projection.len() {
            return Ok(plan);
        }
        let mut position = 0;
        let mut expressions = Vec::with_capacity(projection.len());
        for column in projection {
            let field = self.schema.field(*column);
            let expr: Arc<dyn PhysicalExpr> = if *column < self.stored {
                position += 1;
                Arc::new(Column::new(field.name(), position - 1))
            } else {
                lit(ScalarValue::try_from(field.data_type())?)
            };
            expressions.push(ProjectionExpr {
                expr,
                alias: field.name().clone(),
            });
        }
        Ok(Arc::new(ProjectionExec::try_new(expressions, plan)?))
    }
}

/// The rows for which the filter is true.
fn keep(session: &dyn Session, filter: &Expr, rows: &RecordBatch) -> DataFusionResult<RecordBatch> {
    if needs_more_than_columns(filter) {
        return Ok(rows.clone());
    }
    let schema = DFSchema::try_from(rows.schema())?;
    let filter = session.create_physical_expr(filter.clone(), &schema)?;
    let matches = filter.evaluate(rows)?.into_array(rows.num_rows())?;
    let matches = matches
        .as_boolean_opt()
        .ok_or_else(|| Error::new(Kind::Internal, "a filter that is neither true nor false"))?;
    Ok(filter_record_batch(rows, matches)?)
}

#[async_trait]
impl TableProvider for Joined {
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
        filters.iter().map(|filter| self.support(filter)).collect()
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let every: Vec<usize>;
        let projection = match projection {
            Some(projection) => projection,
            None => {
                every = (0..self.columns.len()).collect();
                &every
            }
        };
        let rows = self.matching(session, projection, filters, limit)?;
        // A limit comes without an order: any rows will do.
        let is_enough = limit.is_some_and(|limit| rows.num_rows() >= limit);
        if is_enough {
            return in_memory(rows);
        }
        let committed = self.committed(session, projection, filters, limit).await?;
        if rows.num_rows() == 0 {
            return Ok(committed);
        }
        if committed.is::<EmptyExec>() {
            return in_memory(rows);
        }
        UnionExec::try_new(vec![committed, in_memory(rows)?])
    }
}

fn in_memory(rows: RecordBatch) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
    let schema = rows.schema();
    Ok(MemorySourceConfig::try_new_exec(
        &[vec![rows]],
        schema,
        None,
    )?)
}
