//! The queue as one process reaches it.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use neurolake_delta::time::sleep;
use neurolake_ingest::queue::{
    Appended, Bounds, Entry, Queue, QueueError, QueueResult, Record, Stream,
};

use super::random::Random;
use super::world::{World, latency};

/// The faults of a broker: it does what it doesn't answer, does it later, or forgets to.
pub(crate) struct Link {
    world: Arc<World>,
    who: String,
    random: Mutex<Random>,
}

impl Link {
    pub(crate) fn new(world: &Arc<World>, who: &str) -> Arc<Self> {
        Arc::new(Self {
            random: Mutex::new(world.random()),
            world: Arc::clone(world),
            who: who.to_owned(),
        })
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut Random) -> T) -> T {
        draw(&mut self.random.lock().unwrap())
    }

    /// The way there, and what goes wrong.
    async fn begin(&self, what: &str) -> Option<u64> {
        if self.world.is_calm() {
            return None;
        }
        sleep(self.draw(latency) / 4).await;
        let fault = self.draw(|random| self.world.queue_fault(random));
        if let Some(fault) = fault {
            self.world
                .note(format!("{}: queue's {what}: fault {fault}", self.who));
        }
        fault
    }

    async fn fail<T>(&self) -> QueueResult<T> {
        let patience = self.draw(|random| match random.happens(300) {
            true => random.upto(Duration::from_mins(1)),
            false => Duration::ZERO,
        });
        sleep(patience).await;
        Err(QueueError::Unavailable {
            reason: "broken on purpose".into(),
        })
    }

    async fn read_only<T>(
        &self,
        what: &str,
        answer: impl Future<Output = QueueResult<T>>,
    ) -> QueueResult<T> {
        match self.begin(what).await {
            Some(_) => self.fail().await,
            None => answer.await,
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("who", &self.who)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Queue for Link {
    async fn identity(&self, stream: &Stream) -> QueueResult<String> {
        self.read_only("identity", self.world.queue.identity(stream))
            .await
    }

    async fn append(&self, stream: &Stream, record: Record) -> QueueResult<Appended> {
        let queue = Arc::clone(&self.world.queue);
        match self.begin("append").await {
            None => {
                let appended = queue.append(stream, record).await;
                sleep(self.draw(latency) / 4).await;
                appended
            }
            Some(..30) => self.fail().await,
            Some(30..40) => Err(QueueError::Full {
                reason: "full on purpose".into(),
            }),
            Some(40..75) => {
                let _ = queue.append(stream, record).await;
                self.fail().await
            }
            Some(_) => {
                let after = self.draw(|random| random.upto(Duration::from_secs(20)));
                let stream = stream.clone();
                tokio::spawn(async move {
                    sleep(after).await;
                    let _ = queue.append(&stream, record).await;
                });
                self.fail().await
            }
        }
    }

    async fn read(&self, stream: &Stream, after: u64, max_bytes: usize) -> QueueResult<Vec<Entry>> {
        // Any number of records is right, as long as there is one.
        let most = self.draw(|random| random.pick(&[1, 500, max_bytes, max_bytes]));
        self.read_only("read", self.world.queue.read(stream, after, most))
            .await
    }

    async fn bounds(&self, stream: &Stream) -> QueueResult<Bounds> {
        self.read_only("bounds", self.world.queue.bounds(stream))
            .await
    }

    async fn trim(&self, stream: &Stream, through: u64) -> QueueResult<()> {
        let trimmed = self.world.queue.trim(stream, through);
        match self.begin("trim").await {
            None => trimmed.await,
            Some(..30) => self.fail().await,
            // It is forgotten.
            Some(30..60) => Ok(()),
            Some(_) => {
                trimmed.await?;
                self.fail().await
            }
        }
    }

    async fn wait(&self, stream: &Stream, after: u64) -> QueueResult<()> {
        let soon = self.draw(|random| match random.happens(100) {
            true => random.duration(Duration::from_millis(10), Duration::from_secs(1)),
            false => Duration::from_hours(24),
        });
        tokio::select! {
            biased;
            waited = self.world.queue.wait(stream, after) => waited,
            () = sleep(soon) => Ok(()),
        }
    }

    fn max_record_bytes(&self) -> usize {
        self.world.queue.max_record_bytes()
    }

    async fn stored_bytes(&self) -> QueueResult<u64> {
        self.read_only("size", self.world.queue.stored_bytes())
            .await
    }
}
