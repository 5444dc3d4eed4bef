//! Rows that are kept as they were sent, and those that are about to be.

use std::sync::Arc;
use std::time::Instant;

use arrow::datatypes::SchemaRef;
use arrow::row::{OwnedRow, RowConverter, SortField};
use neurolake_query::Result;
use neurolake_query::datafusion::common::ParamValues;
use pgwire::api::portal::Format;
use pgwire::error::PgWireResult;
use pgwire::messages::data::DataRow;

use super::error::of_engine;
use super::rows::{Piece, Sender, Start, give};
use super::variables;
use super::wire::Columns;
use crate::doors::Shared;
use crate::identity::RequestId;
use crate::journal::log_kept;
use crate::kept::{Answer, Asked, Content, Found, Kept, Key, Made, Recorder};

/// What the memory of a row takes besides its bytes.
const ROW_BYTES: usize = size_of::<DataRow>();

/// A whole answer.
pub(crate) struct Written {
    schema: SchemaRef,
    columns: Columns,
    parts: Vec<Vec<DataRow>>,
}

/// All that decides about the rows. `None`: values can't be told apart.
fn asked(start: &Start, format: &Format) -> Option<Asked> {
    let Start {
        principal,
        session,
        prepared,
        parameters,
        ..
    } = start;
    let database = session.default_database().unwrap_or_default();
    let format = format!("{format:?}");
    let (types, values) = match parameters {
        Some(values) => told_apart(values)?,
        None => (String::new(), Vec::new()),
    };
    let deciding = [&database, &prepared.text, &format, &types].map(String::as_bytes);
    let deciding = deciding
        .into_iter()
        .chain(values.iter().map(OwnedRow::as_ref));
    Some(Asked {
        key: Key::new(principal, "postgres", deciding),
        max_staleness: None,
    })
}

/// Types and values of parameters. The text of a list doesn't tell `a, b` from `a` and `b`.
fn told_apart(values: &ParamValues) -> Option<(String, Vec<OwnedRow>)> {
    let ParamValues::List(values) = values else {
        return None;
    };
    let mut types = Vec::with_capacity(values.len());
    let mut rows = Vec::with_capacity(values.len());
    for value in values {
        let value = value.value();
        let data_type = value.data_type();
        let converter = RowConverter::new(vec![SortField::new(data_type.clone())]).ok()?;
        let written = converter.convert_columns(&[value.to_array().ok()?]).ok()?;
        rows.push(written.row(0).owned());
        types.push(data_type);
    }
    Some((format!("{types:?}"), rows))
}

/// The kept answer to a statement. `None`: its rows aren't kept.
pub(super) async fn find(shared: &Arc<Shared>, start: &Start) -> PgWireResult<Option<Found>> {
    let Some(format) = start.format.as_ref().filter(|_| shared.kept.is_on()) else {
        return Ok(None);
    };
    let Some(asked) = asked(start, format) else {
        return Ok(None);
    };
    let deadline = variables::statement_timeout(&start.session.variables);
    let found = Kept::find_in_time(shared, &start.principal, &asked, deadline).await;
    match found.map_err(|failed| of_engine(&failed))? {
        // Made for a client that was told of other types.
        Found::Answer(answer) if !start.prepared.is_as_told(&written(&answer).columns) => Ok(None),
        found => Ok(Some(found)),
    }
}

fn written(answer: &Answer) -> &Written {
    let Content::Postgres(written) = &answer.content else {
        unreachable!("the key of an answer tells its door");
    };
    written
}

/// Sends an answer again.
pub(super) async fn send(
    shared: &Arc<Shared>,
    start: &Start,
    sender: &Sender,
    answer: &Answer,
) -> PgWireResult<()> {
    let began = Instant::now();
    let written = written(answer);
    answer.is_used();
    let rows = written.parts.iter().flatten();
    let bytes: usize = rows.map(|row| row.data.len()).sum();
    let sent = async {
        let columns = Some(written.columns.clone());
        let head = Piece::Schema(Arc::clone(&written.schema), columns);
        give(sender, Ok(head)).await?;
        for rows in &written.parts {
            give(sender, Ok(Piece::Rows(rows.clone()))).await?;
        }
        Result::Ok(())
    };
    let outcome = sent.await;
    let (id, principal) = (RequestId::fresh(), &start.principal);
    log_kept(
        shared,
        principal,
        "postgres",
        &id,
        &answer.made,
        bytes,
        began,
    );
    outcome.map_err(|failed| of_engine(&failed))
}

/// Takes rows down while they are sent.
pub(super) struct Recording {
    recorder: Recorder,
    /// `None`: they are too many.
    written: Option<Written>,
    made: Option<Made>,
}

impl Recording {
    /// `made`: `None` if another answer may come at any time.
    pub(super) fn start(
        mut recorder: Recorder,
        schema: &SchemaRef,
        columns: &Columns,
        made: Option<Made>,
    ) -> Self {
        if made.is_none() {
            recorder.give_up();
        }
        let written = made.is_some().then(|| Written {
            schema: Arc::clone(schema),
            columns: columns.clone(),
            parts: Vec::new(),
        });
        Self {
            recorder,
            written,
            made,
        }
    }

    pub(super) fn take(&mut self, rows: &[DataRow]) {
        let Some(written) = &mut self.written else {
            return;
        };
        let bytes = rows.iter().map(|row| row.data.len() + ROW_BYTES);
        if self.recorder.takes(bytes.sum()) {
            written.parts.push(rows.to_vec());
        } else {
            self.written = None;
        }
    }

    /// The client takes its time: nobody waits for the end.
    pub(super) fn is_slow(&mut self) {
        self.recorder.land();
    }

    /// Nothing is missing.
    pub(super) fn end(mut self) {
        if let (Some(written), Some(made)) = (self.written.take(), self.made.take()) {
            self.recorder.keep(Content::Postgres(written), made);
        }
    }
}
