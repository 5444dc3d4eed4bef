//! A question about one table as data, and the one SQL text that it becomes.
//!
//! A door that has a language of its own for questions fills in a [`Select`]; with the columns of
//! the table it becomes a [`Statement`]. Names are looked up and quoted, values become parameters of
//! the column's own type: nothing that a client sends is ever read as SQL.

mod value;
mod write;

use neurolake_query::Request;
use neurolake_query::datafusion::common::{ParamValues, ScalarValue};
use serde_json::Value as Json;

pub(crate) use self::value::{is_scalar, to_text};

/// A question about one table.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Select {
    pub(crate) database: String,
    /// May name a version: `spikes@12`.
    pub(crate) table: String,
    /// Empty: every column.
    pub(crate) outputs: Vec<Output>,
    pub(crate) condition: Condition,
    /// Of rows that are equal in these only the first is kept. The order begins with them, if there
    /// is one.
    pub(crate) distinct_on: Vec<Path>,
    pub(crate) order: Vec<Order>,
    pub(crate) limit: Option<u64>,
    pub(crate) offset: u64,
}

/// A column of the answer. Where one is an aggregate, the others make the groups.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Output {
    pub(crate) name: String,
    pub(crate) value: Value,
    pub(crate) cast: Option<Cast>,
}

/// What a column of the answer holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Path(Path),
    /// Number of rows.
    Count,
    /// Over a path, cast before if wanted.
    Aggregate(Aggregate, Path, Option<Cast>),
}

/// Many values to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregate {
    /// Values that are not null.
    Count,
    Sum,
    Average,
    Minimum,
    Maximum,
    /// Different values that are not null.
    CountDistinct,
    /// Of the whole from a sample.
    Deviation,
    PopulationDeviation,
    /// Of the whole from a sample.
    Variance,
    PopulationVariance,
}

/// A type that values of the answer can be turned into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cast {
    Text,
    Bool,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Date,
    Timestamp,
}

/// A column, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) column: String,
    pub(crate) steps: Vec<Step>,
}

/// A way into a nested value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Field of a struct.
    Field(String),
    /// Element of a list, counted from 0; from the end if it is negative.
    Element(i32),
}

/// Which rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Condition {
    /// Of none: every row.
    All(Vec<Condition>),
    /// Of none: no row.
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Compare(Path, Comparison, Input),
    In(Path, Vec<Input>),
    Is(Path, State),
    Matches(Path, Pattern, String),
    /// About a list and some elements.
    Elements(Path, Overlap, Vec<Input>),
}

impl Default for Condition {
    fn default() -> Self {
        Self::All(Vec::new())
    }
}

/// How a value is compared. A null is neither equal nor unequal to anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// As `NotEqual`, where a null is a value like others.
    Distinct,
}

/// What a value can be without being compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Null,
    NotNull,
    True,
    False,
    Unknown,
}

/// How text is matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// `%` and `_` as in SQL.
    Like,
    /// The same, whatever the case.
    ILike,
    /// A regular expression.
    Regex,
    /// The same, whatever the case.
    IRegex,
}

/// How the elements of a list relate to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overlap {
    /// The list holds all of them.
    Contains,
    /// The list holds nothing else.
    Within,
    /// The list holds one of them at least.
    Some,
}

/// A value as a client wrote it; the column decides how it is read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Input {
    Text(String),
    Json(Json),
}

/// One key of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) path: Path,
    pub(crate) descending: bool,
    pub(crate) nulls_first: bool,
}

/// A statement of our own making: every value stands in the parameters.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Statement {
    pub(crate) sql: String,
    /// Of `$1`, `$2`...
    pub(crate) parameters: Vec<ScalarValue>,
}

impl From<Statement> for Request {
    fn from(statement: Statement) -> Self {
        let parameters = statement.parameters;
        Self {
            parameters: (!parameters.is_empty()).then(|| ParamValues::from(parameters)),
            ..Self::new(statement.sql)
        }
    }
}

impl Path {
    /// A whole column.
    pub(crate) fn column(name: impl Into<String>) -> Self {
        Self {
            column: name.into(),
            steps: Vec::new(),
        }
    }
}

impl Output {
    /// A whole column under its own name.
    pub(crate) fn column(name: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            value: Value::Path(Path::column(name.clone())),
            name,
            cast: None,
        }
    }

    /// Whether it is one value of many rows.
    pub(crate) fn is_aggregate(&self) -> bool {
        !matches!(self.value, Value::Path(_))
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.column)?;
        for step in &self.steps {
            match step {
                Step::Field(name) => write!(f, "->{name}")?,
                Step::Element(index) => write!(f, "->{index}")?,
            }
        }
        Ok(())
    }
}
