//! What a value must be: the declaration, compiled for readers.

use std::collections::HashMap;

use arrow::datatypes::DataType;
use neurolake_delta::types::arrow_type;
use neurolake_model::{Column, Type};

/// Names that a message lists; more would not help.
const LISTED: usize = 12;

/// What a value must be.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) kind: Kind,
    pub(super) nullable: bool,
    pub(super) declared: Type,
    pub(super) data_type: DataType,
    /// Bytes that one value takes at least, even if nothing was sent for it.
    pub(super) slot_bytes: usize,
}

/// How it is put together.
#[derive(Debug)]
pub(super) enum Kind {
    Scalar,
    List(Box<Shape>),
    Map { key: Box<Shape>, value: Box<Shape> },
    Struct(Fields),
}

/// Fields by name.
#[derive(Debug)]
pub(super) struct Fields {
    pub(super) list: Vec<Field>,
    by_name: HashMap<String, usize>,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    renamed_from: Option<String>,
    pub(super) shape: Shape,
}

impl Shape {
    /// The shape of a row.
    pub(super) fn row(columns: &[Column]) -> Self {
        let declared = Type::Struct {
            fields: columns.to_vec(),
        };
        Self::of(&declared, false)
    }

    fn of(declared: &Type, nullable: bool) -> Self {
        let kind = match declared {
            Type::List { item, nullable } => Kind::List(Box::new(Self::of(item, *nullable))),
            Type::Map {
                key,
                value,
                nullable,
            } => Kind::Map {
                key: Box::new(Self::of(key, false)),
                value: Box::new(Self::of(value, *nullable)),
            },
            Type::Struct { fields } => Kind::Struct(Fields::new(fields)),
            Type::Blob => Kind::Struct(Fields::new(&blob())),
            _ => Kind::Scalar,
        };
        let data_type = arrow_type(declared);
        let slot_bytes = 1 + match &kind {
            Kind::Struct(fields) => fields.list.iter().map(|f| f.shape.slot_bytes).sum(),
            // Offsets of texts, lists and maps.
            _ => data_type.primitive_width().unwrap_or(4),
        };
        Self {
            kind,
            nullable,
            declared: declared.clone(),
            data_type,
            slot_bytes,
        }
    }

    /// What is expected, in words.
    pub(super) fn expected(&self) -> String {
        let what = match &self.declared {
            Type::Bool => "true or false",
            declared if declared.is_integer() => "a whole number",
            Type::Float32 | Type::Float64 => "a number",
            Type::String => return "a string".into(),
            Type::Binary => "base64 text",
            Type::Date => "a date such as \"2026-03-01\"",
            Type::Timestamp => "a time such as \"2026-03-01T09:30:00Z\"",
            Type::Decimal { .. } => "a decimal number",
            Type::List { .. } => "an array",
            Type::Map { .. } => "an object",
            _ => return "an object".into(),
        };
        format!("{what} ({})", self.declared)
    }
}

impl Fields {
    fn new(columns: &[Column]) -> Self {
        let list: Vec<Field> = columns.iter().map(Field::new).collect();
        let names = list.iter().enumerate();
        Self {
            by_name: names.map(|(i, field)| (field.name.clone(), i)).collect(),
            list,
        }
    }

    /// The number of the field. Most clients keep to the order of the declaration, so the one that
    /// would be next is looked at first.
    pub(super) fn find(&self, name: &str, next: usize) -> Option<usize> {
        match self.list.get(next) {
            Some(field) if field.name == name => Some(next),
            _ => self.by_name.get(name).copied(),
        }
    }

    /// Why a name is refused, and which one may have been meant.
    pub(super) fn unknown(&self, name: &str) -> String {
        let renamed = |field: &&Field| field.renamed_from.as_deref() == Some(name);
        if let Some(field) = self.list.iter().find(renamed) {
            return format!("unknown field; it is called `{}` now", field.name);
        }
        let names = self.list.iter().map(|field| field.name.as_str());
        if let Some(nearest) = nearest(name, names.clone()) {
            return format!("unknown field; did you mean `{nearest}`?");
        }
        let listed: Vec<String> = names.take(LISTED).map(|name| format!("`{name}`")).collect();
        let more = if self.list.len() > LISTED {
            ", ..."
        } else {
            ""
        };
        format!("unknown field; known are {}{more}", listed.join(", "))
    }
}

impl Field {
    fn new(column: &Column) -> Self {
        Self {
            name: column.name.clone(),
            renamed_from: column.renamed_from.clone(),
            shape: Shape::of(&column.data_type, column.nullable),
        }
    }
}

/// The candidate that is closest to `name`, if any is close enough to be a typing mistake.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let name = name.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::jaro_winkler(&name, &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// What a reference to a file consists of; the same as in [`arrow_type`].
pub(crate) fn blob() -> Vec<Column> {
    let field = |name: &str, data_type, docs: &str| Column {
        name: name.into(),
        data_type,
        nullable: false,
        docs: docs.into(),
        unit: None,
        pii: false,
        since: None,
        renamed_from: None,
        deprecated: None,
        aliases: Vec::new(),
    };
    vec![
        field("uri", Type::String, "Address of the file."),
        field(
            "media_type",
            Type::String,
            "What it is, such as `image/png`.",
        ),
        field("bytes", Type::Int64, "Its size."),
    ]
}
