//! What a snippet filters by: the example values of a table, as conditions that each client can
//! write.

use neurolake_model::{Partitioning, Source, Table, Type, Value};

use super::literal::{self, Dialect};
use crate::openapi::RESERVED;

/// One condition on a column, a partition or an argument.
#[derive(Debug)]
pub(super) struct Filter {
    pub(super) name: String,
    data_type: Option<Type>,
    pub(super) condition: Condition,
    /// The value is invented, because a required argument has no example.
    pub(super) placeholder: bool,
    /// The value is part of the path, and files don't hold the column.
    pub(super) in_path: bool,
    /// An argument that takes several values, which SQL gives with `in`: it is no column of lists.
    takes_several: bool,
}

#[derive(Debug)]
pub(super) enum Condition {
    Null,
    /// Not a number, which equality doesn't find.
    NotANumber,
    Equals(Value),
    In {
        values: Vec<Value>,
        or_null: bool,
    },
}

impl Condition {
    /// `None`: nothing to filter by.
    fn new(value: &Value, data_type: Option<&Type>) -> Option<Self> {
        let is_list = matches!(data_type, Some(Type::List { .. }));
        match value {
            Value::Null => Some(Self::Null),
            value if literal::is_nan(value) => Some(Self::NotANumber),
            // A list for a column of single values means any of them.
            Value::List(items) if !is_list => {
                let or_null = items.contains(&Value::Null);
                let values: Vec<Value> = items
                    .iter()
                    .filter(|item| **item != Value::Null)
                    .cloned()
                    .collect();
                match values.as_slice() {
                    [] => or_null.then_some(Self::Null),
                    [one] if !or_null => Self::new(one, data_type),
                    _ => Some(Self::In { values, or_null }),
                }
            }
            value => Some(Self::Equals(value.clone())),
        }
    }

    /// The values that it compares with.
    pub(super) fn values(&self) -> &[Value] {
        match self {
            Self::Null | Self::NotANumber => &[],
            Self::Equals(value) => std::slice::from_ref(value),
            Self::In { values, .. } => values,
        }
    }
}

/// The filters of a table's snippets, in the order of its example.
pub(super) fn filters(table: &Table) -> Vec<Filter> {
    let mut filters = Vec::new();
    let in_path = |name: &str| {
        table.is_partition(name)
            && matches!(
                table.source,
                Source::Parquet {
                    partitioning: Partitioning::Directory,
                    ..
                }
            )
    };
    let is_function = matches!(table.source, Source::Function { .. });
    for (name, value) in &table.example {
        let data_type = table.filter_type(name);
        // For a function, `None` means that the argument isn't given.
        let given = !(is_function && *value == Value::Null);
        if let Some(condition) = Condition::new(value, data_type).filter(|_| given) {
            filters.push(Filter {
                name: name.clone(),
                data_type: data_type.cloned(),
                condition,
                placeholder: false,
                in_path: in_path(name),
                takes_several: takes_several(table, name),
            });
        }
    }
    if let Source::Function { arguments } = &table.source {
        for argument in arguments {
            let known = filters.iter().any(|filter| filter.name == argument.name);
            if argument.required && !known {
                filters.push(Filter {
                    name: argument.name.clone(),
                    data_type: Some(argument.data_type.clone()),
                    condition: Condition::Equals(placeholder(&argument.data_type)),
                    placeholder: true,
                    in_path: false,
                    takes_several: takes_several(table, &argument.name),
                });
            }
        }
    }
    filters
}

/// A value in a list, in quotes where it would end too early or mean something else.
fn rest_item(value: &Value) -> Option<String> {
    let text = literal::rest(value)?;
    let is_word = |c: char| !",(){}\"\\".contains(c);
    if !text.is_empty() && text.chars().all(is_word) && !text.eq_ignore_ascii_case("null") {
        return Some(text);
    }
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    Some(format!("\"{escaped}\""))
}

fn takes_several(table: &Table, name: &str) -> bool {
    let is_argument = matches!(table.source, Source::Function { .. });
    let is_list = matches!(table.filter_type(name), Some(Type::List { .. }));
    is_argument && is_list && table.column(name).is_none()
}

/// A value that a client accepts for the type, to be replaced by the reader.
pub(super) fn placeholder(data_type: &Type) -> Value {
    match data_type {
        Type::Bool => Value::Bool(true),
        Type::Float32 | Type::Float64 => Value::Float("0.0".into()),
        Type::Binary => Value::Binary("00".into()),
        Type::Date => Value::Date("2026-01-01".into()),
        Type::Timestamp => Value::Timestamp("2026-01-01T00:00:00Z".into()),
        Type::Decimal { .. } => Value::Decimal("0".into()),
        Type::List { item, .. } => Value::List(vec![placeholder(item)]),
        data_type if data_type.is_integer() => Value::Int(0),
        _ => Value::String("...".into()),
    }
}

impl Filter {
    /// The value as our Python client takes it.
    pub(super) fn python(&self) -> Option<String> {
        let values = match &self.condition {
            Condition::Null => return Some("None".into()),
            Condition::NotANumber => return Some("float(\"nan\")".into()),
            Condition::Equals(value) => return literal::python_client(value),
            Condition::In { values, .. } => values,
        };
        let items: Option<Vec<String>> = values.iter().map(literal::python_client).collect();
        let mut items = items?;
        if matches!(self.condition, Condition::In { or_null: true, .. }) {
            items.push("None".into());
        }
        Some(format!("[{}]", items.join(", ")))
    }

    /// Name, operator and value, for names that aren't keywords of a call.
    pub(super) fn python_tuple(&self) -> Option<String> {
        let name = literal::python_string(&self.name);
        Some(match self.condition {
            Condition::Null => format!("({name}, \"is null\")"),
            Condition::In { .. } => format!("({name}, \"in\", {})", self.python()?),
            _ => format!("({name}, \"=\", {})", self.python()?),
        })
    }

    /// A condition of SQL.
    pub(super) fn sql(&self, dialect: Dialect) -> Option<String> {
        let name = literal::sql_name(&self.name);
        let write = |value: &Value| literal::sql(value, self.data_type.as_ref(), dialect);
        let mark = if self.placeholder {
            " /* your value */"
        } else {
            ""
        };
        Some(match &self.condition {
            Condition::Null => format!("{name} is null"),
            Condition::NotANumber => format!("isnan({name})"),
            Condition::Equals(Value::List(items)) if self.takes_several => {
                let item_type = literal::item_type(self.data_type.as_ref());
                let items: Option<Vec<String>> = items
                    .iter()
                    .map(|item| literal::sql(item, item_type, dialect))
                    .collect();
                let items = items.filter(|items| !items.is_empty())?;
                format!("{name} in ({}){mark}", items.join(", "))
            }
            Condition::Equals(value) => {
                format!("{name} = {}{mark}", write(value)?)
            }
            Condition::In { values, or_null } => {
                let values: Option<Vec<String>> = values.iter().map(write).collect();
                let any = format!("{name} in ({})", values?.join(", "));
                if *or_null {
                    format!("({any} or {name} is null)")
                } else {
                    any
                }
            }
        })
    }

    pub(super) fn data_type(&self) -> Option<&Type> {
        self.data_type.as_ref()
    }

    /// The condition behind `=` in an address of the REST door, not encoded. `None`: it can't be
    /// said there.
    pub(super) fn rest(&self) -> Option<String> {
        let name = self.name.as_str();
        let is_value = self.takes_several || self.data_type.as_ref().is_none_or(Type::is_scalar);
        if RESERVED.contains(&name) || name.contains("->") || name.contains('"') {
            return None;
        }
        let items = |values: &[Value]| {
            let items: Option<Vec<String>> = values.iter().map(rest_item).collect();
            Some(items?.join(","))
        };
        let list = |values: &[Value]| Some(format!("in.({})", items(values)?));
        match &self.condition {
            Condition::Null => Some("is.null".to_owned()),
            Condition::NotANumber => Some("eq.NaN".to_owned()),
            Condition::Equals(Value::List(items)) if self.takes_several => {
                list(items).filter(|_| !items.is_empty())
            }
            Condition::Equals(Value::List(values)) => Some(format!("eq.{{{}}}", items(values)?)),
            Condition::Equals(value) if is_value => Some(format!("eq.{}", literal::rest(value)?)),
            Condition::In {
                values,
                or_null: false,
            } => list(values),
            Condition::Equals(_) | Condition::In { .. } => None,
        }
    }

    /// A condition of polars.
    pub(super) fn polars(&self) -> Option<String> {
        if !literal::is_polars_name(&self.name) {
            return None;
        }
        let column = format!("pl.col({})", literal::python_string(&self.name));
        Some(match &self.condition {
            Condition::Null => format!("{column}.is_null()"),
            Condition::NotANumber => format!("{column}.is_nan()"),
            Condition::Equals(Value::Bool(true)) => column,
            Condition::Equals(Value::Bool(false)) => format!("~{column}"),
            // A bare list would be a column of rows to compare with one by one.
            Condition::Equals(value @ Value::List(items)) => {
                let data_type = self.data_type.as_ref().and_then(literal::polars_type);
                let python = literal::python(value)?;
                match data_type.filter(|_| items.is_empty()) {
                    Some(data_type) => format!("{column} == pl.lit({python}, dtype={data_type})"),
                    None => format!("{column} == pl.lit({python})"),
                }
            }
            Condition::Equals(value) => format!("{column} == {}", literal::python(value)?),
            Condition::In { values, or_null } => {
                let items: Option<Vec<String>> = values.iter().map(literal::python).collect();
                let items = items?;
                // `is_in` widens a column of 32-bit floats, and 0.1 is no longer found.
                let any = if matches!(self.data_type, Some(Type::Float32)) {
                    let equal: Vec<String> = items
                        .iter()
                        .map(|item| format!("({column} == {item})"))
                        .collect();
                    equal.join(" | ")
                } else {
                    format!("{column}.is_in([{}])", items.join(", "))
                };
                if *or_null {
                    format!("{any} | {column}.is_null()")
                } else {
                    any
                }
            }
        })
    }

    /// A condition of Spark.
    pub(super) fn spark(&self) -> Option<String> {
        let name = literal::python_string(&literal::spark_name(&self.name));
        let column = format!("F.col({name})");
        let write = |value: &Value| literal::spark(value, self.data_type.as_ref());
        Some(match &self.condition {
            Condition::Null => format!("{column}.isNull()"),
            Condition::NotANumber => format!("F.isnan({name})"),
            Condition::Equals(Value::Bool(true)) => column,
            Condition::Equals(Value::Bool(false)) => format!("~{column}"),
            Condition::Equals(value) => format!("{column} == {}", write(value)?),
            Condition::In { values, or_null } => {
                let items: Option<Vec<String>> = values.iter().map(write).collect();
                let any = format!("{column}.isin({})", items?.join(", "));
                if *or_null {
                    format!("{any} | {column}.isNull()")
                } else {
                    any
                }
            }
        })
    }

    /// A condition of `DataFusion`.
    pub(super) fn rust(&self) -> Option<String> {
        let column = literal::rust_column(&self.name);
        let write = |value: &Value| literal::rust_expression(value, self.data_type.as_ref());
        Some(match &self.condition {
            Condition::Null => format!("{column}.is_null()"),
            Condition::NotANumber => format!("isnan({column})"),
            Condition::Equals(value) => format!("{column}.eq({})", write(value)?),
            Condition::In { values, or_null } => {
                let items: Option<Vec<String>> = values.iter().map(write).collect();
                let any = format!("{column}.in_list(vec![{}], false)", items?.join(", "));
                if *or_null {
                    format!("{any}.or({column}.is_null())")
                } else {
                    any
                }
            }
        })
    }
}
