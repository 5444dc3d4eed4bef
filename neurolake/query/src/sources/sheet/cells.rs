//! Cells to columns: headers are matched by name, values are converted to the declared types, and
//! what does not fit is refused with its address.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
    TimestampMicrosecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use datafusion::arrow::datatypes::Schema;
use neurolake_model as model;
use neurolake_model::Type;

use crate::error::{Error, Kind, Result};
use crate::suggest::nearest;
use neurolake_delta::types::arrow_field;

/// What a cell holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Empty,
    Bool(bool),
    Number(f64),
    Text(String),
}

impl Cell {
    pub(super) fn from_json(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::Bool(value) => Self::Bool(value),
            serde_json::Value::Number(value) => value.as_f64().map_or(Self::Empty, Self::Number),
            serde_json::Value::String(text) => Self::from_text(text),
            _ => Self::Empty,
        }
    }

    pub(super) fn from_text(text: String) -> Self {
        if text.trim().is_empty() {
            Self::Empty
        } else {
            Self::Text(text)
        }
    }

    fn shown(&self) -> String {
        let text = match self {
            Self::Empty => return "nothing".to_owned(),
            Self::Bool(value) => value.to_string().to_uppercase(),
            Self::Number(value) => value.to_string(),
            Self::Text(text) => text.clone(),
        };
        let short: String = text.chars().take(40).collect();
        let dots = if short.len() < text.len() { "..." } else { "" };
        format!("{short:?}{dots}")
    }
}

/// RFC 4180.
pub(super) fn parse_csv(text: &str) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    let mut row = Vec::new();
    let mut field = String::new();
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(Cell::from_text(std::mem::take(&mut field))),
            '\r' if !quoted && characters.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                row.push(Cell::from_text(std::mem::take(&mut field)));
                rows.push(std::mem::take(&mut row));
            }
            other => field.push(other),
        }
    }
    if !field.is_empty() || !row.is_empty() {
        row.push(Cell::from_text(field));
        rows.push(row);
    }
    rows
}

/// Where the cells lie, for addresses.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    /// `database.table`
    pub(super) table: String,
    pub(super) tab: String,
    /// Column of the first cell, from 0.
    pub(super) column: usize,
    /// Row of the header, from 1.
    pub(super) header_row: usize,
}

impl Origin {
    fn address(&self, column: usize, row: usize) -> String {
        format!("{}{}", letters(self.column + column), self.header_row + row)
    }
}

/// `A`, `B`, ... `Z`, `AA`, ...
fn letters(mut column: usize) -> String {
    let mut letters = Vec::new();
    loop {
        letters.push(b'A' + u8::try_from(column % 26).unwrap_or_default());
        if column < 26 {
            break;
        }
        column = column / 26 - 1;
    }
    letters.reverse();
    letters.into_iter().map(char::from).collect()
}

/// The rows below the header as a batch. Rows without any value are left out.
pub(super) fn batch(
    origin: &Origin,
    declared: &[model::Column],
    cells: &[Vec<Cell>],
) -> Result<RecordBatch> {
    let (header, rows) = cells.split_first().unwrap_or((const { &Vec::new() }, &[]));
    let filled: Vec<(usize, &Vec<Cell>)> = rows
        .iter()
        .enumerate()
        .filter(|(_, row)| row.iter().any(|cell| *cell != Cell::Empty))
        .map(|(index, row)| (index + 1, row))
        .collect();
    let headers = Headers::new(header);
    let columns = if declared.is_empty() {
        headers.guessed(origin, &filled)?
    } else {
        headers.matched(origin, declared)?
    };
    let mut fields = Vec::new();
    let mut arrays = Vec::new();
    for (position, column) in &columns {
        let reader = Reader {
            origin,
            column,
            position: *position,
            rows: &filled,
        };
        arrays.push(reader.array()?);
        fields.push(arrow_field(column));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(filled.len()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
        .map_err(|error| Error::new(Kind::Internal, format!("{}: {error}", origin.table)))
}

/// Names compare without case, and blanks are as good as underscores.
fn normal(name: &str) -> String {
    let name = name.to_lowercase().replace('_', " ");
    name.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The header cells that hold a name.
struct Headers {
    names: Vec<(usize, String)>,
    by_name: HashMap<String, Vec<usize>>,
}

impl Headers {
    fn new(header: &[Cell]) -> Self {
        let mut names = Vec::new();
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (position, cell) in header.iter().enumerate() {
            let name = match cell {
                Cell::Empty => continue,
                Cell::Bool(value) => value.to_string(),
                Cell::Number(value) => value.to_string(),
                Cell::Text(text) => text.trim().to_owned(),
            };
            by_name.entry(normal(&name)).or_default().push(position);
            names.push((position, name));
        }
        Self { names, by_name }
    }

    fn matched(
        &self,
        origin: &Origin,
        declared: &[model::Column],
    ) -> Result<Vec<(usize, model::Column)>> {
        let mut columns = Vec::new();
        let mut missing = Vec::new();
        for column in declared {
            match self.by_name.get(&normal(&column.name)).map(Vec::as_slice) {
                Some([position]) => columns.push((*position, column.clone())),
                Some(positions) => return Err(repeated(origin, &column.name, positions)),
                None => missing.push(column.name.as_str()),
            }
        }
        if missing.is_empty() {
            return Ok(columns);
        }
        let found: Vec<_> = self
            .names
            .iter()
            .map(|(_, name)| format!("`{name}`"))
            .collect();
        let found = if found.is_empty() {
            "no header".to_owned()
        } else {
            found.join(", ")
        };
        let list: Vec<_> = missing.iter().map(|name| format!("`{name}`")).collect();
        let error = Error::new(
            Kind::Broken,
            format!(
                "{}: row {} of the tab `{}` has no column {}; it has {found}",
                origin.table,
                origin.header_row,
                origin.tab,
                list.join(", ")
            ),
        );
        let names = self.names.iter().map(|(_, name)| name.as_str());
        Err(match nearest(missing[0], names) {
            Some(name) => error.with_hint(format!(
                "is `{name}` what is declared as `{}`? correct the sheet or the declaration",
                missing[0]
            )),
            None => error.with_hint("correct `tab`, `header_row` or the names of the columns"),
        })
    }

    /// Without a declaration: text, but for columns of nothing but numbers or truth values.
    fn guessed(
        &self,
        origin: &Origin,
        rows: &[(usize, &Vec<Cell>)],
    ) -> Result<Vec<(usize, model::Column)>> {
        let mut columns = Vec::new();
        for (position, name) in &self.names {
            if let Some(positions) = self.by_name.get(&normal(name))
                && positions.len() > 1
            {
                return Err(repeated(origin, name, positions));
            }
            let cells = rows.iter().filter_map(|(_, row)| row.get(*position));
            let cells: Vec<_> = cells.filter(|cell| **cell != Cell::Empty).collect();
            let data_type = if cells.is_empty() {
                Type::String
            } else if cells.iter().all(|cell| matches!(cell, Cell::Bool(_))) {
                Type::Bool
            } else if cells.iter().all(|cell| matches!(cell, Cell::Number(_))) {
                Type::Float64
            } else {
                Type::String
            };
            columns.push((*position, plain_column(name, data_type)));
        }
        Ok(columns)
    }
}

fn plain_column(name: &str, data_type: Type) -> model::Column {
    model::Column {
        name: name.to_owned(),
        data_type,
        nullable: true,
        docs: String::new(),
        unit: None,
        pii: false,
        since: None,
        renamed_from: None,
        deprecated: None,
        aliases: Vec::new(),
    }
}

fn repeated(origin: &Origin, name: &str, positions: &[usize]) -> Error {
    let cells: Vec<_> = positions
        .iter()
        .map(|column| origin.address(*column, 0))
        .collect();
    Error::new(
        Kind::Broken,
        format!(
            "{}: the header `{name}` stands more than once in the tab `{}`: in {}",
            origin.table,
            origin.tab,
            cells.join(" and ")
        ),
    )
    .with_hint("rename one of the headers")
}

/// One column of the sheet.
struct Reader<'a> {
    origin: &'a Origin,
    column: &'a model::Column,
    position: usize,
    rows: &'a [(usize, &'a Vec<Cell>)],
}

impl Reader<'_> {
    fn array(&self) -> Result<ArrayRef> {
        macro_rules! integers {
            ($array:ty) => {
                Arc::new(<$array>::from(self.values(|cell| {
                    integer(cell).and_then(|value| value.try_into().ok())
                })?)) as ArrayRef
            };
        }
        Ok(match &self.column.data_type {
            Type::Bool => Arc::new(BooleanArray::from(self.values(truth)?)),
            Type::Int8 => integers!(Int8Array),
            Type::Int16 => integers!(Int16Array),
            Type::Int32 => integers!(Int32Array),
            Type::Int64 => integers!(Int64Array),
            Type::UInt8 => integers!(UInt8Array),
            Type::UInt16 => integers!(UInt16Array),
            Type::UInt32 => integers!(UInt32Array),
            Type::UInt64 => integers!(UInt64Array),
            Type::Float32 => {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "declared with fewer digits"
                )]
                let narrow = |cell: &Cell| float(cell).map(|value| value as f32);
                Arc::new(Float32Array::from(self.values(narrow)?))
            }
            Type::Float64 => Arc::new(Float64Array::from(self.values(float)?)),
            Type::String => Arc::new(StringArray::from(self.values(text)?)),
            Type::Date => Arc::new(Date32Array::from(self.values(date)?)),
            Type::Timestamp => Arc::new(
                TimestampMicrosecondArray::from(self.values(timestamp)?).with_timezone("UTC"),
            ),
            Type::Decimal { precision, scale } => {
                let values = self.values(|cell| decimal(cell, *precision, *scale))?;
                let data_type = neurolake_delta::types::arrow_type(&self.column.data_type);
                Arc::new(Decimal128Array::from(values).with_data_type(data_type))
            }
            other => {
                return Err(Error::new(
                    Kind::Broken,
                    format!(
                        "{}: the column `{}` is declared as `{other}`, which no cell can hold",
                        self.origin.table, self.column.name
                    ),
                )
                .with_hint("declare it as text, a number, a truth value, a date or a timestamp"));
            }
        })
    }

    fn values<T>(&self, convert: impl Fn(&Cell) -> Option<T>) -> Result<Vec<Option<T>>> {
        let mut values = Vec::with_capacity(self.rows.len());
        for (row, cells) in self.rows {
            let cell = cells.get(self.position).unwrap_or(&Cell::Empty);
            let value = match cell {
                Cell::Empty if self.column.nullable => None,
                Cell::Empty => return Err(self.refused(*row, cell)),
                Cell::Text(text) if is_formula_error(text) => {
                    return Err(self.refused(*row, cell));
                }
                _ => Some(convert(cell).ok_or_else(|| self.refused(*row, cell))?),
            };
            values.push(value);
        }
        Ok(values)
    }

    fn refused(&self, row: usize, cell: &Cell) -> Error {
        let holds = match cell {
            Cell::Empty => "is empty".to_owned(),
            _ if self.column.pii => "holds a value".to_owned(),
            _ => format!("holds {}", cell.shown()),
        };
        let but = if *cell == Cell::Empty {
            "must hold"
        } else {
            "is declared as"
        };
        Error::new(
            Kind::Broken,
            format!(
                "{}: the cell {} of the tab `{}` {holds}, but the column `{}` {but} {}",
                self.origin.table,
                self.origin.address(self.position, row),
                self.origin.tab,
                self.column.name,
                expected(&self.column.data_type)
            ),
        )
        .with_hint("correct the cell; nothing of the table is read until then")
    }
}

fn expected(data_type: &Type) -> String {
    match data_type {
        Type::Bool => "a truth value (TRUE or FALSE)".to_owned(),
        Type::String => "a text".to_owned(),
        Type::Date => "a date (2026-03-01)".to_owned(),
        Type::Timestamp => "a timestamp (2026-03-01 12:00)".to_owned(),
        Type::Float32 | Type::Float64 => "a number".to_owned(),
        Type::Decimal { precision, scale } => {
            format!("a number of at most {precision} digits, {scale} of them behind the point")
        }
        other => format!("a whole number ({other})"),
    }
}

/// What a formula yields that can't be calculated.
fn is_formula_error(text: &str) -> bool {
    const ERRORS: [&str; 8] = [
        "#N/A", "#REF!", "#NAME?", "#VALUE!", "#DIV/0!", "#NUM!", "#NULL!", "#ERROR!",
    ];
    ERRORS.contains(&text.trim())
}

fn truth(cell: &Cell) -> Option<bool> {
    match cell {
        Cell::Bool(value) => Some(*value),
        Cell::Text(text) if text.trim().eq_ignore_ascii_case("true") => Some(true),
        Cell::Text(text) if text.trim().eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn integer(cell: &Cell) -> Option<i64> {
    match cell {
        // Beyond, a cell does not hold whole numbers exactly.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "checked to be whole and small"
        )]
        Cell::Number(value) if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 => {
            Some(*value as i64)
        }
        Cell::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn float(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Number(value) => Some(*value),
        Cell::Text(text) => {
            let text = text.trim();
            let value: f64 = match text.strip_suffix('%') {
                Some(percent) => percent.trim_end().parse::<f64>().ok()? / 100.0,
                None => text.parse().ok()?,
            };
            value.is_finite().then_some(value)
        }
        _ => None,
    }
}

fn text(cell: &Cell) -> Option<String> {
    match cell {
        Cell::Text(text) => Some(text.clone()),
        Cell::Number(value) => Some(value.to_string()),
        Cell::Bool(value) => Some(value.to_string().to_uppercase()),
        Cell::Empty => None,
    }
}

/// A sheet counts days from 1899-12-30.
const EPOCH_DAYS: i32 = 25_569;

fn date(cell: &Cell) -> Option<i32> {
    match cell {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "checked to be whole and small"
        )]
        Cell::Number(value) if value.fract() == 0.0 && value.abs() < 3_000_000.0 => {
            Some(*value as i32 - EPOCH_DAYS)
        }
        Cell::Text(text) => {
            let date: NaiveDate = text.trim().parse().ok()?;
            let days = date.signed_duration_since(NaiveDate::default()).num_days();
            days.try_into().ok()
        }
        _ => None,
    }
}

/// A sheet knows no time zone for a cell: it is taken as UTC. A number is exact to a millisecond.
fn timestamp(cell: &Cell) -> Option<i64> {
    match cell {
        #[expect(clippy::cast_possible_truncation, reason = "checked to be small")]
        Cell::Number(value) if value.abs() < 3_000_000.0 => {
            let milliseconds = ((value - f64::from(EPOCH_DAYS)) * 86_400_000.0).round();
            Some(milliseconds as i64 * 1_000)
        }
        Cell::Text(text) => {
            let text = text.trim();
            if let Ok(time) = DateTime::parse_from_rfc3339(text) {
                return Some(time.timestamp_micros());
            }
            let formats = [
                "%Y-%m-%d %H:%M:%S%.f",
                "%Y-%m-%dT%H:%M:%S%.f",
                "%Y-%m-%d %H:%M",
            ];
            let time = formats
                .iter()
                .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
            let midnight = || text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0);
            Some(time.or_else(midnight)?.and_utc().timestamp_micros())
        }
        _ => None,
    }
}

/// Exact, or refused. Of a number the fifteen digits count that a sheet shows: what follows is
/// noise of its arithmetic.
fn decimal(cell: &Cell, precision: u8, scale: u8) -> Option<i128> {
    let (text, percent) = match cell {
        Cell::Number(value) => {
            let rounded: f64 = format!("{value:.14e}").parse().ok()?;
            (rounded.to_string(), 0)
        }
        Cell::Text(text) => match text.trim().strip_suffix('%') {
            Some(text) => (text.trim_end().to_owned(), 2),
            None => (text.trim().to_owned(), 0),
        },
        _ => return None,
    };
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(&text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || whole.len() + fraction.len() == 0 {
        return None;
    }
    let mut value: i128 = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        value = value
            .checked_mul(10)?
            .checked_add(i128::from(digit - b'0'))?;
    }
    let have = u32::try_from(fraction.len()).ok()? + percent;
    let want = u32::from(scale);
    if have <= want {
        value = value.checked_mul(10_i128.checked_pow(want - have)?)?;
    } else {
        let surplus = 10_i128.checked_pow(have - want)?;
        if value % surplus != 0 {
            return None;
        }
        value /= surplus;
    }
    let fits = value
        < 10_i128
            .checked_pow(u32::from(precision))
            .unwrap_or(i128::MAX);
    fits.then_some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Cell {
        Cell::from_text(text.to_owned())
    }

    #[test]
    fn addresses_count_like_a_sheet() {
        let letters: Vec<_> = [0, 25, 26, 701, 702].into_iter().map(letters).collect();
        assert_eq!(letters, ["A", "Z", "AA", "ZZ", "AAA"]);
    }

    #[test]
    fn decimals_are_exact() {
        assert_eq!(decimal(&Cell::Number(0.1 + 0.2), 5, 2), Some(30));
        assert_eq!(decimal(&Cell::Number(12.345), 5, 2), None);
        assert_eq!(decimal(&words("-12.50"), 5, 1), Some(-125));
        assert_eq!(decimal(&words("12.5%"), 5, 3), Some(125));
        assert_eq!(decimal(&words("1,250.00"), 9, 2), None);
        assert_eq!(decimal(&words("1000"), 3, 0), None);
        assert_eq!(decimal(&words("."), 3, 0), None);
    }

    #[test]
    fn whole_numbers_dates_and_times() {
        assert_eq!(integer(&Cell::Number(12.0)), Some(12));
        assert_eq!(integer(&Cell::Number(12.5)), None);
        assert_eq!(date(&Cell::Number(46_082.0)), Some(20_513));
        assert_eq!(date(&words("2026-03-01")), Some(20_513));
        assert_eq!(date(&Cell::Number(46_082.5)), None);
        assert_eq!(
            timestamp(&Cell::Number(46_082.5)),
            Some(20_513 * 86_400_000_000 + 43_200_000_000)
        );
        assert_eq!(
            timestamp(&words("2026-03-01 12:00")),
            timestamp(&Cell::Number(46_082.5))
        );
        assert_eq!(truth(&words("yes")), None);
    }

    #[test]
    fn csv_has_quotes_and_lines_in_cells() {
        let rows = parse_csv("a,\"b \"\"c\"\", d\r\nx\"\r\n,2\n");
        assert_eq!(
            rows,
            [
                vec![words("a"), words("b \"c\", d\r\nx")],
                vec![Cell::Empty, words("2")]
            ]
        );
    }
}
