//! Copies of tables as Parquet files, where this machine can't reach the real ones.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use neurolake_delta::At;
use object_store::ObjectStoreExt;

use crate::error::{Error, Kind, Result};
use crate::lake::Scope;
use crate::sources::parquet::{Folder, no_versions};
use crate::sources::{Declared, Inspection, Source, objects};
use crate::stores::{DEFAULT, Store};

/// A table whose store may be a folder of copies.
pub(crate) struct OrCopy {
    declared: Declared,
    real: Arc<dyn Source>,
}

impl OrCopy {
    pub(crate) fn new(declared: Declared, real: Arc<dyn Source>) -> Self {
        Self { declared, real }
    }
}

#[async_trait]
impl Source for OrCopy {
    async fn provider(&self, scope: &Scope, at: Option<&At>) -> Result<Arc<dyn TableProvider>> {
        let Some(copy) = provider(scope, &self.declared).await? else {
            return self.real.provider(scope, at).await;
        };
        if at.is_some() {
            return Err(no_versions(&name(&self.declared), "a copy"));
        }
        Ok(copy)
    }

    async fn inspect(&self, scope: &Scope) -> Result<Inspection> {
        match copy(scope, &self.declared).await? {
            Some(copy) => copy.inspect_all().await,
            None => self.real.inspect(scope).await,
        }
    }
}

/// The copy of a table whose store is a folder of copies; `None` for every other store. The
/// store decides, not the declaration: the same table is read from its database elsewhere.
pub(crate) async fn provider(
    scope: &Scope,
    declared: &Declared,
) -> Result<Option<Arc<dyn TableProvider>>> {
    let Some(copy) = copy(scope, declared).await? else {
        return Ok(None);
    };
    copy.check().await?;
    Ok(Some(Arc::new(copy)))
}

fn name(declared: &Declared) -> String {
    format!("{}.{}", declared.database, declared.table.name)
}

async fn copy(scope: &Scope, declared: &Declared) -> Result<Option<Folder>> {
    let store = declared.table.store.as_deref().unwrap_or(DEFAULT);
    let Some(Store::Copies { folder }) = scope.shared.stores.get(store) else {
        return Ok(None);
    };
    let name = name(declared);
    if declared.table.columns.is_empty() {
        return Err(broken(format!(
            "{name} declares no columns, so that a copy can't be checked"
        ))
        .with_hint("declare its columns"));
    }
    let opened = objects::open_folder(&scope.shared, store, folder)?;
    let path = opened.path.clone().join(format!("{name}.parquet"));
    let file = folder.join(format!("{name}.parquet"));
    let meta = opened.store.head(&path).await.map_err(|error| match error {
        object_store::Error::NotFound { .. } => {
            broken(format!("there is no copy of {name} at `{}`", file.display())).with_hint(format!(
                "write the table there as a Parquet file, or connect `[stores.{store}]` to the real one"
            ))
        }
        error => opened.explain(&error),
    })?;
    Ok(Some(Folder::single(opened, meta, &declared.table)))
}

fn broken(message: String) -> Error {
    Error::new(Kind::Broken, message)
}
