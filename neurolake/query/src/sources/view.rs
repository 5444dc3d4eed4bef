//! Views in SQL, inlined into the statement so that filters reach what they read.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::datasource::ViewTable;
use neurolake_delta::At;
use neurolake_model as model;

use crate::error::{Error, Kind, Result};
use crate::inputs::is_repeatable;
use crate::lake::Scope;
use crate::plans::reads_only_tables;
use crate::session;
use crate::sources::conform::conform;
use crate::sources::{Declared, Source, without_versions};

pub(crate) struct View {
    declared: Declared,
}

impl View {
    pub(crate) fn new(declared: Declared) -> Self {
        Self { declared }
    }

    async fn open(&self, scope: &Scope, query: &str) -> Result<Arc<dyn TableProvider>> {
        let name = self.declared.name();
        let lake = scope.enter(&name)?.lake();
        let (state, plan) = session::plan(&lake, query)
            .await
            .map_err(|error| blame(error, &name, scope))?;
        let plan = session::coerce(&state, plan).map_err(|error| blame(error, &name, scope))?;
        if !is_repeatable(&plan) || !reads_only_tables(scope, &plan) {
            scope.pins.noted().changes();
        }
        let columns = &self.declared.table.columns;
        let plan = conform(plan, columns, &format!("the view `{name}`"))?;
        Ok(Arc::new(ViewTable::new(plan, Some(query.to_owned()))))
    }
}

/// Whoever reads a view can't correct it.
fn blame(mut error: Error, view: &str, scope: &Scope) -> Error {
    // It is one in the view's text, not in the statement's.
    error.position = None;
    if let (Some(role), Kind::BadRequest) = (scope.access.role(), error.kind) {
        // It names a column that the role doesn't see.
        error.kind = Kind::Forbidden;
        error.message = format!(
            "the role `{role}` may not read all that the view reads: {}",
            error.message
        );
    }
    if matches!(
        error.kind,
        Kind::BadRequest | Kind::NotFound | Kind::NotAllowed
    ) {
        error.kind = Kind::Broken;
    }
    error.message = format!("the view `{view}` can't be read: {}", error.message);
    error
}

#[async_trait]
impl Source for View {
    async fn provider(&self, scope: &Scope, at: Option<&At>) -> Result<Arc<dyn TableProvider>> {
        without_versions(&self.declared, at)?;
        let model::Source::Sql { query } = &self.declared.table.source else {
            return Err(Error::new(Kind::Internal, "a view without a query"));
        };
        self.open(scope, query).await
    }

    fn reads_tables(&self) -> bool {
        true
    }
}
