//! An object store that counts what is asked of it.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// One request that reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    Head(String),
    Get(String, u64),
    List(String),
}

/// Counts requests and bytes of the store it wraps.
#[derive(Debug, Clone)]
pub(crate) struct Counting {
    inner: Arc<dyn ObjectStore>,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Counting {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self::into(inner, Arc::default())
    }

    /// Counts together with other stores.
    pub(crate) fn into(inner: Arc<dyn ObjectStore>, requests: Arc<Mutex<Vec<Request>>>) -> Self {
        Self { inner, requests }
    }

    /// What was asked since the last call.
    pub(crate) fn take(&self) -> Vec<Request> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }

    fn note(&self, request: Request) {
        self.requests.lock().unwrap().push(request);
    }
}

/// Bytes of Parquet files (not of checkpoints), and how many files they came from.
#[allow(
    dead_code,
    clippy::allow_attributes,
    reason = "not every test binary reads data"
)]
pub(crate) fn data(requests: &[Request]) -> (u64, usize) {
    let gets = requests.iter().filter_map(|request| match request {
        Request::Get(path, bytes) if path.ends_with(".parquet") && !path.contains("_delta_log") => {
            Some((path, *bytes))
        }
        _ => None,
    });
    let bytes = gets.clone().map(|(_, bytes)| bytes).sum();
    let files: std::collections::HashSet<_> = gets.map(|(path, _)| path).collect();
    (bytes, files.len())
}

impl fmt::Display for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Counting({})", self.inner)
    }
}

#[async_trait::async_trait]
impl ObjectStore for Counting {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let is_head = options.head;
        let result = self.inner.get_opts(location, options).await;
        let path = location.to_string();
        match &result {
            _ if is_head => self.note(Request::Head(path)),
            Ok(result) => self.note(Request::Get(path, result.range.end - result.range.start)),
            Err(_) => self.note(Request::Get(path, 0)),
        }
        result
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let bytes = ranges.iter().map(|range| range.end - range.start).sum();
        self.note(Request::Get(location.to_string(), bytes));
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.note(Request::List(
            prefix.map(ToString::to_string).unwrap_or_default(),
        ));
        self.inner.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.note(Request::List(
            prefix.map(ToString::to_string).unwrap_or_default(),
        ));
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.note(Request::List(
            prefix.map(ToString::to_string).unwrap_or_default(),
        ));
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
