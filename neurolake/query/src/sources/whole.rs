//! Refuses half of what was asked for. A store that holds less of a file than its length in a log
//! or a listing answers with what it has, and the Parquet reader takes that for its own mistake
//! and panics.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// A store whose answers are complete or errors.
#[derive(Debug)]
pub(crate) struct Whole(pub(crate) Arc<dyn ObjectStore>);

fn cut_off(location: &Path, asked: u64, got: u64) -> Error {
    let message = format!(
        "`{location}` is shorter than its length in the log: {asked} bytes asked for, {got} there"
    );
    Error::Generic {
        store: "object store",
        source: message.into(),
    }
}

impl fmt::Display for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Whole {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let asked = match &options.range {
            Some(GetRange::Bounded(range)) => Some(range.end - range.start),
            _ => None,
        };
        let result = self.0.get_opts(location, options).await?;
        let got = result.range.end - result.range.start;
        match asked {
            Some(asked) if asked != got => Err(cut_off(location, asked, got)),
            _ => Ok(result),
        }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let parts = self.0.get_ranges(location, ranges).await?;
        for (range, part) in ranges.iter().zip(&parts) {
            let (asked, got) = (range.end - range.start, part.len() as u64);
            if asked != got {
                return Err(cut_off(location, asked, got));
            }
        }
        Ok(parts)
    }

    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.0.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}
