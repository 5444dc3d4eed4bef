//! What is read and what is refused.

mod arrow;
mod hostile;
mod json;
mod random;
mod values;

use ::arrow::array::RecordBatch;
use bytes::Bytes;
use neurolake_model::{Column, Type};

use super::{Form, Invalid, RowError, Unreadable, Validated, Validator, render};

const MEMORY: usize = 64 << 20;

fn column(name: &str, data_type: Type, nullable: bool) -> Column {
    Column {
        name: name.into(),
        data_type,
        nullable,
        docs: String::new(),
        unit: None,
        pii: false,
        since: None,
        renamed_from: None,
        deprecated: None,
        aliases: Vec::new(),
    }
}

fn list(item: Type, nullable: bool) -> Type {
    Type::List {
        item: Box::new(item),
        nullable,
    }
}

fn map(key: Type, value: Type, nullable: bool) -> Type {
    Type::Map {
        key: Box::new(key),
        value: Box::new(value),
        nullable,
    }
}

fn read(
    columns: &[Column],
    form: Form,
    body: impl AsRef<[u8]>,
    invalid: Invalid,
) -> Result<Validated, Unreadable> {
    let body = Bytes::copy_from_slice(body.as_ref());
    Validator::new(columns).read(form, &body, invalid, MEMORY)
}

fn rows(batch: &RecordBatch) -> Vec<String> {
    (0..batch.num_rows())
        .map(|row| render::row(batch, row))
        .collect()
}

/// Errors as `row path: message`.
fn told(errors: &[RowError]) -> Vec<String> {
    let told = |error: &RowError| {
        let row = error
            .row
            .map_or_else(|| "all".into(), |row| row.to_string());
        format!("{row} {}: {}", error.path, error.message)
    };
    errors.iter().map(told).collect()
}

fn refused(outcome: Result<Validated, Unreadable>) -> Vec<String> {
    match outcome {
        Err(Unreadable::Rows { errors, .. }) => told(&errors),
        other => panic!("{other:?}"),
    }
}

fn message(outcome: Result<Validated, Unreadable>) -> String {
    match outcome {
        Err(Unreadable::Syntax { message, .. } | Unreadable::Unsupported { message, .. }) => {
            message
        }
        other => panic!("{other:?}"),
    }
}
