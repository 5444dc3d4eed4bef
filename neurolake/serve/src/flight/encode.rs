//! Rows to messages, each small enough to be sent at once.

use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow::record_batch::RecordBatch;
use arrow_flight::{FlightData, IpcMessage, SchemaAsIpc};
use bytes::Bytes;
use neurolake_query::{Error, Kind, Result};

/// Writes one answer: [`Messages::schema`], then its batches.
pub(super) struct Messages {
    generator: IpcDataGenerator,
    dictionaries: DictionaryTracker,
    options: IpcWriteOptions,
    context: IpcWriteContext,
}

impl Messages {
    pub(super) fn new() -> Self {
        Self {
            generator: IpcDataGenerator::default(),
            dictionaries: DictionaryTracker::new(false),
            options: IpcWriteOptions::default(),
            context: IpcWriteContext::default(),
        }
    }

    pub(super) fn schema(&mut self, schema: &Schema) -> FlightData {
        self.generator
            .schema_to_bytes_with_dictionary_tracker(schema, &mut self.dictionaries, &self.options)
            .into()
    }

    /// Dictionaries that are new, and the rows.
    pub(super) fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<FlightData>> {
        let encoded = self.generator.encode(
            batch,
            &mut self.dictionaries,
            &self.options,
            &mut self.context,
        );
        let (dictionaries, rows) = encoded.map_err(|error| unwritable(&error))?;
        Ok(dictionaries
            .into_iter()
            .chain([rows])
            .map(FlightData::from)
            .collect())
    }
}

fn unwritable(error: &ArrowError) -> Error {
    Error::new(
        Kind::BadRequest,
        format!("the answer can't be written: {error}"),
    )
    .with_hint("cast the column in the statement")
}

/// Columns as they stand in messages about an answer.
pub(super) fn schema(schema: &Schema) -> Result<Bytes> {
    let options = IpcWriteOptions::default();
    let message = IpcMessage::try_from(SchemaAsIpc::new(schema, &options));
    let IpcMessage(bytes) = message.map_err(|error| unwritable(&error))?;
    Ok(bytes)
}
