use neurolake_ingest::queue::{MemoryQueue, conformance};

#[tokio::test(flavor = "multi_thread")]
async fn keeps_every_promise() {
    conformance::run(async || MemoryQueue::default()).await;
}
