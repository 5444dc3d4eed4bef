//! `pg_settings`: what a session has set.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray, new_null_array};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::{MemTable, SchemaProvider, TableProvider};
use datafusion::error::Result;

use super::Variables;

const PG_SETTINGS: &str = "pg_settings";

/// `pg_catalog` as a session sees it.
#[derive(Debug)]
pub(super) struct WithSettings {
    pub(super) inner: Arc<dyn SchemaProvider>,
    pub(super) variables: Arc<Variables>,
}

#[async_trait]
impl SchemaProvider for WithSettings {
    fn table_names(&self) -> Vec<String> {
        self.inner.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match name {
            PG_SETTINGS => Ok(Some(Arc::new(settings(&self.variables)?))),
            name => self.inner.table(name).await,
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.inner.table_exist(name)
    }
}

fn settings(variables: &Variables) -> Result<MemTable> {
    let all = variables.all();
    let texts = |texts: Vec<&str>| -> ArrayRef { Arc::new(StringArray::from(texts)) };
    let same = |text: &'static str| texts(vec![text; all.len()]);
    let names = texts(all.keys().map(String::as_str).collect());
    let values = texts(all.values().map(String::as_str).collect());
    let nothing = |data_type: &DataType| new_null_array(data_type, all.len());
    let columns = [
        ("name", Some(names)),
        ("setting", Some(Arc::clone(&values))),
        ("unit", None),
        ("category", Some(same("Preset Options"))),
        ("short_desc", None),
        ("extra_desc", None),
        ("context", Some(same("user"))),
        ("vartype", Some(same("string"))),
        ("source", Some(same("session"))),
        ("min_val", None),
        ("max_val", None),
        (
            "enumvals",
            Some(nothing(&DataType::new_list(DataType::Utf8, true))),
        ),
        ("boot_val", None),
        ("reset_val", Some(values)),
        ("sourcefile", None),
        ("sourceline", Some(nothing(&DataType::Int32))),
        (
            "pending_restart",
            Some(Arc::new(BooleanArray::from(vec![false; all.len()])) as ArrayRef),
        ),
    ];
    let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = columns
        .into_iter()
        .map(|(name, column)| {
            let column = column.unwrap_or_else(|| nothing(&DataType::Utf8));
            (Field::new(name, column.data_type().clone(), true), column)
        })
        .unzip();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    MemTable::try_new(schema, vec![vec![batch]])
}
