//! How many queries run at once, and how many wait.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::doors::Settings;

/// A bounded number of running queries behind a bounded queue.
pub(crate) struct Admission {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    wait: Duration,
    most: usize,
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
        }
    }

    pub(crate) fn running(&self) -> usize {
        self.most.saturating_sub(self.running.available_permits())
    }

    /// Waits for a turn.
    pub(crate) async fn admit(&self) -> Result<Admitted, Busy> {
        let permit = match Arc::clone(&self.running).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => self.queue().await?,
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
