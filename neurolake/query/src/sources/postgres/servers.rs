//! What is kept between queries: servers by store, and what tables looked like.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::scan::Pushdown;
use super::server::Server;
use super::table::{self, Table};
use crate::error::Result;
use crate::sources::Declared;
use crate::stores::PostgresSettings;

/// How long a table is taken to look as it did. A column that is gone sooner gives an error that
/// says so; a new one is seen after this time.
const DESCRIPTION_AGE: Duration = Duration::from_mins(1);

/// The servers of a lake by the name of the store.
#[derive(Default)]
pub(crate) struct Servers(Mutex<HashMap<String, Arc<Server>>>);

impl Servers {
    pub(super) fn get(
        &self,
        store: &str,
        settings: &PostgresSettings,
        deadline: Option<Duration>,
    ) -> Result<Arc<Server>> {
        // Nothing can panic while the map is held.
        let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = servers.get(store) {
            return Ok(Arc::clone(server));
        }
        let server = Arc::new(Server::new(store, settings, deadline)?);
        servers.insert(store.to_owned(), Arc::clone(&server));
        Ok(server)
    }
}

/// What a table looked like when it was last asked for.
#[derive(Default)]
pub(super) struct Opened(tokio::sync::Mutex<Option<(Instant, Arc<Table>)>>);

impl Opened {
    pub(super) async fn table(
        &self,
        server: &Arc<Server>,
        declared: &Declared,
        relation: &str,
    ) -> Result<Arc<Table>> {
        let mut opened = self.0.lock().await;
        if let Some((at, table)) = opened.as_ref()
            && at.elapsed() < DESCRIPTION_AGE
        {
            return Ok(Arc::clone(table));
        }
        let pushdown = Arc::new(Pushdown::new(server));
        let table = Arc::new(table::open(server, declared, relation, pushdown).await?);
        *opened = Some((Instant::now(), Arc::clone(&table)));
        Ok(table)
    }
}
