//! Values and names as each language writes them. `None` means that the language cannot write the
//! value; the filter is then left out of that client's snippet.

use std::borrow::Cow;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use neurolake_model::{Type, Value};

/// Characters that a reader would not see, or that reorder the text around them. They are never
/// pasted as they are.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A float as the source has it.
enum Float {
    NotANumber,
    Infinite {
        negative: bool,
    },
    /// Digits that every language reads in the same way.
    Finite(String),
}

fn float(text: &str) -> Option<Float> {
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    let digits = digits
        .strip_suffix("f64")
        .or_else(|| digits.strip_suffix("f32"))
        .unwrap_or(&digits);
    let value: f64 = digits.parse().ok()?;
    Some(if value.is_nan() {
        Float::NotANumber
    } else if value.is_infinite() {
        Float::Infinite {
            negative: value < 0.0,
        }
    } else if is_portable(digits) {
        Float::Finite(digits.to_owned())
    } else {
        Float::Finite(format!("{value:?}"))
    })
}

/// `-1.5`, `2.0e10`: no bare point, no leading plus.
fn is_portable(digits: &str) -> bool {
    let digits = digits.strip_prefix('-').unwrap_or(digits);
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (digits, None),
    };
    let exponent_is_fine =
        exponent.is_none_or(|e| is_digits(e.strip_prefix(['+', '-']).unwrap_or(e)));
    mantissa
        .split_once('.')
        .is_some_and(|(whole, fraction)| is_digits(whole) && is_digits(fraction))
        && exponent_is_fine
}

/// Whether the value is a float that isn't a number, which no client finds by equality.
pub(super) fn is_nan(value: &Value) -> bool {
    matches!(value, Value::Float(text) if matches!(float(text), Some(Float::NotANumber)))
}

/// Whether a 32-bit column compared with these digits as a 64-bit float would find nothing.
fn needs_f32(text: &str, data_type: Option<&Type>) -> bool {
    let (Some(Type::Float32), Ok(single), Ok(double)) =
        (data_type, text.parse::<f32>(), text.parse::<f64>())
    else {
        return false;
    };
    f64::from(single).to_bits() != double.to_bits()
}

pub(super) fn item_type(data_type: Option<&Type>) -> Option<&Type> {
    match data_type {
        Some(Type::List { item, .. }) => Some(item),
        _ => data_type,
    }
}

fn join(items: &[Value], mut write: impl FnMut(&Value) -> Option<String>) -> Option<String> {
    let items: Option<Vec<String>> = items.iter().map(&mut write).collect();
    Some(items?.join(", "))
}

/// Bytes of a value that the model keeps as hexadecimal digits.
fn bytes(hexadecimal: &str) -> Option<Vec<u8>> {
    if !hexadecimal.is_ascii() || !hexadecimal.len().is_multiple_of(2) {
        return None;
    }
    (0..hexadecimal.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hexadecimal[at..at + 2], 16).ok())
        .collect()
}

/// `b"\x00ab"`, the same in Python and in Rust.
fn byte_string(bytes: &[u8]) -> String {
    let mut text = String::from("b\"");
    for byte in bytes {
        match byte {
            b'"' | b'\\' => {
                text.push('\\');
                text.push(char::from(*byte));
            }
            0x20..=0x7e => text.push(char::from(*byte)),
            _ => {
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
    }
    text.push('"');
    text
}

/// `+1_0.50` without sign and separators that only some languages read.
fn decimal(text: &str) -> Option<String> {
    let text: String = text.chars().filter(|c| *c != '_').collect();
    let text = text.strip_prefix('+').unwrap_or(&text);
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let valid = unsigned.bytes().any(|b| b.is_ascii_digit())
        && unsigned.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && unsigned.matches('.').count() <= 1;
    valid.then(|| text.to_owned())
}

/// Text in double quotes, as most languages write it. `escape` writes a character that a reader would
/// not see.
fn quoted(text: &str, escape: impl Fn(u32) -> String) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_invisible(c) => out.push_str(&escape(u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

// Python

/// A string literal of Python.
pub(crate) fn python_string(text: &str) -> String {
    quoted(text, |code| match code {
        0..=0xff => format!("\\x{code:02x}"),
        0x100..=0xffff => format!("\\u{code:04x}"),
        _ => format!("\\U{code:08x}"),
    })
}

/// A value for our own Python client, which reads dates, timestamps and decimals from text because
/// it knows the column's type.
pub(super) fn python_client(value: &Value) -> Option<String> {
    match value {
        Value::Date(text) | Value::Timestamp(text) => Some(python_string(text)),
        Value::Decimal(text) => Some(python_string(&decimal(text)?)),
        Value::List(items) => Some(format!("[{}]", join(items, python_client)?)),
        value => python(value),
    }
}

/// A value as an object of Python's standard library.
pub(super) fn python(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Int(value) => value.to_string(),
        Value::Float(text) => match float(text)? {
            Float::NotANumber => "float(\"nan\")".into(),
            Float::Infinite { negative: false } => "float(\"inf\")".into(),
            Float::Infinite { negative: true } => "float(\"-inf\")".into(),
            Float::Finite(digits) => digits,
        },
        Value::String(text) => python_string(text),
        Value::Binary(text) => byte_string(&bytes(text)?),
        Value::Date(text) => {
            let (year, month, day) = date_parts(text)?;
            format!("date({year}, {month}, {day})")
        }
        Value::Timestamp(text) => python_timestamp(text)?,
        Value::Decimal(text) => format!("Decimal({})", python_string(&decimal(text)?)),
        Value::List(items) => format!("[{}]", join(items, python)?),
    })
}

fn date_parts(text: &str) -> Option<(u16, u8, u8)> {
    let mut parts = text.splitn(3, '-');
    let year = parts.next()?.parse().ok().filter(|year| *year > 0)?;
    Some((
        year,
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
    ))
}

fn python_timestamp(text: &str) -> Option<String> {
    let (day, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (year, month, day) = date_parts(day)?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut parts = time.splitn(3, ':').map(|part| part.parse::<u8>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    if second > 59 || fraction.len() > 6 {
        return None;
    }
    let mut out = format!("datetime({year}, {month}, {day}, {hour}, {minute}");
    let micros: u32 = format!("{fraction:0<6}").parse().ok()?;
    if second > 0 || micros > 0 {
        let _ = write!(out, ", {second}");
    }
    if micros > 0 {
        let _ = write!(out, ", {micros}");
    }
    out.push_str(", tzinfo=timezone.utc)");
    Some(out)
}

/// The lines that import what [`python`] needs for these values.
pub(super) fn python_imports<'a>(values: impl Iterator<Item = &'a Value>) -> Vec<&'static str> {
    fn look(value: &Value, found: &mut [bool; 3]) {
        match value {
            Value::Date(_) => found[0] = true,
            Value::Timestamp(_) => found[1] = true,
            Value::Decimal(_) => found[2] = true,
            Value::List(items) => items.iter().for_each(|item| look(item, found)),
            _ => {}
        }
    }
    let mut found = [false; 3];
    values.for_each(|value| look(value, &mut found));
    let mut lines = Vec::new();
    match (found[0], found[1]) {
        (true, true) => lines.push("from datetime import date, datetime, timezone"),
        (true, false) => lines.push("from datetime import date"),
        (false, true) => lines.push("from datetime import datetime, timezone"),
        (false, false) => {}
    }
    if found[2] {
        lines.push("from decimal import Decimal");
    }
    lines
}

/// Whether Python takes the name as a keyword argument as it is: identifiers outside of ASCII are
/// normalised by its parser and would arrive as another name.
pub(crate) fn is_python_keyword(name: &str) -> bool {
    const TAKEN: &[&str] = &[
        "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class",
        "continue", "def", "del", "elif", "else", "except", "finally", "for", "from", "global",
        "if", "import", "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return",
        "try", "while", "with", "yield", // Parameters of the client's `table()`.
        "self", "name", "filters", "columns", "version", "as_of",
    ];
    is_ascii_identifier(name) && !TAKEN.contains(&name)
}

fn is_ascii_identifier(name: &str) -> bool {
    name.bytes().enumerate().all(|(at, byte)| {
        byte == b'_' || byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit())
    }) && !name.is_empty()
}

/// Name of a scalar type in polars.
pub(super) fn polars_type(data_type: &Type) -> Option<String> {
    Some(match data_type {
        Type::Bool => "pl.Boolean".into(),
        Type::Int8 => "pl.Int8".into(),
        Type::Int16 => "pl.Int16".into(),
        Type::Int32 => "pl.Int32".into(),
        Type::Int64 => "pl.Int64".into(),
        Type::UInt8 => "pl.UInt8".into(),
        Type::UInt16 => "pl.UInt16".into(),
        Type::UInt32 => "pl.UInt32".into(),
        Type::UInt64 => "pl.UInt64".into(),
        Type::Float32 => "pl.Float32".into(),
        Type::Float64 => "pl.Float64".into(),
        Type::String => "pl.String".into(),
        Type::Binary => "pl.Binary".into(),
        Type::Date => "pl.Date".into(),
        Type::Timestamp => "pl.Datetime(\"us\", \"UTC\")".into(),
        Type::Decimal { precision, scale } => format!("pl.Decimal({precision}, {scale})"),
        Type::List { item, .. } => format!("pl.List({})", polars_type(item)?),
        Type::Blob | Type::Map { .. } | Type::Struct { .. } => return None,
    })
}

/// Whether `pl.col` takes the name literally and not as a pattern.
pub(super) fn is_polars_name(name: &str) -> bool {
    name != "*" && !(name.starts_with('^') && name.ends_with('$'))
}

/// The value as a column expression of Spark.
pub(super) fn spark(value: &Value, data_type: Option<&Type>) -> Option<String> {
    Some(match value {
        Value::List(items) => {
            let item_type = item_type(data_type);
            let items = join(items, |item| match item {
                Value::List(_) => spark(item, item_type),
                item => Some(format!("F.lit({})", python(item)?)),
            })?;
            format!("F.array({items})")
        }
        Value::Float(text) if needs_f32(text, data_type) => {
            format!("F.lit({}).cast(\"float\")", python(value)?)
        }
        value => python(value)?,
    })
}

/// A column's name for `F.col`, where a point separates nested fields.
pub(super) fn spark_name(name: &str) -> Cow<'_, str> {
    if is_ascii_identifier(name) {
        name.into()
    } else {
        format!("`{}`", name.replace('`', "``")).into()
    }
}

// JSON

/// A string of JSON. No invisible character is outside of the first 65,536.
pub(super) fn json_string(text: &str) -> String {
    quoted(text, |code| format!("\\u{code:04x}"))
}

/// A value as the ingestion door reads it: what JSON has no form for is text.
pub(super) fn json(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(text) => match float(text)? {
            Float::NotANumber => "\"NaN\"".into(),
            Float::Infinite { negative: false } => "\"Infinity\"".into(),
            Float::Infinite { negative: true } => "\"-Infinity\"".into(),
            Float::Finite(digits) => json_number(&digits),
        },
        Value::String(text) | Value::Date(text) | Value::Timestamp(text) => json_string(text),
        Value::Binary(text) => json_string(&BASE64_STANDARD.encode(bytes(text)?)),
        Value::Decimal(text) => json_string(&decimal(text)?),
        Value::List(items) => format!("[{}]", join(items, json)?),
    })
}

/// JSON has no number with a zero in front, such as `007.5`.
fn json_number(digits: &str) -> String {
    let (sign, unsigned) = match digits.strip_prefix('-') {
        Some(unsigned) => ("-", unsigned),
        None => ("", digits),
    };
    let significant = unsigned.trim_start_matches('0');
    match significant.chars().next() {
        Some(first) if first.is_ascii_digit() => format!("{sign}{significant}"),
        _ => format!("{sign}0{significant}"),
    }
}

// SQL

/// Which SQL: they differ in how bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Of the platform, read as `DataFusion` and Postgres clients read it.
    Platform,
    /// Of `DuckDB`.
    DuckDb,
}

/// A string literal of SQL on one line: characters that cannot be seen are concatenated by number,
/// so no literal can end a line, a heredoc or a quotation by surprise.
pub(super) fn sql_string(text: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut visible = String::new();
    for c in text.chars() {
        match c {
            '\'' => visible.push_str("''"),
            c if is_invisible(c) => {
                if !visible.is_empty() {
                    parts.push(format!("'{visible}'"));
                    visible.clear();
                }
                parts.push(format!("chr({})", u32::from(c)));
            }
            c => visible.push(c),
        }
    }
    if !visible.is_empty() || parts.is_empty() {
        parts.push(format!("'{visible}'"));
    }
    parts.join(" || ")
}

/// A value of SQL.
pub(super) fn sql(value: &Value, data_type: Option<&Type>, dialect: Dialect) -> Option<String> {
    Some(match value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(text) => {
            let name = match data_type {
                Some(Type::Float32) => "real",
                _ => "double precision",
            };
            match float(text)? {
                Float::NotANumber => format!("cast('NaN' as {name})"),
                Float::Infinite { negative: false } => format!("cast('Infinity' as {name})"),
                Float::Infinite { negative: true } => format!("cast('-Infinity' as {name})"),
                Float::Finite(digits) if needs_f32(&digits, data_type) => {
                    format!("cast({digits} as real)")
                }
                Float::Finite(digits) => digits,
            }
        }
        // No database function makes the null character.
        Value::String(text) if text.contains('\0') => return None,
        Value::String(text) => sql_string(text),
        Value::Binary(text) => {
            bytes(text)?;
            match dialect {
                Dialect::Platform => format!("X'{text}'"),
                Dialect::DuckDb => format!("from_hex('{text}')"),
            }
        }
        Value::Date(text) => format!("date {}", sql_string(text)),
        // Not `timestamp`: DuckDB would read it in the time zone of the session.
        Value::Timestamp(text) => format!("timestamptz {}", sql_string(text)),
        // A bare literal is a float for DataFusion.
        Value::Decimal(text) => {
            let text = decimal(text)?;
            let (precision, scale) = match data_type {
                Some(Type::Decimal { precision, scale }) => (*precision, *scale),
                _ => (38, decimal_scale(&text)),
            };
            format!("cast('{text}' as decimal({precision}, {scale}))")
        }
        Value::List(items) => {
            let item_type = item_type(data_type);
            format!(
                "array[{}]",
                join(items, |item| sql(item, item_type, dialect))?
            )
        }
    })
}

fn decimal_scale(text: &str) -> u8 {
    text.split_once('.')
        .map_or(0, |(_, fraction)| fraction.len().min(38) as u8)
}

/// Name of a scalar type in `DuckDB`.
pub(super) fn duckdb_type(data_type: &Type) -> Option<String> {
    Some(match data_type {
        Type::Bool => "boolean".into(),
        Type::Int8 => "tinyint".into(),
        Type::Int16 => "smallint".into(),
        Type::Int32 => "integer".into(),
        Type::Int64 => "bigint".into(),
        Type::UInt8 => "utinyint".into(),
        Type::UInt16 => "usmallint".into(),
        Type::UInt32 => "uinteger".into(),
        Type::UInt64 => "ubigint".into(),
        Type::Float32 => "float".into(),
        Type::Float64 => "double".into(),
        Type::String => "varchar".into(),
        Type::Date => "date".into(),
        Type::Timestamp => "timestamptz".into(),
        Type::Decimal { precision, scale } => format!("decimal({precision}, {scale})"),
        _ => return None,
    })
}

/// An identifier of SQL, quoted only where it must be: unquoted names are folded to lower case.
pub(crate) fn sql_name(name: &str) -> Cow<'_, str> {
    let plain = name.bytes().enumerate().all(|(at, byte)| {
        byte == b'_' || byte.is_ascii_lowercase() || (at > 0 && byte.is_ascii_digit())
    });
    if plain && !name.is_empty() && RESERVED.binary_search(&name).is_err() {
        name.into()
    } else {
        format!("\"{}\"", name.replace('"', "\"\"")).into()
    }
}

/// Words that `DataFusion`, Postgres or `DuckDB` don't take as the name of a column or a table.
/// Sorted.
#[rustfmt::skip]
const RESERVED: &[&str] = &[
    "all", "analyse", "analyze", "and", "anti", "any", "array", "as", "asc", "asof",
    "asymmetric", "at", "authorization", "begin", "between", "binary", "both", "by", "case",
    "cast", "check", "cluster", "coalesce", "collate", "collation", "column", "commit",
    "concurrently", "connect", "constraint", "create", "cross", "current_catalog",
    "current_date", "current_role", "current_schema", "current_time", "current_timestamp",
    "current_user", "default", "deferrable", "delete", "desc", "describe", "distinct",
    "distribute", "do", "drop", "else", "end", "except", "exists", "explain", "extract",
    "false", "fetch", "final", "for", "foreign", "format", "freeze", "from", "full", "glob",
    "global", "grant", "group", "grouping", "having", "ilike", "in", "initially", "inner",
    "insert", "intersect", "interval", "into", "is", "isnull", "join", "lambda", "lateral",
    "leading", "left", "like", "limit", "listagg", "localtime", "localtimestamp", "map",
    "match_recognize", "minus", "natural", "not", "notnull", "null", "offset", "on", "only",
    "open", "or", "order", "outer", "outfile", "overlaps", "overlay", "partition", "pivot",
    "pivot_longer", "pivot_wider", "placing", "position", "positional", "prewhere", "primary",
    "prior", "qualify", "references", "regexp", "returning", "right", "rlike", "rollback",
    "row", "rows", "sample", "select", "semi", "session_user", "set", "settings", "show",
    "similar", "some", "sort", "start", "struct", "substring", "summarize", "symmetric",
    "system_user", "table", "tablesample", "then", "to", "top", "trailing", "trim", "true",
    "try_cast", "union", "unique", "unnest", "unpack", "unpivot", "update", "user", "using",
    "values", "variadic", "verbose", "view", "when", "where", "window", "with", "within",
];

// Rust

/// A string literal of Rust.
pub(super) fn rust_string(text: &str) -> String {
    quoted(text, |code| format!("\\u{{{code:x}}}"))
}

/// A value as an expression of `DataFusion`.
pub(super) fn rust_expression(value: &Value, data_type: Option<&Type>) -> Option<String> {
    Some(match value {
        Value::Null => "lit(ScalarValue::Null)".into(),
        Value::Int(value) if i32::try_from(*value).is_err() => format!("lit({value}_i64)"),
        Value::Float(text) if matches!(data_type, Some(Type::Float32)) => match float(text)? {
            Float::Finite(digits) => format!("lit({digits}_f32)"),
            _ => format!("lit({})", rust(value, data_type)?),
        },
        Value::Binary(text) => format!("lit({}.as_slice())", byte_string(&bytes(text)?)),
        // Compared with a column of dates or timestamps, text is read as one.
        Value::String(text) | Value::Date(text) | Value::Timestamp(text) => {
            format!("lit({})", rust_string(text))
        }
        // Compared with a decimal, text stays text.
        Value::Decimal(text) => {
            let text = decimal(text)?;
            let (precision, scale) = match data_type {
                Some(Type::Decimal { precision, scale }) => (*precision, *scale),
                _ => (38, decimal_scale(&text)),
            };
            format!("cast(lit(\"{text}\"), DataType::Decimal128({precision}, {scale}))")
        }
        Value::List(items) => {
            let item_type = item_type(data_type);
            format!(
                "make_array(vec![{}])",
                join(items, |item| rust_expression(item, item_type))?
            )
        }
        value => format!("lit({})", rust(value, data_type)?),
    })
}

/// A value of the Rust type that a declaration names.
pub(super) fn rust(value: &Value, data_type: Option<&Type>) -> Option<String> {
    Some(match value {
        Value::Null => "None".into(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(text) => {
            let name = match data_type {
                Some(Type::Float32) => "f32",
                _ => "f64",
            };
            match float(text)? {
                Float::NotANumber => format!("{name}::NAN"),
                Float::Infinite { negative: false } => format!("{name}::INFINITY"),
                Float::Infinite { negative: true } => format!("{name}::NEG_INFINITY"),
                Float::Finite(digits) => digits,
            }
        }
        Value::String(text) => format!("{}.into()", rust_string(text)),
        Value::Binary(text) => format!("{}.to_vec()", byte_string(&bytes(text)?)),
        Value::Date(text) | Value::Timestamp(text) => format!("{}.parse()?", rust_string(text)),
        Value::Decimal(text) => format!("\"{}\".parse()?", decimal(text)?),
        Value::List(items) => {
            let item_type = item_type(data_type);
            format!("vec![{}]", join(items, |item| rust(item, item_type))?)
        }
    })
}

/// A column of a `DataFrame`: `col` folds case and splits at points, `ident` doesn't.
pub(super) fn rust_column(name: &str) -> String {
    let plain = is_ascii_identifier(name) && !name.bytes().any(|byte| byte.is_ascii_uppercase());
    let function = if plain { "col" } else { "ident" };
    format!("{function}({})", rust_string(name))
}

/// The value as the REST door reads it.
pub(super) fn rest(value: &Value) -> Option<String> {
    Some(match value {
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(text) => match float(text)? {
            Float::NotANumber => "NaN".to_owned(),
            Float::Infinite { negative: false } => "inf".to_owned(),
            Float::Infinite { negative: true } => "-inf".to_owned(),
            Float::Finite(digits) => digits,
        },
        Value::Decimal(text) => decimal(text)?,
        Value::String(text) | Value::Binary(text) | Value::Date(text) | Value::Timestamp(text) => {
            text.clone()
        }
        Value::Null | Value::List(_) => return None,
    })
}

/// The value in a GraphQL document.
pub(super) fn graphql(value: &Value) -> Option<String> {
    Some(match value {
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(text) => match float(text)? {
            Float::Finite(digits) => digits,
            Float::NotANumber | Float::Infinite { .. } => return None,
        },
        Value::Decimal(text) => json_string(&decimal(text)?),
        Value::String(text) | Value::Binary(text) | Value::Date(text) | Value::Timestamp(text) => {
            json_string(text)
        }
        Value::Null | Value::List(_) => return None,
    })
}

// Shell and R

/// A word of the shell, quoted only where it must be.
pub(crate) fn sh_word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_./:@%+=,-".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// A here document in which the shell replaces nothing. Its delimiter says what the text is, and is a
/// line that the text doesn't have.
pub(super) fn heredoc(text: &str, language: Option<&str>) -> String {
    let mut delimiter = language.unwrap_or("SQL").to_owned();
    while text.lines().any(|line| line == delimiter) {
        delimiter.push('_');
    }
    format!("<<'{delimiter}'\n{text}\n{delimiter}")
}

/// A string literal of R, raw where escapes would hide the text.
pub(super) fn r_string(text: &str) -> String {
    if !text.contains(['"', '\\', '\n', '\r']) {
        return format!("\"{text}\"");
    }
    let mut dashes = String::new();
    while text.contains(&format!("){dashes}\"")) {
        dashes.push('-');
    }
    format!("r\"{dashes}({text}){dashes}\"")
}

#[cfg(test)]
mod tests {
    use super::RESERVED;

    #[test]
    fn reserved_words_are_sorted() {
        assert!(RESERVED.is_sorted());
    }
}
