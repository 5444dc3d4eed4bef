//! The declared schema against the stored one.
//!
//! The rule: a declared type wins where every stored value fits in it without loss (a stored
//! `int32` for a declared `int64`); everything else is an error, never a cast that loses data. A
//! declared column that is not stored reads as null, unless it is required. Stored columns are
//! always taken as nullable, whatever the declaration says: most writers mark all columns so, and
//! a wrong promise of "never null" makes queries lie.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use neurolake_model::Column;
use serde::Serialize;

use neurolake_delta::types::arrow_type;

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The column; fields of structs as in `a.b`.
    pub column: String,
    /// What differs.
    pub what: What,
    /// The declared type in the catalog's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declared: Option<String>,
    /// The stored type in the catalog's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored: Option<String>,
    /// How bad it is.
    pub judgement: Judgement,
}

/// What differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Declared, but not stored.
    Missing,
    /// Stored, but not declared.
    Extra,
    /// Stored with a type whose values may not fit.
    Type,
    /// Stored with a narrower type, all of whose values fit.
    Widened,
    /// Stored without a time zone; read as UTC.
    TimeZone,
    /// Declared as required, but nulls may be stored.
    Nullable,
    /// Stored under its former name.
    Renamed,
}

/// How bad a difference is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// A query by the declaration would fail or lie.
    Breaking,
    /// Queries give what the declaration says.
    Note,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let column = &self.column;
        let declared = self.declared.as_deref().unwrap_or("?");
        let stored = self.stored.as_deref().unwrap_or("?");
        match (self.what, self.judgement) {
            (What::Missing, Judgement::Breaking) => {
                write!(
                    f,
                    "`{column}`: declared {declared} and required, not stored"
                )
            }
            (What::Missing, Judgement::Note) => {
                write!(
                    f,
                    "`{column}`: declared {declared}, not stored, reads as null"
                )
            }
            (What::Extra, _) => write!(f, "`{column}`: stored {stored}, not declared"),
            (What::Type, _) => write!(f, "`{column}`: declared {declared}, stored {stored}"),
            (What::Widened, _) => write!(
                f,
                "`{column}`: declared {declared}, stored {stored}, every value fits"
            ),
            (What::TimeZone, _) => write!(
                f,
                "`{column}`: declared {declared}, stored {stored}, read as UTC"
            ),
            (What::Nullable, _) => {
                write!(f, "`{column}`: declared required, nulls may be stored")
            }
            (What::Renamed, _) => write!(f, "`{column}`: stored under its former name `{stored}`"),
        }
    }
}

/// What differs between declared columns and a stored schema, breaking differences first, else
/// in the order of declaration.
pub fn check(declared: &[Column], stored: &Schema) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut known = Vec::new();
    for column in declared {
        let Some(field) = stored_field(column, stored) else {
            differences.push(missing(column));
            continue;
        };
        known.push(field.name().as_str());
        if *field.name() != column.name {
            differences.push(Difference {
                stored: Some(field.name().clone()),
                ..note(&column.name, What::Renamed)
            });
        }
        compare_column(&column.name, column, field, &mut differences);
    }
    for field in stored.fields() {
        if !known.contains(&field.name().as_str()) {
            differences.push(Difference {
                stored: Some(words(field.data_type())),
                ..note(field.name(), What::Extra)
            });
        }
    }
    differences.sort_by_key(|difference| difference.judgement);
    differences
}

/// The stored column of a declared one: by its name, else by its former name.
pub(crate) fn stored_field<'a>(column: &Column, stored: &'a Schema) -> Option<&'a Field> {
    let by_name = |name: &str| stored.field_with_name(name).ok();
    by_name(&column.name).or_else(|| by_name(column.renamed_from.as_deref()?))
}

/// Whether a query by the declaration would fail or lie.
pub fn is_breaking(differences: &[Difference]) -> bool {
    differences
        .iter()
        .any(|difference| difference.judgement == Judgement::Breaking)
}

/// One line for each difference, breaking ones first.
pub fn report(differences: &[Difference]) -> String {
    let lines = differences.iter().map(|difference| {
        let judgement = match difference.judgement {
            Judgement::Breaking => "breaking",
            Judgement::Note => "note    ",
        };
        format!("{judgement}  {difference}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The breaking ones in one line, for an error.
pub(crate) fn summary(differences: &[Difference]) -> String {
    let breaking = differences
        .iter()
        .filter(|difference| difference.judgement == Judgement::Breaking);
    breaking
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

fn missing(column: &Column) -> Difference {
    // A column that came later can't be required of files that are older.
    let reads_as_null = column.nullable || column.since.is_some();
    Difference {
        declared: Some(column.data_type.to_string()),
        judgement: if reads_as_null {
            Judgement::Note
        } else {
            Judgement::Breaking
        },
        ..note(&column.name, What::Missing)
    }
}

fn note(column: &str, what: What) -> Difference {
    Difference {
        column: column.to_owned(),
        what,
        declared: None,
        stored: None,
        judgement: Judgement::Note,
    }
}

fn compare_column(path: &str, column: &Column, stored: &Field, differences: &mut Vec<Difference>) {
    let before = differences.len();
    let declared = arrow_type(&column.data_type);
    compare(path, &declared, stored.data_type(), differences);
    // The catalog knows a better word than Arrow for some types, such as `blob`.
    for difference in &mut differences[before..] {
        if difference.column == path && difference.declared.is_some() {
            difference.declared = Some(column.data_type.to_string());
        }
    }
    if stored.is_nullable() && !column.nullable {
        differences.push(note(path, What::Nullable));
    }
}

/// Compares types of any depth.
fn compare(path: &str, declared: &DataType, stored: &DataType, differences: &mut Vec<Difference>) {
    use DataType as T;
    match (declared, plain(stored)) {
        (T::Struct(declared), T::Struct(stored)) => {
            compare_fields(path, declared, stored, differences);
        }
        (
            T::List(declared),
            T::List(stored)
            | T::LargeList(stored)
            | T::FixedSizeList(stored, _)
            | T::ListView(stored)
            | T::LargeListView(stored),
        ) => compare(path, declared.data_type(), stored.data_type(), differences),
        (T::Map(declared, _), T::Map(stored, _)) => {
            let (T::Struct(declared), T::Struct(stored)) =
                (declared.data_type(), stored.data_type())
            else {
                return;
            };
            for (declared, stored) in declared.iter().zip(stored) {
                compare(path, declared.data_type(), stored.data_type(), differences);
            }
        }
        (declared, stored) => {
            let (what, judgement) = match fit(declared, stored) {
                Fit::Same => return,
                Fit::Widened => (What::Widened, Judgement::Note),
                Fit::NoTimeZone => (What::TimeZone, Judgement::Note),
                Fit::Lossy => (What::Type, Judgement::Breaking),
            };
            differences.push(Difference {
                declared: Some(words(declared)),
                stored: Some(words(stored)),
                judgement,
                ..note(path, what)
            });
        }
    }
}

fn compare_fields(
    path: &str,
    declared: &Fields,
    stored: &Fields,
    differences: &mut Vec<Difference>,
) {
    let inside = |name: &str| format!("{path}.{name}");
    for field in declared {
        match stored.find(field.name()) {
            Some((_, stored)) => compare(
                &inside(field.name()),
                field.data_type(),
                stored.data_type(),
                differences,
            ),
            None => differences.push(Difference {
                declared: Some(words(field.data_type())),
                judgement: if field.is_nullable() {
                    Judgement::Note
                } else {
                    Judgement::Breaking
                },
                ..note(&inside(field.name()), What::Missing)
            }),
        }
    }
    for field in stored {
        if declared.find(field.name()).is_none() {
            differences.push(Difference {
                stored: Some(words(field.data_type())),
                ..note(&inside(field.name()), What::Extra)
            });
        }
    }
}

/// How values of a stored type go into a declared one.
enum Fit {
    Same,
    Widened,
    NoTimeZone,
    Lossy,
}

#[expect(clippy::match_same_arms, reason = "each arm has a reason of its own")]
fn fit(declared: &DataType, stored: &DataType) -> Fit {
    use DataType as T;
    if declared == stored || is_text(declared) && is_text(stored) {
        return Fit::Same;
    }
    match (declared, stored) {
        (T::Binary, T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_)) => Fit::Same,
        // A column of nothing but nulls, as some writers store it.
        (_, T::Null) => Fit::Widened,
        (T::Timestamp(declared, Some(_)), T::Timestamp(stored, zone)) => {
            match (digits(*stored) <= digits(*declared), zone) {
                (false, _) => Fit::Lossy,
                (true, None) => Fit::NoTimeZone,
                (true, Some(_)) if declared == stored => Fit::Same,
                (true, Some(_)) => Fit::Widened,
            }
        }
        (
            T::Decimal128(precision, scale),
            T::Decimal32(p, s) | T::Decimal64(p, s) | T::Decimal128(p, s) | T::Decimal256(p, s),
        ) => {
            if (p, s) == (precision, scale) {
                return Fit::Same;
            }
            let before = i16::from(*precision) - i16::from(*scale);
            widened(s <= scale && i16::from(*p) - i16::from(*s) <= before)
        }
        (T::Decimal128(precision, scale), integer) if integer.is_integer() => {
            let before = i16::from(*precision) - i16::from(*scale);
            widened(integer_digits(integer) <= before)
        }
        (T::Float32, T::Float16 | T::Int8 | T::Int16 | T::UInt8 | T::UInt16)
        | (
            T::Float64,
            T::Float16
            | T::Float32
            | T::Int8
            | T::Int16
            | T::Int32
            | T::UInt8
            | T::UInt16
            | T::UInt32,
        ) => Fit::Widened,
        (declared, stored) if declared.is_integer() && stored.is_integer() => {
            widened(integer_fits(declared, stored))
        }
        _ => Fit::Lossy,
    }
}

/// Whether every value of an integer type is one of the declared integer type.
pub(crate) fn integer_fits(declared: &DataType, stored: &DataType) -> bool {
    let (to, from) = (bits(declared), bits(stored));
    match (declared.is_signed_integer(), stored.is_signed_integer()) {
        (true, false) => from < to,
        (false, true) => false,
        _ => from <= to,
    }
}

fn widened(fits: bool) -> Fit {
    if fits { Fit::Widened } else { Fit::Lossy }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

fn digits(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

fn bits(integer: &DataType) -> usize {
    integer.primitive_width().unwrap_or(0) * 8
}

/// Decimal digits of the largest value.
fn integer_digits(integer: &DataType) -> i16 {
    match (bits(integer), integer.is_signed_integer()) {
        (8, _) => 3,
        (16, _) => 5,
        (32, _) => 10,
        (_, true) => 19,
        (_, false) => 20,
    }
}

/// Without the encoding that a writer chose.
fn plain(stored: &DataType) -> &DataType {
    match stored {
        DataType::Dictionary(_, values) => plain(values),
        DataType::RunEndEncoded(_, values) => plain(values.data_type()),
        other => other,
    }
}

/// The type without the encodings that a writer chose, at every depth.
pub(crate) fn decoded(stored: &DataType) -> DataType {
    use DataType as T;
    let field = |field: &Arc<Field>| {
        let decoded = decoded(field.data_type());
        Arc::new(Field::new(field.name(), decoded, field.is_nullable()))
    };
    match plain(stored) {
        T::LargeUtf8 | T::Utf8View => T::Utf8,
        T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => T::Binary,
        T::LargeList(item) | T::FixedSizeList(item, _) | T::List(item) => T::List(field(item)),
        T::Struct(fields) => T::Struct(fields.iter().map(field).collect()),
        T::Map(entries, sorted) => T::Map(field(entries), *sorted),
        other => other.clone(),
    }
}

/// An Arrow type in the catalog's words, as exact as a reader needs to see the difference.
pub fn words(data_type: &DataType) -> String {
    use DataType as T;
    match data_type {
        T::Null => "nothing but null".into(),
        T::Boolean => "bool".into(),
        T::Utf8 | T::LargeUtf8 | T::Utf8View => "string".into(),
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => "binary".into(),
        T::Date32 | T::Date64 => "date".into(),
        T::Timestamp(unit, zone) => {
            let unit = match unit {
                TimeUnit::Second => " in seconds",
                TimeUnit::Millisecond => " in milliseconds",
                TimeUnit::Microsecond => "",
                TimeUnit::Nanosecond => " in nanoseconds",
            };
            let zone = if zone.is_none() {
                " without time zone"
            } else {
                ""
            };
            format!("timestamp{unit}{zone}")
        }
        T::Decimal32(p, s) | T::Decimal64(p, s) | T::Decimal128(p, s) | T::Decimal256(p, s) => {
            format!("decimal({p}, {s})")
        }
        T::List(item)
        | T::LargeList(item)
        | T::FixedSizeList(item, _)
        | T::ListView(item)
        | T::LargeListView(item) => format!("list<{}>", words(item.data_type())),
        T::Map(entries, _) => match entries.data_type() {
            T::Struct(fields) if fields.len() == 2 => format!(
                "map<{}, {}>",
                words(fields[0].data_type()),
                words(fields[1].data_type())
            ),
            _ => "map".into(),
        },
        T::Struct(_) => "struct".into(),
        T::Dictionary(_, values) => words(values),
        T::RunEndEncoded(_, values) => words(values.data_type()),
        other => other.to_string().to_ascii_lowercase(),
    }
}

/// The columns as a source of files serves them: declared types, everything nullable.
pub fn served(declared: &[Column]) -> SchemaRef {
    let fields = declared.iter().map(|column| {
        let relaxed = relax(&arrow_type(&column.data_type));
        Field::new(&column.name, relaxed, true)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The same type, with nulls allowed at every depth but in the keys of maps.
pub(crate) fn relax(data_type: &DataType) -> DataType {
    let nullable =
        |field: &Arc<Field>| Arc::new(Field::new(field.name(), relax(field.data_type()), true));
    match data_type {
        DataType::List(item) => DataType::List(nullable(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(nullable).collect()),
        DataType::Map(entries, sorted) => {
            let DataType::Struct(fields) = entries.data_type() else {
                return data_type.clone();
            };
            let relaxed = fields.iter().enumerate().map(|(index, field)| {
                let relaxed = relax(field.data_type());
                Field::new(field.name(), relaxed, index > 0)
            });
            let entries = Field::new(entries.name(), DataType::Struct(relaxed.collect()), false);
            DataType::Map(Arc::new(entries), *sorted)
        }
        other => other.clone(),
    }
}
