//! An object store that asks before and after each request: to hold one, to fail it, to lose its
//! answer.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// What is asked of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Put if absent.
    Create,
    Put,
    Get,
    List,
    Delete,
    Copy,
}

/// A request, and whether the store has done it already.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) kind: Kind,
    pub(crate) path: String,
    pub(crate) is_done: bool,
}

impl Call {
    /// Whether it makes a commit.
    #[allow(
        dead_code,
        clippy::allow_attributes,
        reason = "not every test binary commits"
    )]
    pub(crate) fn is_commit(&self) -> bool {
        matches!(self.kind, Kind::Create | Kind::Put | Kind::Copy)
            && self.path.contains("_delta_log/0")
            && self.path.ends_with(".json")
    }
}

pub(crate) type Hook = Arc<dyn Fn(Call) -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// Wraps a store.
#[derive(Clone)]
pub(crate) struct Hooked {
    inner: Arc<dyn ObjectStore>,
    hook: Hook,
    is_careless: bool,
}

impl Hooked {
    pub(crate) fn new<F>(inner: Arc<dyn ObjectStore>, hook: F) -> Arc<Self>
    where
        F: Fn(Call) -> BoxFuture<'static, Result<()>> + Send + Sync + 'static,
    {
        Arc::new(Self {
            inner,
            hook: Arc::new(hook),
            is_careless: false,
        })
    }

    /// Puts always, whatever there is: a store that ignores `If-None-Match`.
    #[allow(
        dead_code,
        clippy::allow_attributes,
        reason = "not every test binary needs it"
    )]
    pub(crate) fn careless(inner: Arc<dyn ObjectStore>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            hook: Arc::new(|_| Box::pin(async { Ok(()) })),
            is_careless: true,
        })
    }

    async fn around<T>(
        &self,
        kind: Kind,
        path: &Path,
        request: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let call = |is_done| Call {
            kind,
            path: path.to_string(),
            is_done,
        };
        (self.hook)(call(false)).await?;
        let done = request.await?;
        (self.hook)(call(true)).await?;
        Ok(done)
    }
}

/// What a store says that doesn't work.
pub(crate) fn broken() -> object_store::Error {
    object_store::Error::Generic {
        store: "test",
        source: "broken on purpose".into(),
    }
}

impl fmt::Display for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hooked({})", self.inner)
    }
}

impl fmt::Debug for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hooked({})", self.inner)
    }
}

#[async_trait::async_trait]
impl ObjectStore for Hooked {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        mut options: PutOptions,
    ) -> Result<PutResult> {
        let kind = match options.mode {
            PutMode::Create => Kind::Create,
            _ => Kind::Put,
        };
        if self.is_careless {
            options.mode = PutMode::Overwrite;
        }
        let request = self.inner.put_opts(location, payload, options);
        self.around(kind, location, request).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let request = self.inner.put_multipart_opts(location, options);
        self.around(Kind::Put, location, request).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let request = self.inner.get_opts(location, options);
        self.around(Kind::Get, location, request).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let request = self.inner.get_ranges(location, ranges);
        self.around(Kind::Get, location, request).await
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
                let one = futures::stream::iter([Ok(path.clone())]).boxed();
                let request = store.inner.delete_stream(one).try_collect::<Vec<_>>();
                store.around(Kind::Delete, &path, request).await?;
                Ok(path)
            }
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let store = self.clone();
        let prefix = prefix.cloned().unwrap_or_default();
        let listed = async move {
            let request = store.inner.list(Some(&prefix)).try_collect::<Vec<_>>();
            let listed = store.around(Kind::List, &prefix, request).await?;
            Ok::<_, object_store::Error>(futures::stream::iter(listed).map(Ok))
        };
        futures::stream::once(listed).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let request = self.inner.list_with_delimiter(prefix);
        let prefix = prefix.cloned().unwrap_or_default();
        self.around(Kind::List, &prefix, request).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let request = self.inner.copy_opts(from, to, options);
        self.around(Kind::Copy, to, request).await
    }
}
