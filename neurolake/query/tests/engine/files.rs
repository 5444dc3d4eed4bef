//! Lakes of Parquet files for tests, and a store that counts what is asked of it.

use std::fmt;
use std::path::Path as FilePath;
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use async_trait::async_trait;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use neurolake_model::Catalog;
use neurolake_query::{Error, Lake, ObjectStoreSettings, Request, Store, Stores};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};

use crate::counting::{self, Counting};

/// A table as it stands in `catalog.json`.
pub(crate) fn table(name: &str, uri: &str, partitioning: &str, rest: &Value) -> Value {
    let mut table = json!({
        "name": name,
        "source": {"kind": "parquet", "uri": uri, "partitioning": partitioning},
        "rust_path": format!("test::{name}"),
        "location": {"file": "src/lib.rs", "line": 1},
    });
    let fields = table.as_object_mut().unwrap();
    for (key, value) in rest.as_object().unwrap() {
        fields.insert(key.clone(), value.clone());
    }
    table
}

pub(crate) fn column(name: &str, data_type: impl Into<Value>) -> Value {
    json!({"name": name, "type": data_type.into(), "nullable": true})
}

pub(crate) fn catalog(tables: &[Value]) -> Catalog {
    serde_json::from_value(json!({
        "format_version": 1,
        "name": "test",
        "databases": [{
            "name": "db",
            "location": {"file": "src/lib.rs", "line": 1},
            "tables": tables,
        }],
    }))
    .unwrap()
}

/// Buckets below this folder as the only store.
pub(crate) fn local(root: &FilePath) -> Stores {
    stores([(
        "default",
        Store::Objects(ObjectStoreSettings {
            local: Some(root.to_owned()),
            ..ObjectStoreSettings::default()
        }),
    )])
}

pub(crate) fn stores<const N: usize>(stores: [(&str, Store); N]) -> Stores {
    let by_name = stores
        .into_iter()
        .map(|(name, store)| (name.to_owned(), store));
    Stores {
        by_name: by_name.collect(),
    }
}

pub(crate) fn write(path: &FilePath, batch: &RecordBatch) {
    write_groups(path, batch, 1 << 20);
}

pub(crate) fn write_groups(path: &FilePath, batch: &RecordBatch, group_rows: usize) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = std::fs::File::create(path).unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group_rows))
        .set_data_page_row_count_limit(1000)
        .set_write_batch_size(1000)
        .set_dictionary_enabled(false)
        .build();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

pub(crate) async fn rows(lake: &Lake, sql: &str) -> std::result::Result<Vec<RecordBatch>, Error> {
    let answer = lake.query(Request::new(sql)).await?;
    Ok(answer.stream.try_collect().await?)
}

/// The rows as text, sorted.
pub(crate) async fn text(lake: &Lake, sql: &str) -> String {
    let batches = rows(lake, sql)
        .await
        .unwrap_or_else(|error| panic!("{}", whole(&error)));
    let text = pretty_format_batches(&batches).unwrap().to_string();
    let mut lines: Vec<_> = text
        .lines()
        .skip(3)
        .filter(|line| line.starts_with('|'))
        .collect();
    lines.sort_unstable();
    let cells = lines.iter().map(|line| {
        let cells = line.trim_matches('|').split('|').map(str::trim);
        cells.collect::<Vec<_>>().join(",")
    });
    cells.collect::<Vec<_>>().join(" ")
}

pub(crate) async fn error(lake: &Lake, sql: &str) -> Error {
    match rows(lake, sql).await {
        Ok(batches) => panic!(
            "{sql} answers\n{}",
            pretty_format_batches(&batches).unwrap()
        ),
        Err(error) => error,
    }
}

/// Everything that an error shows to anybody.
pub(crate) fn whole(error: &Error) -> String {
    let mut text = format!(
        "{error}\n{}\n{error:?}",
        error.hint.as_deref().unwrap_or("")
    );
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text.push_str(&format!("\n{cause}\n{cause:?}"));
        next = cause.source();
    }
    text
}

/// What was asked of a store.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) lists: Vec<String>,
    pub(crate) reads: Vec<String>,
    pub(crate) bytes: u64,
}

/// Counts what is asked of all stores of a lake.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counter(Arc<Mutex<Vec<counting::Request>>>);

impl Counter {
    pub(crate) fn lake(&self, catalog: Catalog, stores: Stores) -> Lake {
        let requests = Arc::clone(&self.0);
        Lake::builder(catalog)
            .stores(stores)
            .wrap_stores(Arc::new(move |inner| {
                Arc::new(Counting::into(inner, Arc::clone(&requests)))
            }))
            .build()
            .unwrap()
    }

    /// What was asked since the last call.
    pub(crate) fn take(&self) -> Asked {
        let mut asked = Asked::default();
        for request in std::mem::take(&mut *self.0.lock().unwrap()) {
            match request {
                counting::Request::List(prefix) => asked.lists.push(prefix),
                // What isn't there is asked for, and not read.
                counting::Request::Head(_) | counting::Request::Get(_, 0) => {}
                counting::Request::Get(path, bytes) => {
                    asked.reads.push(path);
                    asked.bytes += bytes;
                }
            }
        }
        asked
    }
}

/// A store that takes `Create` for `Overwrite`, as some stand-ins for S3 do.
#[derive(Debug, Default)]
pub(crate) struct Careless(object_store::memory::InMemory);

impl fmt::Display for Careless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Careless")
    }
}

#[async_trait]
impl ObjectStore for Careless {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        _: PutOptions,
    ) -> Result<PutResult> {
        self.0
            .put_opts(location, payload, PutOptions::default())
            .await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(location, options).await
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

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}
