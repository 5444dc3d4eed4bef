//! From the filters of a statement to the arguments of a function.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::scalar::ScalarValue;
use neurolake_model as model;
use neurolake_model::Value;

use super::Arguments;
use crate::error::{Error, Kind, Result};
use crate::sources::Declared;
use neurolake_delta::types::arrow_type;

/// The arguments of a function table.
pub(crate) struct Signature {
    /// `database.table`
    pub(crate) table: String,
    arguments: Vec<Argument>,
    example: Vec<(String, Value)>,
}

pub(crate) struct Argument {
    pub(crate) name: String,
    declared: model::Type,
    required: bool,
    is_list: bool,
    is_column: bool,
    /// Type of one value: the declared type, or that of the list's elements.
    pub(crate) value_type: DataType,
}

/// What the filters say.
pub(crate) struct Bound {
    /// In the order of declaration.
    pub(crate) values: Arguments,
    /// Filters on columns.
    pub(crate) filters: Vec<Expr>,
}

/// One filter that gives values to one name.
struct Given<'a> {
    name: &'a str,
    values: Values,
}

enum Values {
    Some(Vec<ScalarValue>),
    /// `is null`
    None,
}

impl Signature {
    pub(crate) fn new(declared: &Declared) -> Self {
        let arguments = match &declared.table.source {
            model::Source::Function { arguments } => arguments.as_slice(),
            _ => &[],
        };
        let arguments = arguments
            .iter()
            .map(|argument| {
                let (is_list, value_type) = match &argument.data_type {
                    model::Type::List { item, .. } => (true, arrow_type(item)),
                    other => (false, arrow_type(other)),
                };
                Argument {
                    name: argument.name.clone(),
                    declared: argument.data_type.clone(),
                    required: argument.required,
                    is_list,
                    is_column: declared.table.column(&argument.name).is_some(),
                    value_type,
                }
            })
            .collect();
        Self {
            table: declared.name(),
            arguments,
            example: declared.table.example.clone(),
        }
    }

    /// Arguments that are no column of the rows.
    pub(crate) fn only_arguments(&self) -> impl Iterator<Item = &Argument> {
        self.arguments.iter().filter(|argument| !argument.is_column)
    }

    fn only_argument(&self, name: &str) -> Option<&Argument> {
        self.only_arguments().find(|argument| argument.name == name)
    }

    /// What a column that is only an argument holds: the value given, the first of several. A
    /// client that applies its filter again finds it true.
    pub(crate) fn shown(&self, name: &str, values: &Arguments) -> Option<ScalarValue> {
        let index = self
            .arguments
            .iter()
            .position(|argument| argument.name == name && !argument.is_column)?;
        let null = || ScalarValue::try_from(&self.arguments[index].value_type).ok();
        match &values[index] {
            None => null(),
            Some(ScalarValue::List(list)) => {
                let elements = list.value(0);
                if elements.is_empty() {
                    return null();
                }
                ScalarValue::try_from_array(&elements, 0).ok()
            }
            Some(value) => Some(value.clone()),
        }
    }

    /// Whether the name is only an argument, and these filters don't give it.
    pub(crate) fn is_open(&self, name: &str, filters: &[Expr]) -> bool {
        let mut conjuncts = filters.iter().flat_map(split_conjunction);
        self.only_argument(name).is_some()
            && !conjuncts.any(|filter| given(filter).is_some_and(|given| given.name == name))
    }

    /// Why a filter on an argument that compares it with more than a value is refused.
    pub(crate) fn only_values(&self, name: &str) -> Error {
        let error = Error::new(
            Kind::BadRequest,
            format!(
                "`{name}` is an argument of `{}`, not a column: it can only be given a value",
                self.table
            ),
        );
        match self.only_argument(name) {
            Some(argument) => error.with_hint(format!("write `where {}`", self.shape(argument))),
            None => error,
        }
    }

    /// Sorts filters into arguments and the rest.
    pub(crate) fn bind(&self, filters: &[Expr]) -> Result<Bound> {
        let mut bound = Bound {
            values: vec![None; self.arguments.len()],
            filters: Vec::new(),
        };
        for filter in filters.iter().flat_map(split_conjunction) {
            self.bind_one(filter, &mut bound)?;
        }
        self.check_required(&bound)?;
        Ok(bound)
    }

    fn bind_one(&self, filter: &Expr, bound: &mut Bound) -> Result<()> {
        let columns = filter.column_refs();
        let only = columns
            .iter()
            .find(|column| self.only_argument(&column.name).is_some());
        if let Some(given) = given(filter)
            && let Some(index) = self.arguments.iter().position(|a| a.name == given.name)
        {
            self.give(index, &given.values, bound)?;
        } else if let Some(column) = only {
            return Err(self.only_values(&column.name));
        }
        if only.is_none() {
            bound.filters.push(filter.clone());
        }
        Ok(())
    }

    fn give(&self, index: usize, values: &Values, bound: &mut Bound) -> Result<()> {
        let argument = &self.arguments[index];
        let Values::Some(values) = values else {
            return Ok(());
        };
        let mut cast: Vec<ScalarValue> = Vec::new();
        for value in values {
            let value = argument.cast(value)?;
            if !cast.contains(&value) {
                cast.push(value);
            }
        }
        let value = if argument.is_list {
            ScalarValue::List(ScalarValue::new_list(&cast, &argument.value_type, true))
        } else if let [one] = cast.as_slice() {
            one.clone()
        } else if argument.is_column {
            // A filter on the rows, as good as any other.
            return Ok(());
        } else {
            return Err(Error::new(
                Kind::BadRequest,
                format!("`{}` of `{}` takes one value", argument.name, self.table),
            )
            .with_hint(format!(
                "write `where {}`, and `union all` for several",
                self.shape(argument)
            )));
        };
        match &bound.values[index] {
            None => bound.values[index] = Some(value),
            // Contradicting filters on the rows leave none of them.
            Some(before) if *before == value || argument.is_column => {}
            Some(_) => {
                return Err(Error::new(
                    Kind::BadRequest,
                    format!("`{}` of `{}` is given twice", argument.name, self.table),
                )
                .with_hint("give each argument once"));
            }
        }
        Ok(())
    }

    fn check_required(&self, bound: &Bound) -> Result<()> {
        let missing: Vec<&Argument> = self
            .arguments
            .iter()
            .zip(&bound.values)
            .filter(|(argument, value)| argument.required && value.is_none())
            .map(|(argument, _)| argument)
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = missing
            .iter()
            .map(|argument| format!("`{}`", argument.name))
            .collect();
        let required: Vec<String> = self
            .arguments
            .iter()
            .filter(|argument| argument.required)
            .map(|argument| self.shape(argument))
            .collect();
        Err(Error::new(
            Kind::BadRequest,
            format!("`{}` needs a value for {}", self.table, names.join(" and ")),
        )
        .with_hint(format!(
            "for example `select * from {} where {}`",
            self.table,
            required.join(" and ")
        )))
    }

    /// How the argument is given, with the value of the declared example.
    fn shape(&self, argument: &Argument) -> String {
        let name = quoted(&argument.name);
        let example = self
            .example
            .iter()
            .find(|(key, value)| key == &argument.name && *value != Value::Null)
            .map(|(_, value)| value);
        match example {
            Some(Value::List(values)) => {
                let values: Vec<String> = values.iter().map(literal).collect();
                format!("{name} in ({})", values.join(", "))
            }
            Some(value) => format!("{name} = {}", literal(value)),
            None if argument.is_list => format!("{name} in ({})", placeholder(&argument.declared)),
            None => format!("{name} = {}", placeholder(&argument.declared)),
        }
    }
}

impl Argument {
    /// The value as one of the declared type, unless something of it would be lost.
    fn cast(&self, value: &ScalarValue) -> Result<ScalarValue> {
        cast(value, &self.value_type).ok_or_else(|| {
            Error::new(
                Kind::BadRequest,
                format!(
                    "`{value}` is not a value of the argument `{}`, which is {}",
                    self.name, self.declared
                ),
            )
            .with_hint(format!(
                "a value looks like {}",
                placeholder(&self.declared)
            ))
        })
    }
}

fn cast(value: &ScalarValue, target: &DataType) -> Option<ScalarValue> {
    if value.is_null() {
        return None;
    }
    let cast = value.cast_to(target).ok().filter(|cast| !cast.is_null())?;
    let from = value.data_type();
    // A float is always near enough, and text was read as a whole.
    if target.is_floating() || is_text(&from) {
        return Some(cast);
    }
    let back = cast.cast_to(&from).ok()?;
    (back == *value).then_some(cast)
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, value) => is_text(value),
        _ => false,
    }
}

/// Reads `a = 1`, `a in (1, 2)`, `a = 1 or a = 2`, `a`, `not a`, `a is null`.
fn given(filter: &Expr) -> Option<Given<'_>> {
    match filter {
        Expr::Alias(alias) => given(&alias.expr),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::Eq | Operator::IsNotDistinctFrom => {
                let (column, value) = match (column(left), value(right)) {
                    (Some(column), Some(value)) => (column, value),
                    _ => (column(right)?, value(left)?),
                };
                Some(Given {
                    name: &column.name,
                    values: if value.is_null() && *op == Operator::IsNotDistinctFrom {
                        Values::None
                    } else {
                        Values::Some(vec![value.clone()])
                    },
                })
            }
            // The optimizer writes short lists like this.
            Operator::Or => {
                let (left, right) = (given(left)?, given(right)?);
                match (left.values, right.values) {
                    (Values::Some(mut values), Values::Some(more)) if left.name == right.name => {
                        values.extend(more);
                        Some(Given {
                            name: left.name,
                            values: Values::Some(values),
                        })
                    }
                    _ => None,
                }
            }
            _ => None,
        },
        Expr::InList(InList {
            expr,
            list,
            negated: false,
        }) => {
            let name = &column(expr)?.name;
            let values: Option<Vec<ScalarValue>> =
                list.iter().map(|item| value(item).cloned()).collect();
            Some(Given {
                name,
                values: Values::Some(values?),
            })
        }
        Expr::IsNull(expr) => Some(Given {
            name: &column(expr)?.name,
            values: Values::None,
        }),
        // The optimizer shortens `a = true` and `a = false`.
        Expr::Column(column) => Some(flag(column, true)),
        Expr::IsTrue(expr) => Some(flag(column(expr)?, true)),
        Expr::IsFalse(expr) => Some(flag(column(expr)?, false)),
        Expr::Not(expr) => match &**expr {
            Expr::Column(column) => Some(flag(column, false)),
            _ => None,
        },
        _ => None,
    }
}

fn flag(column: &Column, value: bool) -> Given<'_> {
    Given {
        name: &column.name,
        values: Values::Some(vec![ScalarValue::Boolean(Some(value))]),
    }
}

/// The column, also where it is cast to the type of what it is compared with.
fn column(expression: &Expr) -> Option<&Column> {
    match expression {
        Expr::Column(column) => Some(column),
        Expr::Cast(cast) => column(&cast.expr),
        Expr::TryCast(cast) => column(&cast.expr),
        Expr::Alias(alias) => column(&alias.expr),
        _ => None,
    }
}

fn value(expression: &Expr) -> Option<&ScalarValue> {
    match expression {
        Expr::Literal(value, _) => Some(value),
        Expr::Alias(alias) => value(&alias.expr),
        _ => None,
    }
}

/// A name as SQL, in quotes where it needs them.
fn quoted(name: &str) -> String {
    datafusion::common::utils::quote_identifier(name).into_owned()
}

fn literal(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(text) | Value::Decimal(text) => text.clone(),
        Value::Binary(digits) => format!("x'{digits}'"),
        Value::String(text) | Value::Date(text) | Value::Timestamp(text) => {
            format!("'{}'", text.replace('\'', "''"))
        }
        Value::List(values) => values.iter().map(literal).collect::<Vec<_>>().join(", "),
    }
}

/// A value of the type, where no example is declared.
fn placeholder(declared: &model::Type) -> &'static str {
    use model::Type as T;
    match declared {
        T::Bool => "true",
        T::Float32 | T::Float64 | T::Decimal { .. } => "1.5",
        T::Date => "'2026-03-01'",
        T::Timestamp => "'2026-03-01T09:30:00Z'",
        T::Binary => "x'00FF'",
        T::List { item, .. } => placeholder(item),
        kind if kind.is_integer() => "1",
        _ => "'...'",
    }
}
