//! How many queries run at once, and how many wait.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::doors::Settings;

/// A bounded number of running queries behind a bounded queue.
pub(crate) struct Admission {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    wait: Duration,
    most: usize,
    queue: usize,
    turned_away: Counter,
}

/// The right to run one query, until it is dropped.
pub(crate) struct Admitted {
    _permit: OwnedSemaphorePermit,
}

/// Too much is going on.
pub(crate) struct Busy;

impl Admission {
    pub(crate) fn new(settings: &Settings) -> Self {
        let most = settings.concurrent_queries.max(1);
        Self {
            running: Arc::new(Semaphore::new(most)),
            waiting: Arc::new(Semaphore::new(settings.queued_queries)),
            wait: settings.queue_wait,
            most,
            queue: settings.queued_queries,
            turned_away: Counter::default(),
        }
    }

    pub(crate) fn running(&self) -> usize {
        self.most.saturating_sub(self.running.available_permits())
    }

    pub(crate) fn waiting(&self) -> usize {
        self.queue.saturating_sub(self.waiting.available_permits())
    }

    /// Counts those that were turned away.
    pub(crate) fn turned_away(&self) -> Counter {
        self.turned_away.clone()
    }

    /// Waits for a turn.
    pub(crate) async fn admit(&self) -> Result<Admitted, Busy> {
        let permit = match Arc::clone(&self.running).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let queued = self.queue().await;
                queued.inspect_err(|_| {
                    self.turned_away.inc();
                })?
            }
        };
        Ok(Admitted { _permit: permit })
    }

    async fn queue(&self) -> Result<OwnedSemaphorePermit, Busy> {
        let _place = self.waiting.try_acquire().map_err(|_| Busy)?;
        let turn = Arc::clone(&self.running).acquire_owned();
        match tokio::time::timeout(self.wait, turn).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Busy),
        }
    }
}
