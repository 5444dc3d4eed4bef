//! From a question to SQL: names are looked up and quoted, values become parameters.

use std::collections::HashSet;
use std::fmt::Write as _;

use neurolake_query::datafusion::arrow::datatypes::{DataType, Schema};
use neurolake_query::datafusion::common::ScalarValue;
use neurolake_query::schema::words;
use neurolake_query::{Error, Kind, Result};

use super::value::{element, is_scalar, is_text, plain, read};
use super::{
    Aggregate, Cast, Comparison, Condition, Input, Order, Output, Overlap, Path, Pattern, Select,
    State, Statement, Step, Value,
};

impl Select {
    /// The statement that answers the question about a table of these columns.
    ///
    /// # Errors
    /// A name or a value is wrong; the message says which, and what there is.
    pub(crate) fn statement(&self, schema: &Schema) -> Result<Statement> {
        let mut writer = Writer::new(self, schema);
        writer.rows()?;
        Ok(writer.finish())
    }

    /// The statement that counts the rows, without limit and offset.
    ///
    /// # Errors
    /// As for [`Select::statement`].
    pub(crate) fn count(&self, schema: &Schema) -> Result<Statement> {
        let mut writer = Writer::new(self, schema);
        if self.outputs.iter().any(Output::is_aggregate) {
            writer.text("select count(*) as \"count\" from (");
            writer.groups()?;
            writer.text(") as \"groups\"");
        } else {
            writer.text("select count(*) as \"count\"");
            writer.source()?;
        }
        Ok(writer.finish())
    }

    /// The statement that makes one row of the rows that the question selects.
    ///
    /// # Errors
    /// As for [`Select::statement`].
    pub(crate) fn aggregated(&self, aggregates: &[Output], schema: &Schema) -> Result<Statement> {
        let mut writer = Writer::new(self, schema);
        writer.text("select ");
        writer.outputs(aggregates)?;
        writer.text(" from (");
        writer.rows()?;
        // Columns of the rows are named as those of the table.
        let _ = write!(writer.sql, ") as {TABLE}");
        Ok(writer.finish())
    }

    /// The type of a column or of a part of one.
    ///
    /// # Errors
    /// There is no such column or part.
    pub(crate) fn type_of(&self, schema: &Schema, path: &Path) -> Result<DataType> {
        let (_, data_type) = Writer::new(self, schema).place(path)?;
        Ok(data_type)
    }
}

/// The table in the statement. Columns are named with it: alone, a name in `order by` would be that
/// of an output.
const TABLE: &str = "\"t\"";

/// The name in double quotes.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

struct Writer<'a> {
    select: &'a Select,
    schema: &'a Schema,
    sql: String,
    parameters: Vec<ScalarValue>,
}

impl<'a> Writer<'a> {
    fn new(select: &'a Select, schema: &'a Schema) -> Self {
        Self {
            select,
            schema,
            sql: String::new(),
            parameters: Vec::new(),
        }
    }

    fn finish(self) -> Statement {
        Statement {
            sql: self.sql,
            parameters: self.parameters,
        }
    }

    fn text(&mut self, text: &str) {
        self.sql.push_str(text);
    }

    fn parameter(&mut self, value: ScalarValue) {
        self.parameters.push(value);
        let _ = write!(self.sql, "${}", self.parameters.len());
    }

    fn rows(&mut self) -> Result<()> {
        self.groups()?;
        let select = self.select;
        for (index, key) in select.order.iter().enumerate() {
            self.text(if index == 0 { " order by " } else { ", " });
            self.order(key)?;
        }
        if let Some(limit) = select.limit {
            let _ = write!(self.sql, " limit {limit}");
        }
        if select.offset > 0 {
            let _ = write!(self.sql, " offset {}", select.offset);
        }
        Ok(())
    }

    /// Everything but order and limits.
    fn groups(&mut self) -> Result<()> {
        let outputs = &self.select.outputs;
        check_names(outputs)?;
        self.text("select ");
        self.distinct_on()?;
        if outputs.is_empty() {
            self.text("*");
        }
        self.outputs(outputs)?;
        self.source()?;
        if outputs.iter().any(Output::is_aggregate) {
            self.group_by()?;
        }
        Ok(())
    }

    fn distinct_on(&mut self) -> Result<()> {
        for (index, path) in self.select.distinct_on.iter().enumerate() {
            self.text(if index == 0 { "distinct on (" } else { ", " });
            let place = self.place(path)?.0;
            self.text(&place);
        }
        if !self.select.distinct_on.is_empty() {
            self.text(") ");
        }
        Ok(())
    }

    fn outputs(&mut self, outputs: &[Output]) -> Result<()> {
        for (index, output) in outputs.iter().enumerate() {
            if index > 0 {
                self.text(", ");
            }
            self.output(output)?;
        }
        Ok(())
    }

    fn source(&mut self) -> Result<()> {
        let select = self.select;
        let table = format!("{}.{}", quoted(&select.database), quoted(&select.table));
        let _ = write!(self.sql, " from {table} as {TABLE}");
        if select.condition != Condition::default() {
            self.text(" where ");
            self.condition(&select.condition)?;
        }
        Ok(())
    }

    fn group_by(&mut self) -> Result<()> {
        let mut separator = " group by ";
        for output in &self.select.outputs {
            if let Value::Path(path) = &output.value {
                self.text(separator);
                let place = self.place(path)?.0;
                self.text(&place);
                separator = ", ";
            }
        }
        Ok(())
    }

    fn output(&mut self, output: &Output) -> Result<()> {
        let value = match &output.value {
            Value::Path(path) => {
                let (place, data_type) = self.place(path)?;
                if output.cast.is_some() {
                    check_scalar(path, &data_type, "cast")?;
                }
                place
            }
            Value::Count => "count(*)".to_owned(),
            Value::Aggregate(aggregate, path, cast) => self.aggregate(*aggregate, path, *cast)?,
        };
        self.text(&cast(value, output.cast));
        self.text(" as ");
        self.text(&quoted(&output.name));
        Ok(())
    }

    fn aggregate(&self, aggregate: Aggregate, path: &Path, before: Option<Cast>) -> Result<String> {
        let (place, data_type) = self.place(path)?;
        if !matches!(aggregate, Aggregate::Count | Aggregate::CountDistinct) {
            check_scalar(path, &data_type, aggregate.name())?;
        }
        let needs_number = !matches!(
            aggregate,
            Aggregate::Count | Aggregate::CountDistinct | Aggregate::Minimum | Aggregate::Maximum
        );
        if needs_number && before.is_none() && !plain(&data_type).is_numeric() {
            return Err(wrong_type(path, &data_type, aggregate.name(), "numbers"));
        }
        let distinct = match aggregate {
            Aggregate::CountDistinct => "distinct ",
            _ => "",
        };
        let value = cast(place, before);
        Ok(format!("{}({distinct}{value})", aggregate.name()))
    }

    fn order(&mut self, key: &Order) -> Result<()> {
        let place = self.place(&key.path)?.0;
        let direction = if key.descending { "desc" } else { "asc" };
        let nulls = if key.nulls_first { "first" } else { "last" };
        let _ = write!(self.sql, "{place} {direction} nulls {nulls}");
        Ok(())
    }

    fn condition(&mut self, condition: &Condition) -> Result<()> {
        match condition {
            Condition::All(parts) => self.joined(parts, " and ", "true"),
            Condition::Any(parts) => self.joined(parts, " or ", "false"),
            Condition::Not(inner) => {
                self.text("not (");
                self.condition(inner)?;
                self.text(")");
                Ok(())
            }
            Condition::Compare(path, comparison, input) => self.compare(path, *comparison, input),
            Condition::In(path, inputs) => self.one_of(path, inputs),
            Condition::Is(path, state) => self.is(path, *state),
            Condition::Matches(path, pattern, text) => self.matches(path, *pattern, text),
            Condition::Elements(path, overlap, inputs) => self.elements(path, *overlap, inputs),
        }
    }

    fn joined(&mut self, parts: &[Condition], word: &str, of_none: &str) -> Result<()> {
        if parts.is_empty() {
            self.text(of_none);
        }
        for (index, part) in parts.iter().enumerate() {
            self.text(if index == 0 { "(" } else { word });
            self.condition(part)?;
        }
        if !parts.is_empty() {
            self.text(")");
        }
        Ok(())
    }

    fn compare(&mut self, path: &Path, comparison: Comparison, input: &Input) -> Result<()> {
        let (place, data_type) = self.place(path)?;
        if !element(&data_type).is_some_and(is_scalar) {
            check_scalar(path, &data_type, "compare")?;
        }
        let value = value(path, &data_type, input)?;
        let _ = write!(self.sql, "{place} {} ", comparison.sign());
        self.parameter(value);
        Ok(())
    }

    fn one_of(&mut self, path: &Path, inputs: &[Input]) -> Result<()> {
        let (place, data_type) = self.place(path)?;
        check_scalar(path, &data_type, "compare")?;
        if inputs.is_empty() {
            self.text("false");
            return Ok(());
        }
        let _ = write!(self.sql, "{place} in ");
        self.list(path, &data_type, inputs)
    }

    /// `($1, $2)`
    fn list(&mut self, path: &Path, data_type: &DataType, inputs: &[Input]) -> Result<()> {
        for (index, input) in inputs.iter().enumerate() {
            let value = value(path, data_type, input)?;
            self.text(if index == 0 { "(" } else { ", " });
            self.parameter(value);
        }
        self.text(")");
        Ok(())
    }

    fn is(&mut self, path: &Path, state: State) -> Result<()> {
        let (place, data_type) = self.place(path)?;
        let about_truth = matches!(state, State::True | State::False | State::Unknown);
        if about_truth && *plain(&data_type) != DataType::Boolean {
            return Err(wrong_type(path, &data_type, state.words(), "bool"));
        }
        let _ = write!(self.sql, "{place} is {}", state.words());
        Ok(())
    }

    fn matches(&mut self, path: &Path, pattern: Pattern, text: &str) -> Result<()> {
        let (place, data_type) = self.place(path)?;
        if !is_text(&data_type) {
            return Err(wrong_type(path, &data_type, pattern.name(), "string"));
        }
        let _ = write!(self.sql, "{place} {} ", pattern.sign());
        self.parameter(ScalarValue::Utf8(Some(text.to_owned())));
        Ok(())
    }

    fn elements(&mut self, path: &Path, overlap: Overlap, inputs: &[Input]) -> Result<()> {
        let (place, data_type) = self.place(path)?;
        let Some(item) = element(&data_type).filter(|item| is_scalar(item)) else {
            return Err(wrong_type(path, &data_type, "elements", "a list of values"));
        };
        match overlap {
            Overlap::Within if inputs.is_empty() => {
                let _ = write!(self.sql, "cardinality({place}) = 0");
            }
            Overlap::Within => {
                self.text("array_has_all(make_array");
                self.list(path, item, inputs)?;
                let _ = write!(self.sql, ", {place})");
            }
            Overlap::Contains => self.has(&place, path, item, inputs, " and ")?,
            Overlap::Some => self.has(&place, path, item, inputs, " or ")?,
        }
        Ok(())
    }

    fn has(
        &mut self,
        place: &str,
        path: &Path,
        item: &DataType,
        inputs: &[Input],
        word: &str,
    ) -> Result<()> {
        // Every list contains nothing, and shares nothing with it.
        let _ = write!(self.sql, "({place} is not null");
        if inputs.is_empty() && word == " or " {
            self.text(" and false");
        }
        for (index, input) in inputs.iter().enumerate() {
            let value = value(path, item, input)?;
            self.text(if index == 0 { " and (" } else { word });
            let _ = write!(self.sql, "array_has({place}, ");
            self.parameter(value);
            self.text(")");
        }
        self.text(if inputs.is_empty() { ")" } else { "))" });
        Ok(())
    }

    /// The SQL of a path, and its type.
    fn place(&self, path: &Path) -> Result<(String, DataType)> {
        let names = || {
            self.schema
                .fields()
                .iter()
                .map(|field| field.name().as_str())
        };
        let Ok(field) = self.schema.field_with_name(&path.column) else {
            let table = format!("{}.{}", self.select.database, self.select.table);
            return Err(Error::unknown_column(&path.column, &table, names()));
        };
        let mut sql = format!("{TABLE}.{}", quoted(field.name()));
        let mut data_type = field.data_type().clone();
        for (index, step) in path.steps.iter().enumerate() {
            let part = |data_type| step_into(step, data_type);
            data_type = part(&data_type).ok_or_else(|| {
                let parent = Path {
                    column: path.column.clone(),
                    steps: path.steps[..index].to_vec(),
                };
                no_part(&parent, &data_type, step)
            })?;
            match step {
                Step::Field(name) => {
                    let _ = write!(sql, "['{}']", name.replace('\'', "''"));
                }
                // SQL counts from 1.
                Step::Element(index) => {
                    let _ = write!(sql, "[{}]", i64::from(*index) + i64::from(*index >= 0));
                }
            }
        }
        Ok((sql, data_type))
    }
}

/// Rows are objects, which can't say a name twice.
fn check_names(outputs: &[Output]) -> Result<()> {
    let mut known = HashSet::new();
    match outputs.iter().find(|output| !known.insert(&output.name)) {
        None => Ok(()),
        Some(output) => Err(Error::new(
            Kind::BadRequest,
            format!("two columns of the answer are called `{}`", output.name),
        )
        .with_hint("give one another name")),
    }
}

fn step_into(step: &Step, data_type: &DataType) -> Option<DataType> {
    match (step, plain(data_type)) {
        (Step::Field(name), DataType::Struct(fields)) => {
            let (_, field) = fields.find(name)?;
            Some(field.data_type().clone())
        }
        (Step::Element(_), other) => element(other).cloned(),
        _ => None,
    }
}

fn no_part(parent: &Path, data_type: &DataType, step: &Step) -> Error {
    match (step, plain(data_type)) {
        (Step::Field(name), DataType::Struct(fields)) => {
            let names = fields.iter().map(|field| field.name().as_str());
            Error::unknown_column(name, &parent.to_string(), names)
        }
        _ => Error::new(
            Kind::BadRequest,
            format!("`{parent}` is {}, which has no such part", words(data_type)),
        )
        .with_hint("`->name` leads to a field of a struct, `->0` to an element of a list"),
    }
}

fn value(path: &Path, data_type: &DataType, input: &Input) -> Result<ScalarValue> {
    read(input, data_type).ok_or_else(|| {
        let shown = match input {
            Input::Text(text) => text.clone(),
            Input::Json(json) => json.to_string(),
        };
        let error = Error::new(
            Kind::BadRequest,
            format!("`{shown}` is no {}, which `{path}` holds", words(data_type)),
        );
        match example(data_type) {
            Some(example) => error.with_hint(format!("write it like `{example}`")),
            None => error,
        }
    })
}

/// How a value of this type is written, where that needs to be said.
fn example(data_type: &DataType) -> Option<&'static str> {
    Some(match plain(data_type) {
        DataType::Boolean => "true",
        DataType::Date32 | DataType::Date64 => "2026-03-01",
        DataType::Timestamp(..) => "2026-03-01T09:30:00Z",
        DataType::Decimal128(..) => "1.50",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "00ff",
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => "{1,2}",
        _ => return None,
    })
}

fn check_scalar(path: &Path, data_type: &DataType, verb: &str) -> Result<()> {
    if is_scalar(data_type) {
        return Ok(());
    }
    let error = wrong_type(path, data_type, verb, "single values");
    Err(match plain(data_type) {
        DataType::Struct(fields) => match fields.first() {
            Some(field) => error.with_hint(format!("name a field: `{path}->{}`", field.name())),
            None => error,
        },
        DataType::Map(..) => error,
        _ => error.with_hint(format!("name an element: `{path}->0`")),
    })
}

fn wrong_type(path: &Path, data_type: &DataType, what: &str, wanted: &str) -> Error {
    Error::new(
        Kind::BadRequest,
        format!(
            "`{what}` is for {wanted}, and `{path}` is {}",
            words(data_type)
        ),
    )
}

fn cast(value: String, cast: Option<Cast>) -> String {
    match cast {
        None => value,
        Some(cast) => format!("cast({value} as {})", cast.name()),
    }
}

impl Cast {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "varchar",
            Self::Bool => "boolean",
            Self::Int16 => "smallint",
            Self::Int32 => "integer",
            Self::Int64 => "bigint",
            Self::Float32 => "real",
            Self::Float64 => "double",
            Self::Date => "date",
            Self::Timestamp => "timestamp with time zone",
        }
    }
}

impl Aggregate {
    /// The name of the function, which is also the name of what it gives.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Count | Self::CountDistinct => "count",
            Self::Sum => "sum",
            Self::Average => "avg",
            Self::Minimum => "min",
            Self::Maximum => "max",
            Self::Deviation => "stddev_samp",
            Self::PopulationDeviation => "stddev_pop",
            Self::Variance => "var_samp",
            Self::PopulationVariance => "var_pop",
        }
    }
}

impl Comparison {
    fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Distinct => "is distinct from",
        }
    }
}

impl State {
    fn words(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::NotNull => "not null",
            Self::True => "true",
            Self::False => "false",
            Self::Unknown => "unknown",
        }
    }
}

impl Pattern {
    fn name(self) -> &'static str {
        match self {
            Self::Like => "like",
            Self::ILike => "ilike",
            Self::Regex => "match",
            Self::IRegex => "imatch",
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Like => "like",
            Self::ILike => "ilike",
            Self::Regex => "~",
            Self::IRegex => "~*",
        }
    }
}

#[cfg(test)]
mod tests {
    use neurolake_query::datafusion::arrow::datatypes::Field;

    use super::*;

    fn schema() -> Schema {
        let point = DataType::Struct(vec![Field::new("x", DataType::Float64, true)].into());
        Schema::new(vec![
            Field::new("id", DataType::Int32, true),
            Field::new("na\"me", DataType::Utf8, true),
            Field::new("is_on", DataType::Boolean, true),
            Field::new("tags", DataType::new_list(DataType::Utf8, true), true),
            Field::new("point", point, true),
        ])
    }

    fn select(condition: Condition) -> Select {
        Select {
            database: "lab".into(),
            table: "animals".into(),
            condition,
            ..Select::default()
        }
    }

    fn text(text: &str) -> Input {
        Input::Text(text.into())
    }

    fn path(column: &str) -> Path {
        Path::column(column)
    }

    fn sql(select: &Select) -> String {
        select.statement(&schema()).unwrap().sql
    }

    fn message(condition: Condition) -> String {
        let error = select(condition).statement(&schema()).unwrap_err();
        let hint = error.hint.clone().unwrap_or_default();
        format!("{error}; {hint}")
    }

    #[test]
    fn names_are_quoted_and_values_are_parameters() {
        let evil = "x' or '1' = '1";
        let question = select(Condition::All(vec![
            Condition::Compare(path("na\"me"), Comparison::Equal, text(evil)),
            Condition::In(path("id"), vec![text("1"), text("2")]),
        ]));
        let statement = question.statement(&schema()).unwrap();
        assert_eq!(
            statement.sql,
            "select * from \"lab\".\"animals\" as \"t\" where (\"t\".\"na\"\"me\" = $1 and \"t\".\"id\" in ($2, $3))"
        );
        assert_eq!(
            statement.parameters,
            [
                ScalarValue::Utf8(Some(evil.into())),
                ScalarValue::Int32(Some(1)),
                ScalarValue::Int32(Some(2)),
            ]
        );
    }

    #[test]
    fn every_condition_has_its_sql() {
        let x = || Path {
            column: "point".into(),
            steps: vec![Step::Field("x".into())],
        };
        for (condition, expected) in [
            (Condition::Any(vec![]), "false"),
            (
                Condition::Not(Box::new(Condition::Any(vec![
                    Condition::Is(path("id"), State::Null),
                    Condition::Is(path("is_on"), State::Unknown),
                ]))),
                "not ((\"t\".\"id\" is null or \"t\".\"is_on\" is unknown))",
            ),
            (Condition::In(path("id"), vec![]), "false"),
            (
                Condition::Compare(x(), Comparison::Distinct, text("1.5")),
                "\"t\".\"point\"['x'] is distinct from $1",
            ),
            (
                Condition::Matches(path("na\"me"), Pattern::IRegex, "^a".into()),
                "\"t\".\"na\"\"me\" ~* $1",
            ),
            (
                Condition::Elements(path("tags"), Overlap::Contains, vec![text("a"), text("b")]),
                "(\"t\".\"tags\" is not null and (array_has(\"t\".\"tags\", $1) and array_has(\"t\".\"tags\", $2)))",
            ),
            (
                Condition::Elements(path("tags"), Overlap::Some, vec![]),
                "(\"t\".\"tags\" is not null and false)",
            ),
            (
                Condition::Elements(path("tags"), Overlap::Within, vec![text("a")]),
                "array_has_all(make_array($1), \"t\".\"tags\")",
            ),
        ] {
            let sql = sql(&select(condition));
            assert_eq!(sql.split_once(" where ").unwrap().1, expected);
        }
    }

    #[test]
    fn aggregates_make_groups_of_the_other_columns() {
        let question = Select {
            outputs: vec![
                Output::column("is_on"),
                Output {
                    name: "mean".into(),
                    value: Value::Aggregate(Aggregate::Average, path("id"), Some(Cast::Float64)),
                    cast: Some(Cast::Text),
                },
                Output {
                    name: "count".into(),
                    value: Value::Count,
                    cast: None,
                },
            ],
            order: vec![Order {
                path: path("is_on"),
                descending: true,
                nulls_first: true,
            }],
            limit: Some(5),
            offset: 10,
            ..select(Condition::default())
        };
        assert_eq!(
            sql(&question),
            "select \"t\".\"is_on\" as \"is_on\", cast(avg(cast(\"t\".\"id\" as double)) as varchar) as \"mean\", \
             count(*) as \"count\" from \"lab\".\"animals\" as \"t\" group by \"t\".\"is_on\" \
             order by \"t\".\"is_on\" desc nulls first limit 5 offset 10"
        );
        let count = question.count(&schema()).unwrap().sql;
        assert!(
            count.starts_with("select count(*) as \"count\" from (select"),
            "{count}"
        );
        assert!(!count.contains("limit"), "{count}");
    }

    #[test]
    fn aggregates_can_be_of_the_rows_that_a_limit_leaves() {
        let question = Select {
            outputs: vec![Output::column("id")],
            distinct_on: vec![path("is_on"), path("id")],
            limit: Some(5),
            ..select(Condition::default())
        };
        let of_id = |aggregate: Aggregate| Output {
            name: aggregate.name().into(),
            value: Value::Aggregate(aggregate, path("id"), None),
            cast: None,
        };
        let aggregates = [of_id(Aggregate::CountDistinct), of_id(Aggregate::Deviation)];
        let statement = question.aggregated(&aggregates, &schema()).unwrap();
        assert_eq!(
            statement.sql,
            "select count(distinct \"t\".\"id\") as \"count\", stddev_samp(\"t\".\"id\") as \"stddev_samp\" \
             from (select distinct on (\"t\".\"is_on\", \"t\".\"id\") \"t\".\"id\" as \"id\" \
             from \"lab\".\"animals\" as \"t\" limit 5) as \"t\""
        );
    }

    #[test]
    fn mistakes_are_named_with_what_there_is() {
        for (condition, expected) in [
            (
                Condition::Compare(path("idd"), Comparison::Equal, text("1")),
                "there is no column `idd` in `lab.animals`; did you mean `id`?",
            ),
            (
                Condition::Compare(path("id"), Comparison::Equal, text("seven")),
                "`seven` is no int32, which `id` holds; ",
            ),
            (
                Condition::Compare(path("is_on"), Comparison::Equal, text("yes")),
                "`yes` is no bool, which `is_on` holds; write it like `true`",
            ),
            (
                Condition::Matches(path("id"), Pattern::Like, "1%".into()),
                "`like` is for string, and `id` is int32; ",
            ),
            (
                Condition::Is(path("id"), State::True),
                "`true` is for bool, and `id` is int32; ",
            ),
            (
                Condition::Compare(path("point"), Comparison::Equal, text("1")),
                "`compare` is for single values, and `point` is struct; name a field: `point->x`",
            ),
            (
                Condition::Compare(path("tags"), Comparison::Equal, text("a")),
                "`a` is no list<string>, which `tags` holds; write it like `{1,2}`",
            ),
        ] {
            assert_eq!(message(condition), expected);
        }
    }

    #[test]
    fn an_element_is_counted_from_0_and_from_the_end() {
        for (index, expected) in [(0, "[1]"), (2, "[3]"), (-1, "[-1]")] {
            let step = Path {
                column: "tags".into(),
                steps: vec![Step::Element(index)],
            };
            let (place, data_type) = Writer::new(&select(Condition::default()), &schema())
                .place(&step)
                .unwrap();
            assert_eq!(place, format!("\"t\".\"tags\"{expected}"));
            assert_eq!(data_type, DataType::Utf8);
        }
    }
}
