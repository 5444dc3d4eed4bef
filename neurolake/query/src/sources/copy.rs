//! Copies of tables as Parquet files, where this machine can't reach the real ones.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use object_store::ObjectStoreExt;

use crate::error::{Error, Kind, Result};
use crate::lake::Scope;
use crate::sources::parquet::Folder;
use crate::sources::{Declared, objects};
use crate::stores::{DEFAULT, Store};

/// The copy of a table whose store is a folder of copies; `None` for every other store. The
/// store decides, not the declaration: the same table is read from its database elsewhere.
pub(crate) async fn provider(
    scope: &Scope,
    declared: &Declared,
) -> Result<Option<Arc<dyn TableProvider>>> {
    let store = declared.table.store.as_deref().unwrap_or(DEFAULT);
    let Some(Store::Copies { folder }) = scope.shared.stores.get(store) else {
        return Ok(None);
    };
    let name = format!("{}.{}", declared.database, declared.table.name);
    if declared.table.columns.is_empty() {
        return Err(broken(format!("{name} declares no columns, so that a copy can't be checked"))
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
    let copy = Folder::single(opened, meta, &declared.table);
    copy.check().await?;
    Ok(Some(Arc::new(copy)))
}

fn broken(message: String) -> Error {
    Error::new(Kind::Broken, message)
}
