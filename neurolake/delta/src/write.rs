//! Making small tables: create one, append to it, add a column, write a checkpoint.
//!
//! For demo data and tests: one writer, everything named and dated by the caller, so that the same
//! calls give the same files. Two writers of one table are not kept apart; live tables need a
//! writer with transactions.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties, TableReference};
use deltalake::kernel::{Action, Add, CommitInfo, Metadata, MetadataExt, Protocol, StructType};
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::writer::{DeltaWriter, RecordBatchWriter};
use deltalake::{DeltaTable, DeltaTableError, checkpoints};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use crate::error::{Error, Result};
use crate::location::Location;

/// Rows of a row group, unless [`Writer::row_group`] says otherwise.
const ROWS_PER_GROUP: usize = 8_192;

/// Writes one table.
#[derive(Debug)]
pub struct Writer {
    table: DeltaTable,
    url: String,
    schema: SchemaRef,
    row_group: usize,
}

impl Writer {
    /// Creates an empty table: version 0.
    ///
    /// `schema` holds the partition columns too. `created` stands in the log as the time of the
    /// commit.
    ///
    /// # Errors
    /// There is a table already, a type has no counterpart in Delta, or the store refuses.
    pub async fn create(
        location: &Location,
        schema: SchemaRef,
        partition_by: &[String],
        created: SystemTime,
    ) -> Result<Self> {
        let url = location.url.to_string();
        let failed = failed(&url);
        let mut table = DeltaTable::new(location.log_store());
        if table
            .log_store()
            .is_delta_table_location()
            .await
            .map_err(&failed)?
        {
            return Err(Error::Exists { url });
        }
        let protocol: Protocol = from_json(serde_json::json!({
            "minReaderVersion": 1,
            "minWriterVersion": 2,
        }))
        .map_err(&failed)?;
        let metadata = metadata(&schema, partition_by, &url, created).map_err(&failed)?;
        let operation = DeltaOperation::Create {
            mode: SaveMode::ErrorIfExists,
            location: location.url.clone(),
            protocol: protocol.clone(),
            metadata: metadata.clone(),
        };
        let actions = vec![Action::Protocol(protocol), Action::Metadata(metadata)];
        commit(&mut table, actions, operation, created)
            .await
            .map_err(&failed)?;
        drop(failed);
        Ok(Self {
            table,
            url,
            schema,
            row_group: ROWS_PER_GROUP,
        })
    }

    /// Rows of a row group in the files to come.
    #[must_use]
    pub fn row_group(mut self, rows: usize) -> Self {
        self.row_group = rows.max(1);
        self
    }

    /// The schema that rows must have.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Appends rows as one commit: one file for each partition, in the order of the rows. Returns
    /// the new version.
    ///
    /// # Errors
    /// The rows don't fit the schema, or the store refuses.
    pub async fn append(
        &mut self,
        batches: impl IntoIterator<Item = RecordBatch>,
        committed: SystemTime,
    ) -> Result<u64> {
        self.try_append(batches, committed)
            .await
            .map_err(failed(&self.url))
    }

    async fn try_append(
        &mut self,
        batches: impl IntoIterator<Item = RecordBatch>,
        committed: SystemTime,
    ) -> Result<u64, DeltaTableError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(self.row_group))
            // Page statistics cost more than they save in files this small.
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .build();
        let mut writer =
            RecordBatchWriter::for_table(&self.table)?.with_writer_properties(properties);
        for batch in batches {
            writer.write(batch).await?;
        }
        let mut adds = writer.flush().await?;
        adds.sort_by(|a, b| folder(&a.path).cmp(folder(&b.path)));
        let version = self.table.version().map_or(0, |version| version + 1);
        let mut actions = Vec::with_capacity(adds.len());
        for (index, add) in adds.into_iter().enumerate() {
            let add = self.rename(add, version, index, committed).await?;
            actions.push(Action::Add(add));
        }
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: None,
            predicate: None,
        };
        commit(&mut self.table, actions, operation, committed).await
    }

    /// deltalake names files at random; the same rows should give the same table.
    async fn rename(
        &self,
        mut add: Add,
        version: u64,
        index: usize,
        committed: SystemTime,
    ) -> Result<Add, DeltaTableError> {
        let name = format!(
            "{}part-{index:05}-{version:05}.snappy.parquet",
            folder(&add.path)
        );
        let from = Path::parse(&add.path).map_err(|e| DeltaTableError::generic(e.to_string()))?;
        let to = Path::parse(&name).map_err(|e| DeltaTableError::generic(e.to_string()))?;
        self.table.object_store().rename(&from, &to).await?;
        add.path = name;
        add.modification_time = millis(committed);
        Ok(add)
    }

    /// Changes the schema: columns may come, nullable ones only, and none may go. Returns the new
    /// version.
    ///
    /// # Errors
    /// A type has no counterpart in Delta, or the store refuses.
    pub async fn evolve(&mut self, schema: SchemaRef, committed: SystemTime) -> Result<u64> {
        let version = self
            .try_evolve(&schema, committed)
            .await
            .map_err(failed(&self.url))?;
        self.schema = schema;
        Ok(version)
    }

    async fn try_evolve(
        &mut self,
        schema: &Schema,
        committed: SystemTime,
    ) -> Result<u64, DeltaTableError> {
        for field in self.schema.fields() {
            schema.field_with_name(field.name())?;
        }
        let added = schema
            .fields()
            .iter()
            .filter(|field| self.schema.field_with_name(field.name()).is_err());
        if let Some(field) = added.clone().find(|field| !field.is_nullable()) {
            return Err(DeltaTableError::generic(format!(
                "the column `{}` has no values in the rows so far, so it must be nullable",
                field.name()
            )));
        }
        let new: StructType = schema.try_into_kernel()?;
        let fields = added
            .filter_map(|field| new.field(field.name()).cloned())
            .collect();
        let metadata = self.table.snapshot()?.metadata().clone();
        let actions = vec![Action::Metadata(metadata.with_schema(&new)?)];
        let operation = DeltaOperation::AddColumn { fields };
        commit(&mut self.table, actions, operation, committed).await
    }

    /// Writes a checkpoint of the newest version.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn checkpoint(&self) -> Result<()> {
        checkpoints::create_checkpoint(&self.table, None)
            .await
            .map_err(failed(&self.url))
    }
}

fn failed(url: &str) -> impl Fn(DeltaTableError) -> Error + use<> {
    let url = url.to_owned();
    move |source| Error::Write {
        url: url.clone(),
        source: Arc::new(source),
    }
}

fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The folder of a file, with the slash behind it; empty for the table's own.
fn folder(path: &str) -> &str {
    path.rfind('/').map_or("", |slash| &path[..=slash])
}

async fn commit(
    table: &mut DeltaTable,
    mut actions: Vec<Action>,
    operation: DeltaOperation,
    committed: SystemTime,
) -> Result<u64, DeltaTableError> {
    let info = CommitInfo {
        timestamp: Some(millis(committed)),
        ..operation.get_commit_info()
    };
    actions.insert(0, Action::CommitInfo(info));
    let properties = CommitProperties::default()
        .with_create_checkpoint(false)
        .with_cleanup_expired_logs(Some(false));
    let state = table.snapshot().ok();
    let version = CommitBuilder::from(properties)
        .with_actions(actions)
        .build(
            state.map(|state| state as &dyn TableReference),
            table.log_store(),
            operation,
        )
        .await?
        .version();
    table.update_state().await?;
    Ok(version)
}

fn metadata(
    schema: &Schema,
    partition_by: &[String],
    url: &str,
    created: SystemTime,
) -> Result<Metadata, DeltaTableError> {
    let schema: StructType = schema.try_into_kernel()?;
    from_json(serde_json::json!({
        "id": identity(url),
        "name": null,
        "description": null,
        "format": { "provider": "parquet", "options": HashMap::<String, String>::new() },
        "schemaString": serde_json::to_string(&schema)?,
        "partitionColumns": partition_by,
        // The times of its versions may lie far back.
        "configuration": { "delta.logRetentionDuration": "interval 1000 weeks" },
        "createdTime": millis(created),
    }))
}

fn from_json<T: serde::de::DeserializeOwned>(
    json: serde_json::Value,
) -> Result<T, DeltaTableError> {
    Ok(serde_json::from_value(json)?)
}

/// An id in the form of a UUID that depends on the last folders of the address only, so that the
/// same table in two places has the same id.
fn identity(url: &str) -> String {
    let parts: Vec<&str> = url.trim_end_matches('/').rsplit('/').take(3).collect();
    let hash = |salt: u64| {
        parts
            .join("/")
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325 ^ salt, |hash: u64, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            })
    };
    let (high, low) = (hash(0), hash(0x9e37_79b9));
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        low >> 52,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field};

    use super::*;

    fn schema(note: bool) -> SchemaRef {
        let mut fields = vec![
            Field::new("stain", DataType::Utf8, false),
            Field::new("number", DataType::Int64, false),
        ];
        if note {
            fields.push(Field::new("note", DataType::Utf8, true));
        }
        Arc::new(Schema::new(fields))
    }

    fn rows(schema: &SchemaRef, numbers: &[i64]) -> RecordBatch {
        let stains = numbers
            .iter()
            .map(|number| if number % 2 == 0 { "H&E" } else { "NeuN" });
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(stains)),
            Arc::new(Int64Array::from(numbers.to_vec())),
        ];
        if schema.fields().len() == 3 {
            columns.push(Arc::new(StringArray::from(vec![Some("n"); numbers.len()])));
        }
        RecordBatch::try_new(Arc::clone(schema), columns).unwrap()
    }

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_770_000_000 + second)
    }

    async fn table(folder: &std::path::Path) -> DeltaTable {
        let location = Location::local(folder).unwrap();
        let partitions = ["stain".to_owned()];
        let mut writer = Writer::create(&location, schema(false), &partitions, at(0))
            .await
            .unwrap()
            .row_group(2);
        let batch = rows(&schema(false), &[1, 2, 3, 4, 5, 6]);
        assert_eq!(writer.append([batch], at(1)).await.unwrap(), 1);
        assert_eq!(writer.evolve(schema(true), at(2)).await.unwrap(), 2);
        let batch = rows(&schema(true), &[7, 8]);
        assert_eq!(writer.append([batch], at(3)).await.unwrap(), 3);
        writer.checkpoint().await.unwrap();
        deltalake::open_table(location.url).await.unwrap()
    }

    #[tokio::test]
    async fn other_readers_see_versions_partitions_and_statistics() {
        let folder = tempfile::tempdir().unwrap();
        let table = table(folder.path()).await;
        assert_eq!(table.version(), Some(3));
        let snapshot = table.snapshot().unwrap();
        let fields: Vec<_> = snapshot
            .schema()
            .fields()
            .map(|f| f.name().clone())
            .collect();
        assert_eq!(fields, ["stain", "number", "note"]);
        let mut files: Vec<_> = table.get_file_uris().unwrap().collect();
        files.sort();
        assert_eq!(files.len(), 4);
        for file in &files {
            assert!(file.ends_with(".snappy.parquet"), "{file}");
        }
        let log = folder.path().join("_delta_log");
        let commit = std::fs::read_to_string(log.join("00000000000000000001.json")).unwrap();
        assert!(commit.contains("1770000001000"), "{commit}");
        assert!(
            commit.contains(r#"\"minValues\":{\"number\":2}"#),
            "{commit}"
        );
        assert!(log.join("00000000000000000003.checkpoint.parquet").exists());
    }

    #[tokio::test]
    async fn the_same_rows_give_the_same_files() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        table(one.path()).await;
        table(two.path()).await;
        let name = "stain=NeuN/part-00001-00001.snappy.parquet";
        let read = |folder: &tempfile::TempDir| std::fs::read(folder.path().join(name)).unwrap();
        assert_eq!(read(&one), read(&two));
    }

    #[tokio::test]
    async fn mistakes_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        table(folder.path()).await;
        let location = Location::local(folder.path()).unwrap();
        let again = Writer::create(&location, schema(false), &[], at(0)).await;
        assert!(matches!(again, Err(Error::Exists { .. })));

        let folder = tempfile::tempdir().unwrap();
        let location = Location::local(folder.path()).unwrap();
        let mut writer = Writer::create(&location, schema(false), &[], at(0))
            .await
            .unwrap();
        let strict = Schema::new(vec![
            Field::new("stain", DataType::Utf8, false),
            Field::new("number", DataType::Int64, false),
            Field::new("must", DataType::Int64, false),
        ]);
        let error = writer.evolve(Arc::new(strict), at(1)).await.unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("`must`"), "{cause}");
    }
}
