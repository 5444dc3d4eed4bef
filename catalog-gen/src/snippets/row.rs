//! The row that a snippet sends: the table's example values, and for its other columns values that
//! fit their types. Columns that may be null are left out unless the example names them.

use neurolake_model::{Column, Table, Type, Value};

use super::literal;

/// A value of a row. Unlike an example it may be nested.
#[derive(Debug)]
enum Cell {
    Plain(Value),
    List(Vec<Cell>),
    Object(Vec<(String, Cell)>),
}

/// A row of a table that takes events.
#[derive(Debug)]
pub(super) struct Row(Vec<(String, Cell)>);

impl Row {
    /// `None` for a table that takes no events.
    pub(super) fn new(table: &Table) -> Option<Self> {
        if !table.ingest || table.columns.is_empty() {
            return None;
        }
        let example = |column: &Column| {
            let named = table.example.iter().find(|(name, _)| *name == column.name);
            named.map(|(_, value)| value)
        };
        let day = day(table);
        let is_shown = |column: &&Column| !column.nullable || example(column).is_some();
        let mut shown: Vec<&Column> = table.columns.iter().filter(is_shown).collect();
        if shown.is_empty() {
            shown = table.columns.iter().collect();
        }
        let cell = |column: &Column| match example(column) {
            Some(value) => given(value, column, day),
            None => made_up(&column.data_type, day),
        };
        let cells = shown
            .into_iter()
            .map(|column| (column.name.clone(), cell(column)));
        Some(Self(cells.collect()))
    }

    /// A JSON object on one line; `None` where a value can't be written.
    pub(super) fn json(&self) -> Option<String> {
        json_object(&self.0)
    }

    /// The items of a Python dictionary; `None` where a value can't be written.
    pub(super) fn python(&self) -> Option<Vec<String>> {
        self.0.iter().map(|(name, cell)| item(name, cell)).collect()
    }

    /// The lines that import what [`Row::python`] needs.
    pub(super) fn python_imports(&self) -> Vec<&'static str> {
        let mut values = Vec::new();
        for (_, cell) in &self.0 {
            cell.values(&mut values);
        }
        literal::python_imports(values.into_iter())
    }
}

/// Days and instants that nobody gave are those of the example, so that the row makes sense.
fn day(table: &Table) -> &str {
    let named = table.example.iter().find_map(|(_, value)| match value {
        Value::Date(day) => Some(day.as_str()),
        Value::Timestamp(at) => at.split('T').next(),
        _ => None,
    });
    named.unwrap_or("2026-01-01")
}

/// A value of the example. Several of them for a column of single values mean any of them.
fn given(value: &Value, column: &Column, day: &str) -> Cell {
    let is_list = matches!(column.data_type, Type::List { .. });
    match value {
        Value::List(values) if !is_list => {
            match values.iter().find(|value| **value != Value::Null) {
                Some(value) => Cell::Plain(value.clone()),
                None => given(&Value::Null, column, day),
            }
        }
        Value::Null if !column.nullable => made_up(&column.data_type, day),
        value => Cell::Plain(value.clone()),
    }
}

/// A value that the door accepts for the type, to be replaced by the reader.
fn made_up(data_type: &Type, day: &str) -> Cell {
    let text = |text: &str| Cell::Plain(Value::String(text.into()));
    Cell::Plain(match data_type {
        Type::Date => Value::Date(day.into()),
        Type::Timestamp => Value::Timestamp(format!("{day}T00:00:00Z")),
        Type::Blob => {
            return Cell::Object(vec![
                ("uri".into(), text("s3://...")),
                ("media_type".into(), text("application/octet-stream")),
                ("bytes".into(), Cell::Plain(Value::Int(0))),
            ]);
        }
        Type::List { item, .. } => return Cell::List(vec![made_up(item, day)]),
        Type::Map { key, value, .. } => {
            let value = made_up(value, day);
            // Names of JSON's objects are text.
            return match &**key {
                Type::String => Cell::Object(vec![("...".into(), value)]),
                key => Cell::List(vec![Cell::Object(vec![
                    ("key".into(), made_up(key, day)),
                    ("value".into(), value),
                ])]),
            };
        }
        Type::Struct { fields } => {
            let required = fields.iter().filter(|field| !field.nullable);
            let cells = required.map(|field| (field.name.clone(), made_up(&field.data_type, day)));
            return Cell::Object(cells.collect());
        }
        scalar => super::filter::placeholder(scalar),
    })
}

impl Cell {
    fn json(&self) -> Option<String> {
        match self {
            Self::Plain(value) => literal::json(value),
            Self::List(cells) => {
                let items: Option<Vec<String>> = cells.iter().map(Self::json).collect();
                Some(format!("[{}]", items?.join(", ")))
            }
            Self::Object(cells) => json_object(cells),
        }
    }

    fn python(&self) -> Option<String> {
        match self {
            Self::Plain(value) => literal::python(value),
            Self::List(cells) => {
                let items: Option<Vec<String>> = cells.iter().map(Self::python).collect();
                Some(format!("[{}]", items?.join(", ")))
            }
            Self::Object(cells) => {
                let items: Option<Vec<String>> =
                    cells.iter().map(|(name, cell)| item(name, cell)).collect();
                Some(format!("{{{}}}", items?.join(", ")))
            }
        }
    }

    fn values<'a>(&'a self, found: &mut Vec<&'a Value>) {
        match self {
            Self::Plain(value) => found.push(value),
            Self::List(cells) => cells.iter().for_each(|cell| cell.values(found)),
            Self::Object(cells) => cells.iter().for_each(|(_, cell)| cell.values(found)),
        }
    }
}

fn json_object(cells: &[(String, Cell)]) -> Option<String> {
    let items: Option<Vec<String>> = cells
        .iter()
        .map(|(name, cell)| Some(format!("{}: {}", literal::json_string(name), cell.json()?)))
        .collect();
    Some(format!("{{{}}}", items?.join(", ")))
}

/// An item of a Python dictionary.
fn item(name: &str, cell: &Cell) -> Option<String> {
    Some(format!(
        "{}: {}",
        literal::python_string(name),
        cell.python()?
    ))
}
