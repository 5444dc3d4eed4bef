//! PostgREST's small languages: what stands behind `?`, as a question.

use neurolake_query::{Error, Kind, Result};

use crate::select::{
    Aggregate, Cast, Comparison, Condition, Input, Order, Output, Overlap, Path, Pattern, State,
    Step, Value,
};

/// Conditions inside of conditions; deeper ones are an attack on the stack.
const DEEPEST: usize = 32;

/// A column of the answer as it was asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Selected {
    /// `*`
    Every,
    One(Output),
}

const OPERATORS: &str =
    "eq, neq, gt, gte, lt, lte, like, ilike, match, imatch, in, is, isdistinct, cs, cd, ov";

/// `select=a,alias:b->c::text,d.sum()`
pub(super) fn select(text: &str) -> Result<Vec<Selected>> {
    let mut reader = Reader::new("select", text);
    let mut all = Vec::new();
    if text.is_empty() {
        return Ok(all);
    }
    loop {
        all.push(reader.selected()?);
        if reader.is_at_end() {
            return Ok(all);
        }
        reader.expect(',')?;
    }
}

/// `order=a.desc.nullslast,b->c`
pub(super) fn order(text: &str) -> Result<Vec<Order>> {
    let mut reader = Reader::new("order", text);
    let mut keys = Vec::new();
    if text.is_empty() {
        return Ok(keys);
    }
    loop {
        keys.push(reader.key()?);
        if reader.is_at_end() {
            return Ok(keys);
        }
        reader.expect(',')?;
    }
}

/// `column=not.eq.value`: the name and what stands behind `=`.
pub(super) fn filter(name: &str, text: &str) -> Result<Condition> {
    let mut reader = Reader::new(name, name);
    let path = reader.path("")?;
    if !reader.is_at_end() {
        return Err(reader.wrong("the name of a column"));
    }
    Reader::new(name, text).operation(path, Context::Parameter)
}

/// `and=(a.eq.1,or(b.is.null,c.gt.2))`; `name` may be `not.or`.
pub(super) fn logic(name: &str, text: &str) -> Result<Condition> {
    let mut reader = Reader::new(name, text);
    let condition = reader.group(name, 0)?;
    if !reader.is_at_end() {
        return Err(reader.wrong("the end"));
    }
    Ok(condition)
}

/// Whether a parameter of this name is one of [`logic`].
pub(super) fn is_logic(name: &str) -> bool {
    matches!(name, "and" | "or" | "not.and" | "not.or")
}

/// Where an operation stands: a value ends with its parameter, or with `,` and `)`.
#[derive(Clone, Copy, PartialEq)]
enum Context {
    Parameter,
    Logic,
}

struct Reader<'a> {
    /// Name of the parameter, for messages.
    parameter: &'a str,
    text: &'a str,
    position: usize,
}

impl<'a> Reader<'a> {
    fn new(parameter: &'a str, text: &'a str) -> Self {
        Self {
            parameter,
            text,
            position: 0,
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.position..]
    }

    fn is_at_end(&self) -> bool {
        self.rest().is_empty()
    }

    fn skip(&mut self, text: &str) -> bool {
        let is_there = self.rest().starts_with(text);
        if is_there {
            self.position += text.len();
        }
        is_there
    }

    fn expect(&mut self, letter: char) -> Result<()> {
        if self.skip(letter.encode_utf8(&mut [0; 4])) {
            Ok(())
        } else {
            Err(self.wrong(&format!("`{letter}`")))
        }
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|letter| !wanted(letter)).unwrap_or(rest.len());
        self.position += end;
        &rest[..end]
    }

    fn wrong(&self, expected: &str) -> Error {
        let found = match self.rest().chars().next() {
            Some(letter) => format!(
                "`{letter}` at character {}",
                self.text[..self.position].chars().count() + 1
            ),
            None => "the end".to_owned(),
        };
        bad(format!(
            "can't read `{}={}`: expected {expected}, found {found}",
            self.parameter, self.text
        ))
    }

    /// `"a b"`, with `\"` and `\\` inside, or letters up to one of `ends` or an arrow.
    fn name(&mut self, ends: &str) -> Result<String> {
        if self.rest().starts_with('"') {
            return self.quoted();
        }
        let rest = self.rest();
        let end = rest
            .char_indices()
            .find(|(index, letter)| ends.contains(*letter) || rest[*index..].starts_with("->"))
            .map_or(rest.len(), |(index, _)| index);
        self.position += end;
        if end == 0 {
            return Err(self.wrong("a name"));
        }
        Ok(rest[..end].to_owned())
    }

    fn quoted(&mut self) -> Result<String> {
        self.expect('"')?;
        let mut text = String::new();
        let mut letters = self.rest().char_indices();
        while let Some((index, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.position += index + 1;
                    return Ok(text);
                }
                '\\' => text.extend(letters.next().map(|(_, escaped)| escaped)),
                letter => text.push(letter),
            }
        }
        self.position = self.text.len();
        Err(self.wrong("`\"`"))
    }

    /// `a`, `a->b`, `a->0->>b`
    fn path(&mut self, ends: &str) -> Result<Path> {
        Ok(self.path_and_form(ends)?.0)
    }

    /// A path, and whether its last arrow `->>` asks for text.
    fn path_and_form(&mut self, ends: &str) -> Result<(Path, bool)> {
        let mut path = Path::column(self.name(ends)?);
        let mut is_text = false;
        while !is_text && (self.skip("->>") || self.rest().starts_with("->")) {
            is_text = self.text[..self.position].ends_with("->>");
            self.skip("->");
            let is_quoted = self.rest().starts_with('"');
            let name = self.name(ends)?;
            path.steps.push(match name.parse() {
                Ok(index) if !is_quoted => Step::Element(index),
                _ => Step::Field(name),
            });
        }
        Ok((path, is_text))
    }

    fn selected(&mut self) -> Result<Selected> {
        if self.skip("*") {
            return Ok(Selected::Every);
        }
        let start = self.position;
        let first = self.name(":,.()")?;
        let is_alias = self.rest().starts_with(':') && !self.rest().starts_with("::");
        let alias = is_alias.then_some(first);
        if is_alias {
            self.expect(':')?;
        } else {
            self.position = start;
        }
        self.output(alias).map(Selected::One)
    }

    fn output(&mut self, alias: Option<String>) -> Result<Output> {
        if self.skip("count()") {
            return Ok(Output {
                name: alias.unwrap_or_else(|| "count".to_owned()),
                value: Value::Count,
                cast: self.cast()?,
            });
        }
        let (path, is_text) = self.path_and_form(":,.()")?;
        if self.rest().starts_with('(') {
            return Err(bad(format!("`{path}(..)` asks for rows of another table"))
                .with_hint("one table is read here; join tables in SQL, at `/api/sql`"));
        }
        let cast = self.cast()?;
        if self.skip(".") {
            let aggregate = self.aggregate()?;
            return Ok(Output {
                name: alias.unwrap_or_else(|| aggregate.name().to_owned()),
                value: Value::Aggregate(aggregate, path, cast),
                cast: self.cast()?,
            });
        }
        let name = alias.unwrap_or_else(|| own_name(&path));
        Ok(Output {
            name,
            value: Value::Path(path),
            cast: cast.or(is_text.then_some(Cast::Text)),
        })
    }

    fn cast(&mut self) -> Result<Option<Cast>> {
        if !self.skip("::") {
            return Ok(None);
        }
        let name = self.take_while(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        let cast = match name.to_ascii_lowercase().as_str() {
            "text" | "varchar" => Cast::Text,
            "bool" | "boolean" => Cast::Bool,
            "int2" | "smallint" => Cast::Int16,
            "int4" | "int" | "integer" => Cast::Int32,
            "int8" | "bigint" => Cast::Int64,
            "float4" | "real" => Cast::Float32,
            "float8" | "double" => Cast::Float64,
            "date" => Cast::Date,
            "timestamp" | "timestamptz" => Cast::Timestamp,
            _ => {
                return Err(bad(format!("there is no type `{name}` for `::`")).with_hint(
                    "there are: text, bool, int2, int4, int8, float4, float8, date, timestamptz",
                ));
            }
        };
        Ok(Some(cast))
    }

    fn aggregate(&mut self) -> Result<Aggregate> {
        let name = self.take_while(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        let aggregate = match name {
            "count" => Aggregate::Count,
            "sum" => Aggregate::Sum,
            "avg" => Aggregate::Average,
            "min" => Aggregate::Minimum,
            "max" => Aggregate::Maximum,
            _ => {
                return Err(bad(format!("there is no aggregate `{name}`"))
                    .with_hint("there are: count(), sum(), avg(), min(), max()"));
            }
        };
        self.expect('(')?;
        self.expect(')')?;
        Ok(aggregate)
    }

    fn key(&mut self) -> Result<Order> {
        let path = self.path(",.()")?;
        let descending = self.skip(".desc");
        if !descending {
            self.skip(".asc");
        }
        // As in PostgreSQL, a null is larger than every value.
        let nulls_last = self.skip(".nullslast");
        let nulls_first = !nulls_last && (self.skip(".nullsfirst") || descending);
        if !matches!(self.rest().chars().next(), None | Some(',')) {
            return Err(self
                .wrong("`,` or the end")
                .with_hint("write it like `a.desc.nullslast,b`"));
        }
        Ok(Order {
            path,
            descending,
            nulls_first,
        })
    }

    /// `(a.eq.1,or(..))` behind the word that joins them.
    fn group(&mut self, word: &str, depth: usize) -> Result<Condition> {
        if depth > DEEPEST {
            return Err(bad(format!(
                "`{}` is nested more than {DEEPEST} deep",
                self.parameter
            )));
        }
        self.expect('(')?;
        let mut parts = Vec::new();
        loop {
            parts.push(self.member(depth)?);
            if !self.skip(",") {
                break;
            }
        }
        self.expect(')')?;
        let (is_negated, word) = match word.strip_prefix("not.") {
            Some(word) => (true, word),
            None => (false, word),
        };
        let condition = if word == "or" {
            Condition::Any(parts)
        } else {
            Condition::All(parts)
        };
        Ok(negated(condition, is_negated))
    }

    fn member(&mut self, depth: usize) -> Result<Condition> {
        self.take_while(|letter| letter == ' ');
        for word in ["and", "or", "not.and", "not.or"] {
            let rest = self.rest().strip_prefix(word);
            if rest.is_some_and(|rest| rest.starts_with('(')) {
                self.position += word.len();
                return self.group(word, depth + 1);
            }
        }
        let path = self.path(".,()")?;
        self.expect('.')?;
        self.operation(path, Context::Logic)
    }

    /// `not.eq.7`, `in.(1,2)`, `like(any).{a*,b*}`
    fn operation(&mut self, path: Path, context: Context) -> Result<Condition> {
        let is_negated = self.skip("not.");
        let start = self.position;
        let operator = self.take_while(|letter| letter.is_ascii_alphanumeric());
        let modifier = ["(any)", "(all)"].into_iter().find(|text| self.skip(text));
        if !self.skip(".") {
            self.position = start;
            return Err(self.no_operator(&path));
        }
        let condition = match (operator, modifier) {
            ("in", None) => Condition::In(path, self.list('(', ')')?),
            ("is", None) => Condition::Is(path, self.state(context)?),
            ("cs", None) => Condition::Elements(path, Overlap::Contains, self.list('{', '}')?),
            ("cd", None) => Condition::Elements(path, Overlap::Within, self.list('{', '}')?),
            ("ov", None) => Condition::Elements(path, Overlap::Some, self.list('{', '}')?),
            (operator, modifier) => {
                let Some(test) = Test::of(operator, modifier.is_some()) else {
                    return Err(unknown_operator(operator));
                };
                match modifier {
                    None => test.condition(path, self.value(context)?),
                    Some(modifier) => {
                        let values = self.list('{', '}')?.into_iter();
                        let parts =
                            values.map(|value| test.condition(path.clone(), text_of(value)));
                        if modifier == "(any)" {
                            Condition::Any(parts.collect())
                        } else {
                            Condition::All(parts.collect())
                        }
                    }
                }
            }
        };
        if context == Context::Parameter && !self.is_at_end() {
            return Err(self.wrong("the end"));
        }
        Ok(negated(condition, is_negated))
    }

    fn no_operator(&self, path: &Path) -> Error {
        bad(format!(
            "`{}={}` has no operator",
            self.parameter, self.text
        ))
        .with_hint(format!(
            "to compare with a value, write `{path}=eq.{}`; operators are: {OPERATORS}",
            self.rest()
        ))
    }

    fn state(&mut self, context: Context) -> Result<State> {
        let word = self.value(context)?;
        Ok(match word.to_ascii_lowercase().as_str() {
            "null" => State::Null,
            "not_null" => State::NotNull,
            "true" => State::True,
            "false" => State::False,
            "unknown" => State::Unknown,
            _ => {
                return Err(bad(format!("`is.{word}` has no meaning"))
                    .with_hint("`is` knows null, not_null, true, false and unknown"));
            }
        })
    }

    fn value(&mut self, context: Context) -> Result<String> {
        if context == Context::Parameter {
            let rest = self.rest().to_owned();
            self.position = self.text.len();
            return Ok(rest);
        }
        if self.rest().starts_with('"') {
            return self.quoted();
        }
        if self.rest().starts_with('{') {
            let start = self.position;
            self.list('{', '}')?;
            return Ok(self.text[start..self.position].to_owned());
        }
        Ok(self
            .take_while(|letter| !matches!(letter, ',' | ')'))
            .to_owned())
    }

    /// `(a,"b,c")`, `{a,b}`
    fn list(&mut self, open: char, close: char) -> Result<Vec<Input>> {
        self.expect(open)?;
        let mut values = Vec::new();
        if self.skip(close.encode_utf8(&mut [0; 4])) {
            return Ok(values);
        }
        loop {
            let value = if self.rest().starts_with('"') {
                self.quoted()?
            } else {
                self.take_while(|letter| letter != ',' && letter != close)
                    .to_owned()
            };
            values.push(Input::Text(value));
            if !self.skip(",") {
                break;
            }
        }
        self.expect(close)?;
        Ok(values)
    }
}

/// An operator with one value.
#[derive(Clone, Copy)]
enum Test {
    Compare(Comparison),
    Match(Pattern),
}

impl Test {
    fn of(operator: &str, is_modified: bool) -> Option<Self> {
        Some(match operator {
            "eq" => Self::Compare(Comparison::Equal),
            "gt" => Self::Compare(Comparison::Greater),
            "gte" => Self::Compare(Comparison::GreaterOrEqual),
            "lt" => Self::Compare(Comparison::Less),
            "lte" => Self::Compare(Comparison::LessOrEqual),
            "like" => Self::Match(Pattern::Like),
            "ilike" => Self::Match(Pattern::ILike),
            "match" => Self::Match(Pattern::Regex),
            "imatch" => Self::Match(Pattern::IRegex),
            "neq" if !is_modified => Self::Compare(Comparison::NotEqual),
            "isdistinct" if !is_modified => Self::Compare(Comparison::Distinct),
            _ => return None,
        })
    }

    fn condition(self, path: Path, value: String) -> Condition {
        match self {
            Self::Compare(comparison) => Condition::Compare(path, comparison, Input::Text(value)),
            // `%` would have to be encoded in an address.
            Self::Match(pattern @ (Pattern::Like | Pattern::ILike)) => {
                Condition::Matches(path, pattern, value.replace('*', "%"))
            }
            Self::Match(pattern) => Condition::Matches(path, pattern, value),
        }
    }
}

fn text_of(input: Input) -> String {
    match input {
        Input::Text(text) => text,
        Input::Json(json) => json.to_string(),
    }
}

fn negated(condition: Condition, is_negated: bool) -> Condition {
    if is_negated {
        Condition::Not(Box::new(condition))
    } else {
        condition
    }
}

/// What a part of a column is called in the answer.
fn own_name(path: &Path) -> String {
    let fields = path.steps.iter().rev().find_map(|step| match step {
        Step::Field(name) => Some(name),
        Step::Element(_) => None,
    });
    fields.unwrap_or(&path.column).clone()
}

fn unknown_operator(operator: &str) -> Error {
    bad(format!("there is no operator `{operator}`"))
        .with_hint(format!("operators are: {OPERATORS}"))
}

fn bad(message: String) -> Error {
    Error::new(Kind::BadRequest, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(column: &str) -> Path {
        Path::column(column)
    }

    fn field(column: &str, name: &str) -> Path {
        Path {
            column: column.into(),
            steps: vec![Step::Field(name.into())],
        }
    }

    fn input(text: &str) -> Input {
        Input::Text(text.into())
    }

    fn compare(column: &str, comparison: Comparison, value: &str) -> Condition {
        Condition::Compare(path(column), comparison, input(value))
    }

    fn equal(column: &str, value: &str) -> Condition {
        compare(column, Comparison::Equal, value)
    }

    fn not(condition: Condition) -> Condition {
        Condition::Not(Box::new(condition))
    }

    fn matches(pattern: Pattern, text: &str) -> Condition {
        Condition::Matches(path("a"), pattern, text.into())
    }

    #[test]
    fn every_operator_is_read() {
        let list = |overlap| Condition::Elements(path("a"), overlap, vec![input("1"), input("2")]);
        for (text, expected) in [
            ("eq.1", equal("a", "1")),
            ("eq.", equal("a", "")),
            ("eq.a.b,c)(", equal("a", "a.b,c)(")),
            ("not.eq.\"1\"", not(equal("a", "\"1\""))),
            ("neq.-5", compare("a", Comparison::NotEqual, "-5")),
            ("gt.1", compare("a", Comparison::Greater, "1")),
            ("gte.1", compare("a", Comparison::GreaterOrEqual, "1")),
            ("lt.1", compare("a", Comparison::Less, "1")),
            ("lte.1", compare("a", Comparison::LessOrEqual, "1")),
            ("isdistinct.1", compare("a", Comparison::Distinct, "1")),
            ("like.A*b", matches(Pattern::Like, "A%b")),
            ("ilike.%b", matches(Pattern::ILike, "%b")),
            ("match.^a*$", matches(Pattern::Regex, "^a*$")),
            ("imatch.a", matches(Pattern::IRegex, "a")),
            ("in.()", Condition::In(path("a"), vec![])),
            (
                "in.(1,\"b,\\\"c\",)",
                Condition::In(path("a"), vec![input("1"), input("b,\"c"), input("")]),
            ),
            ("is.null", Condition::Is(path("a"), State::Null)),
            ("not.is.NULL", not(Condition::Is(path("a"), State::Null))),
            ("is.not_null", Condition::Is(path("a"), State::NotNull)),
            ("is.unknown", Condition::Is(path("a"), State::Unknown)),
            ("cs.{1,2}", list(Overlap::Contains)),
            ("cd.{1,2}", list(Overlap::Within)),
            ("ov.{1,2}", list(Overlap::Some)),
            (
                "like(any).{a*,b}",
                Condition::Any(vec![
                    matches(Pattern::Like, "a%"),
                    matches(Pattern::Like, "b"),
                ]),
            ),
            (
                "not.gt(all).{1,2}",
                not(Condition::All(vec![
                    compare("a", Comparison::Greater, "1"),
                    compare("a", Comparison::Greater, "2"),
                ])),
            ),
        ] {
            assert_eq!(filter("a", text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn conditions_are_nested() {
        assert_eq!(
            logic(
                "not.or",
                "(a.eq.x y,not.and(b.in.(1,\"2)\"),c.not.is.null), d->e.cs.{1,2},\"f.g\".eq.\"h,\",i.eq.{1,\"2}\"})"
            )
            .unwrap(),
            not(Condition::Any(vec![
                equal("a", "x y"),
                not(Condition::All(vec![
                    Condition::In(path("b"), vec![input("1"), input("2)")]),
                    not(Condition::Is(path("c"), State::Null)),
                ])),
                Condition::Elements(
                    field("d", "e"),
                    Overlap::Contains,
                    vec![input("1"), input("2")]
                ),
                equal("f.g", "h,"),
                equal("i", "{1,\"2}\"}"),
            ]))
        );
        let deep = format!("{}a.eq.1{}", "(and".repeat(40), ")".repeat(40));
        let error = logic("and", deep.strip_suffix(')').unwrap_or_default()).unwrap_err();
        assert!(error.message.contains("nested more than"), "{error}");
    }

    #[test]
    fn columns_have_names_casts_and_aggregates() {
        let one = |name: &str, value: Value, cast| {
            Selected::One(Output {
                name: name.into(),
                value,
                cast,
            })
        };
        let whole = |column: &str| Value::Path(path(column));
        assert_eq!(
            select("a,*,x:b::text,c->d,c->>d,y:c->0,\"e,f\"::int8,count(),n:g.sum(),h::float8.avg()::int4")
                .unwrap(),
            [
                one("a", whole("a"), None),
                Selected::Every,
                one("x", whole("b"), Some(Cast::Text)),
                one("d", Value::Path(field("c", "d")), None),
                one("d", Value::Path(field("c", "d")), Some(Cast::Text)),
                one(
                    "y",
                    Value::Path(Path {
                        column: "c".into(),
                        steps: vec![Step::Element(0)],
                    }),
                    None
                ),
                one("e,f", whole("e,f"), Some(Cast::Int64)),
                one("count", Value::Count, None),
                one("n", Value::Aggregate(Aggregate::Sum, path("g"), None), None),
                one(
                    "avg",
                    Value::Aggregate(Aggregate::Average, path("h"), Some(Cast::Float64)),
                    Some(Cast::Int32)
                ),
            ]
        );
    }

    #[test]
    fn an_order_says_where_nulls_are() {
        let key = |column: &str, descending, nulls_first| Order {
            path: path(column),
            descending,
            nulls_first,
        };
        assert_eq!(
            order("a,b.desc,c.asc.nullsfirst,d.desc.nullslast,e.nullsfirst,f.nullslast").ok(),
            Some(vec![
                key("a", false, false),
                key("b", true, true),
                key("c", false, true),
                key("d", true, false),
                key("e", false, true),
                key("f", false, false),
            ])
        );
    }

    #[test]
    fn mistakes_say_where_they_are() {
        let told = |outcome: Result<Condition>| {
            let error = outcome.unwrap_err();
            format!("{error}; {}", error.hint.as_deref().unwrap_or_default())
        };
        for (outcome, expected) in [
            (
                filter("a", "7"),
                "`a=7` has no operator; to compare with a value, write `a=eq.7`",
            ),
            (
                filter("a", "equals.7"),
                "there is no operator `equals`; operators are: eq, neq",
            ),
            (
                filter("a", "in.1,2"),
                "can't read `a=in.1,2`: expected `(`, found `1` at character 4",
            ),
            (
                filter("a", "in.(1,2"),
                "can't read `a=in.(1,2`: expected `)`, found the end",
            ),
            (
                filter("a", "is.7"),
                "`is.7` has no meaning; `is` knows null",
            ),
            (filter("a", "cs.7"), "can't read `a=cs.7`: expected `{`"),
            (filter("a", "neq(any).{1}"), "there is no operator `neq`"),
            (
                logic("or", "a.eq.1"),
                "can't read `or=a.eq.1`: expected `(`, found `a` at character 1",
            ),
            (
                logic("or", "(a.eq.1"),
                "can't read `or=(a.eq.1`: expected `)`, found the end",
            ),
            (
                logic("or", "(a)"),
                "can't read `or=(a)`: expected `.`, found `)`",
            ),
            (
                logic("or", "(a.eq.1))"),
                "can't read `or=(a.eq.1))`: expected the end, found `)`",
            ),
        ] {
            let found = told(outcome);
            assert!(found.starts_with(expected), "{found}\n{expected}");
        }
        for text in [
            "a,",
            "a b:c:d",
            "a::uuid",
            "a.median()",
            "a.sum",
            "b(c)",
            "a->",
            ",",
            "x:",
        ] {
            assert!(select(text).is_err(), "{text}");
        }
        for text in ["a.down", "a,", "a.nullslast.desc", "a.desc "] {
            assert!(order(text).is_err(), "{text}");
        }
    }

    #[test]
    fn no_text_is_too_odd_to_be_answered() {
        let letters: Vec<char> = "a\"\\(),.{}->:*é not.in.is.".chars().collect();
        // A small generator of our own: the same texts every time.
        let mut state = 1_u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..(state >> 40) % 24 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                text.push(letters[(state >> 33) as usize % letters.len()]);
            }
            state = state.wrapping_add(1_442_695_040_888_963_407);
            let _ = (
                select(&text),
                order(&text),
                filter("a", &text),
                filter(&text, "eq.1"),
            );
            let _ = logic("and", &text);
        }
    }
}
