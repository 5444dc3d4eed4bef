//! Events: the queue, and what is opened over it.

pub(super) const QUEUE: &str = "queue";
