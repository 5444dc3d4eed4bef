//! Google Sheets.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use neurolake_delta::At;

use crate::error::{Error, Kind, Result};
use crate::lake::Scope;
use crate::sources::{Declared, Source};

pub(crate) struct Sheet {
    declared: Declared,
}

impl Sheet {
    pub(crate) fn new(declared: Declared) -> Self {
        Self { declared }
    }
}

#[async_trait]
impl Source for Sheet {
    async fn provider(&self, _scope: &Scope, _at: Option<&At>) -> Result<Arc<dyn TableProvider>> {
        let name = format!("{}.{}", self.declared.database, self.declared.table.name);
        Err(Error::new(
            Kind::Internal,
            format!("{name} can't be opened yet"),
        ))
    }
}

#[derive(Default)]
pub(crate) struct Clients;
