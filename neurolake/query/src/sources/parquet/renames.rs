//! Columns that a file stores under their former name.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapter, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};

/// Reads a column by its former name from files that don't have the new one. Everything else is
/// what DataFusion does: widening casts, and null for what a file doesn't have.
#[derive(Debug)]
pub(crate) struct Renames {
    /// New and former name.
    pub(crate) names: Vec<(String, String)>,
}

#[derive(Debug)]
struct Renaming {
    inner: DefaultPhysicalExprAdapter,
    /// Those that apply to this file.
    names: Vec<(String, String)>,
}

impl PhysicalExprAdapterFactory for Renames {
    fn create(
        &self,
        logical_file_schema: SchemaRef,
        physical_file_schema: SchemaRef,
    ) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let has = |name: &str| physical_file_schema.index_of(name).is_ok();
        let names = self.names.iter();
        let names: Vec<_> = names
            .filter(|(new, former)| !has(new) && has(former))
            .cloned()
            .collect();
        let renamed = physical_file_schema.fields().iter().map(|field| {
            match names.iter().find(|(_, former)| former == field.name()) {
                Some((new, _)) => Arc::new(Field::clone(field).with_name(new)),
                None => Arc::clone(field),
            }
        });
        let physical = Arc::new(Schema::new(renamed.collect::<Vec<_>>()));
        Ok(Arc::new(Renaming {
            inner: DefaultPhysicalExprAdapter::new(logical_file_schema, physical),
            names,
        }))
    }
}

impl PhysicalExprAdapter for Renaming {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        let expr = self.inner.rewrite(expr)?;
        // What reads the file finds columns by the names in the file.
        expr.transform(|expr| {
            let stored = expr.downcast_ref::<Column>().and_then(|column| {
                let (_, former) = self.names.iter().find(|(new, _)| new == column.name())?;
                Some(Column::new(former, column.index()))
            });
            Ok(match stored {
                Some(column) => Transformed::yes(Arc::new(column) as Arc<dyn PhysicalExpr>),
                None => Transformed::no(expr),
            })
        })
        .data()
    }
}
