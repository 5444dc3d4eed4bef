//! Parameters of a statement: their places in it, and values that a client sends.

use std::collections::{BTreeSet, HashMap};

use arrow::array::Array;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow::ipc::{MessageHeader, root_as_message};
use arrow::record_batch::RecordBatch;
use arrow_flight::FlightData;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use futures::{Stream, StreamExt, TryStreamExt};
use neurolake_query::datafusion::common::{ParamValues, ScalarValue};
use neurolake_query::datafusion::sql::sqlparser::dialect::GenericDialect;
use neurolake_query::datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};
use neurolake_query::{Error, Kind, Result};
use tonic::{Code, Status};

use super::failure::{refuse, too_long, unreadable};

/// Messages about a row: columns, dictionaries, the row.
const MESSAGES: usize = 1000;

/// The statement with each `?` written as `$1`, `$2`...: drivers know no other way.
pub(super) fn numbered(sql: String) -> Result<String> {
    // What is no sequence of tokens is for the parser to complain about.
    let tokens = tokens(&sql);
    let is_mark =
        |found: &TokenWithSpan| matches!(&found.token, Token::Placeholder(name) if name == "?");
    let is_other =
        |found: &TokenWithSpan| matches!(&found.token, Token::Placeholder(name) if name != "?");
    let marks = tokens.iter().filter(|found| is_mark(found));
    let marks: BTreeSet<(u64, u64)> = marks
        .map(|found| (found.span.start.line, found.span.start.column))
        .collect();
    if marks.is_empty() {
        return Ok(sql);
    }
    if tokens.iter().any(is_other) {
        return Err(Error::new(
            Kind::BadRequest,
            "the statement has parameters of two kinds",
        )
        .with_hint("write all of them as `?`, or as `$1`, or as `$name`"));
    }
    // In its place: tokens don't write all texts as they were.
    let mut written = String::with_capacity(sql.len() + marks.len());
    let (mut line, mut column, mut number) = (1, 1, 0);
    for letter in sql.chars() {
        if letter == '?' && marks.contains(&(line, column)) {
            number += 1;
            written.push_str(&format!("${number}"));
        } else {
            written.push(letter);
        }
        (line, column) = match letter {
            '\n' => (line + 1, 1),
            _ => (line, column + 1),
        };
    }
    if number != marks.len() {
        return Err(Error::new(
            Kind::BadRequest,
            "can't find the parameters of the statement",
        )
        .with_hint("write them as `$1`, `$2`"));
    }
    Ok(written)
}

fn tokens(sql: &str) -> Vec<TokenWithSpan> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location();
    tokens.unwrap_or_default()
}

/// Whether values are told apart by names.
fn is_named(sql: &str) -> bool {
    tokens(sql).iter().any(|found| {
        let Token::Placeholder(name) = &found.token else {
            return false;
        };
        name.get(1..)
            .is_some_and(|name| name.parse::<usize>().is_err())
    })
}

/// What a client is told about parameters. `Null` is the type of one that may be of any.
pub(super) fn schema(parameters: Vec<(String, Option<DataType>)>) -> Schema {
    let fields = parameters.into_iter().map(|(name, data_type)| {
        let data_type = data_type.unwrap_or(DataType::Null);
        Field::new(name, data_type, true)
    });
    Schema::new(fields.collect::<Vec<_>>())
}

/// Values from a row that was bound.
pub(super) fn values(sql: &str, row: &[u8]) -> Result<Option<ParamValues>> {
    if row.is_empty() {
        return Ok(None);
    }
    let lost = || Error::new(Kind::Internal, "the parameters were lost");
    let mut batches =
        StreamReader::try_new(row, None).map_err(|error| lost().with_source(error))?;
    let batch = batches.next().and_then(std::result::Result::ok);
    let batch = batch.ok_or_else(lost)?;
    let mut values = Vec::with_capacity(batch.num_columns());
    for column in batch.columns() {
        values.push(ScalarValue::try_from_array(column, 0)?);
    }
    if !is_named(sql) {
        return Ok(Some(ParamValues::from(values)));
    }
    let schema = batch.schema();
    let names = schema.fields().iter();
    let names = names.map(|field| field.name().trim_start_matches('$').to_owned());
    let named: HashMap<String, ScalarValue> = names.zip(values).collect();
    Ok(Some(ParamValues::from(named)))
}

/// The row that a client binds, as it is kept in a handle.
pub(super) async fn bind(
    messages: impl Stream<Item = std::result::Result<FlightData, Status>> + Send + 'static,
    most: usize,
) -> std::result::Result<Vec<u8>, Status> {
    let mut bytes = 0;
    let mut count = 0;
    let messages = messages.map(move |message| {
        let message = message?;
        bytes += message.data_header.len() + message.data_body.len();
        count += 1;
        if bytes > most || count > MESSAGES {
            return Err(too_long(most));
        }
        check(&message)?;
        Ok(message)
    });
    let messages = messages.map_err(|status| FlightError::Tonic(Box::new(status)));
    let batches = FlightRecordBatchStream::new_from_flight_data(messages);
    let batches: Vec<RecordBatch> = batches.try_collect().await.map_err(|error| match error {
        FlightError::Tonic(status) => *status,
        _ => unreadable("the parameters"),
    })?;
    let mut rows = batches.into_iter().filter(|batch| batch.num_rows() > 0);
    match (rows.next(), rows.next()) {
        (Some(row), None) => keep(&row).ok_or_else(|| unreadable("the parameters")),
        (None, _) => Err(refuse(
            Code::InvalidArgument,
            "there is no row of parameters",
            None,
        )),
        (Some(_), Some(_)) => Err(too_many()),
    }
}

/// Refuses what would cost more memory than it has bytes.
fn check(message: &FlightData) -> std::result::Result<(), Status> {
    if message.data_header.is_empty() {
        return Ok(());
    }
    let header = root_as_message(&message.data_header);
    let header = header.map_err(|_| unreadable("the parameters"))?;
    let rows = match header.header_type() {
        MessageHeader::Schema => return Ok(()),
        MessageHeader::RecordBatch => header.header_as_record_batch(),
        MessageHeader::DictionaryBatch => {
            let dictionary = header.header_as_dictionary_batch();
            dictionary.and_then(|dictionary| dictionary.data())
        }
        _ => None,
    };
    let rows = rows.ok_or_else(|| unreadable("the parameters"))?;
    if rows.compression().is_some() {
        return Err(refuse(
            Code::InvalidArgument,
            "the parameters are compressed",
            Some("send them as they are"),
        ));
    }
    if header.header_type() == MessageHeader::RecordBatch && rows.length() > 1 {
        return Err(too_many());
    }
    Ok(())
}

fn too_many() -> Status {
    refuse(
        Code::InvalidArgument,
        "there is more than one row of parameters",
        Some("run the statement once for each row, or join with a table"),
    )
}

fn keep(row: &RecordBatch) -> Option<Vec<u8>> {
    for column in row.columns() {
        column.to_data().validate_full().ok()?;
    }
    let mut writer = StreamWriter::try_new(Vec::new(), &row.schema()).ok()?;
    writer.write(row).ok()?;
    writer.into_inner().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn question_marks_become_numbers() {
        for (sql, written) in [
            ("select ?", "select $1"),
            (
                "select 'it''s ?', \"a?\" -- ?\nwhere x = ? and y>?",
                "select 'it''s ?', \"a?\" -- ?\nwhere x = $1 and y>$2",
            ),
            (
                "select '\u{e4}\n\u{1f600}?', ? /* ?\n? */, ?\r\n, ?",
                "select '\u{e4}\n\u{1f600}?', $1 /* ?\n? */, $2\r\n, $3",
            ),
            ("select $$?$$, x'ff', ?", "select $$?$$, x'ff', $1"),
            ("select $1, $name", "select $1, $name"),
            ("select e'\\'?', ?", "select e'\\'?', $1"),
            ("select 'x", "select 'x"),
        ] {
            assert_eq!(numbered(sql.to_owned()).expect("it is fine"), written);
        }
        assert!(numbered("select ?, $1".to_owned()).is_err());
    }

    #[test]
    fn names_are_no_numbers() {
        assert!(is_named("select $a"));
        assert!(!is_named("select $1, '$a'"));
    }
}
