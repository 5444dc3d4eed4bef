//! How a commit becomes the only one of its version.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutMode, PutOptions};

use crate::location::Location;
use crate::time;

/// An answer that takes longer is taken for lost.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The content is the commit of this version.
    Done,
    /// Some content is the commit of this version, or about to be; it may be the one that was given,
    /// if an earlier answer was lost. Of two that come at the same time S3 may refuse one while the
    /// other can still fail: only what is there tells.
    Taken,
}

/// Makes commits, at most one for each version, whoever tries at the same time.
#[async_trait]
pub trait Commits: fmt::Debug + Send + Sync {
    /// Makes this content the commit of a version that has none.
    ///
    /// # Errors
    /// The store doesn't answer as it should. Whether the commit happened, or will still happen,
    /// is unknown: the same content may be tried again.
    async fn put(
        &self,
        location: &Location,
        version: u64,
        content: Bytes,
    ) -> Result<Put, object_store::Error>;

    /// Puts an object where there is none, as well as the store can: of two who do so at the same
    /// time both may be told that they did. For what saves work, not for what must hold.
    ///
    /// # Errors
    /// The store doesn't answer as it should. Whether the object is there is unknown.
    async fn create(
        &self,
        location: &Location,
        path: &Path,
        content: Bytes,
    ) -> Result<Put, object_store::Error>;
}

/// For stores that put an object only if it is absent, as S3, GCS, Azure and local folders do.
/// [`crate::atomicity`] proves whether a store really does.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConditionalPut;

#[async_trait]
impl Commits for ConditionalPut {
    async fn put(
        &self,
        location: &Location,
        version: u64,
        content: Bytes,
    ) -> Result<Put, object_store::Error> {
        let path = commit_path(location, version);
        in_time(self.create(location, &path, content)).await
    }

    async fn create(
        &self,
        location: &Location,
        path: &Path,
        content: Bytes,
    ) -> Result<Put, object_store::Error> {
        let options = PutOptions::from(PutMode::Create);
        match location.store.put_opts(path, content.into(), options).await {
            Ok(_) => Ok(Put::Done),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(Put::Taken),
            Err(error) => Err(error),
        }
    }
}

/// Where the commit of a version stands.
pub(crate) fn commit_path(location: &Location, version: u64) -> Path {
    location
        .path()
        .join("_delta_log")
        .join(format!("{version:020}.json"))
}

/// The content of a commit, if there is one.
pub(crate) async fn read_commit(
    location: &Location,
    version: u64,
) -> Result<Option<Bytes>, object_store::Error> {
    let path = commit_path(location, version);
    let read = async { location.store.get(&path).await?.bytes().await };
    match in_time(read).await {
        Ok(content) => Ok(Some(content)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(crate) async fn in_time<T>(
    answer: impl Future<Output = object_store::Result<T>>,
) -> object_store::Result<T> {
    in_so_much_time(PATIENCE, answer).await
}

pub(crate) async fn in_so_much_time<T>(
    patience: Duration,
    answer: impl Future<Output = object_store::Result<T>>,
) -> object_store::Result<T> {
    match time::timeout(patience, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(object_store::Error::Generic {
            store: "object store",
            source: format!("no answer within {} s", patience.as_secs()).into(),
        }),
    }
}
