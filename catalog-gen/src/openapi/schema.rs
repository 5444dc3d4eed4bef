//! Columns as JSON Schema: what an answer holds, and how a filter is written.

use neurolake_model::{Column, Database, Source, Table, Type};
use serde_json::{Map, Value as Json, json};

use crate::site::summary_text;

/// How filters of a column are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Integer,
    Number,
    Boolean,
    Text,
    Date,
    Timestamp,
    Binary,
    List,
    /// Structs and maps, as a whole.
    Nested,
    /// A type that is read from the table at run time.
    Unknown,
}

impl Family {
    pub(super) const ALL: [Self; 10] = [
        Self::Integer,
        Self::Number,
        Self::Boolean,
        Self::Text,
        Self::Date,
        Self::Timestamp,
        Self::Binary,
        Self::List,
        Self::Nested,
        Self::Unknown,
    ];

    pub(super) fn of(data_type: Option<&Type>) -> Self {
        let Some(data_type) = data_type else {
            return Self::Unknown;
        };
        match data_type {
            integer if integer.is_integer() => Self::Integer,
            Type::Float32 | Type::Float64 | Type::Decimal { .. } => Self::Number,
            Type::Bool => Self::Boolean,
            Type::String => Self::Text,
            Type::Date => Self::Date,
            Type::Timestamp => Self::Timestamp,
            Type::Binary => Self::Binary,
            Type::List { .. } => Self::List,
            _ => Self::Nested,
        }
    }

    /// Of its schema.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Integer => "IntegerFilter",
            Self::Number => "NumberFilter",
            Self::Boolean => "BooleanFilter",
            Self::Text => "TextFilter",
            Self::Date => "DateFilter",
            Self::Timestamp => "TimestampFilter",
            Self::Binary => "BinaryFilter",
            Self::List => "ListFilter",
            Self::Nested => "NestedFilter",
            Self::Unknown => "Filter",
        }
    }

    pub(super) fn example(self) -> Option<&'static str> {
        Some(match self {
            Self::Integer => "gte.0",
            Self::Number => "gt.0.5",
            Self::Boolean => "is.true",
            Self::Text => "like.a*",
            Self::Date => "gte.2026-03-01",
            Self::Timestamp => "lt.2026-03-01T09:30:00Z",
            Self::Binary => "eq.00ff",
            Self::Nested => "not.is.null",
            Self::List | Self::Unknown => return None,
        })
    }

    /// What the text of one value looks like.
    fn value(self) -> String {
        const DAY: &str = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])";
        const TIME: &str = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?";
        const ZONE: &str = "(Z|[-+](0[0-9]|1[0-3]):?[0-5][0-9])";
        match self {
            Self::Integer => "[-+]?[0-9]+".to_owned(),
            Self::Number => {
                r"([-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?inf|NaN)".to_owned()
            }
            Self::Boolean => "(true|t|false|f)".to_owned(),
            Self::Date => DAY.to_owned(),
            Self::Timestamp => format!("{DAY}([T ]{TIME}{ZONE}?)?"),
            Self::Binary => r"(\\x)?([0-9A-Fa-f]{2})*".to_owned(),
            Self::Text | Self::List | Self::Nested | Self::Unknown => r"[\s\S]*".to_owned(),
        }
    }

    /// Values with commas between them.
    fn values(self) -> String {
        let item = match self {
            Self::Text | Self::List | Self::Nested | Self::Unknown => {
                r#"([^,"(){}\\]*|"([^"\\]|\\[\s\S])*")"#.to_owned()
            }
            _ => format!("({0}|\"{0}\")", self.value()),
        };
        format!("{item}(,{item})*")
    }

    fn operations(self) -> Vec<String> {
        let (value, values) = (self.value(), self.values());
        let mut operations = vec![r"is\.(null|not_null)".to_owned()];
        let mut add = |operation: String| operations.push(operation);
        if !matches!(self, Self::Nested | Self::List) {
            add(format!(r"(eq|neq|gt|gte|lt|lte|isdistinct)\.{value}"));
            add(format!(
                r"(eq|gt|gte|lt|lte)\((any|all)\)\.\{{({values})?\}}"
            ));
            add(format!(r"in\.\(({values})?\)"));
        }
        if matches!(self, Self::List | Self::Unknown) {
            let operators = "eq|neq|gt|gte|lt|lte|isdistinct|cs|cd|ov";
            add(format!(r"({operators})\.\{{({values})?\}}"));
        }
        if matches!(self, Self::Boolean | Self::Unknown) {
            add(r"is\.(true|false|unknown)".to_owned());
        }
        if matches!(self, Self::Text | Self::Unknown) {
            add(format!(r"(like|ilike|match|imatch)\.{value}"));
            add(format!(
                r"(like|ilike|match|imatch)\((any|all)\)\.\{{({values})?\}}"
            ));
        }
        operations
    }

    pub(super) fn schema(self) -> Json {
        let operators = match self {
            Self::Nested => "`is`; name a field to compare it: `column->field=eq.value`",
            Self::List => {
                "`is`; with `{a,b}`: `cs` (contains), `cd` (is contained in), `ov` (overlaps), `eq`, `neq`, `gt`, `gte`, `lt`, `lte`, `isdistinct`"
            }
            Self::Text | Self::Unknown => {
                "`eq`, `neq`, `gt`, `gte`, `lt`, `lte`, `isdistinct`, `in.(a,\"b,c\")`, `is`, `like` and `ilike` with `*`, `match` and `imatch` with regular expressions"
            }
            _ => "`eq`, `neq`, `gt`, `gte`, `lt`, `lte`, `isdistinct`, `in.(a,b)`, `is`",
        };
        json!({
            "type": "string",
            "description": format!("A condition. `not.` negates it, `eq(any).{{a,b}}` and `eq(all).{{a,b}}` take several values. Operators: {operators}."),
            "pattern": format!("^(not\\.)?({})$", self.operations().join("|")),
        })
    }
}

/// A row in the form of an answer. No column is required, because `select` leaves columns out, and
/// others may come, because it gives them names.
pub(super) fn row(database: &Database, table: &Table) -> Json {
    let mut properties: Map<String, Json> = table
        .columns
        .iter()
        .map(|column| (column.name.clone(), property(column)))
        .collect();
    if let Source::Function { arguments } = &table.source {
        for argument in arguments {
            let schema = match &argument.data_type {
                Type::List { item, .. } => item,
                other => other,
            };
            properties
                .entry(argument.name.clone())
                .or_insert_with(|| nullable(value(schema)));
        }
    }
    let mut row = json!({
        "type": "object",
        "title": format!("{}.{}", database.name, table.name),
    });
    row["properties"] = properties.into();
    row
}

fn property(column: &Column) -> Json {
    let mut schema = value(&column.data_type);
    if column.nullable {
        schema = nullable(schema);
    }
    schema["description"] = described(&column.docs, &facts(column)).into();
    if column.deprecated.is_some() {
        schema["deprecated"] = true.into();
    }
    schema
}

/// What is to be known about a column besides its documentation.
pub(super) fn facts(column: &Column) -> Vec<String> {
    let unit = column.unit.as_ref().map(|unit| format!("Unit: {unit}."));
    let pii = column.pii.then(|| "Holds personal data.".to_owned());
    let stored = Some(format!("Stored as {}.", column.data_type));
    let deprecated = column.deprecated.as_ref();
    let deprecated =
        deprecated.map(|deprecated| format!("Deprecated. {}", plain(&deprecated.note)));
    let facts = [unit, pii, stored, deprecated].into_iter().flatten();
    facts.map(|fact| fact.trim_end().to_owned()).collect()
}

/// Documentation and facts, without links: they lead to pages of the site.
pub(super) fn described(docs: &str, facts: &[String]) -> String {
    let docs = without_links(docs.trim());
    let texts = [docs].into_iter().chain(facts.iter().cloned());
    let texts: Vec<String> = texts.filter(|text| !text.is_empty()).collect();
    texts.join("\n\n")
}

/// The first paragraph, without Markdown.
pub(super) fn plain(docs: &str) -> String {
    summary_text(docs, usize::MAX)
}

/// `[text](table:a.b)` becomes `text`.
fn without_links(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(end) = rest.find("](table:") {
        let Some(length) = rest[end..].find(')') else {
            break;
        };
        let start = rest[..end].rfind('[').unwrap_or(end);
        out.push_str(&rest[..start]);
        out.push_str(rest[start..end].trim_start_matches('['));
        rest = &rest[end + length + 1..];
    }
    out.push_str(rest);
    out
}

fn nullable(mut schema: Json) -> Json {
    match schema.get("type") {
        Some(Json::String(name)) => {
            schema["type"] = json!([name, "null"]);
            schema
        }
        _ => schema,
    }
}

/// A value as JSON says it.
fn value(declared: &Type) -> Json {
    match declared {
        Type::Bool => json!({ "type": "boolean" }),
        integer if integer.is_integer() => json!({ "type": "integer" }),
        // JSON has no NaN and no infinities.
        Type::Float32 | Type::Float64 => json!({ "type": ["number", "null"] }),
        Type::Decimal { .. } => json!({ "type": "string", "pattern": "^-?[0-9]+(\\.[0-9]+)?$" }),
        Type::Date => json!({ "type": "string", "format": "date" }),
        Type::Timestamp => json!({ "type": "string", "format": "date-time" }),
        Type::Binary => json!({ "type": "string", "pattern": "^([0-9a-f]{2})*$" }),
        Type::Blob => json!({
            "type": "object",
            "properties": {
                "uri": { "type": "string" },
                "media_type": { "type": "string" },
                "bytes": { "type": "integer" },
            },
        }),
        Type::List {
            item,
            nullable: true,
        } => {
            json!({ "type": "array", "items": nullable(value(item)) })
        }
        Type::List { item, .. } => json!({ "type": "array", "items": value(item) }),
        Type::Map {
            value: item,
            nullable: is_nullable,
            ..
        } => {
            let item = value(item);
            let item = if *is_nullable { nullable(item) } else { item };
            json!({ "type": "object", "additionalProperties": item })
        }
        Type::Struct { fields } => {
            let properties: Map<String, Json> = fields
                .iter()
                .map(|field| (field.name.clone(), property(field)))
                .collect();
            json!({ "type": "object", "properties": properties })
        }
        _ => json!({ "type": "string" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_tables_become_their_text() {
        for (docs, text) in [
            (
                "See [`Spikes`](table:neural.spikes), or [a](https://b.c).",
                "See `Spikes`, or [a](https://b.c).",
            ),
            ("[a](table:b.c#d)[e](table:f.g)", "ae"),
            ("no link", "no link"),
        ] {
            assert_eq!(without_links(docs), text);
        }
    }

    #[test]
    fn a_nullable_value_may_be_null_once() {
        assert_eq!(
            nullable(value(&Type::Date))["type"],
            json!(["string", "null"])
        );
        assert_eq!(
            nullable(value(&Type::Float64))["type"],
            json!(["number", "null"])
        );
    }
}
