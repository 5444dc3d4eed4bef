//! `where`: from input objects to a condition, with Hasura's words.

use std::cell::Cell;

use async_graphql::{Pos, Value};

use super::columns::{Column, Kind, Table, TableArgument};
use super::document::did_you_mean;
use super::mistake::{Mistake, Result};
use crate::select::{Comparison, Condition, Input, Overlap, Path, Pattern, State, Step};

/// Operator that takes no value to compare with.
pub(crate) const IS_NULL: &str = "_is_null";

/// Conditions inside of conditions. The parser of SQL takes twice as long for each level, and hangs
/// from about 40 on.
const DEEPEST: usize = 12;

/// Comparisons of one `where`: planning takes time that grows much faster than their number.
const MOST_COMPARISONS: usize = 500;

/// What can be asked of a column.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Operator {
    Compare(Comparison),
    In {
        negated: bool,
    },
    IsNull,
    /// Of the elements of a list.
    Elements(Overlap),
    Match {
        pattern: Pattern,
        negated: bool,
    },
}

const fn matching(pattern: Pattern, negated: bool) -> Operator {
    Operator::Match { pattern, negated }
}

/// Every operator by its name.
pub(crate) const OPERATORS: [(&str, Operator); 17] = [
    ("_eq", Operator::Compare(Comparison::Equal)),
    ("_neq", Operator::Compare(Comparison::NotEqual)),
    ("_gt", Operator::Compare(Comparison::Greater)),
    ("_gte", Operator::Compare(Comparison::GreaterOrEqual)),
    ("_lt", Operator::Compare(Comparison::Less)),
    ("_lte", Operator::Compare(Comparison::LessOrEqual)),
    ("_in", Operator::In { negated: false }),
    ("_nin", Operator::In { negated: true }),
    (IS_NULL, Operator::IsNull),
    ("_like", matching(Pattern::Like, false)),
    ("_nlike", matching(Pattern::Like, true)),
    ("_ilike", matching(Pattern::ILike, false)),
    ("_nilike", matching(Pattern::ILike, true)),
    ("_regex", matching(Pattern::Regex, false)),
    ("_nregex", matching(Pattern::Regex, true)),
    ("_iregex", matching(Pattern::IRegex, false)),
    ("_niregex", matching(Pattern::IRegex, true)),
];

/// Every operator of a list of single values.
pub(crate) const LIST_OPERATORS: [(&str, Operator); 5] = [
    ("_eq", Operator::Compare(Comparison::Equal)),
    ("_neq", Operator::Compare(Comparison::NotEqual)),
    ("_contains", Operator::Elements(Overlap::Contains)),
    ("_contained_in", Operator::Elements(Overlap::Within)),
    (IS_NULL, Operator::IsNull),
];

/// The condition that a `where` states.
pub(crate) fn condition(table: &Table, value: &Value, place: Pos) -> Result<Condition> {
    let comparisons = Cell::new(0);
    let reader = Reader {
        place,
        depth: 0,
        comparisons: &comparisons,
    };
    reader.rows(&table.columns, None, value)
}

/// Arguments of a function table, which the engine takes from conditions.
pub(crate) fn arguments(table: &Table, value: &Value, place: Pos) -> Result<Condition> {
    let comparisons = Cell::new(0);
    let reader = Reader {
        place,
        depth: 0,
        comparisons: &comparisons,
    };
    let mut parts = Vec::new();
    for (name, value) in reader.object("args", value)? {
        let known = &table.arguments;
        let Some(argument) = known.iter().find(|argument| argument.name == *name) else {
            let message = format!("`{}` takes no argument `{name}`", table.name);
            let known = known.iter().map(|argument| argument.name.as_str());
            return Err(did_you_mean(Mistake::new(message, place), name, known));
        };
        if *value != Value::Null {
            parts.push(reader.argument(argument, value)?);
        }
    }
    Ok(Condition::All(parts))
}

struct Reader<'a> {
    place: Pos,
    depth: usize,
    comparisons: &'a Cell<usize>,
}

impl Reader<'_> {
    fn mistake(&self, message: impl Into<String>) -> Mistake {
        Mistake::new(message, self.place)
    }

    fn object<'a>(
        &self,
        what: &str,
        value: &'a Value,
    ) -> Result<impl Iterator<Item = (&'a str, &'a Value)> + use<'a>> {
        let Value::Object(entries) = value else {
            return Err(self.mistake(format!("`{what}` is no object, but {}", shown(value))));
        };
        Ok(entries.iter().map(|(name, value)| (name.as_str(), value)))
    }

    /// A condition on rows, or on a struct in them.
    fn rows(&self, columns: &[Column], parent: Option<&Path>, value: &Value) -> Result<Condition> {
        if *value == Value::Null {
            return Ok(Condition::default());
        }
        if self.depth > DEEPEST {
            return Err(self.mistake(format!("`where` is nested more than {DEEPEST} deep")));
        }
        let inside = Self {
            depth: self.depth + 1,
            ..*self
        };
        let mut parts = Vec::new();
        for (name, value) in self.object("where", value)? {
            parts.push(match name {
                "_and" => Condition::All(inside.several(columns, parent, value)?),
                "_or" | "_not" if *value == Value::Null => Condition::default(),
                "_or" => Condition::Any(inside.several(columns, parent, value)?),
                "_not" => not(inside.rows(columns, parent, value)?),
                _ => inside.column(columns, parent, name, value)?,
            });
        }
        Ok(one_of(parts))
    }

    fn several(
        &self,
        columns: &[Column],
        parent: Option<&Path>,
        value: &Value,
    ) -> Result<Vec<Condition>> {
        match value {
            Value::List(values) => {
                let parts = values.iter();
                parts
                    .map(|value| self.rows(columns, parent, value))
                    .collect()
            }
            Value::Null => Ok(Vec::new()),
            single => Ok(vec![self.rows(columns, parent, single)?]),
        }
    }

    fn column(
        &self,
        columns: &[Column],
        parent: Option<&Path>,
        name: &str,
        value: &Value,
    ) -> Result<Condition> {
        let Some(column) = columns.iter().find(|column| column.name == name) else {
            let known = columns.iter().map(|column| column.name.as_str());
            let known = known.chain(["_and", "_or", "_not"]);
            let mistake = self.mistake(format!("`where` knows no `{name}`"));
            return Err(did_you_mean(mistake, name, known));
        };
        let path = path_to(parent, column);
        if let Kind::Object(object) = &column.kind {
            return self.rows(&object.fields, Some(&path), value);
        }
        if *value == Value::Null {
            return Ok(Condition::default());
        }
        let mut parts = Vec::new();
        for (operator, value) in self.object(name, value)? {
            parts.push(self.operator(column, &path, operator, value)?);
        }
        Ok(one_of(parts))
    }

    fn operator(
        &self,
        column: &Column,
        path: &Path,
        name: &str,
        value: &Value,
    ) -> Result<Condition> {
        self.comparisons.set(self.comparisons.get() + 1);
        if self.comparisons.get() > MOST_COMPARISONS {
            return Err(self
                .mistake(format!(
                    "`where` has more than {MOST_COMPARISONS} comparisons"
                ))
                .with_hint("`_in` compares with any number of values"));
        }
        let is_list = matches!(column.kind, Kind::List(_));
        let column = column.name.as_str();
        let known: &[(&str, Operator)] = if is_list { &LIST_OPERATORS } else { &OPERATORS };
        let Some((_, operator)) = known.iter().find(|(known, _)| *known == name) else {
            let mistake = self.mistake(format!("there is no operator `{name}` for `{column}`"));
            let known = known.iter().map(|(known, _)| *known);
            return Err(did_you_mean(mistake, name, known));
        };
        if *value == Value::Null {
            return Err(self
                .mistake(format!("`{column}` is compared with null by `{name}`"))
                .with_hint(format!(
                    "write `{column}: {{{IS_NULL}: true}}`, or leave the condition out"
                )));
        }
        let path = path.clone();
        Ok(match *operator {
            Operator::Compare(comparison) if is_list => {
                Condition::Compare(path, comparison, self.whole(value)?)
            }
            Operator::Compare(comparison) => {
                Condition::Compare(path, comparison, self.single(column, value)?)
            }
            Operator::Elements(overlap) => {
                Condition::Elements(path, overlap, self.list(column, value)?)
            }
            Operator::In { negated } => {
                let among = Condition::In(path, self.list(column, value)?);
                if negated { not(among) } else { among }
            }
            Operator::IsNull => match value {
                Value::Boolean(true) => Condition::Is(path, State::Null),
                Value::Boolean(false) => Condition::Is(path, State::NotNull),
                other => {
                    return Err(self.mistake(format!(
                        "`{name}` of `{column}` is no boolean, but {}",
                        shown(other)
                    )));
                }
            },
            Operator::Match { pattern, negated } => {
                let Value::String(text) = value else {
                    return Err(self.mistake(format!(
                        "`{name}` of `{column}` is no string, but {}",
                        shown(value)
                    )));
                };
                let found = Condition::Matches(path, pattern, text.clone());
                if negated { not(found) } else { found }
            }
        })
    }

    fn argument(&self, argument: &TableArgument, value: &Value) -> Result<Condition> {
        let path = Path::column(&argument.stored);
        if argument.is_list {
            return Ok(Condition::In(path, self.list(&argument.name, value)?));
        }
        let value = self.single(&argument.name, value)?;
        Ok(Condition::Compare(path, Comparison::Equal, value))
    }

    fn list(&self, column: &str, value: &Value) -> Result<Vec<Input>> {
        match value {
            Value::List(values) => {
                let values = values.iter();
                values.map(|value| self.single(column, value)).collect()
            }
            single => Ok(vec![self.single(column, single)?]),
        }
    }

    fn whole(&self, value: &Value) -> Result<Input> {
        let value = value.clone().into_json();
        let value = value.map_err(|error| self.mistake(error.to_string()))?;
        Ok(Input::Json(value))
    }

    fn single(&self, column: &str, value: &Value) -> Result<Input> {
        match value {
            Value::String(_) | Value::Number(_) | Value::Boolean(_) => self.whole(value),
            other => Err(self.mistake(format!(
                "`{column}` is compared with {}, which is no single value",
                shown(other)
            ))),
        }
    }
}

/// The path to a column, or to a field of the struct at `parent`.
pub(crate) fn path_to(parent: Option<&Path>, column: &Column) -> Path {
    match parent {
        None => Path::column(&column.stored),
        Some(parent) => {
            let mut path = parent.clone();
            path.steps.push(Step::Field(column.stored.clone()));
            path
        }
    }
}

fn not(condition: Condition) -> Condition {
    Condition::Not(Box::new(condition))
}

/// All of the parts; a part alone stays as it is.
fn one_of(mut parts: Vec<Condition>) -> Condition {
    match (parts.pop(), parts.is_empty()) {
        (Some(only), true) => only,
        (Some(last), false) => {
            parts.push(last);
            Condition::All(parts)
        }
        (None, _) => Condition::default(),
    }
}

/// A value in an error: short, whatever it is.
pub(crate) fn shown(value: &Value) -> String {
    const LONGEST: usize = 60;
    match value {
        Value::List(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => {
            let mut text = other.to_string();
            if text.len() > LONGEST {
                text.truncate(text.floor_char_boundary(LONGEST));
                text.push_str("...");
            }
            format!("`{text}`")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::columns::tests::animals;
    use super::*;

    fn read(json: &str) -> Result<Condition> {
        let value: Value = serde_json::from_str(json).expect("a value");
        condition(&animals(), &value, Pos::default())
    }

    #[test]
    fn conditions_are_joined_as_they_are_nested() {
        let id = |comparison, value: i32| {
            Condition::Compare(
                Path::column("id"),
                comparison,
                Input::Json(serde_json::json!(value)),
            )
        };
        let x = Path {
            column: "point".into(),
            steps: vec![Step::Field("x".into())],
        };
        for (json, expected) in [
            ("null", Condition::All(vec![])),
            ("{}", Condition::All(vec![])),
            (r#"{"id": {}}"#, Condition::All(vec![])),
            (r#"{"id": {"_eq": 1}}"#, id(Comparison::Equal, 1)),
            (
                r#"{"_or": [{"id": {"_gt": 1, "_lt": 3}}, {"_not": {"id": {"_neq": 7}}}]}"#,
                Condition::Any(vec![
                    Condition::All(vec![id(Comparison::Greater, 1), id(Comparison::Less, 3)]),
                    not(id(Comparison::NotEqual, 7)),
                ]),
            ),
            (r#"{"_or": []}"#, Condition::Any(vec![])),
            (
                r#"{"_and": [{"id": {"_lte": 2}}]}"#,
                Condition::All(vec![id(Comparison::LessOrEqual, 2)]),
            ),
            (
                r#"{"point": {"x": {"_is_null": true}}}"#,
                Condition::Is(x, State::Null),
            ),
            (
                r#"{"tags": {"_is_null": false}}"#,
                Condition::Is(Path::column("tags"), State::NotNull),
            ),
            (
                r#"{"tags": {"_contains": "a", "_eq": ["a", null]}}"#,
                Condition::All(vec![
                    Condition::Elements(
                        Path::column("tags"),
                        Overlap::Contains,
                        vec![Input::Json(serde_json::json!("a"))],
                    ),
                    Condition::Compare(
                        Path::column("tags"),
                        Comparison::Equal,
                        Input::Json(serde_json::json!(["a", null])),
                    ),
                ]),
            ),
            (
                r#"{"name": {"_nin": ["a"]}}"#,
                not(Condition::In(
                    Path::column("name"),
                    vec![Input::Json(serde_json::json!("a"))],
                )),
            ),
            (
                r#"{"name": {"_niregex": "^a"}}"#,
                not(Condition::Matches(
                    Path::column("name"),
                    Pattern::IRegex,
                    "^a".into(),
                )),
            ),
            (
                r#"{"Total____": {"_is_null": true}}"#,
                Condition::Is(Path::column("Total ($)"), State::Null),
            ),
        ] {
            let found = read(json).map_err(|mistake| mistake.error.message);
            assert_eq!(found, Ok(expected), "{json}");
        }
    }

    #[test]
    fn conditions_are_nested_only_so_deep() {
        let nested = |depth: usize| {
            let (open, close) = (r#"{"_not": "#.repeat(depth), "}".repeat(depth));
            read(&format!("{open}{{\"id\": {{\"_eq\": 1}}}}{close}"))
        };
        assert!(nested(DEEPEST).is_ok());
        let mistake = nested(DEEPEST + 1).expect_err("a refusal");
        assert_eq!(mistake.error.message, "`where` is nested more than 12 deep");
    }

    #[test]
    fn mistakes_are_named() {
        for (json, expected, hint) in [
            (
                r#"{"idd": {"_eq": 1}}"#,
                "`where` knows no `idd`",
                "did you mean `id`?",
            ),
            (
                r#"{"id": {"_ilkie": 1}}"#,
                "there is no operator `_ilkie` for `id`",
                "did you mean `_ilike`?",
            ),
            (
                r#"{"id": {"_eq": null}}"#,
                "`id` is compared with null by `_eq`",
                "write `id: {_is_null: true}`, or leave the condition out",
            ),
            (r#"{"id": 7}"#, "`id` is no object, but `7`", ""),
            ("[1]", "`where` is no object, but a list", ""),
            (
                r#"{"id": {"_in": [[1]]}}"#,
                "`id` is compared with a list, which is no single value",
                "",
            ),
            (
                r#"{"id": {"_is_null": 1}}"#,
                "`_is_null` of `id` is no boolean, but `1`",
                "",
            ),
            (
                r#"{"name": {"_like": 1}}"#,
                "`_like` of `name` is no string, but `1`",
                "",
            ),
        ] {
            let mistake = read(json).expect_err(json);
            assert_eq!(mistake.error.message, expected);
            assert_eq!(mistake.error.hint.unwrap_or_default(), hint);
        }
    }
}
