//! Example values of any column type.

use serde::{Deserialize, Serialize};

/// A typed value. The type of its column decides how a client writes it; text keeps what was
/// written so that no digit of a decimal and no part of a timestamp is lost.
///
/// In `catalog.json` it is an object with one key, such as `{"int": 7}`; null is `"null"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// No value: `None` in source.
    Null,
    /// `true` or `false`
    Bool(bool),
    /// Any integer type.
    Int(i64),
    /// `float32`, `float64`: as written, so that the document doesn't depend on float printing.
    Float(String),
    /// `string`
    String(String),
    /// `binary`, as hexadecimal digits.
    Binary(String),
    /// `date`: `YYYY-MM-DD`
    Date(String),
    /// `timestamp`: RFC 3339 in UTC, such as `2026-03-01T09:30:00Z`, at most 6 fraction digits.
    Timestamp(String),
    /// `decimal`: digits as written, with optional sign and point.
    Decimal(String),
    /// `list`
    List(Vec<Value>),
}
