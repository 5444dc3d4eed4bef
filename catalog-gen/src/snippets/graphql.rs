//! The example rows of a table as a GraphQL document.

use std::fmt::Write as _;
use std::sync::Arc;

use neurolake_model::{Catalog, Column, Database, Source, Table, Type, Value};

use super::filter::{Condition, Filter};
use super::literal;

/// Columns that a document asks for; a reader adds others.
const MOST_COLUMNS: usize = 8;

/// The document. `None`: a name or a value can't be said in GraphQL, or it is not certain which name
/// the table has there.
pub(super) fn document(
    catalog: &Catalog,
    database: &Database,
    table: &Table,
    filters: &[Arc<Filter>],
    limit: u32,
) -> Option<String> {
    let name = field(catalog, database, table)?;
    let mut arguments = arguments(table, filters)?;
    if table.columns.is_empty() {
        let arguments = match arguments.is_empty() {
            true => String::new(),
            false => format!("({})", arguments.join(", ")),
        };
        return Some(format!(
            "{{\n  {name}_aggregate{arguments} {{\n    aggregate {{\n      count\n    }}\n  }}\n}}"
        ));
    }
    arguments.push(format!("limit: {limit}"));
    let columns = table.columns.iter();
    let columns = columns.filter_map(selected).take(MOST_COLUMNS);
    let columns: Vec<String> = columns.collect();
    if columns.is_empty() {
        return None;
    }
    Some(format!(
        "{{\n  {name}({}) {{\n    {}\n  }}\n}}",
        arguments.join(", "),
        columns.join("\n    ")
    ))
}

/// The field of the table. Where another table could have the same name, the server gives one of them
/// a number.
fn field(catalog: &Catalog, database: &Database, table: &Table) -> Option<String> {
    let name = format!("{}_{}", database.name, table.name);
    let is_shared = catalog.databases.iter().any(|other| {
        let rest = name.strip_prefix(&other.name);
        let rest = rest.and_then(|rest| rest.strip_prefix('_'));
        let is_other = other.name != database.name;
        is_other && rest.is_some_and(|rest| other.tables.iter().any(|table| table.name == rest))
    });
    (is_name(&name) && !is_shared && !name.ends_with("_aggregate")).then_some(name)
}

fn is_name(name: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty()
        && name.chars().all(is_letter)
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.starts_with("__")
}

/// A column with all that is in it. `None`: it has another name there.
fn selected(column: &Column) -> Option<String> {
    let name = Some(&column.name).filter(|name| is_name(name))?;
    Some(match innermost(&column.data_type) {
        Type::Struct { fields } => {
            let fields: Option<Vec<String>> = fields.iter().map(selected).collect();
            format!("{name} {{ {} }}", fields?.join(" "))
        }
        Type::Blob => format!("{name} {{ uri media_type bytes }}"),
        _ => name.clone(),
    })
}

fn innermost(data_type: &Type) -> &Type {
    match data_type {
        Type::List { item, .. } => innermost(item),
        other => other,
    }
}

/// `args` for a function, `where` for columns.
fn arguments(table: &Table, filters: &[Arc<Filter>]) -> Option<Vec<String>> {
    let known = match &table.source {
        Source::Function { arguments } => arguments.as_slice(),
        _ => &[],
    };
    let (mut given, mut conditions) = (Vec::new(), Vec::new());
    for filter in filters {
        let name = Some(&filter.name).filter(|name| is_name(name))?;
        if known.iter().any(|argument| argument.name == *name) {
            given.push(format!("{name}: {}", argument(&filter.condition)?));
        } else {
            conditions.push(format!("{name}: {{{}}}", condition(filter)?));
        }
    }
    let mut written = Vec::new();
    for (name, parts) in [("args", given), ("where", conditions)] {
        if !parts.is_empty() {
            written.push(format!("{name}: {{{}}}", parts.join(", ")));
        }
    }
    Some(written)
}

fn argument(condition: &Condition) -> Option<String> {
    match condition {
        Condition::Equals(Value::List(values))
        | Condition::In {
            values,
            or_null: false,
        } => list(values),
        Condition::Equals(value) => literal::graphql(value),
        Condition::Null | Condition::NotANumber | Condition::In { .. } => None,
    }
}

fn condition(filter: &Filter) -> Option<String> {
    match (&filter.condition, filter.data_type()) {
        (Condition::Null, _) => return Some("_is_null: true".to_owned()),
        (Condition::Equals(Value::List(values)), Some(Type::List { item, .. }))
            if item.is_scalar() =>
        {
            return Some(format!("_eq: {}", list(values)?));
        }
        (_, Some(data_type)) if !data_type.is_scalar() => return None,
        _ => {}
    }
    match &filter.condition {
        Condition::Equals(value) => Some(format!("_eq: {}", literal::graphql(value)?)),
        Condition::In {
            values,
            or_null: false,
        } => Some(format!("_in: {}", list(values)?)),
        // There is no word for them in a single condition.
        Condition::Null | Condition::NotANumber | Condition::In { .. } => None,
    }
}

fn list(values: &[Value]) -> Option<String> {
    let mut text = "[".to_owned();
    for (at, value) in values.iter().enumerate() {
        let separator = if at == 0 { "" } else { ", " };
        let _ = write!(text, "{separator}{}", literal::graphql(value)?);
    }
    text.push(']');
    Some(text)
}
