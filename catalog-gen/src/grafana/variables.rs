//! What a reader of a dashboard chooses: values of partitions, and arguments of function tables.

use neurolake_model::{Argument, Partition, Source, Table, Type, Value};
use serde::Serialize;

use crate::snippets::sql_name;

use super::statements::can_be_written;

/// A variable of a dashboard, named like the column or the argument.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Variable {
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) kind: VariableKind,
}

/// What is chosen.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum VariableKind {
    /// Any of the values that a partition has.
    Choice {
        /// What stands in the statement for all of them: the column is always among itself.
        all: String,
        is_number: bool,
        /// The statement that lists them.
        sql: String,
    },
    /// A value that a function must be given.
    Argument {
        /// The one of the example.
        value: String,
    },
}

/// The variables of a table. `None`: a function of it needs a value that nothing is known about.
pub(super) fn variables(table: &Table) -> Option<Vec<Variable>> {
    if let Source::Function { arguments } = &table.source {
        let required = arguments.iter().filter(|argument| argument.required);
        return required.map(|needed| argument(table, needed)).collect();
    }
    let partitions = table.partition_by.iter();
    Some(partitions.filter_map(|by| choice(table, by)).collect())
}

/// A partition by day is chosen by the range of time. `All` has to mean all, so there may be no null,
/// which a condition would leave out.
fn choice(table: &Table, partition: &Partition) -> Option<Variable> {
    let column = table.column(&partition.name);
    if column.is_some_and(|column| column.nullable || column.pii) {
        return None;
    }
    let data_type = partition
        .data_type
        .as_ref()
        .or(column.map(|column| &column.data_type))?;
    let is_number = data_type.is_integer();
    if !is_number && *data_type != Type::String {
        return None;
    }
    is_variable(&partition.name).then(|| Variable {
        name: partition.name.clone(),
        kind: VariableKind::Choice {
            all: sql_name(&partition.name).into_owned(),
            is_number,
            sql: String::new(),
        },
    })
}

fn argument(table: &Table, argument: &Argument) -> Option<Variable> {
    let example = table
        .example
        .iter()
        .find(|(name, _)| *name == argument.name);
    let value = match &example?.1 {
        Value::Int(number) => number.to_string(),
        Value::String(text) | Value::Date(text) | Value::Timestamp(text) => text.clone(),
        _ => return None,
    };
    (is_variable(&argument.name) && can_be_written(&value)).then(|| Variable {
        name: argument.name.clone(),
        kind: VariableKind::Argument { value },
    })
}

/// Whether Grafana takes it as the name of a variable; two underscores begin its own.
fn is_variable(name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(is_word) && !name.starts_with("__")
}
