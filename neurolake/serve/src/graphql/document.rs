//! From the text of a document to the fields that it asks for: fragments opened, `@skip` and
//! `@include` decided, equal fields merged, variables replaced by their values.
//!
//! What is nested too deeply or asks for too much is refused before anything else looks at it: the
//! rules of GraphQL take time that grows much faster than the text.

use std::collections::{HashMap, HashSet};

use async_graphql::parser::types::{
    Directive, DocumentOperations, ExecutableDocument, Field, FragmentDefinition,
    OperationDefinition, OperationType, Selection, SelectionSet,
};
use async_graphql::parser::{Error as SyntaxError, parse_query};
use async_graphql::{Name, Pos, Positioned, Value, Variables};
use async_graphql_value::Value as Written;
use neurolake_query::suggest::nearest;
use neurolake_query::{Error, Kind};

use super::mistake::{Mistake, Result};
use super::nesting::{DEEPEST, is_too_deep};

/// Fields of a document, those of a fragment counted as often as it is used.
const MOST_FIELDS: usize = 10_000;

/// Bytes of the values of all arguments, those of a variable counted as often as it is used.
const MOST_VALUE_BYTES: usize = 16 << 20;

/// A field, and what is asked of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    /// Its name in the answer.
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) place: Pos,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) fields: Vec<Asked>,
}

/// An argument that is given.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Argument {
    pub(crate) name: String,
    pub(crate) place: Pos,
    pub(crate) value: Value,
}

/// A document whose size is known to be bearable.
#[derive(Debug)]
pub(crate) struct Document {
    parsed: ExecutableDocument,
}

impl Document {
    /// Reads the text.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if is_too_deep(text) {
            return Err(too_deep());
        }
        let parsed = parse_query(text).map_err(syntax)?;
        Sizes::new(&parsed).check()?;
        Ok(Self { parsed })
    }

    /// Whether the operation of this name, or the only one, is anything but a query.
    pub(crate) fn is_no_query(&self, name: Option<&str>) -> Result<bool> {
        Ok(self.operation(name)?.node.ty != OperationType::Query)
    }

    /// Names of the fields that any operation begins with, whether or not they are skipped.
    pub(crate) fn roots(&self) -> HashSet<&str> {
        let mut roots = HashSet::new();
        let mut opened = HashSet::new();
        for (_, operation) in self.parsed.operations.iter() {
            self.add_roots(&operation.node.selection_set.node, &mut roots, &mut opened);
        }
        roots
    }

    fn add_roots<'a>(
        &'a self,
        set: &'a SelectionSet,
        roots: &mut HashSet<&'a str>,
        opened: &mut HashSet<&'a str>,
    ) {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => {
                    roots.insert(field.node.name.node.as_str());
                }
                Selection::InlineFragment(fragment) => {
                    self.add_roots(&fragment.node.selection_set.node, roots, opened);
                }
                Selection::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node.as_str();
                    let fragment = self.parsed.fragments.get(name);
                    if let Some(fragment) = fragment.filter(|_| opened.insert(name)) {
                        self.add_roots(&fragment.node.selection_set.node, roots, opened);
                    }
                }
            }
        }
    }

    /// Values of the variables that the operation declares; one without a value is left out.
    pub(crate) fn variables(&self, name: Option<&str>, given: &Variables) -> Result<Variables> {
        let mut values = Variables::default();
        for definition in &self.operation(name)?.node.variable_definitions {
            let variable = &definition.node.name.node;
            let default = definition.node.default_value.as_ref();
            let value = given.get(variable).or(default.map(|default| &default.node));
            let is_nothing = value.is_none_or(|value| *value == Value::Null);
            if is_nothing && !definition.node.var_type.node.nullable {
                return Err(Mistake::new(
                    format!(
                        "the variable `${variable}` of the type `{}` needs a value",
                        definition.node.var_type.node
                    ),
                    definition.pos,
                ));
            }
            if let Some(value) = value {
                values.insert(variable.clone(), value.clone());
            }
        }
        Ok(values)
    }

    /// What the operation asks for, with these values of its variables.
    pub(crate) fn fields(&self, name: Option<&str>, variables: &Variables) -> Result<Vec<Asked>> {
        let operation = self.operation(name)?;
        if operation.node.ty != OperationType::Query {
            let error = Error::new(
                Kind::NotAllowed,
                format!("there are no {}s: the doors only read", operation.node.ty),
            )
            .with_hint("send a `query`; events go to `/v1/ingest/{database}/{table}`");
            return Err(Mistake::of(error, operation.pos));
        }
        let declared = operation.node.variable_definitions.iter();
        let declared = declared.map(|definition| {
            let name = definition.node.name.node.as_str();
            let value = variables.get(name);
            (name, value.map(|value| (value, bytes(value))))
        });
        let mut opener = Opener {
            fragments: &self.parsed.fragments,
            variables: declared.collect(),
            value_bytes: 0,
        };
        opener.fields(&[&operation.node.selection_set.node])
    }

    /// The document for the rules of GraphQL.
    pub(crate) fn into_parsed(self) -> ExecutableDocument {
        self.parsed
    }

    fn operation(&self, name: Option<&str>) -> Result<&Positioned<OperationDefinition>> {
        let refused = |message: String| Err(Mistake::nowhere(Kind::BadRequest, message));
        match (&self.parsed.operations, name) {
            (DocumentOperations::Single(operation), None) => Ok(operation),
            (DocumentOperations::Single(_), Some(name)) => refused(format!(
                "there is no operation `{name}`, only one without a name"
            )),
            (DocumentOperations::Multiple(operations), None) => {
                let mut all = operations.values();
                match (all.next(), all.next()) {
                    (Some(operation), None) => Ok(operation),
                    _ => refused("the document has several operations".into()).map_err(
                        |mistake: Mistake| mistake.with_hint("name one in `operationName`"),
                    ),
                }
            }
            (DocumentOperations::Multiple(operations), Some(name)) => {
                operations.get(name).ok_or_else(|| {
                    let mistake = Mistake::nowhere(
                        Kind::BadRequest,
                        format!("there is no operation `{name}`"),
                    );
                    did_you_mean(mistake, name, operations.keys().map(Name::as_str))
                })
            }
        }
    }
}

/// Adds the name that may be meant.
pub(crate) fn did_you_mean<'a>(
    mistake: Mistake,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Mistake {
    match nearest(name, known) {
        Some(known) => mistake.with_hint(format!("did you mean `{known}`?")),
        None => mistake,
    }
}

fn too_deep() -> Mistake {
    Mistake::nowhere(
        Kind::BadRequest,
        format!("the document is nested more than {DEEPEST} deep"),
    )
}

fn syntax(error: SyntaxError) -> Mistake {
    let mut mistake = Mistake::nowhere(Kind::BadRequest, String::new());
    mistake.places = error.positions().collect();
    mistake.error.message = match error {
        // The parser draws the line above its message.
        SyntaxError::Syntax { message, .. } => {
            let message = message.lines().last().unwrap_or_default();
            let message = message.trim_start_matches([' ', '=']);
            format!("can't read the document: {message}")
        }
        other => format!(
            "can't read the document: {}",
            other.to_string().to_lowercase()
        ),
    };
    mistake
}

/// How large everything is once fragments are opened.
struct Sizes<'a> {
    document: &'a ExecutableDocument,
    /// Of fragments: fields, and how deeply they are nested.
    known: HashMap<&'a str, (usize, usize)>,
    /// Fragments that are being measured, outermost first.
    open: Vec<&'a str>,
}

impl<'a> Sizes<'a> {
    fn new(document: &'a ExecutableDocument) -> Self {
        Self {
            document,
            known: HashMap::new(),
            open: Vec::new(),
        }
    }

    fn check(mut self) -> Result<()> {
        let mut fields = 0_usize;
        for (_, operation) in self.document.operations.iter() {
            let (more, _) = self.set(&operation.node.selection_set.node, 0)?;
            fields = fields.saturating_add(more);
        }
        for name in self.document.fragments.keys() {
            self.fragment(name, Pos::default(), 0)?;
        }
        if fields > MOST_FIELDS {
            return Err(Mistake::nowhere(
                Kind::TooMuch,
                format!("the document asks for more than {MOST_FIELDS} fields"),
            )
            .with_hint("send several documents"));
        }
        Ok(())
    }

    fn set(&mut self, set: &'a SelectionSet, above: usize) -> Result<(usize, usize)> {
        if above > DEEPEST {
            return Err(too_deep());
        }
        let (mut fields, mut depth) = (0_usize, 0);
        for selection in &set.items {
            let (more, below) = match &selection.node {
                Selection::Field(field) => {
                    let (more, below) = self.set(&field.node.selection_set.node, above + 1)?;
                    (more.saturating_add(1), below)
                }
                Selection::InlineFragment(fragment) => {
                    self.set(&fragment.node.selection_set.node, above + 1)?
                }
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name;
                    self.fragment(name.node.as_str(), name.pos, above + 1)?
                }
            };
            fields = fields.saturating_add(more);
            depth = depth.max(below + 1);
        }
        Ok((fields, depth))
    }

    fn fragment(&mut self, name: &str, place: Pos, above: usize) -> Result<(usize, usize)> {
        if let Some(known) = self.known.get(name) {
            return if above + known.1 > DEEPEST {
                Err(too_deep())
            } else {
                Ok(*known)
            };
        }
        let (name, fragment) = find_fragment(&self.document.fragments, name, place)?;
        if self.open.contains(&name) {
            return Err(Mistake::new(
                format!("the fragment `{name}` contains itself"),
                place,
            ));
        }
        self.open.push(name);
        let size = self.set(&fragment.selection_set.node, above)?;
        self.open.pop();
        self.known.insert(name, size);
        Ok(size)
    }
}

type Fragments = HashMap<Name, Positioned<FragmentDefinition>>;

fn find_fragment<'a>(
    fragments: &'a Fragments,
    name: &str,
    place: Pos,
) -> Result<(&'a str, &'a FragmentDefinition)> {
    match fragments.get_key_value(name) {
        Some((name, fragment)) => Ok((name.as_str(), &fragment.node)),
        None => {
            let mistake = Mistake::new(format!("there is no fragment `{name}`"), place);
            Err(did_you_mean(
                mistake,
                name,
                fragments.keys().map(Name::as_str),
            ))
        }
    }
}

/// About how much memory a value takes.
fn bytes(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::String(text) => text.len(),
            Value::List(values) => values.iter().map(bytes).sum(),
            Value::Object(values) => values
                .iter()
                .map(|(name, value)| size_of::<Name>() + name.len() + bytes(value))
                .sum(),
            _ => 0,
        }
}

/// Opens fragments.
struct Opener<'a> {
    fragments: &'a Fragments,
    /// Those that are declared, with their sizes where they have values.
    variables: HashMap<&'a str, Option<(&'a Value, usize)>>,
    value_bytes: usize,
}

/// Fields of one name in the answer.
struct Merged<'a> {
    first: &'a Positioned<Field>,
    sets: Vec<&'a SelectionSet>,
}

impl<'a> Opener<'a> {
    fn fields(&mut self, sets: &[&'a SelectionSet]) -> Result<Vec<Asked>> {
        let mut merged = Vec::new();
        let mut places = HashMap::new();
        let mut opened = HashSet::new();
        for set in sets {
            self.merge(set, &mut merged, &mut places, &mut opened)?;
        }
        merged.iter().map(|one| self.asked(one)).collect()
    }

    fn merge(
        &mut self,
        set: &'a SelectionSet,
        merged: &mut Vec<Merged<'a>>,
        places: &mut HashMap<&'a str, usize>,
        opened: &mut HashSet<&'a str>,
    ) -> Result<()> {
        for selection in &set.items {
            if self.is_left_out(selection.node.directives())? {
                continue;
            }
            match &selection.node {
                Selection::Field(field) => {
                    let set = &field.node.selection_set.node;
                    let key = field.node.response_key().node.as_str();
                    if let Some(place) = places.get(key) {
                        let one: &mut Merged<'a> = &mut merged[*place];
                        check_equal(one.first, field)?;
                        one.sets.push(set);
                    } else {
                        places.insert(key, merged.len());
                        merged.push(Merged {
                            first: field,
                            sets: vec![set],
                        });
                    }
                }
                Selection::InlineFragment(fragment) => {
                    self.merge(&fragment.node.selection_set.node, merged, places, opened)?;
                }
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name;
                    let (name, fragment) = find_fragment(self.fragments, &name.node, name.pos)?;
                    if opened.insert(name) {
                        self.merge(&fragment.selection_set.node, merged, places, opened)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn asked(&mut self, merged: &Merged<'a>) -> Result<Asked> {
        let field = &merged.first.node;
        let mut arguments = Vec::with_capacity(field.arguments.len());
        for (name, value) in &field.arguments {
            if let Some(value) = self.value(&value.node, value.pos)? {
                arguments.push(Argument {
                    name: name.node.to_string(),
                    place: name.pos,
                    value,
                });
            }
        }
        Ok(Asked {
            key: field.response_key().node.to_string(),
            name: field.name.node.to_string(),
            place: merged.first.pos,
            arguments,
            fields: self.fields(&merged.sets)?,
        })
    }

    fn is_left_out(&mut self, directives: &[Positioned<Directive>]) -> Result<bool> {
        for directive in directives {
            let left_out_if = match directive.node.name.node.as_str() {
                "skip" => true,
                "include" => false,
                _ => continue,
            };
            let condition = directive.node.get_argument("if");
            let value = match condition {
                Some(value) => self.value(&value.node, value.pos)?,
                None => None,
            };
            match value {
                Some(Value::Boolean(value)) if value == left_out_if => return Ok(true),
                Some(Value::Boolean(_)) => {}
                _ => {
                    return Err(Mistake::new(
                        format!("`@{}` has no boolean as `if`", directive.node.name.node),
                        directive.pos,
                    ));
                }
            }
        }
        Ok(false)
    }

    /// The value with those of its variables. `None` for a variable without a value.
    fn value(&mut self, written: &Written, place: Pos) -> Result<Option<Value>> {
        self.value_bytes += size_of::<Value>();
        let value = match written {
            Written::Variable(name) => return self.variable(name, place),
            Written::Null => Value::Null,
            Written::Number(number) => Value::Number(number.clone()),
            Written::String(text) => Value::String(text.clone()),
            Written::Boolean(value) => Value::Boolean(*value),
            Written::Binary(bytes) => Value::Binary(bytes.clone()),
            Written::Enum(name) => Value::Enum(name.clone()),
            Written::List(values) => {
                let mut list = Vec::with_capacity(values.len());
                for value in values {
                    list.push(self.value(value, place)?.unwrap_or_default());
                }
                Value::List(list)
            }
            Written::Object(values) => {
                let mut object = async_graphql::indexmap::IndexMap::with_capacity(values.len());
                for (name, value) in values {
                    if let Some(value) = self.value(value, place)? {
                        object.insert(name.clone(), value);
                    }
                }
                Value::Object(object)
            }
        };
        Ok(Some(value))
    }

    fn variable(&mut self, name: &str, place: Pos) -> Result<Option<Value>> {
        let Some(variable) = self.variables.get(name) else {
            let mistake = Mistake::new(format!("the variable `${name}` is not declared"), place);
            return Err(did_you_mean(mistake, name, self.variables.keys().copied()));
        };
        let Some((value, bytes)) = *variable else {
            return Ok(None);
        };
        self.value_bytes += bytes;
        if self.value_bytes > MOST_VALUE_BYTES {
            return Err(Mistake::nowhere(
                Kind::TooMuch,
                "the values of the variables are too large for how often they are used",
            ));
        }
        Ok(Some(value.clone()))
    }
}

/// Two fields of one name in the answer must be the same question.
fn check_equal(first: &Positioned<Field>, second: &Positioned<Field>) -> Result<()> {
    let (one, other) = (&first.node, &second.node);
    let is_equal = one.name.node == other.name.node
        && one.arguments.len() == other.arguments.len()
        && one.arguments.iter().all(|(name, value)| {
            let found = other.get_argument(&name.node);
            found.is_some_and(|found| found.node == value.node)
        });
    if is_equal {
        return Ok(());
    }
    let key = &one.response_key().node;
    let mut mistake = Mistake::new(
        format!("two different fields are called `{key}` in the answer"),
        first.pos,
    )
    .with_hint(format!(
        "give one another name: `other: {}`",
        other.name.node
    ));
    mistake.places.push(second.pos);
    Err(mistake)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str, variables: &str) -> Result<Vec<Asked>> {
        let variables: Variables = serde_json::from_str(variables).expect("variables");
        let document = Document::parse(text)?;
        let variables = document.variables(None, &variables)?;
        document.fields(None, &variables)
    }

    /// Keys of the fields, as `a{b c}`.
    fn shown(fields: &[Asked]) -> String {
        let fields = fields.iter().map(|field| {
            let arguments = field
                .arguments
                .iter()
                .map(|a| format!("({}: {})", a.name, a.value));
            let arguments: String = arguments.collect();
            let inner = shown(&field.fields);
            let inner = if inner.is_empty() {
                inner
            } else {
                format!("{{{inner}}}")
            };
            format!("{}{arguments}{inner}", field.key)
        });
        fields.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn fragments_are_opened_and_equal_fields_merged() {
        let text = "query q($no: Boolean = false, $w: x, $absent: x) {
            a(limit: 1) { x y: x }
            ...more
            ... @include(if: $no) { gone }
            ... on query_root { b @skip(if: true) c(w: $w, o: [$w, {p: $w, q: $absent}], r: $absent) }
        }
        fragment more on query_root { a(limit: 1) { z x } ...last }
        fragment last on query_root { d: a }";
        let found = fields(text, r#"{"w": {"z": 1, "a": [null]}}"#).expect("fields");
        assert_eq!(
            shown(&found),
            "a(limit: 1){x y z} d c(w: {z: 1, a: [null]})(o: [{z: 1, a: [null]}, {p: {z: 1, a: [null]}}])"
        );
    }

    #[test]
    fn mistakes_say_what_and_where() {
        for (text, message, line) in [
            ("{ a", "can't read the document", 1),
            (
                "{\n ...b }\nfragment bb on q { a }",
                "there is no fragment `b`",
                2,
            ),
            (
                "{ ...b }\nfragment b on q { ...c }\nfragment c on q {\n ...b }",
                "the fragment `b` contains itself",
                4,
            ),
            (
                "{ a(x: 1) a(x: 2) }",
                "two different fields are called `a`",
                1,
            ),
            (
                "{ x { a: b } x { a: c } }",
                "two different fields are called `a`",
                1,
            ),
            (
                "query($x: Int!) { a }",
                "the variable `$x` of the type `Int!` needs a value",
                1,
            ),
            ("{ a(x: $x) }", "the variable `$x` is not declared", 1),
            ("{ a @skip(if: 1) }", "`@skip` has no boolean as `if`", 1),
            ("mutation { a }", "there are no mutations", 1),
            ("subscription { a }", "there are no subscriptions", 1),
        ] {
            let mistake = fields(text, "{}").expect_err(text);
            assert!(
                mistake.error.message.starts_with(message),
                "{text}: {mistake:?}"
            );
            assert_eq!(
                mistake.places.first().map(|place| place.line),
                Some(line),
                "{text}"
            );
        }
        for (text, name, message) in [
            (
                "query a { x } query b { x }",
                None,
                "the document has several operations",
            ),
            (
                "query alpha { x }",
                Some("alpa"),
                "there is no operation `alpa`",
            ),
            (
                "{ x }",
                Some("a"),
                "there is no operation `a`, only one without a name",
            ),
        ] {
            let mistake = Document::parse(text).expect("a document");
            let mistake = mistake.fields(name, &Variables::default()).expect_err(text);
            assert_eq!(mistake.error.message, message);
        }
    }

    #[test]
    fn bombs_are_refused_at_once() {
        let doubling = |levels: usize| {
            let fragments = (0..levels).map(|level| {
                let next = level + 1;
                format!("fragment f{level} on q {{ a: b {{ ...f{next} }} c: d {{ ...f{next} }} }} ")
            });
            let fragments: String = fragments.collect();
            format!("{{ ...f0 }} {fragments} fragment f{levels} on q {{ x }}")
        };
        let chain = |length: usize| {
            let fragments =
                (0..length).map(|at| format!("fragment f{at} on q {{ ...f{} }} ", at + 1));
            let fragments: String = fragments.collect();
            format!("{{ ...f0 }} {fragments} fragment f{length} on q {{ x }}")
        };
        let many = (0..10_001)
            .map(|at| format!("a{at}: x "))
            .collect::<Vec<_>>()
            .concat();
        for (text, kind) in [
            (doubling(20), Kind::TooMuch),
            (chain(20_000), Kind::BadRequest),
            (format!("{{ {many} }}"), Kind::TooMuch),
            ("{a".repeat(100_000), Kind::BadRequest),
            (format!("{{ a(x: {}", "[".repeat(100_000)), Kind::BadRequest),
        ] {
            let started = std::time::Instant::now();
            let mistake = fields(&text, "{}").expect_err("a refusal");
            assert_eq!(mistake.error.kind, kind, "{mistake:?}");
            assert!(started.elapsed().as_secs() < 5, "{mistake:?}");
        }
        let variables = format!(r#"{{"x": "{}"}}"#, "y".repeat(100_000));
        let uses = "$x ".repeat(1_000);
        let text = format!("query($x: x) {{ a(b: [{uses}]) }}");
        let mistake = fields(&text, &variables).expect_err("a refusal");
        assert_eq!(mistake.error.kind, Kind::TooMuch);
    }
}
