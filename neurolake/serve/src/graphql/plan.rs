//! From a field of the query to what is read for it: a question for the engine, and the form of its
//! answer. Only the columns that are asked for are read.

use std::collections::HashMap;

use arrow::datatypes::Schema;
use async_graphql::{Pos, Value};
use neurolake_query::{Error, Kind as ErrorKind, Request};

use super::columns::{Column, Kind, Scalar, Table};
use super::condition::{arguments, condition, path_to, shown};
use super::document::{Argument, Asked, did_you_mean};
use super::form::{Content, Form, Part};
use super::mistake::{Mistake, Result};
use super::names::{AGGREGATE, AGGREGATE_FIELDS, About};
use super::types::end_of;
use crate::select::{Aggregate, Condition, Order, Output, Path, Select, Value as Selected};

/// Rows of a field without `limit`. More are an error, never left out in silence.
pub(crate) const MOST_ROWS_BY_DEFAULT: usize = 1_000;

/// Names that one column may have in an answer. More would make a large answer of a small table.
const MOST_NAMES: usize = 4;

/// Every aggregate of single columns by its name.
pub(crate) const AGGREGATES: [(&str, Aggregate); 10] = [
    ("sum", Aggregate::Sum),
    ("avg", Aggregate::Average),
    ("min", Aggregate::Minimum),
    ("max", Aggregate::Maximum),
    ("stddev", Aggregate::Deviation),
    ("stddev_pop", Aggregate::PopulationDeviation),
    ("stddev_samp", Aggregate::Deviation),
    ("variance", Aggregate::Variance),
    ("var_pop", Aggregate::PopulationVariance),
    ("var_samp", Aggregate::Variance),
];

/// What an aggregate of a column is. `None` where the column has none.
pub(crate) fn aggregate_of(aggregate: Aggregate, column: &Column) -> Option<Scalar> {
    let scalar = column.scalar()?;
    match aggregate {
        Aggregate::Minimum | Aggregate::Maximum => scalar.has_extremes().then_some(scalar),
        _ if !scalar.is_number() => None,
        Aggregate::Sum => Some(scalar.sum()),
        Aggregate::Average => Some(scalar.average()),
        _ => Some(Scalar::Float),
    }
}

/// A field of the query, ready to be answered.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) key: String,
    pub(crate) place: Pos,
    pub(crate) members: Members,
}

/// What stands under the field.
#[derive(Debug)]
pub(crate) enum Members {
    /// The answer to one question.
    Rows(Box<Question>),
    /// An object, each member with an answer of its own.
    Object(Vec<(String, Member)>),
}

/// A member of an object.
#[derive(Debug)]
pub(crate) enum Member {
    TypeName(String),
    Answer(Box<Question>),
}

/// One statement, and what becomes of its rows.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) select: Select,
    /// Over the rows of `select`; there is one row then.
    pub(crate) aggregates: Option<Vec<Output>>,
    pub(crate) parts: Vec<Part>,
    /// More rows than these are an error.
    pub(crate) most_rows: Option<usize>,
}

impl Question {
    /// The statement with its limits.
    ///
    /// # Errors
    /// A value doesn't fit its column.
    pub(crate) fn request(&self, columns: &Schema) -> Result<Request, Error> {
        let statement = match &self.aggregates {
            None => self.select.statement(columns)?,
            Some(aggregates) => self.select.aggregated(aggregates, columns)?,
        };
        Ok(Request {
            max_rows: self.most_rows,
            ..Request::from(statement)
        })
    }
}

/// What is read for a field about this table.
pub(crate) fn plan(asked: &Asked, table: &Table, about: About) -> Result<Planned> {
    let planner = Planner {
        table,
        place: asked.place,
    };
    let select = planner.select(&asked.arguments)?;
    if asked.fields.is_empty() {
        return Err(planner.no_fields(&asked.name));
    }
    let members = match about {
        About::Rows => Members::Rows(planner.rows(select, &asked.fields)?),
        About::Aggregate => Members::Object(planner.members(&select, &asked.fields)?),
    };
    Ok(Planned {
        key: asked.key.clone(),
        place: asked.place,
        members,
    })
}

struct Planner<'a> {
    table: &'a Table,
    place: Pos,
}

impl Planner<'_> {
    fn no_fields(&self, name: &str) -> Mistake {
        Mistake::new(format!("no fields of `{name}` are chosen"), self.place)
            .with_hint(format!("write `{name} {{ ... }}`"))
    }

    fn select(&self, given: &[Argument]) -> Result<Select> {
        let (database, table) = self.table.address.clone();
        let mut select = Select {
            database,
            table,
            ..Select::default()
        };
        let mut conditions = Vec::new();
        let mut distinct = Vec::new();
        for argument in given
            .iter()
            .filter(|argument| argument.value != Value::Null)
        {
            let (value, place) = (&argument.value, argument.place);
            match argument.name.as_str() {
                "args" => conditions.push(arguments(self.table, value, place)?),
                "where" => conditions.push(condition(self.table, value, place)?),
                "limit" => select.limit = Some(count(argument)?),
                "offset" => select.offset = count(argument)?,
                "order_by" => select.order = orders(self.table, value, place)?,
                "distinct_on" => distinct = columns(self.table, value, place)?,
                name => {
                    let known = [
                        "args",
                        "where",
                        "limit",
                        "offset",
                        "order_by",
                        "distinct_on",
                    ];
                    let mistake = Mistake::new(
                        format!("`{}` takes no argument `{name}`", self.table.name),
                        place,
                    );
                    return Err(did_you_mean(mistake, name, known));
                }
            }
        }
        conditions.retain(|condition| *condition != Condition::default());
        select.condition = match conditions.len() {
            1 => conditions.remove(0),
            _ => Condition::All(conditions),
        };
        let distinct = distinct.into_iter().map(|column| path_to(None, column));
        self.keep_distinct(&mut select, distinct.collect())?;
        Ok(select)
    }

    /// Of rows that are equal in some columns only the first is kept; the order must begin with
    /// these columns, in any order of them.
    fn keep_distinct(&self, select: &mut Select, mut paths: Vec<Path>) -> Result<()> {
        let mut distinct = Vec::with_capacity(paths.len());
        for key in select.order.iter().take(paths.len()) {
            let Some(index) = paths.iter().position(|path| *path == key.path) else {
                return Err(Mistake::new(
                    "`order_by` doesn't begin with the columns of `distinct_on`",
                    self.place,
                )
                .with_hint(format!("order by `{}` first", paths[0].column)));
            };
            distinct.push(paths.remove(index));
        }
        if !select.order.is_empty() {
            select.order.extend(paths.iter().cloned().map(ascending));
        }
        distinct.extend(paths);
        select.distinct_on = distinct;
        Ok(())
    }

    fn rows(&self, mut select: Select, fields: &[Asked]) -> Result<Box<Question>> {
        let table = self.table;
        let parts = parts(fields, &table.columns, &table.name)?;
        for part in &parts {
            if let Content::Column(name, _) = &part.content
                && !select.outputs.iter().any(|output| output.name == *name)
            {
                select.outputs.push(Output::column(name));
            }
        }
        if select.outputs.is_empty() {
            // Rows are counted by any column.
            let first = table.columns.first().map(|column| &column.stored);
            select.outputs.extend(first.map(Output::column));
        }
        let most_rows = select.limit.is_none().then_some(MOST_ROWS_BY_DEFAULT);
        // One more shows that there are more.
        let limit = select.limit.unwrap_or(MOST_ROWS_BY_DEFAULT as u64 + 1);
        select.limit = Some(limit);
        Ok(Box::new(Question {
            select,
            aggregates: None,
            parts,
            most_rows,
        }))
    }

    fn members(&self, select: &Select, fields: &[Asked]) -> Result<Vec<(String, Member)>> {
        let mut members = Vec::with_capacity(fields.len());
        for field in fields {
            let here = Planner {
                place: field.place,
                ..*self
            };
            let type_name = format!("{}{AGGREGATE}", self.table.name);
            let member = match field.name.as_str() {
                "__typename" => Member::TypeName(type_name),
                "aggregate" | "nodes" if field.fields.is_empty() => {
                    return Err(here.no_fields(&field.name));
                }
                "aggregate" => Member::Answer(here.aggregates(select.clone(), &field.fields)?),
                "nodes" => Member::Answer(here.rows(select.clone(), &field.fields)?),
                name => {
                    return Err(unknown_field(
                        field,
                        &type_name,
                        ["aggregate", "nodes"],
                        name,
                    ));
                }
            };
            members.push((field.key.clone(), member));
        }
        Ok(members)
    }

    fn aggregates(&self, mut select: Select, fields: &[Asked]) -> Result<Box<Question>> {
        let mut outputs = Vec::new();
        let mut parts = Vec::with_capacity(fields.len());
        for field in fields {
            parts.push(Part {
                key: field.key.clone(),
                content: self.aggregate(field, &mut outputs)?,
            });
        }
        if outputs.is_empty() {
            outputs.push(output(0, Selected::Count));
        }
        for output in &outputs {
            if let Selected::Aggregate(_, path, _) = &output.value
                && !select
                    .outputs
                    .iter()
                    .any(|output| output.name == path.column)
            {
                select.outputs.push(Output::column(&path.column));
            }
        }
        if select.limit.is_none() && select.offset == 0 && select.distinct_on.is_empty() {
            select.order.clear();
        }
        Ok(Box::new(Question {
            select,
            aggregates: Some(outputs),
            parts,
            most_rows: None,
        }))
    }

    fn aggregate(&self, field: &Asked, outputs: &mut Vec<Output>) -> Result<Content> {
        let type_name = format!("{}{AGGREGATE_FIELDS}", self.table.name);
        match field.name.as_str() {
            "__typename" => return Ok(Content::Text(type_name)),
            "count" => {
                let value = self.count(field)?;
                return Ok(add(outputs, value));
            }
            _ => {}
        }
        let known = AGGREGATES.iter().find(|(name, _)| *name == field.name);
        let Some((name, aggregate)) = known else {
            let known = AGGREGATES.iter().map(|(name, _)| *name).chain(["count"]);
            return Err(unknown_field(field, &type_name, known, &field.name));
        };
        if field.fields.is_empty() {
            return Err(self.no_fields(name));
        }
        check_names(&field.fields)?;
        let mut parts = Vec::with_capacity(field.fields.len());
        for inner in &field.fields {
            let content = match self.table.column(&inner.name) {
                _ if inner.name == "__typename" => {
                    let end = end_of(*aggregate);
                    Content::Text(format!("{}{end}", self.table.name))
                }
                Some(column) if aggregate_of(*aggregate, column).is_some() => {
                    let path = Path::column(&column.stored);
                    add(outputs, Selected::Aggregate(*aggregate, path, None))
                }
                _ => {
                    let columns = self.table.columns.iter();
                    let known = columns.filter(|c| aggregate_of(*aggregate, c).is_some());
                    let known = known.map(|column| column.name.as_str());
                    return Err(unknown_field(inner, name, known, &inner.name));
                }
            };
            parts.push(Part {
                key: inner.key.clone(),
                content,
            });
        }
        Ok(Content::Group(parts))
    }

    fn count(&self, field: &Asked) -> Result<Selected> {
        let mut of = Vec::new();
        let mut distinct = false;
        for argument in &field.arguments {
            match (argument.name.as_str(), &argument.value) {
                (_, Value::Null) => {}
                ("columns", value) => of = named_columns(self.table, value, argument.place)?,
                ("distinct", Value::Boolean(value)) => distinct = *value,
                (name, _) => {
                    return Err(Mistake::new(
                        format!("`count` takes no such argument `{name}`"),
                        argument.place,
                    )
                    .with_hint("write `count(columns: [name], distinct: true)`"));
                }
            }
        }
        match (of.as_slice(), distinct) {
            ([], false) => Ok(Selected::Count),
            ([column], distinct) => {
                let aggregate = if distinct {
                    Aggregate::CountDistinct
                } else {
                    Aggregate::Count
                };
                let path = Path::column(&column.stored);
                Ok(Selected::Aggregate(aggregate, path, None))
            }
            ([], true) => Err(Mistake::new("`distinct` without `columns`", field.place)
                .with_hint("write `count(columns: [name], distinct: true)`")),
            _ => Err(
                Mistake::new("`count` of several columns", field.place).with_hint(
                    "count each by itself: `a: count(columns: [a]) b: count(columns: [b])`",
                ),
            ),
        }
    }
}

/// A column of the answer, named by its place.
fn output(place: usize, value: Selected) -> Output {
    Output {
        name: place.to_string(),
        value,
        cast: None,
    }
}

/// The place of a value among the columns of the answer.
fn add(outputs: &mut Vec<Output>, value: Selected) -> Content {
    let known = outputs.iter().position(|output| output.value == value);
    let place = known.unwrap_or(outputs.len());
    if known.is_none() {
        outputs.push(output(place, value));
    }
    Content::Column(place.to_string(), Form::Whole)
}

fn check_names(fields: &[Asked]) -> Result<()> {
    let mut counts = HashMap::new();
    for field in fields {
        let count: &mut usize = counts.entry(field.name.as_str()).or_default();
        *count += 1;
        if *count > MOST_NAMES {
            let message = format!(
                "`{}` is asked for under more than {MOST_NAMES} names",
                field.name
            );
            return Err(Mistake::of(
                Error::new(ErrorKind::TooMuch, message),
                field.place,
            ));
        }
    }
    Ok(())
}

fn unknown_field<'a>(
    field: &Asked,
    parent: &str,
    known: impl IntoIterator<Item = &'a str>,
    name: &str,
) -> Mistake {
    let mistake = Mistake::new(format!("`{parent}` has no field `{name}`"), field.place);
    did_you_mean(mistake, name, known)
}

/// Parts of an object with these columns.
fn parts(fields: &[Asked], columns: &[Column], type_name: &str) -> Result<Vec<Part>> {
    check_names(fields)?;
    let mut parts = Vec::with_capacity(fields.len());
    for field in fields {
        let content = if field.name == "__typename" {
            Content::Text(type_name.to_owned())
        } else {
            let Some(column) = columns.iter().find(|column| column.name == field.name) else {
                let known = columns.iter().map(|column| column.name.as_str());
                return Err(unknown_field(field, type_name, known, &field.name));
            };
            Content::Column(column.stored.clone(), form(field, &column.kind)?)
        };
        parts.push(Part {
            key: field.key.clone(),
            content,
        });
    }
    Ok(parts)
}

fn form(field: &Asked, kind: &Kind) -> Result<Form> {
    match (kind.innermost(), field.fields.as_slice()) {
        (None, []) => Ok(Form::Whole),
        (Some(object), fields @ [_, ..]) => Ok(Form::Object(parts(
            fields,
            &object.fields,
            &object.type_name,
        )?)),
        (None, [inner, ..]) => Err(Mistake::new(
            format!(
                "`{}` is a value and has no field `{}`",
                field.name, inner.name
            ),
            inner.place,
        )),
        (Some(object), []) => {
            let names: Vec<&str> = object
                .fields
                .iter()
                .map(|field| field.name.as_str())
                .collect();
            Err(Mistake::new(
                format!("no fields of `{}` are chosen", field.name),
                field.place,
            )
            .with_hint(format!("write `{} {{ {} }}`", field.name, names.join(" "))))
        }
    }
}

fn count(argument: &Argument) -> Result<u64> {
    let number = match &argument.value {
        Value::Number(number) => number.as_u64(),
        _ => None,
    };
    number.ok_or_else(|| {
        Mistake::new(
            format!(
                "`{}` is no number of rows, but {}",
                argument.name,
                shown(&argument.value)
            ),
            argument.place,
        )
    })
}

fn many(value: &Value) -> &[Value] {
    match value {
        Value::List(values) => values,
        single => std::slice::from_ref(single),
    }
}

fn word(value: &Value) -> Option<&str> {
    match value {
        Value::Enum(name) => Some(name.as_str()),
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn named_columns<'a>(table: &'a Table, value: &Value, place: Pos) -> Result<Vec<&'a Column>> {
    let find = |value: &Value| {
        let name = word(value).unwrap_or_default();
        table.column(name).ok_or_else(|| {
            let known = table.columns.iter().map(|column| column.name.as_str());
            let message = format!("`{}` has no column {}", table.name, shown(value));
            did_you_mean(Mistake::new(message, place), name, known)
        })
    };
    many(value).iter().map(find).collect()
}

/// Columns that rows are told apart by.
fn columns<'a>(table: &'a Table, value: &Value, place: Pos) -> Result<Vec<&'a Column>> {
    let mut found: Vec<&Column> = Vec::new();
    for column in named_columns(table, value, place)? {
        check_comparable(column, place)?;
        if !found.iter().any(|other| other.name == column.name) {
            found.push(column);
        }
    }
    Ok(found)
}

fn check_comparable(column: &Column, place: Pos) -> Result<()> {
    if column.scalar().is_some_and(Scalar::is_comparable) {
        return Ok(());
    }
    Err(Mistake::new(
        format!("values of `{}` can't be compared", column.name),
        place,
    ))
}

fn ascending(path: Path) -> Order {
    Order {
        path,
        descending: false,
        nulls_first: false,
    }
}

fn orders(table: &Table, value: &Value, place: Pos) -> Result<Vec<Order>> {
    let mut orders = Vec::new();
    for value in many(value) {
        add_orders(&table.columns, None, value, place, &mut orders)?;
    }
    Ok(orders)
}

fn add_orders(
    columns: &[Column],
    parent: Option<&Path>,
    value: &Value,
    place: Pos,
    orders: &mut Vec<Order>,
) -> Result<()> {
    let Value::Object(entries) = value else {
        let message = format!("`order_by` is no object, but {}", shown(value));
        return Err(Mistake::new(message, place).with_hint("write `[{column: asc}]`"));
    };
    for (name, value) in entries.iter().filter(|(_, value)| **value != Value::Null) {
        let Some(column) = columns.iter().find(|column| column.name == *name) else {
            let known = columns.iter().map(|column| column.name.as_str());
            let mistake = Mistake::new(format!("`order_by` knows no `{name}`"), place);
            return Err(did_you_mean(mistake, name, known));
        };
        let path = path_to(parent, column);
        if let Some(object) = column.object() {
            add_orders(&object.fields, Some(&path), value, place, orders)?;
            continue;
        }
        check_comparable(column, place)?;
        let Some((descending, nulls_first)) = direction(value) else {
            let message = format!("{} is no direction of `{name}`", shown(value));
            return Err(Mistake::new(message, place)
                .with_hint("there are `asc` and `desc`, with `_nulls_first` or `_nulls_last`"));
        };
        orders.push(Order {
            path,
            descending,
            nulls_first,
        });
    }
    Ok(())
}

/// Whether a direction is downwards, and whether nulls come first; the default is PostgreSQL's.
fn direction(value: &Value) -> Option<(bool, bool)> {
    let word = word(value)?;
    let (direction, nulls) = match word.split_once('_') {
        Some((direction, nulls)) => (direction, Some(nulls)),
        None => (word, None),
    };
    let descending = match direction {
        "asc" => false,
        "desc" => true,
        _ => return None,
    };
    let nulls_first = match nulls {
        None => descending,
        Some("nulls_first") => true,
        Some("nulls_last") => false,
        Some(_) => return None,
    };
    Some((descending, nulls_first))
}
