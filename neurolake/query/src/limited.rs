//! Ends a stream that takes too long or gives too much.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use futures::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, Sleep};

use crate::error::{Error, Kind, Result};
use crate::stop::Stop;

/// What one query may still use.
pub(crate) struct Bounds {
    deadline: Option<(Instant, Duration)>,
    max_rows: Option<usize>,
}

impl Bounds {
    /// The time begins now.
    pub(crate) fn new(deadline: Option<Duration>, max_rows: Option<usize>) -> Self {
        Self {
            // A time too far away to be written is none.
            deadline: deadline
                .and_then(|length| Some((Instant::now().checked_add(length)?, length))),
            max_rows,
        }
    }

    /// The result of the work, unless it takes too long.
    pub(crate) async fn in_time<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        match self.deadline {
            None => Ok(work.await),
            Some((end, length)) => tokio::time::timeout_at(end, work)
                .await
                .map_err(|_| timeout(length)),
        }
    }
}

/// The error of a query that reached its deadline.
pub fn timeout(length: Duration) -> Error {
    Error::new(
        Kind::Timeout,
        format!("the query was stopped after {length:?}, its deadline"),
    )
    .with_hint("filter on partition columns, ask for fewer rows, or raise the deadline")
}

fn too_many(max_rows: usize) -> Error {
    Error::new(
        Kind::TooMuch,
        format!("the answer has more than {max_rows} rows, the most that is allowed"),
    )
    .with_hint("add a filter or a `limit`, or raise the limit")
}

/// The stream within its bounds. It runs here and may be read anywhere.
pub(crate) fn limited(
    mut stream: SendableRecordBatchStream,
    bounds: &Bounds,
    stop: Arc<Stop>,
) -> SendableRecordBatchStream {
    if let Some(deadline) = bounds.deadline {
        stop.set_at(deadline);
    }
    let schema = stream.schema();
    // One batch ahead keeps both sides busy, more would only hold memory.
    let (sender, batches) = mpsc::channel(1);
    let task = tokio::spawn(async move {
        while let Some(batch) = stream.next().await {
            let is_end = batch.is_err();
            if sender.send(batch).await.is_err() || is_end {
                break;
            }
        }
    });
    let abort = task.abort_handle();
    // A panic of the task must not look like the end of the rows.
    let outcome = Box::pin(async move { task.await.err() });
    Box::pin(Limited {
        schema,
        batches,
        abort,
        stop,
        outcome: Some(outcome),
        sleep: bounds
            .deadline
            .map(|(end, length)| (Box::pin(tokio::time::sleep_until(end)), length)),
        max_rows: bounds.max_rows,
        rows: 0,
        is_done: false,
    })
}

type Outcome = Pin<Box<dyn Future<Output = Option<tokio::task::JoinError>> + Send>>;

struct Limited {
    schema: SchemaRef,
    batches: mpsc::Receiver<DataFusionResult<RecordBatch>>,
    abort: AbortHandle,
    stop: Arc<Stop>,
    outcome: Option<Outcome>,
    sleep: Option<(Pin<Box<Sleep>>, Duration)>,
    max_rows: Option<usize>,
    rows: usize,
    is_done: bool,
}

impl Limited {
    fn end(&mut self, error: Error) -> Poll<Option<DataFusionResult<RecordBatch>>> {
        self.stop.set();
        self.abort.abort();
        self.is_done = true;
        Poll::Ready(Some(Err(error.into())))
    }

    fn count(&mut self, batch: RecordBatch) -> Poll<Option<DataFusionResult<RecordBatch>>> {
        self.rows = self.rows.saturating_add(batch.num_rows());
        match self.max_rows {
            Some(max_rows) if self.rows > max_rows => self.end(too_many(max_rows)),
            _ => Poll::Ready(Some(Ok(batch))),
        }
    }

    fn finish(&mut self, context: &mut Context<'_>) -> Poll<Option<DataFusionResult<RecordBatch>>> {
        let Some(outcome) = &mut self.outcome else {
            return Poll::Ready(None);
        };
        match outcome.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => {
                self.is_done = true;
                Poll::Ready(None)
            }
            Poll::Ready(Some(error)) => self.end(
                Error::new(Kind::Internal, "the query ended before its last row")
                    .with_source(error),
            ),
        }
    }
}

impl Stream for Limited {
    type Item = DataFusionResult<RecordBatch>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.is_done {
            return Poll::Ready(None);
        }
        if let Some((sleep, length)) = &mut this.sleep
            && sleep.as_mut().poll(context).is_ready()
        {
            let length = *length;
            return this.end(timeout(length));
        }
        match this.batches.poll_recv(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(batch))) => this.count(batch),
            Poll::Ready(Some(Err(error))) => this.end(Error::from(error)),
            Poll::Ready(None) => this.finish(context),
        }
    }
}

impl RecordBatchStream for Limited {
    fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        self.stop.set();
        self.abort.abort();
    }
}
