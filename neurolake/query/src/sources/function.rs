//! Function tables.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::dataframe::DataFrame;
use datafusion::scalar::ScalarValue;
use neurolake_delta::At;

use crate::error::{Error, Kind, Result};
use crate::lake::{Lake, Scope};
use crate::sources::{Declared, Source};

/// Values of a function's arguments, in the order of declaration, cast to the declared types.
/// `None` where the query gives no value.
pub type Arguments = Vec<Option<ScalarValue>>;

/// The code of a function table.
#[async_trait]
pub trait FunctionTable: Send + Sync {
    /// The rows for these arguments. Required ones are there.
    async fn rows(&self, lake: Lake, arguments: Arguments) -> Result<DataFrame>;
}

pub(crate) struct Function {
    declared: Declared,
    _function: Option<Arc<dyn FunctionTable>>,
}

impl Function {
    pub(crate) fn new(declared: Declared, function: Option<Arc<dyn FunctionTable>>) -> Self {
        Self {
            declared,
            _function: function,
        }
    }
}

#[async_trait]
impl Source for Function {
    async fn provider(&self, _scope: &Scope, _at: Option<&At>) -> Result<Arc<dyn TableProvider>> {
        let name = format!("{}.{}", self.declared.database, self.declared.table.name);
        Err(Error::new(
            Kind::Internal,
            format!("{name} can't be opened yet"),
        ))
    }
}
