//! A table in the terms of GraphQL: Arrow's types as scalars, lists and objects.
//!
//! Values are those of `encode`'s table; the scalars here say what to expect.

use arrow::datatypes::{DataType, Fields, SchemaRef};
use neurolake_model as model;

use super::names::{CONDITION, ORDER, Taken, sayable};

/// A table as clients see it.
#[derive(Debug)]
pub(crate) struct Table {
    /// Name of the field that gives its rows, and of their type.
    pub(crate) name: String,
    /// The name in SQL, in two parts.
    pub(crate) address: (String, String),
    pub(crate) docs: String,
    pub(crate) deprecated: Option<String>,
    pub(crate) columns: Vec<Column>,
    /// What a function table is called with.
    pub(crate) arguments: Vec<TableArgument>,
    pub(crate) schema: SchemaRef,
}

/// A column, or a field of a struct.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// Name in the table.
    pub(crate) stored: String,
    pub(crate) docs: String,
    pub(crate) deprecated: Option<String>,
    pub(crate) kind: Kind,
}

/// An argument of a function table.
#[derive(Debug)]
pub(crate) struct TableArgument {
    pub(crate) name: String,
    pub(crate) stored: String,
    pub(crate) scalar: Scalar,
    pub(crate) is_list: bool,
    pub(crate) is_required: bool,
}

/// What a column holds.
#[derive(Debug)]
pub(crate) enum Kind {
    Scalar(Scalar),
    List(Box<Kind>),
    Object(Object),
}

/// A struct.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) type_name: String,
    pub(crate) fields: Vec<Column>,
}

/// A single value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scalar {
    Boolean,
    Int,
    Float,
    String,
    BigInt,
    Decimal,
    Date,
    Time,
    Timestamp,
    Bytes,
    /// A value that is only read: maps and what GraphQL has no word for.
    Json,
}

impl Scalar {
    /// Those that GraphQL doesn't know by itself.
    pub(crate) const OWN: [Self; 7] = [
        Self::BigInt,
        Self::Decimal,
        Self::Date,
        Self::Time,
        Self::Timestamp,
        Self::Bytes,
        Self::Json,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Boolean => "Boolean",
            Self::Int => "Int",
            Self::Float => "Float",
            Self::String => "String",
            Self::BigInt => "BigInt",
            Self::Decimal => "Decimal",
            Self::Date => "Date",
            Self::Time => "Time",
            Self::Timestamp => "Timestamp",
            Self::Bytes => "Bytes",
            Self::Json => "JSON",
        }
    }

    pub(crate) fn docs(self) -> &'static str {
        match self {
            Self::BigInt => {
                "An integer of more than 32 bits: a number in answers, as in JSON from other doors; \
                 a number or a string of digits in arguments."
            }
            Self::Decimal => {
                "An exact decimal number: a string of digits, `\"12.50\"`, so that nobody rounds it."
            }
            Self::Date => "A day: `\"2026-03-01\"`.",
            Self::Time => "A time of day: `\"12:30:00\"`.",
            Self::Timestamp => {
                "An instant in UTC: `\"2026-03-01T12:30:00.5Z\"`; without `Z` where the table has no \
                 time zone."
            }
            Self::Bytes => "Bytes as hexadecimal digits: `\"00ff\"`.",
            Self::Json => "Any JSON value; a map is an object. It can't be compared.",
            Self::Boolean | Self::Int | Self::Float | Self::String => "",
        }
    }

    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::BigInt | Self::Float | Self::Decimal)
    }

    /// Whether values are compared with others.
    pub(crate) fn is_comparable(self) -> bool {
        self != Self::Json
    }

    /// Whether a smallest value means anything.
    pub(crate) fn has_extremes(self) -> bool {
        self.is_comparable() && self != Self::Boolean
    }

    /// What a sum of such numbers is.
    pub(crate) fn sum(self) -> Self {
        if self == Self::Int {
            Self::BigInt
        } else {
            self
        }
    }

    /// What an average of such numbers is.
    pub(crate) fn average(self) -> Self {
        if self == Self::Decimal {
            self
        } else {
            Self::Float
        }
    }

    fn of(data_type: &DataType) -> Self {
        use DataType as T;
        match data_type {
            T::Boolean => Self::Boolean,
            T::Int8 | T::Int16 | T::Int32 | T::UInt8 | T::UInt16 => Self::Int,
            T::UInt32 | T::Int64 | T::UInt64 => Self::BigInt,
            T::Float16 | T::Float32 | T::Float64 => Self::Float,
            T::Utf8 | T::LargeUtf8 | T::Utf8View => Self::String,
            T::Decimal32(..) | T::Decimal64(..) | T::Decimal128(..) | T::Decimal256(..) => {
                Self::Decimal
            }
            T::Date32 | T::Date64 => Self::Date,
            T::Time32(_) | T::Time64(_) => Self::Time,
            T::Timestamp(..) => Self::Timestamp,
            T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => Self::Bytes,
            _ => Self::Json,
        }
    }
}

impl Column {
    pub(crate) fn scalar(&self) -> Option<Scalar> {
        match self.kind {
            Kind::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    pub(crate) fn object(&self) -> Option<&Object> {
        match &self.kind {
            Kind::Object(object) => Some(object),
            _ => None,
        }
    }
}

impl Kind {
    /// The scalar that conditions compare, and whether it stands in a list.
    pub(crate) fn compared(&self) -> Option<(Scalar, bool)> {
        let (scalar, is_list) = match self {
            Self::Scalar(scalar) => (*scalar, false),
            Self::List(item) => match item.as_ref() {
                Self::Scalar(scalar) => (*scalar, true),
                _ => return None,
            },
            Self::Object(_) => return None,
        };
        scalar.is_comparable().then_some((scalar, is_list))
    }

    /// The struct at the bottom of lists.
    pub(crate) fn innermost(&self) -> Option<&Object> {
        match self {
            Self::Scalar(_) => None,
            Self::List(item) => item.innermost(),
            Self::Object(object) => Some(object),
        }
    }
}

impl Table {
    /// A table of this name and schema. `None` where GraphQL can't say it: there is no column.
    pub(crate) fn new(
        name: &str,
        database: &str,
        table: &model::Table,
        schema: SchemaRef,
    ) -> Option<Self> {
        let arguments = arguments(table);
        let is_only_argument = |name: &str| {
            let mut arguments = arguments.iter();
            table.column(name).is_none() && arguments.any(|argument| argument.stored == name)
        };
        let fields: Fields = schema
            .fields()
            .iter()
            .filter(|field| !is_only_argument(field.name()))
            .cloned()
            .collect();
        let mut types = Taken::default();
        let columns = columns(name, &fields, &table.columns, &mut types);
        (!columns.is_empty()).then(|| Self {
            name: name.to_owned(),
            address: (database.to_owned(), table.name.clone()),
            docs: table.docs.clone(),
            deprecated: table.deprecated.as_ref().map(reason),
            columns,
            arguments,
            schema,
        })
    }

    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

fn reason(deprecated: &model::Deprecation) -> String {
    let since = deprecated.since.as_ref();
    let since = since.map(|since| format!("since {since}"));
    let note = model::catalog::summary(&deprecated.note);
    let replacement = deprecated.replacement.as_ref();
    let replacement = replacement.map(|other| format!("use {other}"));
    let parts = [
        since,
        Some(note).filter(|note| !note.is_empty()),
        replacement,
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        return "it should no longer be used".to_owned();
    }
    parts.join("; ")
}

fn columns(
    parent: &str,
    fields: &Fields,
    declared: &[model::Column],
    types: &mut Taken,
) -> Vec<Column> {
    let mut names = Taken::default();
    fields
        .iter()
        .map(|field| {
            let declared = declared.iter().find(|column| column.name == *field.name());
            let name = names.take(&sayable(field.name()));
            let nested = declared.map_or(&[][..], |column| column.data_type.fields());
            Column {
                kind: kind(parent, &name, field.data_type(), nested, types),
                docs: declared.map(docs).unwrap_or_default(),
                deprecated: declared.and_then(|column| column.deprecated.as_ref().map(reason)),
                stored: field.name().clone(),
                name,
            }
        })
        .collect()
}

fn docs(column: &model::Column) -> String {
    match &column.unit {
        None => column.docs.clone(),
        Some(unit) if column.docs.is_empty() => format!("Unit: {unit}."),
        Some(unit) => format!("{}\n\nUnit: {unit}.", column.docs),
    }
}

fn kind(
    parent: &str,
    name: &str,
    data_type: &DataType,
    declared: &[model::Column],
    types: &mut Taken,
) -> Kind {
    use DataType as T;
    match data_type {
        T::Dictionary(_, values) => kind(parent, name, values, declared, types),
        T::RunEndEncoded(_, values) => kind(parent, name, values.data_type(), declared, types),
        T::List(item) | T::LargeList(item) | T::FixedSizeList(item, _) => Kind::List(Box::new(
            kind(parent, name, item.data_type(), declared, types),
        )),
        T::Struct(fields) if !fields.is_empty() => {
            let type_name = format!("{parent}_{}", camel_case(name));
            let type_name = types.take_all(&type_name, &[CONDITION, ORDER]);
            Kind::Object(Object {
                fields: columns(&type_name, fields, declared, types),
                type_name,
            })
        }
        other => Kind::Scalar(Scalar::of(other)),
    }
}

/// With a large letter first: names of tables have none, so a type of a struct is never theirs.
fn camel_case(name: &str) -> String {
    let words = name.split('_').filter(|word| !word.is_empty());
    let words = words.map(|word| {
        let (first, rest) = word.split_at(1);
        first.to_ascii_uppercase() + rest
    });
    let name: String = words.collect();
    if name.starts_with(|first: char| first.is_ascii_uppercase()) {
        name
    } else {
        format!("X{name}")
    }
}

fn arguments(table: &model::Table) -> Vec<TableArgument> {
    let model::Source::Function { arguments } = &table.source else {
        return Vec::new();
    };
    let mut names = Taken::default();
    arguments
        .iter()
        .map(|argument| {
            let (is_list, value) = match &argument.data_type {
                model::Type::List { item, .. } => (true, item.as_ref()),
                other => (false, other),
            };
            TableArgument {
                name: names.take(&sayable(&argument.name)),
                stored: argument.name.clone(),
                scalar: scalar_of(value),
                is_list,
                is_required: argument.required,
            }
        })
        .collect()
}

fn scalar_of(declared: &model::Type) -> Scalar {
    use model::Type as T;
    match declared {
        T::Bool => Scalar::Boolean,
        T::Int8 | T::Int16 | T::Int32 | T::UInt8 | T::UInt16 => Scalar::Int,
        T::Int64 | T::UInt32 | T::UInt64 => Scalar::BigInt,
        T::Float32 | T::Float64 => Scalar::Float,
        T::String => Scalar::String,
        T::Binary => Scalar::Bytes,
        T::Date => Scalar::Date,
        T::Timestamp => Scalar::Timestamp,
        T::Decimal { .. } => Scalar::Decimal,
        T::Blob | T::List { .. } | T::Map { .. } | T::Struct { .. } => Scalar::Json,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{Field, Schema, TimeUnit};

    use super::*;

    /// A table with a column of every kind.
    pub(in super::super) fn animals() -> Table {
        let point = DataType::Struct(
            vec![
                Field::new("x", DataType::Float64, true),
                Field::new("unit name", DataType::Utf8, true),
            ]
            .into(),
        );
        let zone = Some("UTC".into());
        let schema = Schema::new(vec![
            Field::new("id", DataType::Int32, true),
            Field::new("name", DataType::Utf8View, true),
            Field::new("size", DataType::Int64, true),
            Field::new("weight", DataType::Float32, true),
            Field::new("price", DataType::Decimal128(10, 2), true),
            Field::new("born", DataType::Date32, true),
            Field::new(
                "seen",
                DataType::Timestamp(TimeUnit::Microsecond, zone),
                true,
            ),
            Field::new("is_tame", DataType::Boolean, true),
            Field::new("chip", DataType::Binary, true),
            Field::new("point", point.clone(), true),
            Field::new("path", DataType::new_list(point, true), true),
            Field::new("tags", DataType::new_list(DataType::Utf8, true), true),
            Field::new("Total ($)", DataType::Float64, true),
        ]);
        Table::new("lab_animals", "lab", &declared(), Arc::new(schema)).expect("a table")
    }

    fn declared() -> model::Table {
        let table = serde_json::json!({
            "name": "animals", "docs": "Who lives here.",
            "source": {"kind": "delta", "uri": "/nowhere"},
            "columns": [
                {"name": "weight", "type": "float32", "nullable": true, "docs": "On the scale.",
                 "unit": "kg"},
                {"name": "price", "type": {"decimal": {"precision": 10, "scale": 2}},
                 "nullable": true,
                 "deprecated": {"since": "0.2", "note": "Wrong.",
                                "replacement": {"database": "lab", "table": "prices"}}},
                {"name": "point", "nullable": true, "type": {"struct": {"fields": [
                    {"name": "x", "type": "float64", "nullable": true, "docs": "To the right."}
                ]}}},
            ],
            "rust_path": "lab::Animals", "location": {"file": "src/lib.rs", "line": 1},
        });
        serde_json::from_value(table).expect("a table")
    }

    fn shown(kind: &Kind) -> String {
        match kind {
            Kind::Scalar(scalar) => scalar.name().to_owned(),
            Kind::List(item) => format!("[{}]", shown(item)),
            Kind::Object(object) => object.type_name.clone(),
        }
    }

    #[test]
    fn every_column_has_a_type() {
        let table = animals();
        let columns = table.columns.iter();
        let columns: Vec<String> = columns
            .map(|column| format!("{}: {}", column.name, shown(&column.kind)))
            .collect();
        assert_eq!(
            columns,
            [
                "id: Int",
                "name: String",
                "size: BigInt",
                "weight: Float",
                "price: Decimal",
                "born: Date",
                "seen: Timestamp",
                "is_tame: Boolean",
                "chip: Bytes",
                "point: lab_animals_Point",
                "path: [lab_animals_Path]",
                "tags: [String]",
                "Total____: Float",
            ]
        );
        assert_eq!(table.columns[3].docs, "On the scale.\n\nUnit: kg.");
        let point = table.columns[9].object().expect("a struct");
        assert_eq!(point.fields[0].docs, "To the right.");
        assert_eq!(point.fields[1].name, "unit_name");
        assert_eq!(
            table.columns[4].deprecated.as_deref(),
            Some("since 0.2; Wrong.; use lab.prices")
        );
    }

    #[test]
    fn types_of_structs_begin_with_a_large_letter() {
        for (name, expected) in [
            ("hand_position", "HandPosition"),
            ("_2nd", "X2nd"),
            ("_", "X"),
            ("A", "A"),
        ] {
            assert_eq!(camel_case(name), expected);
        }
    }
}
