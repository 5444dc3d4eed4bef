//! An object store with the faults of real ones: slow, failing, silent, and above all unclear. What
//! is asked may happen though an error is answered, or happen long after that.
//!
//! What real stores don't do isn't done here either: an object is put whole or not at all.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use neurolake_delta::time;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result,
};

/// What a request wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// To put an object if there is none.
    Create,
    Put,
    Get,
    List,
    Delete,
}

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Fault {
    #[default]
    None,
    /// It fails.
    Fails,
    /// It happens, and an error is answered.
    AnswerLost,
    /// It doesn't happen, and nothing is ever answered.
    Hangs,
    /// It happens, and nothing is ever answered.
    Silent,
    /// An error is answered, and it happens after so long.
    HappensLater(Duration),
}

/// How a request goes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Course {
    /// From the request to what it does.
    pub(crate) there: Duration,
    pub(crate) fault: Fault,
    /// From what it does to the answer.
    pub(crate) back: Duration,
}

/// Decides how requests go.
pub(crate) trait Rules: Send + Sync {
    /// Whether the simulation's time can be waited for: not in the threads of deltalake.
    fn course(&self, kind: Kind, path: &Path, can_wait: bool) -> Course;

    /// An object was put.
    fn on_put(&self, _: &Path, _: &Bytes) {}

    /// What is told of an object.
    fn told(&self, object: ObjectMeta) -> ObjectMeta {
        object
    }

    /// Whether an object is listed already.
    fn is_listed(&self, _: &ObjectMeta) -> bool {
        true
    }
}

/// Wraps a store.
#[derive(Clone)]
pub(crate) struct Faulty {
    inner: Arc<dyn ObjectStore>,
    rules: Arc<dyn Rules>,
}

impl Faulty {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>, rules: Arc<dyn Rules>) -> Arc<Self> {
        Arc::new(Self { inner, rules })
    }

    fn listed(&self, objects: Vec<ObjectMeta>) -> Vec<ObjectMeta> {
        let listed = objects.into_iter().map(|object| self.rules.told(object));
        listed
            .filter(|object| self.rules.is_listed(object))
            .collect()
    }

    async fn ask<T: Send + 'static>(
        &self,
        kind: Kind,
        path: &Path,
        happen: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let can_wait = !time::is_elsewhere();
        let course = self.rules.course(kind, path, can_wait);
        let pause = async |duration: Duration| {
            if can_wait && !duration.is_zero() {
                time::sleep(duration).await;
            }
        };
        pause(course.there).await;
        match course.fault {
            Fault::None => {
                let answer = happen.await;
                pause(course.back).await;
                return answer;
            }
            Fault::Hangs if can_wait => std::future::pending().await,
            Fault::Fails | Fault::Hangs => {}
            Fault::AnswerLost => drop(happen.await),
            Fault::Silent => {
                drop(happen.await);
                if can_wait {
                    std::future::pending::<()>().await;
                }
            }
            Fault::HappensLater(_) if !can_wait => drop(happen.await),
            Fault::HappensLater(after) => {
                tokio::spawn(async move {
                    time::sleep(after).await;
                    drop(happen.await);
                });
            }
        }
        pause(course.back).await;
        Err(broken())
    }
}

/// What a store says that doesn't work.
pub(crate) fn broken() -> Error {
    Error::Generic {
        store: "faulty",
        source: "broken on purpose".into(),
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Faulty({})", self.inner)
    }
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Faulty({})", self.inner)
    }
}

#[async_trait::async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let kind = match options.mode {
            PutMode::Create => Kind::Create,
            _ => Kind::Put,
        };
        let (store, path) = (self.clone(), location.clone());
        self.ask(kind, location, async move {
            let content = Bytes::from(payload.clone());
            let answer = store.inner.put_opts(&path, payload, options).await?;
            store.rules.on_put(&path, &content);
            Ok(answer)
        })
        .await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let (store, path) = (self.clone(), location.clone());
        self.ask(Kind::Get, location, async move {
            let mut found = store.inner.get_opts(&path, options).await?;
            found.meta = store.rules.told(found.meta);
            Ok(found)
        })
        .await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let (store, path, ranges) = (self.clone(), location.clone(), ranges.to_vec());
        self.ask(Kind::Get, location, async move {
            store.inner.get_ranges(&path, &ranges).await
        })
        .await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let deleted = locations.then(move |path| {
            let store = store.clone();
            async move {
                let path = path?;
                let (inner, gone) = (Arc::clone(&store.inner), path.clone());
                store
                    .ask(
                        Kind::Delete,
                        &path,
                        async move { inner.delete(&gone).await },
                    )
                    .await?;
                Ok(path)
            }
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let store = self.clone();
        let prefix = prefix.cloned().unwrap_or_default();
        let listed = async move {
            let (all, folder) = (store.clone(), prefix.clone());
            let list = async move {
                let listed: Vec<_> = all.inner.list(Some(&folder)).try_collect().await?;
                Ok(all.listed(listed))
            };
            let listed = store.ask(Kind::List, &prefix, list).await?;
            Ok::<_, Error>(stream::iter(listed).map(Ok))
        };
        stream::once(listed).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let (store, folder) = (self.clone(), prefix.cloned().unwrap_or_default());
        let list = async move {
            let mut listed = store.inner.list_with_delimiter(Some(&folder)).await?;
            listed.objects = store.listed(listed.objects);
            Ok(listed)
        };
        let folder = prefix.cloned().unwrap_or_default();
        self.ask(Kind::List, &folder, list).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
