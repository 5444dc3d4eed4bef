//! Tables of a PostgreSQL database.
//!
//! Filters, projections, limits, aggregates and joins within one server run there; what PostgreSQL
//! can't answer alike is evaluated here. Connections belong to the store, not to the table, and
//! are read-only for the server, too.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use neurolake_delta::At;

use crate::error::{Error, Kind, Result};
use crate::lake::Scope;
use crate::sources::{Declared, Source};

#[cfg(feature = "postgres")]
mod decode;
#[cfg(feature = "postgres")]
mod literal;
#[cfg(feature = "postgres")]
mod scan;
#[cfg(feature = "postgres")]
mod server;
#[cfg(feature = "postgres")]
mod servers;
#[cfg(feature = "postgres")]
mod sql;
#[cfg(feature = "postgres")]
mod table;

#[cfg(feature = "postgres")]
pub(crate) use servers::Servers;

/// Without the feature there are none.
#[cfg(not(feature = "postgres"))]
#[derive(Default)]
pub(crate) struct Servers;

pub(crate) struct Postgres {
    declared: Declared,
    #[cfg(feature = "postgres")]
    opened: servers::Opened,
}

impl Postgres {
    pub(crate) fn new(declared: Declared) -> Self {
        Self {
            declared,
            #[cfg(feature = "postgres")]
            opened: servers::Opened::default(),
        }
    }
}

#[async_trait]
impl Source for Postgres {
    async fn provider(&self, scope: &Scope, at: Option<&At>) -> Result<Arc<dyn TableProvider>> {
        let name = format!("{}.{}", self.declared.database, self.declared.table.name);
        if at.is_some() {
            return Err(Error::new(
                Kind::BadRequest,
                format!("{name} is a PostgreSQL table, which keeps no earlier versions"),
            )
            .with_hint("leave out what stands behind the `@`"));
        }
        self.open(scope, &name).await
    }
}

impl Postgres {
    #[cfg(feature = "postgres")]
    async fn open(&self, scope: &Scope, name: &str) -> Result<Arc<dyn TableProvider>> {
        use crate::stores::{DEFAULT, Store};
        use neurolake_model as model;

        let model::Source::Postgres { relation } = &self.declared.table.source else {
            return Err(Error::new(
                Kind::Internal,
                format!("{name} is no PostgreSQL table"),
            ));
        };
        let store = self.declared.table.store.as_deref().unwrap_or(DEFAULT);
        let settings = match scope.shared.stores.get(store) {
            Some(Store::Postgres(settings)) => settings,
            // Copies are read before it comes to this.
            Some(_) => {
                return Err(Error::new(
                    Kind::Broken,
                    format!("the store `{store}` of {name} is no PostgreSQL server"),
                )
                .with_hint(format!("give `[stores.{store}]` the key `postgres`")));
            }
            None => {
                return Err(Error::new(
                    Kind::Broken,
                    format!("the store `{store}` of {name} is not configured"),
                )
                .with_hint(format!(
                    "add `[stores.{store}]` with `postgres = {{ host = ... }}` to neurolake.toml"
                )));
            }
        };
        let server = scope
            .shared
            .postgres
            .get(store, settings, scope.shared.limits.deadline)?;
        let table = self.opened.table(&server, &self.declared, relation).await?;
        Ok(scan::provider(table))
    }

    #[cfg(not(feature = "postgres"))]
    async fn open(&self, _scope: &Scope, name: &str) -> Result<Arc<dyn TableProvider>> {
        Err(Error::new(
            Kind::Broken,
            format!("{name} is a PostgreSQL table, and this program was built without them"),
        )
        .with_hint("build with the feature `postgres`"))
    }
}

/// The rules that plans are optimised by: all of the engine's, then what hands parts of the plan
/// to the servers. In this order, since only then filters, columns and limits stand next to the
/// tables they belong to, also in a plan that reads other sources.
pub(crate) fn optimizer_rules()
-> Vec<Arc<dyn datafusion::optimizer::optimizer::OptimizerRule + Send + Sync>> {
    let rules = datafusion::optimizer::optimizer::Optimizer::new().rules;
    #[cfg(feature = "postgres")]
    let rules = {
        let mut rules = rules;
        rules.push(Arc::new(
            datafusion_federation::FederationOptimizerRule::new(),
        ));
        rules
    };
    rules
}
