//! Pages: which rows of an answer are wanted, where they stand, and how to go on.

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use neurolake_query::datafusion::common::ScalarValue;
use neurolake_query::datafusion::error::DataFusionError;
use neurolake_query::{Error, Kind, Result};
use serde::{Deserialize, Serialize};

use crate::encode::{Encoder, Format, pieces};
use crate::refusal::Refusal;
use crate::running::Rows;
use crate::select::{Comparison, Condition, Input, Order, Path, Select, State, is_scalar, to_text};

/// `Range: 0-24` or `Range: items=0-24`: the first row, and the last one where it is named.
/// `None`: there is none, or it counts something else.
pub(super) fn range(headers: &HeaderMap) -> Result<Option<(u64, Option<u64>)>, Refusal> {
    let text = headers
        .get(header::RANGE)
        .and_then(|range| range.to_str().ok());
    let Some(text) = text else {
        return Ok(None);
    };
    let text = match text.split_once('=') {
        None => text,
        Some(("items", rows)) => rows,
        // Whoever doesn't know a unit answers with everything.
        Some(_) => return Ok(None),
    };
    let rows = text.trim().split_once('-').and_then(|(first, last)| {
        let first = first.parse().ok()?;
        match last {
            "" => Some((first, None)),
            last => Some((first, Some(last.parse().ok()?))),
        }
    });
    match rows {
        Some((first, Some(last))) if last < first => None,
        rows => rows,
    }
    .map(Some)
    .ok_or_else(|| {
        Refusal::range(format!("`Range: {text}` names no rows"))
            .with_hint("write `Range: 0-24` for the first 25 rows, `Range: 25-` for the others")
    })
}

/// Narrows limit and offset to a range.
pub(super) fn narrow(select: &mut Select, (first, last): (u64, Option<u64>)) {
    let end = |offset: u64, rows: Option<u64>| rows.map(|rows| offset.saturating_add(rows));
    let asked = end(select.offset, select.limit);
    let ranged = last.map(|last| last.saturating_add(1));
    let end = match (asked, ranged) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    select.offset = select.offset.max(first);
    select.limit = end.map(|end| end.saturating_sub(select.offset));
}

/// `0-24/100`, `*/0`; `*` for a total that nobody asked for.
pub(super) fn content_range(first: u64, rows: u64, total: Option<u64>) -> String {
    let total = total.map_or_else(|| "*".to_owned(), |total| total.to_string());
    match rows {
        0 => format!("*/{total}"),
        rows => format!("{first}-{}/{total}", first + rows - 1),
    }
}

/// What puts every row in its place.
pub(super) struct Places {
    /// Columns with single values, which a cursor says.
    pub(super) keys: Vec<Order>,
    /// Lists and structs, which make the order of rows with equal keys the same each time.
    pub(super) others: Vec<Order>,
}

/// The client's order, and behind it the unique columns, or else every column of the answer, because
/// then equal rows can't be told apart. `None`: a cursor can't say the client's own order.
pub(super) fn places(
    select: &Select,
    schema: &Schema,
    unique: &[String],
    shown: &[Path],
) -> Option<Places> {
    let is_key = |path: &Path| {
        let data_type = select.type_of(schema, path);
        data_type.is_ok_and(|data_type| is_scalar(&data_type))
    };
    if !select.order.iter().all(|key| is_key(&key.path)) {
        return None;
    }
    let mut places = Places {
        keys: select.order.clone(),
        others: Vec::new(),
    };
    let unique: Vec<Path> = unique.iter().map(Path::column).collect();
    for path in if unique.is_empty() { shown } else { &unique } {
        let all = if is_key(path) {
            &mut places.keys
        } else {
            &mut places.others
        };
        if !all.iter().any(|key| key.path == *path) {
            all.push(Order {
                path: path.clone(),
                descending: false,
                nulls_first: false,
            });
        }
    }
    Some(places)
}

/// Where a page ended. Clients see it as one opaque word.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// The keys of the order, as [`written`], so that a cursor of another order is noticed.
    order: String,
    /// Their values in the last row of the page.
    values: Vec<Option<String>>,
    /// Rows of these values that were given, also by earlier pages.
    given: u64,
    /// Rows before the next page.
    pub(super) position: u64,
}

fn written(order: &[Order]) -> String {
    let keys = order.iter().map(|key| {
        let direction = if key.descending { "desc" } else { "asc" };
        let nulls = if key.nulls_first { "first" } else { "last" };
        format!("{}.{direction}.{nulls}", key.path)
    });
    keys.collect::<Vec<_>>().join(",")
}

impl Cursor {
    /// The cursor behind a page: the keys of its rows, and the cursor that led to it.
    pub(super) fn behind(
        order: &[Order],
        rows: &[Vec<Option<String>>],
        earlier: Option<&Self>,
        position: u64,
    ) -> Option<Self> {
        let values = rows.last()?.clone();
        let equal = rows.iter().rev().take_while(|row| **row == values).count();
        let before = match earlier {
            Some(earlier) if equal == rows.len() && earlier.values == values => earlier.given,
            _ => 0,
        };
        Some(Self {
            order: written(order),
            given: before + equal as u64,
            position: position + rows.len() as u64,
            values,
        })
    }

    pub(super) fn encode(&self) -> String {
        // It holds texts and numbers only.
        let json = serde_json::to_vec(self).unwrap_or_default();
        URL_SAFE_NO_PAD.encode(json)
    }

    pub(super) fn decode(text: &str) -> Result<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        let cursor = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        cursor.ok_or_else(|| {
            Error::new(Kind::BadRequest, "`after` is no cursor")
                .with_hint("take it from the `Link` header of the page before")
        })
    }

    /// Leaves the rows of earlier pages out.
    ///
    /// # Errors
    /// It is a cursor of another order.
    pub(super) fn go_on(&self, keys: &[Order], select: &mut Select) -> Result<()> {
        if self.order != written(keys) || self.values.len() != keys.len() {
            return Err(
                Error::new(Kind::BadRequest, "`after` is a cursor of another order")
                    .with_hint("repeat `order` and `select` as they were"),
            );
        }
        let mut ways = Vec::new();
        let mut equal = Vec::new();
        for (key, value) in keys.iter().zip(&self.values) {
            let value = value.as_deref();
            ways.extend(
                beyond(key, value)
                    .map(|beyond| Condition::All(equal.iter().cloned().chain([beyond]).collect())),
            );
            equal.push(same(key, value));
        }
        ways.push(Condition::All(equal));
        let asked = std::mem::take(&mut select.condition);
        select.condition = Condition::All(vec![asked, Condition::Any(ways)]);
        select.offset = self.given;
        Ok(())
    }
}

/// Rows that one key puts behind this value.
fn beyond(key: &Order, value: Option<&str>) -> Option<Condition> {
    let Some(value) = value else {
        let others = Condition::Is(key.path.clone(), State::NotNull);
        return key.nulls_first.then_some(others);
    };
    let comparison = if key.descending {
        Comparison::Less
    } else {
        Comparison::Greater
    };
    let others = Condition::Compare(key.path.clone(), comparison, Input::Text(value.to_owned()));
    if key.nulls_first {
        return Some(others);
    }
    let nulls = Condition::Is(key.path.clone(), State::Null);
    Some(Condition::Any(vec![others, nulls]))
}

fn same(key: &Order, value: Option<&str>) -> Condition {
    match value {
        None => Condition::Is(key.path.clone(), State::Null),
        Some(value) => Condition::Compare(
            key.path.clone(),
            Comparison::Equal,
            Input::Text(value.to_owned()),
        ),
    }
}

/// Makes a page of rows.
pub(super) struct Pager {
    pub(super) format: Format,
    /// Rows of the page; one more may come.
    pub(super) limit: Option<u64>,
    /// Rows before the page.
    pub(super) position: u64,
    /// Where this page goes on.
    pub(super) cursor: Option<Cursor>,
    /// The keys of the order, and how many columns stand before their values.
    pub(super) keys: Option<(Vec<Order>, usize)>,
}

/// A page as it is sent.
pub(super) struct Page {
    pub(super) body: Vec<u8>,
    pub(super) rows: u64,
    /// The cursor behind it. `None`: there is nothing more, or no way to it.
    pub(super) next: Option<String>,
}

impl Pager {
    pub(super) fn page(&self, rows: &Rows) -> Result<Page> {
        let found: u64 = rows
            .batches
            .iter()
            .map(|batch| batch.num_rows() as u64)
            .sum();
        let wanted = self.limit.map_or(found, |limit| limit.min(found));
        let batches = first_rows(&rows.batches, wanted);
        let next = match &self.keys {
            Some((keys, shown)) if found > wanted => self.next(keys, *shown, &batches),
            _ => None,
        };
        let shown = match &self.keys {
            Some((_, shown)) => *shown,
            None => rows.schema.fields().len(),
        };
        Ok(Page {
            body: self.encode(&rows.schema, shown, &batches)?,
            rows: wanted,
            next,
        })
    }

    fn encode(&self, schema: &SchemaRef, shown: usize, batches: &[RecordBatch]) -> Result<Vec<u8>> {
        let columns: Vec<usize> = (0..shown).collect();
        let unreadable = |error| Error::from(DataFusionError::from(error));
        let schema = schema.project(&columns).map_err(unreadable)?;
        let mut encoder = Encoder::new(self.format, &schema.into())?;
        let mut body = Vec::new();
        for batch in batches {
            let batch = batch.project(&columns).map_err(unreadable)?;
            for piece in pieces(&batch) {
                body.extend(encoder.encode(&piece)?);
            }
        }
        body.extend(encoder.finish()?);
        Ok(body)
    }

    fn next(&self, keys: &[Order], shown: usize, batches: &[RecordBatch]) -> Option<String> {
        let rows = batches
            .iter()
            .flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row)))
            .map(|(batch, row)| key_values(batch, shown, row))
            .collect::<Option<Vec<_>>>()?;
        let cursor = Cursor::behind(keys, &rows, self.cursor.as_ref(), self.position)?;
        Some(cursor.encode())
    }
}

fn first_rows(batches: &[RecordBatch], mut wanted: u64) -> Vec<RecordBatch> {
    let mut first = Vec::new();
    for batch in batches {
        let rows = wanted.min(batch.num_rows() as u64);
        first.push(batch.slice(0, rows as usize));
        wanted -= rows;
    }
    first
}

/// The values of the keys. `None`: one can't be written as text.
fn key_values(batch: &RecordBatch, shown: usize, row: usize) -> Option<Vec<Option<String>>> {
    let columns = batch.columns()[shown..].iter();
    columns
        .map(|column| {
            let value = ScalarValue::try_from_array(column, row).ok()?;
            if value.is_null() {
                Some(None)
            } else {
                to_text(&value).map(Some)
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn order(text: &str) -> Vec<Order> {
        super::super::parse::order(text).unwrap()
    }

    fn row(values: &[Option<&str>]) -> Vec<Option<String>> {
        values
            .iter()
            .map(|value| value.map(str::to_owned))
            .collect()
    }

    #[test]
    fn a_range_counts_rows_or_is_not_ours() {
        for (text, expected) in [
            ("0-24", Some(Some((0, Some(24))))),
            ("items=10-", Some(Some((10, None)))),
            ("bytes=0-99", Some(None)),
            ("5-2", None),
            ("-5", None),
            ("x", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, HeaderValue::from_static(text));
            assert_eq!(range(&headers).ok(), expected, "{text}");
        }
        assert_eq!(range(&HeaderMap::new()).ok(), Some(None));
    }

    #[test]
    fn a_range_narrows_what_parameters_ask_for() {
        for ((offset, limit), range, expected) in [
            ((0, None), (5, Some(9)), (5, Some(5))),
            ((0, None), (5, None), (5, None)),
            ((10, Some(10)), (0, Some(14)), (10, Some(5))),
            ((10, Some(10)), (15, Some(99)), (15, Some(5))),
            ((10, Some(10)), (50, Some(99)), (50, Some(0))),
            ((0, None), (u64::MAX, Some(u64::MAX)), (u64::MAX, Some(0))),
        ] {
            let mut select = Select {
                limit,
                offset,
                ..Select::default()
            };
            narrow(&mut select, range);
            assert_eq!((select.offset, select.limit), expected, "{range:?}");
        }
    }

    #[test]
    fn a_page_says_where_it_stands() {
        assert_eq!(content_range(0, 25, Some(100)), "0-24/100");
        assert_eq!(content_range(10, 1, None), "10-10/*");
        assert_eq!(content_range(10, 0, Some(3)), "*/3");
    }

    #[test]
    fn a_cursor_goes_through_an_address_and_knows_its_order() {
        let keys = order("a.desc,b");
        let rows = [row(&[Some("2"), None]), row(&[Some("1"), Some("x y")])];
        let cursor = Cursor::behind(&keys, &rows, None, 10).unwrap();
        assert_eq!((cursor.given, cursor.position), (1, 12));
        let text = cursor.encode();
        assert!(
            text.bytes()
                .all(|c| c.is_ascii_alphanumeric() || b"-_".contains(&c))
        );
        assert_eq!(Cursor::decode(&text).unwrap(), cursor);
        let mut select = Select::default();
        assert!(cursor.go_on(&order("a,b"), &mut select).is_err());
        assert!(cursor.go_on(&keys, &mut select).is_ok());
        assert_eq!(select.offset, 1);
        for text in ["", "x", "eyJ9", "bnVsbA"] {
            assert!(Cursor::decode(text).is_err(), "{text}");
        }
    }

    #[test]
    fn equal_rows_are_counted_across_pages() {
        let keys = order("a");
        let equal = [row(&[Some("1")]), row(&[Some("1")])];
        let first = Cursor::behind(&keys, &equal, None, 0).unwrap();
        assert_eq!((first.given, first.position), (2, 2));
        let second = Cursor::behind(&keys, &equal, Some(&first), 2).unwrap();
        assert_eq!((second.given, second.position), (4, 4));
        let mixed = [row(&[Some("1")]), row(&[Some("2")])];
        let third = Cursor::behind(&keys, &mixed, Some(&second), 4).unwrap();
        assert_eq!((third.given, third.position), (1, 6));
    }

    #[test]
    fn rows_behind_a_null_follow_the_order() {
        for (text, value, expected) in [
            ("a.nullslast", None, None),
            ("a.nullsfirst", None, Some(1)),
            ("a.nullslast", Some("1"), Some(2)),
            ("a.nullsfirst", Some("1"), Some(1)),
        ] {
            let key = &order(text)[0];
            let conditions = beyond(key, value).map(|condition| match condition {
                Condition::Any(parts) => parts.len(),
                _ => 1,
            });
            assert_eq!(conditions, expected, "{text} {value:?}");
        }
    }
}
