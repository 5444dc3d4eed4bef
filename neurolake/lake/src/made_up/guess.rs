//! Values for any column, guessed from its declaration: type, unit, name, documentation, example.

use arrow::compute::kernels::cast_utils::Parser;
use arrow::datatypes::TimestampMicrosecondType;
use arrow::temporal_conversions::date32_to_datetime;
use neurolake_model::{Catalog, Column, Table, Type, Value};

use super::cell::Cell;
use super::random::Random;

/// A day in microseconds.
pub const DAY: i64 = 86_400_000_000;

/// Partitions that a table gets when nobody says which.
const PARTITIONS: i64 = 3;

/// Rows that a table gets at size 1 when nobody says how many.
pub(crate) const ROWS: f64 = 1_000.0;

/// Microseconds of a day or an instant, such as `2026-03-01` or `2026-03-01T09:30:00Z`.
///
/// # Panics
/// The text is neither.
pub fn time(text: &str) -> i64 {
    TimestampMicrosecondType::parse(text).expect("a recipe writes a day or an instant")
}

/// Days since 1970-01-01 of a day such as `2026-03-01`.
///
/// # Panics
/// The text is not a day.
pub fn day(text: &str) -> i64 {
    time(text).div_euclid(DAY)
}

/// A day as text, such as `2026-03-01`.
pub fn day_text(days: i64) -> String {
    i32::try_from(days)
        .ok()
        .and_then(date32_to_datetime)
        .map(|time| time.date().to_string())
        .unwrap_or_default()
}

/// How a column is filled.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Share of nulls.
    nulls: f64,
    guess: Guess,
}

#[derive(Debug, Clone)]
enum Guess {
    Bool,
    Whole(i64, i64),
    /// The number of the row.
    Counter(i64),
    Real(f64, f64),
    /// Around a median, with a long tail.
    Skewed(f64),
    Words(Vec<String>),
    /// Text with the digits of a pattern replaced.
    Like(String),
    /// A pattern with the number of the row.
    Numbered(String),
    /// A key of a table: which of how many, as a number or by a pattern.
    Key {
        like: Option<String>,
        count: i64,
    },
    Bytes,
    Date,
    Time,
    Decimal {
        high: i64,
        scale: usize,
    },
    Blob(String),
    List(Box<Plan>, i64, i64),
    Map(Box<Plan>, Box<Plan>),
    Struct(Vec<(String, Plan)>),
}

/// Where a value stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spot {
    pub(crate) row: i64,
    /// Day of the rows around it.
    pub(crate) day: i64,
}

impl Plan {
    /// Reads the declaration of a column.
    pub(crate) fn new(catalog: &Catalog, table: &Table, column: &Column, rows: i64) -> Self {
        let nulls = match column {
            Column {
                nullable: false, ..
            } => 0.0,
            Column {
                deprecated: Some(_),
                ..
            } => 0.6,
            _ => 0.1,
        };
        Self {
            nulls,
            guess: Guess::new(catalog, table, column, rows),
        }
    }

    /// A value.
    pub(crate) fn value(&self, random: &mut Random, spot: Spot) -> Cell {
        if self.nulls > 0.0 && random.chance(self.nulls) {
            return Cell::Null;
        }
        match &self.guess {
            Guess::Bool => random.chance(0.8).into(),
            Guess::Whole(low, high) => random.whole(*low, *high).into(),
            Guess::Counter(start) => (start + spot.row).into(),
            Guess::Real(low, high) => {
                let middle = f64::midpoint(*low, *high);
                random.normal(middle, (high - low) / 6.0).into()
            }
            Guess::Skewed(median) => random.log_normal(*median, 0.6).into(),
            Guess::Words(words) => {
                // Enumerations name the usual first.
                let index = (random.unit().powf(1.6) * words.len() as f64) as usize;
                words[index.min(words.len() - 1)].as_str().into()
            }
            Guess::Like(pattern) => {
                let any = random.next();
                like(pattern, any).into()
            }
            Guess::Numbered(pattern) => key_value(Some(pattern), spot.row),
            Guess::Key {
                like: pattern,
                count,
            } => {
                let key = random.whole(0, (count - 1).max(0));
                key_value(pattern.as_deref(), key)
            }
            Guess::Bytes => random.hex(32).into_bytes().into(),
            Guess::Date => (spot.day - random.whole(0, 30)).into(),
            Guess::Time => {
                let second = 32_400 + spot.row * 7 % 50_000;
                (spot.day * DAY + second * 1_000_000 + random.whole(0, 6_999_999)).into()
            }
            Guess::Decimal { high, scale } => decimal(random.whole(0, *high), *scale).into(),
            Guess::Blob(folder) => Cell::Fields(vec![
                format!("{folder}/{:06}.bin", spot.row).into(),
                "application/octet-stream".into(),
                random.whole(10_000, 9_000_000).into(),
            ]),
            Guess::List(item, low, high) => {
                let length = random.whole(*low, *high);
                (0..length)
                    .map(|_| item.value(random, spot))
                    .collect::<Vec<_>>()
                    .into()
            }
            Guess::Map(key, value) => {
                let mut entries: Vec<(Cell, Cell)> = Vec::new();
                for _ in 0..random.whole(0, 3) {
                    let entry = (key.value(random, spot), value.value(random, spot));
                    if !entries.iter().any(|(known, _)| *known == entry.0) {
                        entries.push(entry);
                    }
                }
                entries.into()
            }
            Guess::Struct(fields) => Cell::Fields(
                fields
                    .iter()
                    .map(|(_, field)| field.value(random, spot))
                    .collect(),
            ),
        }
    }

    /// A value with the fields that a recipe left out.
    pub(crate) fn complete(
        &self,
        cell: Cell,
        random: &mut Random,
        spot: Spot,
    ) -> Result<Cell, String> {
        Ok(match (cell, &self.guess) {
            (Cell::Struct(given), Guess::Struct(plans)) => {
                let mut given = given;
                let mut fields = Vec::with_capacity(plans.len());
                for (name, plan) in plans {
                    let found = given.iter().position(|(known, _)| known == name);
                    fields.push(match found {
                        Some(index) => {
                            let (_, cell) = given.swap_remove(index);
                            plan.complete(cell, random, spot)?
                        }
                        None => plan.value(random, spot),
                    });
                }
                if let Some((unknown, _)) = given.first() {
                    return Err(format!("there is no field `{unknown}`"));
                }
                Cell::Fields(fields)
            }
            (Cell::List(items), Guess::List(plan, ..)) => items
                .into_iter()
                .map(|item| plan.complete(item, random, spot))
                .collect::<Result<Vec<_>, _>>()?
                .into(),
            (Cell::Map(entries), Guess::Map(_, plan)) => entries
                .into_iter()
                .map(|(key, value)| Ok((key, plan.complete(value, random, spot)?)))
                .collect::<Result<Vec<_>, String>>()?
                .into(),
            (cell, _) => cell,
        })
    }
}

impl Guess {
    fn new(catalog: &Catalog, table: &Table, column: &Column, rows: i64) -> Self {
        if let Some(key) = key(catalog, table, column, rows) {
            return key;
        }
        let nested = |data_type: &Type, nullable: bool| {
            let column = Column {
                data_type: data_type.clone(),
                nullable,
                ..column.clone()
            };
            Box::new(Plan::new(catalog, table, &column, rows))
        };
        let words = words(&column.docs);
        match &column.data_type {
            Type::Bool => Self::Bool,
            Type::Int8 | Type::UInt8 => whole(column, 0, 15),
            Type::Int16 | Type::UInt16 => whole(column, 0, 99),
            Type::Int32 | Type::Int64 | Type::UInt32 | Type::UInt64 => whole(column, 0, 999),
            Type::Float32 | Type::Float64 => real(column),
            Type::String if words.len() > 1 => Self::Words(words),
            Type::String => Self::Like(match words.into_iter().next() {
                Some(word) => word,
                None => format!("{} 0000", column.name.replace('_', " ")),
            }),
            Type::Binary => Self::Bytes,
            Type::Date => Self::Date,
            Type::Timestamp => Self::Time,
            Type::Decimal { precision, scale } => Self::Decimal {
                high: 10_i64.pow(u32::from(*precision).min(scale_digits(*scale))) - 1,
                scale: usize::from(*scale),
            },
            Type::Blob => Self::Blob(format!("{}/files", folder_of(table))),
            Type::List { item, nullable } => {
                let long = matches!(**item, Type::Float32 | Type::Float64);
                let (low, high) = if long { (16, 16) } else { (0, 4) };
                Self::List(nested(item, *nullable), low, high)
            }
            Type::Map {
                key,
                value,
                nullable,
            } => Self::Map(nested(key, false), nested(value, *nullable)),
            Type::Struct { fields } => Self::Struct(
                fields
                    .iter()
                    .map(|field| {
                        let plan = Plan::new(catalog, table, field, rows);
                        (field.name.clone(), plan)
                    })
                    .collect(),
            ),
        }
    }
}

/// Digits of made-up decimals: two before the point.
fn scale_digits(scale: u8) -> u32 {
    (u32::from(scale) + 2).min(18)
}

fn folder_of(table: &Table) -> String {
    match &table.source {
        neurolake_model::Source::Delta { uri } | neurolake_model::Source::Parquet { uri, .. } => {
            uri.trim_end_matches('/').to_owned()
        }
        _ => format!("s3://files/{}", table.name),
    }
}

/// Keys: of this table, or of the one that the documentation links to.
fn key(catalog: &Catalog, table: &Table, column: &Column, rows: i64) -> Option<Guess> {
    if !column.data_type.is_integer() && column.data_type != Type::String {
        return None;
    }
    let own = table.unique_by.last() == Some(&column.name);
    if own && column.data_type.is_integer() {
        return Some(Guess::Counter(1));
    }
    if own && table.unique_by.len() == 1 {
        return Some(Guess::Numbered(pattern_of(column)));
    }
    let target = linked(&column.docs)?;
    let (database, rest) = target.split_once('.')?;
    let (name, field) = rest.split_once('#')?;
    let there = catalog.table(database, name)?;
    let target = there.column(field)?;
    let unique = there.unique_by.last().is_some_and(|last| last == field);
    unique.then(|| Guess::Key {
        like: (target.data_type == Type::String).then(|| pattern_of(target)),
        count: rows.min(50),
    })
}

fn pattern_of(column: &Column) -> String {
    words(&column.docs)
        .into_iter()
        .next()
        .filter(|word| word.bytes().any(|byte| byte.is_ascii_digit()))
        .unwrap_or_else(|| format!("{}-0000", column.name))
}

/// The first link to a column, as `database.table#column`.
fn linked(docs: &str) -> Option<&str> {
    let start = docs.find("(table:")? + "(table:".len();
    let end = docs[start..].find(')')?;
    Some(&docs[start..start + end]).filter(|target| target.contains('#'))
}

/// Words in backticks that are not links.
fn words(docs: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = docs;
    while let Some(start) = rest.find('`') {
        let Some(length) = rest[start + 1..].find('`') else {
            break;
        };
        let word = &rest[start + 1..start + 1 + length];
        let link = rest[..start].ends_with('[');
        rest = &rest[start + 1 + length + 1..];
        if !link && !word.is_empty() && !word.contains(['=', '(', '*', '<', '>']) {
            words.push(word.to_owned());
        }
    }
    words
}

fn whole(column: &Column, low: i64, high: i64) -> Guess {
    let name = column.name.as_str();
    match column.unit.as_deref() {
        Some("degC") => Guess::Whole(-20, 40),
        Some("%") => Guess::Whole(0, 100),
        _ if ["seq", "bin", "index", "row"].contains(&name) => Guess::Counter(0),
        _ => Guess::Whole(low, high),
    }
}

fn real(column: &Column) -> Guess {
    match column.unit.as_deref().unwrap_or_default() {
        "z" => Guess::Real(-3.0, 3.0),
        "V" => Guess::Real(3.4, 4.2),
        "mV" => Guess::Real(-80.0, 40.0),
        "uV" => Guess::Skewed(40.0),
        "degC" => Guess::Real(35.0, 39.0),
        "%" => Guess::Real(0.0, 100.0),
        "deg" => Guess::Real(-180.0, 180.0),
        "Hz" => Guess::Skewed(20.0),
        "hPa" => Guess::Real(990.0, 1_030.0),
        "Ohm" | "kOhm" | "MOhm" => Guess::Skewed(120.0),
        "" => Guess::Real(0.0, 1.0),
        _ => Guess::Skewed(10.0),
    }
}

/// The digits of a pattern replaced by those of a number.
pub(crate) fn like(pattern: &str, number: u64) -> String {
    let mut left = number;
    let mut text: Vec<char> = pattern.chars().collect();
    for place in text.iter_mut().rev() {
        if place.is_ascii_digit() {
            *place = char::from(b'0' + u8::try_from(left % 10).unwrap_or(0));
            left /= 10;
        }
    }
    text.into_iter().collect()
}

fn key_value(pattern: Option<&str>, key: i64) -> Cell {
    match pattern {
        Some(pattern) => {
            let number = (key + 1).unsigned_abs();
            let digits = pattern.bytes().filter(u8::is_ascii_digit).count();
            let room = 10_u64.saturating_pow(u32::try_from(digits).unwrap_or(u32::MAX));
            match number / room {
                0 => like(pattern, number).into(),
                more => format!("{}-{more}", like(pattern, number)).into(),
            }
        }
        None => (key + 1).into(),
    }
}

/// A whole number as a decimal with this many digits behind the point.
fn decimal(unscaled: i64, scale: usize) -> String {
    let digits = format!("{unscaled:0width$}", width = scale + 1);
    let (whole, part) = digits.split_at(digits.len() - scale);
    if scale == 0 {
        whole.to_owned()
    } else {
        format!("{whole}.{part}")
    }
}

/// An example value; `None` for values that no column holds.
pub(crate) fn example(value: &Value) -> Option<Cell> {
    Some(match value {
        Value::Null => Cell::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Float(text) => text.parse::<f64>().ok()?.into(),
        Value::String(text) | Value::Date(text) | Value::Timestamp(text) | Value::Decimal(text) => {
            text.as_str().into()
        }
        Value::Binary(_) => return None,
        Value::List(items) => items
            .iter()
            .map(example)
            .collect::<Option<Vec<_>>>()?
            .into(),
    })
}

/// Guessed rows, with the values of the example in one row out of four.
pub(crate) struct Rows<'a> {
    table: &'a Table,
    partitions: Vec<Vec<(usize, Cell)>>,
    example: Vec<(usize, Cell)>,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(table: &'a Table, columns: &[Column]) -> Self {
        let place = |name: &str| columns.iter().position(|column| column.name == name);
        let given = |name: &str| {
            let (_, value) = table.example.iter().find(|(known, _)| known == name)?;
            Some(value)
        };
        let partitions = (0..PARTITIONS)
            .map(|variant| {
                table
                    .partition_by
                    .iter()
                    .filter_map(|partition| {
                        let index = place(&partition.name)?;
                        let value = variant_of(given(&partition.name), &columns[index], variant);
                        Some((index, value))
                    })
                    .collect()
            })
            .collect();
        let example = table
            .example
            .iter()
            .filter(|(name, _)| !table.is_partition(name))
            .filter_map(|(name, value)| Some((place(name)?, example(value)?)))
            .collect();
        Self {
            table,
            partitions,
            example,
        }
    }

    /// Values that are fixed in this row, and its day.
    pub(crate) fn fixed(&self, row: i64) -> (Vec<(usize, Cell)>, i64) {
        let variant = row.rem_euclid(PARTITIONS);
        let mut fixed = self.partitions[usize::try_from(variant).unwrap_or(0)].clone();
        let unique = self
            .table
            .example
            .iter()
            .any(|(name, _)| self.table.unique_by.last() == Some(name));
        let every = if unique { i64::MAX } else { 4 * PARTITIONS };
        if row.rem_euclid(every) == 0 {
            fixed.extend(self.example.iter().cloned());
        }
        let day_of = |(index, cell): &(usize, Cell)| {
            let is_date = self
                .table
                .columns
                .get(*index)
                .is_some_and(|column| column.data_type == Type::Date);
            match cell {
                Cell::Int(days) if is_date => Some(*days),
                _ => None,
            }
        };
        let day = fixed.iter().find_map(day_of).unwrap_or(day("2026-03-01"));
        (fixed, day)
    }
}

/// The example's value of a partition column, or one beside it.
fn variant_of(given: Option<&Value>, column: &Column, variant: i64) -> Cell {
    let text = match given {
        Some(Value::String(text)) => text.clone(),
        _ => String::new(),
    };
    match (&column.data_type, given) {
        (Type::Date, Some(Value::Date(text))) => (day(text) - variant).into(),
        (Type::Date, _) => (day("2026-03-01") - variant).into(),
        (Type::Timestamp, Some(Value::Timestamp(text))) => (time(text) - variant * DAY).into(),
        (Type::Timestamp, _) => (time("2026-03-01") - variant * DAY).into(),
        (Type::String, _) => {
            let mut all = words(&column.docs);
            all.retain(|word| *word != text);
            if !text.is_empty() {
                all.insert(0, text);
            }
            let index = usize::try_from(variant).unwrap_or(0);
            match (all.get(index), all.first()) {
                (Some(word), _) => word.as_str().into(),
                (None, Some(first)) => format!("{first}-{variant}").into(),
                (None, None) => format!("{}-{variant}", column.name).into(),
            }
        }
        (Type::Bool, Some(Value::Bool(value))) => (*value == (variant % 2 == 0)).into(),
        (Type::Bool, _) => (variant % 2 == 0).into(),
        (_, Some(Value::Int(value))) => (value + variant).into(),
        (Type::Decimal { .. }, Some(Value::Decimal(text))) => text.as_str().into(),
        (Type::Decimal { .. }, _) => variant.to_string().into(),
        (Type::Float32 | Type::Float64, _) => f64::from(i32::try_from(variant).unwrap_or(0)).into(),
        _ => (1 + variant).into(),
    }
}
