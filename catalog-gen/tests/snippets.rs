//! Snippets are run, not looked at: Python against modules that record what they are asked for,
//! shell against programs that print what they get, SQL and Rust through their parsers.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use catalog_gen::snippets::{Purpose, Snippet, SnippetError, Snippets};
use neurolake_model::{Argument, Catalog, Column, Partition, Partitioning, Source, Type, Value};
use serde_json::{Value as Json, json};
use sqlparser::ast::{
    BinaryOperator, DataType, Expr, SetExpr, Statement, TimezoneInfo, UnaryOperator,
    Value as SqlValue,
};
use sqlparser::dialect::{Dialect, DuckDbDialect, GenericDialect, PostgreSqlDialect};
use sqlparser::keywords::ALL_KEYWORDS;
use sqlparser::parser::Parser;
use syn::punctuated::Punctuated;
use syn::visit::Visit;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn fixture_catalog() -> Catalog {
    let text = fs::read_to_string(fixtures().join("catalog.json")).expect("a fixture");
    Catalog::from_json(&text).expect("a catalog")
}

/// One page of snippets per table of the fixture. `UPDATE_EXPECT=1` writes them.
#[test]
fn each_kind_of_source_has_its_snippets() {
    let catalog = fixture_catalog();
    let snippets = Snippets::load(None).expect("the built-in templates");
    for (database, table) in catalog.tables() {
        let rendered = snippets
            .render(&catalog, database, table)
            .expect("snippets");
        let mut page = String::new();
        for Snippet {
            title,
            purpose,
            language,
            code,
            ..
        } in rendered
        {
            let does = match purpose {
                Purpose::Read => "",
                Purpose::Ingest => ", sending events",
            };
            let _ = write!(page, "## {title}{does}\n\n```{language}\n{code}\n```\n\n");
        }
        let file = fixtures().join(format!("snippets/{}.{}.md", database.name, table.name));
        if env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&file, &page).expect("a writable fixture");
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(
            page,
            expected,
            "{} (UPDATE_EXPECT=1 accepts)",
            file.display()
        );
    }
}

const NASTY: &[&str] = &[
    "",
    " ",
    "it's",
    "''",
    "\"",
    "\"\"\"",
    "'''",
    "\\",
    "\\'",
    "C:\\new\\table",
    "ends with \\",
    "\\\" or 1=1 --",
    "'; drop table t; --",
    "$HOME $(id) `id` ${x} $$",
    "!history",
    "\n",
    "one\ntwo",
    "\nSQL\n",
    "a\r\nb\tc",
    "\u{1}\u{7f}\u{85}",
    "grün 日本 🧠 é",
    "\u{202e}evil\u{202c}",
    "zero\u{200b}width\u{feff}",
    "{{ x }} {% y %} {# z #}",
    "</script><b>&amp;",
    ":name :'name' %s ? $1",
    ")\" )-\" )--\"",
    "/* -- # //",
    "E'\\n'",
    "null",
    "\\x00 \\u0041 \\N{DASH}",
];

/// Values of every type, each with its column's type, and the same for odd names of columns.
fn cases() -> Vec<(String, Option<Type>, Value)> {
    let mut cases = Vec::new();
    let mut add = |data_type: Option<Type>, value| cases.push(("c".to_owned(), data_type, value));
    let list = |item| Type::List {
        item: Box::new(item),
        nullable: true,
    };
    let decimal = Type::Decimal {
        precision: 38,
        scale: 4,
    };
    for text in NASTY
        .iter()
        .map(|text| (*text).to_owned())
        .chain(random_strings())
    {
        add(Some(Type::String), Value::String(text.clone()));
        let both = vec![Value::String(text), Value::String("b".into())];
        add(None, Value::List(both.clone()));
        add(Some(list(Type::String)), Value::List(both));
    }
    for value in [
        0,
        1,
        -1,
        127,
        2_147_483_647,
        2_147_483_648,
        -2_147_483_648,
        i64::MAX,
        i64::MIN,
    ] {
        add(Some(Type::Int64), Value::Int(value));
        add(Some(Type::UInt64), Value::Int(value.saturating_abs()));
        add(None, Value::Int(value));
    }
    let floats = [
        "0.0",
        "-0.0",
        "0.1",
        "-1.5e-300",
        "1e308",
        "5.",
        "7",
        "1_000.5",
        "2.5f64",
        "nan",
        "NaN",
        "inf",
        "-inf",
        "1E+5",
    ];
    for text in floats {
        // What is written is compared as a number, so the expectation has to be one Python reads.
        let value: f64 = text
            .replace('_', "")
            .trim_end_matches("f64")
            .parse()
            .expect("a float");
        add(Some(Type::Float64), Value::Float(text.into()));
        if value.is_finite() {
            add(Some(Type::Float32), Value::Float("0.1".into()));
            add(
                Some(list(Type::Float64)),
                Value::List(vec![Value::Float(text.into())]),
            );
        }
    }
    for hexadecimal in ["", "00", "ff", "22", "5c27", "00ff410a0d", "E6B0B4"] {
        add(Some(Type::Binary), Value::Binary(hexadecimal.into()));
    }
    for day in ["2026-03-01", "1970-01-01", "0001-01-01", "9999-12-31"] {
        add(Some(Type::Date), Value::Date(day.into()));
    }
    add(
        None,
        Value::List(vec![
            Value::Date("2026-03-01".into()),
            Value::Date("2026-03-02".into()),
        ]),
    );
    for at in [
        "2026-03-01T09:30:00Z",
        "2026-03-01T09:30:00.5Z",
        "2026-03-01T00:00:59Z",
        "1969-12-31T23:59:59.999999Z",
        "2026-03-01T09:30:00.500000Z",
    ] {
        add(Some(Type::Timestamp), Value::Timestamp(at.into()));
    }
    for digits in [
        "0",
        "-12.50",
        "99999999999999999999999999999999.9999",
        "0.0001",
    ] {
        add(Some(decimal.clone()), Value::Decimal(digits.into()));
        add(None, Value::Decimal(digits.into()));
    }
    add(Some(Type::Bool), Value::Bool(true));
    add(Some(Type::Bool), Value::Bool(false));
    add(Some(Type::Int32), Value::Null);
    add(
        Some(Type::Int32),
        Value::List(vec![Value::Int(1), Value::Int(2), Value::Null]),
    );
    add(
        Some(list(Type::Int32)),
        Value::List(vec![Value::Int(1), Value::Int(-2)]),
    );
    add(Some(list(Type::Int32)), Value::List(Vec::new()));
    let odd = [
        "Name",
        "Animal ID",
        "class",
        "lambda",
        "filters",
        "a.b",
        "a\"b",
        "a'b",
        "a`b",
        "a\\b",
        "ünï",
        "ﬁ",
        "1st",
        "select",
        "$x",
        "a\nb",
        "_",
        "__class__",
    ];
    for name in odd
        .into_iter()
        .chain(NASTY.iter().copied().filter(|name| !name.is_empty()))
    {
        cases.push((name.to_owned(), Some(Type::Int32), Value::Int(7)));
        cases.push((name.to_owned(), Some(Type::Int32), Value::Null));
        cases.push((
            name.to_owned(),
            None,
            Value::List(vec![Value::Int(7), Value::Int(8)]),
        ));
    }
    cases
}

/// Strings of characters that mean something to one of the languages. Always the same ones.
fn random_strings() -> Vec<String> {
    const ALPHABET: &[char] = &[
        '\'', '"', '\\', '`', '$', '\n', '\r', '\t', '{', '}', '(', ')', '-', '#', '/', '*', ';',
        'S', 'Q', 'L', 'x', '0', ' ', '%', '&', '<', 'ß', '🧠', '\u{2028}', '\u{1b}',
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut strings = Vec::new();
    for _ in 0..60 {
        let length = next() % 12;
        strings.push(
            (0..length)
                .map(|_| ALPHABET[next() as usize % ALPHABET.len()])
                .collect(),
        );
    }
    strings
}

/// A catalog with one table that has one column and filters by it.
fn catalog_of(name: &str, data_type: Option<Type>, value: Value) -> Catalog {
    let mut catalog = fixture_catalog();
    catalog.databases.truncate(1);
    let database = &mut catalog.databases[0];
    database.name = "db".into();
    database.tables.truncate(1);
    let table = &mut database.tables[0];
    table.name = "t".into();
    table.columns.truncate(1);
    table.partition_by.clear();
    match data_type {
        Some(data_type) => {
            table.columns[0].name = name.into();
            table.columns[0].data_type = data_type;
            table.columns[0].nullable = true;
        }
        None => {
            table.columns.clear();
            table.ingest = false;
        }
    }
    table.example = vec![(name.to_owned(), value)];
    catalog
}

fn render(snippets: &Snippets, catalog: &Catalog) -> Vec<Snippet> {
    let (database, table) = catalog.tables().next().expect("one table");
    snippets.render(catalog, database, table).expect("snippets")
}

fn code<'a>(rendered: &'a [Snippet], id: &str) -> &'a str {
    let snippet = rendered.iter().find(|snippet| snippet.id == id);
    &snippet
        .unwrap_or_else(|| panic!("no snippet for {id}"))
        .code
}

fn run(command: &mut Command, input: &str) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("an exit");
    writer.join().expect("a writer").expect("a reader");
    assert!(output.status.success(), "{command:?}: {}", output.status);
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn python_gets_the_values() {
    let snippets = Snippets::load(None).expect("the built-in templates");
    let mut inputs = Vec::new();
    for (name, data_type, value) in cases() {
        let is_list = matches!(data_type, Some(Type::List { .. }));
        let catalog = catalog_of(&name, data_type, value.clone());
        let rendered = render(&snippets, &catalog);
        let mut value = serde_json::to_value(&value).expect("JSON");
        if let Some(Json::String(text)) = value.get_mut("float") {
            *text = text.replace('_', "").trim_end_matches("f64").to_owned();
        }
        if let Some(Json::Array(items)) = value.get_mut("list") {
            for text in items.iter_mut().filter_map(|item| item.get_mut("float")) {
                *text = text
                    .as_str()
                    .expect("text")
                    .replace('_', "")
                    .trim_end_matches("f64")
                    .into();
            }
        }
        for client in ["python", "polars", "spark"] {
            inputs.push(json!({
                "client": client, "code": code(&rendered, client), "column": name, "value": value, "is_list": is_list,
            }));
        }
        inputs.extend(sent(&catalog, &rendered).map(|mut case| {
            case["column"] = name.as_str().into();
            case["value"] = value.clone();
            case["is_list"] = is_list.into();
            case
        }));
    }
    run_in_python(&inputs);
}

/// Runs the code of each case against modules that record what they are asked for.
fn run_in_python(cases: &[Json]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/run_snippets.py");
    let failures = run(
        Command::new("python3").arg(script),
        &Json::from(cases).to_string(),
    );
    assert_eq!(failures, "");
}

/// The rows that the snippets of a table send, each with the columns that it must fit.
fn sent<'a>(catalog: &'a Catalog, rendered: &'a [Snippet]) -> impl Iterator<Item = Json> + 'a {
    let (_, table) = catalog.tables().next().expect("one table");
    let senders = rendered
        .iter()
        .filter(|snippet| snippet.id == "ingest-python" || snippet.id == "ingest-http");
    senders.map(|snippet| {
        let code = match snippet.id.as_str() {
            "ingest-http" => posted(&snippet.code),
            _ => snippet.code.clone(),
        };
        json!({"client": snippet.id, "code": code, "columns": table.columns})
    })
}

/// What the shell gives to `curl`; that it does is tested with `bash`.
fn posted(code: &str) -> String {
    let (_, document) = code.split_once("<<'JSON'\n").expect("a document");
    document.strip_suffix("\nJSON").expect("its end").to_owned()
}

/// Every type, as it is and inside of others.
fn types() -> Vec<Type> {
    let mut types = vec![
        Type::Bool,
        Type::Int8,
        Type::Int16,
        Type::Int32,
        Type::Int64,
        Type::Float32,
        Type::Float64,
        Type::String,
        Type::Binary,
        Type::Date,
        Type::Timestamp,
        Type::Decimal {
            precision: 10,
            scale: 2,
        },
        Type::Blob,
    ];
    let scalars: Vec<Type> = types
        .iter()
        .filter(|data_type| data_type.is_scalar())
        .cloned()
        .collect();
    for _ in 0..2 {
        let inner = types.clone();
        for (at, inner) in inner.into_iter().enumerate() {
            types.push(Type::List {
                item: Box::new(inner.clone()),
                nullable: at % 2 == 0,
            });
            types.push(Type::Map {
                key: Box::new(scalars[at % scalars.len()].clone()),
                value: Box::new(inner.clone()),
                nullable: at % 2 == 1,
            });
            let fields = [("it's", false), ("maybe", true)];
            types.push(Type::Struct {
                fields: fields
                    .map(|(name, nullable)| column(name, inner.clone(), nullable))
                    .into(),
            });
        }
    }
    types
}

fn column(name: &str, data_type: Type, nullable: bool) -> Column {
    let mut catalog = fixture_catalog();
    let mut column = catalog.databases[0].tables[0].columns.remove(0);
    column.name = name.into();
    column.data_type = data_type;
    column.nullable = nullable;
    column
}

/// What a snippet sends fits its columns, whether or not there is an example.
#[test]
fn a_sent_row_fits_every_type() {
    let snippets = Snippets::load(None).expect("the built-in templates");
    let types = types();
    let columns = |nullable: &dyn Fn(usize) -> bool| -> Vec<Column> {
        let columns = types.iter().enumerate();
        columns
            .map(|(at, data_type)| column(&format!("c{at}"), data_type.clone(), nullable(at)))
            .collect()
    };
    let mut cases = Vec::new();
    for nullable in [&|_| false, &|_| true, &|at| at % 3 == 0] as [&dyn Fn(usize) -> bool; 3] {
        for example in [
            Vec::new(),
            vec![("c8".to_owned(), Value::Binary("00ff".into()))],
            // Null where it can't be sent, and a list that means any of its values.
            vec![
                ("c2".to_owned(), Value::Null),
                ("c9".to_owned(), Value::Date("2026-03-01".into())),
                (
                    "c3".to_owned(),
                    Value::List(vec![Value::Null, Value::Int(7)]),
                ),
                ("c4".to_owned(), Value::List(vec![Value::Null])),
            ],
        ] {
            let mut catalog = catalog_of("c", Some(Type::Int32), Value::Int(7));
            let table = &mut catalog.databases[0].tables[0];
            table.columns = columns(nullable);
            table.example = example;
            let rendered = render(&snippets, &catalog);
            let before = cases.len();
            cases.extend(sent(&catalog, &rendered));
            assert_eq!(cases.len(), before + 2, "both clients can send it");
        }
    }
    run_in_python(&cases);
}

#[test]
fn a_sent_row_is_short_and_makes_sense() {
    let snippets = Snippets::load(None).expect("the built-in templates");
    let row = |columns: &[(&str, Type, bool)], example: &[(&str, Value)]| {
        let mut catalog = catalog_of("c", Some(Type::Int32), Value::Int(7));
        let table = &mut catalog.databases[0].tables[0];
        table.columns = columns
            .iter()
            .map(|(name, data_type, nullable)| column(name, data_type.clone(), *nullable))
            .collect();
        let example = example.iter();
        table.example = example
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        posted(code(&render(&snippets, &catalog), "ingest-http"))
    };
    let columns = [
        ("ts", Type::Timestamp, false),
        ("day", Type::Date, false),
        ("kind", Type::String, false),
        ("note", Type::String, true),
        ("trial", Type::Int64, true),
    ];
    let day = ("day", Value::Date("2026-03-01".into()));
    assert_eq!(
        row(&columns, &[day.clone(), ("trial", Value::Null)]),
        r#"{"ts": "2026-03-01T00:00:00Z", "day": "2026-03-01", "kind": "...", "trial": null}"#
    );
    assert_eq!(
        row(&columns, &[]),
        r#"{"ts": "2026-01-01T00:00:00Z", "day": "2026-01-01", "kind": "..."}"#
    );
    assert_eq!(
        row(&columns[3..], &[]),
        r#"{"note": "...", "trial": 0}"#,
        "an empty row would show nothing"
    );
    let at = Value::Timestamp("2026-02-24T09:30:00Z".into());
    assert_eq!(
        row(&columns[..2], &[("ts", at)]),
        r#"{"ts": "2026-02-24T09:30:00Z", "day": "2026-02-24"}"#
    );
    let numbers = ["007.5", "-00.50", "0.0", "-0.0", "000.0e1", "7", "1e-7"];
    let numbers = numbers.map(|text| {
        row(
            &[("x", Type::Float64, false)],
            &[("x", Value::Float(text.into()))],
        )
    });
    assert_eq!(
        numbers,
        ["7.5", "-0.50", "0.0", "-0.0", "0.0e1", "7.0", "1e-7"]
            .map(|text| format!("{{\"x\": {text}}}"))
    );
}

#[test]
fn the_shell_posts_the_row() {
    let snippets = Snippets::load(None).expect("the built-in templates");
    let mut script = "set -u\ncurl() { printf '%s\\n' \"$*\"; cat; }\n".to_owned();
    let mut wanted = String::new();
    for (name, data_type, value) in cases() {
        let rendered = render(&snippets, &catalog_of(&name, data_type, value));
        let Some(snippet) = rendered.iter().find(|snippet| snippet.id == "ingest-http") else {
            continue;
        };
        let row = posted(&snippet.code);
        assert!(!row.contains('\n'), "a row is a line");
        script += &snippet.code;
        script += "\n";
        wanted += "-sS http://127.0.0.1:8080/v1/ingest/db/t -H Content-Type: application/x-ndjson --data-binary @-\n";
        wanted += &row;
        wanted += "\n";
    }
    assert!(wanted.lines().count() > 400);
    assert_eq!(run(Command::new("bash").arg("-s"), &script), wanted);
}

/// Shell snippets pass the statement on, byte for byte, and SQL reads back the names and values.
#[test]
fn the_shell_passes_the_statement_on() {
    const CLIENTS: [(&str, &str); 2] = [
        (
            "http",
            "-sS http://127.0.0.1:8080/api/sql --data-binary @-\n",
        ),
        ("psql", "-h 127.0.0.1 -p 5432 -d demo\n"),
    ];
    let snippets = Snippets::load(None).expect("the built-in templates");
    // One shell for all: the programs print their arguments and what they read.
    let program = "{ printf '%s\\n' \"$*\"; cat; }\n";
    let mut script = format!("set -u\ncurl() {program}psql() {program}");
    let mut rendered = Vec::new();
    for (name, data_type, value) in cases() {
        let snippets = render(&snippets, &catalog_of(&name, data_type, value.clone()));
        for (client, _) in CLIENTS {
            script += code(&snippets, client);
            script += "\nprintf '\\0'\n";
        }
        rendered.push((name, value, snippets));
    }
    let output = run(Command::new("bash").arg("-s"), &script);
    let mut outputs = output.split_terminator('\0');
    for (name, value, snippets) in rendered {
        let [http, psql] = CLIENTS.map(|(_, arguments)| {
            let output = outputs.next().expect("an output");
            let statement = output.strip_prefix(arguments);
            statement.unwrap_or_else(|| panic!("{output}"))
        });
        assert_eq!(http.strip_suffix('\n'), psql.strip_suffix(";\n"));
        let sql = http.trim_end();
        read_back(sql, &name, &value);
        // A raw string of R ends at its first delimiter.
        let (_, literal) = code(&snippets, "r")
            .split_once("dbGetQuery(lake, r\"")
            .expect("a raw string");
        let (dashes, rest) = literal.split_once('(').expect("a delimiter");
        let (text, after) = rest.split_once(&format!("){dashes}\"")).expect("an end");
        assert_eq!((text.trim_matches('\n'), after), (sql, ")"));
    }
    assert_eq!(outputs.next(), None);
}

/// The document of a GraphQL snippet holds name and value, however odd, where GraphQL can say them.
#[test]
fn a_document_says_name_and_value() {
    let snippets = Snippets::load(None).expect("the built-in templates");
    let mut script = "set -u\ncurl() { printf '%s\\0' \"$5\"; }\n".to_owned();
    let mut expected = Vec::new();
    for (name, data_type, value) in cases() {
        let is_value = data_type.as_ref().is_none_or(Type::is_scalar);
        let rendered = render(&snippets, &catalog_of(&name, data_type, value.clone()));
        let said = if is_value {
            said(&value)
        } else {
            said_as_list(&value)
        };
        let Some(snippet) = rendered.iter().find(|snippet| snippet.id == "graphql") else {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let is_odd = !name.chars().all(is_name)
                || name.starts_with("__")
                || name.starts_with(|c: char| c.is_ascii_digit());
            assert!(is_odd || said.is_none(), "{name}: {value:?}");
            continue;
        };
        script += &snippet.code;
        script += "\n";
        expected.push((name, said.expect("a value that can be said")));
    }
    assert!(expected.len() > 100);
    let output = run(Command::new("bash").arg("-s"), &script);
    let mut documents = output.split_terminator('\0');
    for (name, condition) in expected {
        let document = documents.next().expect("a document");
        let found = document.strip_prefix("query={\n  db_t");
        let found = found.map(|rest| rest.trim_start_matches("_aggregate"));
        let found = found.and_then(|rest| rest.strip_prefix(&format!("(where: {{{name}: {{")));
        let found = found.and_then(|rest| {
            rest.rsplit_once("}}, limit: ")
                .or(rest.rsplit_once("}}) {"))
        });
        let (found, _) = found.unwrap_or_else(|| panic!("{document}"));
        let parsed = |condition: &str| {
            let (operator, value) = condition.split_once(": ").expect("an operator");
            let value = serde_json::from_str::<Json>(value);
            (operator.to_owned(), value.ok())
        };
        // Characters that nobody sees may be written in two ways.
        assert!(
            found == condition || parsed(found) == parsed(&condition),
            "{document}"
        );
    }
    assert_eq!(documents.next(), None);
}

/// A value in a document. `None`: it can't be said.
fn said_value(value: &Value) -> Option<String> {
    Some(match value {
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(text) => {
            let digits = text.replace('_', "").replace("f64", "").replace("f32", "");
            let number: f64 = digits.parse().ok()?;
            number.is_finite().then(|| json!(number).to_string())?
        }
        Value::String(text)
        | Value::Date(text)
        | Value::Timestamp(text)
        | Value::Decimal(text)
        | Value::Binary(text) => json!(text).to_string(),
        Value::Null | Value::List(_) => return None,
    })
}

/// The condition that finds a value.
fn said(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some("_is_null: true".to_owned()),
        Value::List(values) => {
            let values: Option<Vec<String>> = values.iter().map(said_value).collect();
            match values?.as_slice() {
                [] => None,
                [only] => Some(format!("_eq: {only}")),
                values => Some(format!("_in: [{}]", values.join(", "))),
            }
        }
        value => Some(format!("_eq: {}", said_value(value)?)),
    }
}

/// The condition that finds a list.
fn said_as_list(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some("_is_null: true".to_owned()),
        Value::List(values) => {
            let values: Option<Vec<String>> = values.iter().map(said_value).collect();
            Some(format!("_eq: [{}]", values?.join(", ")))
        }
        _ => None,
    }
}

/// The address of a REST snippet holds name and value, however odd, where the door can read them.
#[test]
fn an_address_says_name_and_value() {
    let snippets = Snippets::load(None).expect("the built-in templates");
    let mut script = "set -u\ncurl() { printf '%s\\n' \"$*\"; }\n".to_owned();
    let mut expected = Vec::new();
    for (name, data_type, value) in cases() {
        let rendered = render(&snippets, &catalog_of(&name, data_type, value.clone()));
        let Some(snippet) = rendered.iter().find(|snippet| snippet.id == "rest") else {
            let has_null = matches!(&value, Value::List(items) if items.contains(&Value::Null));
            let is_odd = name.contains('"') || name.contains("->") || name == "select";
            assert!(has_null || is_odd, "{name}: {value:?}");
            continue;
        };
        script += &snippet.code;
        script += "\n";
        expected.push((name, value));
    }
    assert!(expected.len() > 200);
    let output = run(Command::new("bash").arg("-s"), &script);
    let mut lines = output.lines();
    for (name, value) in expected {
        let line = lines.next().expect("a line");
        let query = line
            .strip_prefix("-sS http://127.0.0.1:8080/api/rest/db/t?")
            .and_then(|query| query.strip_suffix("&limit=10"))
            .unwrap_or_else(|| panic!("{line}"));
        let (found, condition) = query.split_once('=').expect("a condition");
        assert_eq!(decoded(found), name);
        let condition = decoded(condition);
        match (condition.split_once('.').expect("an operator"), &value) {
            (("is", "null"), Value::Null) => {}
            (("eq", text), Value::List(items)) => are_said(text, '{', '}', items),
            (("eq", text), value) => assert!(is_said(text, value), "{condition}: {value:?}"),
            (("in", text), Value::List(items)) => are_said(text, '(', ')', items),
            (_, value) => panic!("{condition}: {value:?}"),
        }
    }
    assert_eq!(lines.next(), None);
}

fn is_said(text: &str, value: &Value) -> bool {
    match value {
        Value::Bool(value) => text == value.to_string(),
        Value::Int(value) => text == value.to_string(),
        Value::Float(float) if float.eq_ignore_ascii_case("nan") => text == "NaN",
        Value::Float(_) => same(&Value::Float(text.to_owned()), value),
        Value::String(expected)
        | Value::Date(expected)
        | Value::Timestamp(expected)
        | Value::Decimal(expected)
        | Value::Binary(expected) => text == expected,
        Value::Null | Value::List(_) => false,
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits: String = rest.by_ref().take(2).map(char::from).collect();
            bytes.push(u8::from_str_radix(&digits, 16).expect("two digits"));
        } else {
            assert!(
                byte.is_ascii_graphic() && !b"+&#'\"".contains(&byte),
                "{text}"
            );
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).expect("UTF-8")
}

/// `(a,"b,\"c")`
fn are_said(text: &str, open: char, close: char, expected: &[Value]) {
    let inner = text
        .strip_prefix(open)
        .and_then(|text| text.strip_suffix(close));
    let mut letters = inner.expect("a list").chars();
    let mut items = vec![String::new()];
    let mut is_quoted = false;
    while let Some(letter) = letters.next() {
        let item = items.last_mut().expect("an item");
        match letter {
            '"' => is_quoted = !is_quoted,
            '\\' if is_quoted => item.extend(letters.next()),
            ',' if !is_quoted => items.push(String::new()),
            letter => item.push(letter),
        }
    }
    if expected.is_empty() {
        return assert_eq!(inner, Some(""));
    }
    assert_eq!(items.len(), expected.len(), "{text}");
    for (item, expected) in items.iter().zip(expected) {
        assert!(is_said(item, expected), "{text}: {expected:?}");
    }
}

/// Parses a statement in the dialects of both ends and compares name and value.
fn read_back(sql: &str, name: &str, value: &Value) {
    for dialect in [&GenericDialect {} as &dyn Dialect, &PostgreSqlDialect {}] {
        let condition = condition(dialect, sql);
        let (found, values) = match &condition {
            Expr::BinaryOp {
                left,
                op: BinaryOperator::Eq,
                right,
            } => (&**left, vec![read(right)]),
            Expr::IsNull(column) => (&**column, vec![Value::Null]),
            Expr::InList {
                expr,
                list,
                negated: false,
            } => (&**expr, vec![Value::List(list.iter().map(read).collect())]),
            Expr::Nested(inner) => match &**inner {
                Expr::BinaryOp {
                    left,
                    op: BinaryOperator::Or,
                    ..
                } => match &**left {
                    Expr::InList { expr, list, .. } => {
                        let items = list.iter().map(read).chain([Value::Null]);
                        (&**expr, vec![Value::List(items.collect())])
                    }
                    other => panic!("{other}"),
                },
                other => panic!("{other}"),
            },
            Expr::Function(function) => {
                assert_eq!(function.to_string(), format!("isnan({name})"), "{sql}");
                assert!(matches!(value, Value::Float(_)));
                continue;
            }
            other => panic!("{other:?} in {sql}"),
        };
        assert_eq!(column_name(found), name, "{sql}");
        assert!(
            same(&values[0], value),
            "{values:?} is not {value:?} in {sql}"
        );
    }
}

fn condition(dialect: &dyn Dialect, sql: &str) -> Expr {
    let mut statements =
        Parser::parse_sql(dialect, sql).unwrap_or_else(|error| panic!("{error}\n{sql}"));
    let Some(Statement::Query(query)) = statements.pop() else {
        panic!("not a query: {sql}");
    };
    assert!(
        statements.is_empty() && query.limit_clause.is_some(),
        "{sql}"
    );
    let SetExpr::Select(select) = *query.body else {
        panic!("not a select: {sql}");
    };
    select
        .selection
        .unwrap_or_else(|| panic!("no condition: {sql}"))
}

/// The name that a database looks up: unquoted ones are folded to lower case.
fn column_name(expression: &Expr) -> String {
    match expression {
        Expr::Identifier(name) if name.quote_style.is_some() => name.value.clone(),
        Expr::Identifier(name) => name.value.to_lowercase(),
        other => panic!("not a column: {other}"),
    }
}

fn read(expression: &Expr) -> Value {
    match expression {
        Expr::Value(value) => match &value.value {
            SqlValue::Null => Value::Null,
            SqlValue::Boolean(value) => Value::Bool(*value),
            SqlValue::Number(digits, _) if digits.contains(['.', 'e', 'E']) => {
                Value::Float(digits.clone())
            }
            SqlValue::Number(digits, _) => digits
                .parse()
                .map_or_else(|_| Value::Float(digits.clone()), Value::Int),
            SqlValue::SingleQuotedString(text) => Value::String(text.clone()),
            SqlValue::HexStringLiteral(digits) => Value::Binary(digits.clone()),
            other => panic!("{other}"),
        },
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => match &**expr {
            Expr::Value(value) => match &value.value {
                SqlValue::Number(digits, _) if digits.contains(['.', 'e', 'E']) => {
                    Value::Float(format!("-{digits}"))
                }
                SqlValue::Number(digits, _) => {
                    Value::Int(format!("-{digits}").parse().expect("an integer"))
                }
                other => panic!("{other}"),
            },
            other => panic!("{other}"),
        },
        Expr::BinaryOp {
            left,
            op: BinaryOperator::StringConcat,
            right,
        } => match (read(left), read(right)) {
            (Value::String(left), Value::String(right)) => Value::String(left + &right),
            other => panic!("{other:?}"),
        },
        Expr::Function(function) => {
            let text = function.to_string();
            let code = text
                .strip_prefix("chr(")
                .and_then(|text| text.strip_suffix(')'))
                .expect("chr");
            let code: u32 = code.parse().expect("a number");
            Value::String(char::from_u32(code).expect("a character").into())
        }
        Expr::TypedString(typed) => {
            let SqlValue::SingleQuotedString(text) = &typed.value.value else {
                panic!("{typed}");
            };
            match &typed.data_type {
                DataType::Date => Value::Date(text.clone()),
                DataType::Timestamp(None, TimezoneInfo::Tz) => Value::Timestamp(text.clone()),
                other => panic!("{other}"),
            }
        }
        Expr::Cast {
            expr, data_type, ..
        } => match (read(expr), data_type) {
            (Value::String(text), DataType::Decimal(_)) => Value::Decimal(text),
            (
                Value::String(text) | Value::Float(text),
                DataType::Real | DataType::DoublePrecision,
            ) => Value::Float(text),
            other => panic!("{other:?}"),
        },
        Expr::Array(array) => Value::List(array.elem.iter().map(read).collect()),
        other => panic!("{other:?}"),
    }
}

fn same(a: &Value, b: &Value) -> bool {
    let number = |text: &str| {
        text.replace('_', "")
            .trim_end_matches("f64")
            .parse::<f64>()
            .ok()
    };
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => number(a) == number(b),
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Binary(a), Value::Binary(b)) => a.eq_ignore_ascii_case(b),
        (a, b) => a == b,
    }
}

#[test]
fn duckdb_parses() {
    let snippets = Snippets::load(None).expect("the built-in templates");
    for (name, data_type, value) in cases() {
        let rendered = render(&snippets, &catalog_of(&name, data_type, value));
        let code = code(&rendered, "duckdb");
        let (_, select) = code
            .split_once("\n\n")
            .expect("a secret before the statement");
        condition(&DuckDbDialect {}, select);
    }
}

/// A word that some parser reserves is quoted, whatever it names.
#[test]
fn no_keyword_is_a_bad_name() {
    let snippets = Snippets::load(None).expect("the built-in templates");
    for keyword in ALL_KEYWORDS {
        let name = keyword.to_lowercase();
        let mut catalog = catalog_of(&name, Some(Type::Int32), Value::Int(1));
        catalog.databases[0].name.clone_from(&name);
        catalog.databases[0].tables[0].name.clone_from(&name);
        let rendered = render(&snippets, &catalog);
        let http = code(&rendered, "http");
        let sql = http
            .split_once('\n')
            .and_then(|(_, sql)| sql.rsplit_once('\n'))
            .expect("a document")
            .0;
        for dialect in [
            &GenericDialect {} as &dyn Dialect,
            &PostgreSqlDialect {},
            &DuckDbDialect {},
        ] {
            match condition(dialect, sql) {
                Expr::BinaryOp { left, .. } => assert_eq!(column_name(&left), name, "{sql}"),
                other => panic!("{other:?} in {sql}"),
            }
        }
    }
}

#[test]
fn rust_parses_and_holds_the_values() {
    struct Literals(Vec<Value>);
    impl<'ast> Visit<'ast> for Literals {
        fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
            if let (syn::Expr::Path(function), Some(argument)) = (&*call.func, call.args.first())
                && function.path.is_ident("lit")
            {
                self.0.extend(literal(argument));
            }
            syn::visit::visit_expr_call(self, call);
        }

        fn visit_macro(&mut self, list: &'ast syn::Macro) {
            let items =
                list.parse_body_with(Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated);
            for item in items.expect("a list") {
                match item {
                    syn::Expr::Call(call) => self.0.extend(call.args.first().and_then(literal)),
                    other => panic!("{other:?}"),
                }
            }
        }
    }
    fn literal(expression: &syn::Expr) -> Option<Value> {
        match expression {
            syn::Expr::Lit(expression) => match &expression.lit {
                syn::Lit::Str(text) => Some(Value::String(text.value())),
                syn::Lit::Int(number) => Some(
                    number
                        .base10_parse()
                        .map_or_else(|_| Value::Float(number.base10_digits().into()), Value::Int),
                ),
                syn::Lit::Float(number) => Some(Value::Float(number.base10_digits().into())),
                syn::Lit::Bool(value) => Some(Value::Bool(value.value)),
                _ => None,
            },
            syn::Expr::Unary(negative) => match literal(&negative.expr)? {
                Value::Float(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                    Some(Value::Int(format!("-{digits}").parse().ok()?))
                }
                Value::Float(digits) => Some(Value::Float(format!("-{digits}"))),
                Value::Int(value) => Some(Value::Int(-value)),
                _ => None,
            },
            syn::Expr::MethodCall(call) => match &*call.receiver {
                syn::Expr::Lit(syn::ExprLit {
                    lit: syn::Lit::ByteStr(bytes),
                    ..
                }) => Some(Value::Binary(hexadecimal(&bytes.value()))),
                _ => None,
            },
            _ => None,
        }
    }
    let snippets = Snippets::load(None).expect("the built-in templates");
    for (name, data_type, value) in cases() {
        let rendered = render(&snippets, &catalog_of(&name, data_type, value.clone()));
        if let Some(send) = rendered.iter().find(|snippet| snippet.id == "ingest-rust") {
            syn::parse_file(&send.code).unwrap_or_else(|error| panic!("{error}\n{}", send.code));
        }
        let code = code(&rendered, "rust");
        let file = syn::parse_file(code).unwrap_or_else(|error| panic!("{error}\n{code}"));
        let mut found = Literals(Vec::new());
        found.visit_file(&file);
        let wanted = match value {
            Value::List(items) => items
                .into_iter()
                .filter(|item| *item != Value::Null)
                .collect(),
            Value::Null => Vec::new(),
            Value::Date(text) | Value::Timestamp(text) | Value::Decimal(text) => {
                vec![Value::String(text)]
            }
            Value::Float(text) if text.contains(['n', 'N']) => Vec::new(),
            value => vec![value],
        };
        let wanted: Vec<Value> = wanted
            .into_iter()
            .map(|value| match value {
                Value::Date(text) => Value::String(text),
                value => value,
            })
            .collect();
        assert!(
            same(&Value::List(found.0.clone()), &Value::List(wanted.clone())),
            "{:?} {wanted:?}\n{code}",
            found.0
        );
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Without its colours the HTML is the code, and there are no other tags in it.
#[test]
fn colours_change_nothing() {
    let snippets = Snippets::load(None).expect("the built-in templates");
    let catalogs = cases()
        .into_iter()
        .map(|(name, data_type, value)| catalog_of(&name, data_type, value));
    for catalog in catalogs.chain([fixture_catalog()]) {
        for (database, table) in catalog.tables() {
            for snippet in snippets
                .render(&catalog, database, table)
                .expect("snippets")
            {
                let mut html = snippet.html.clone();
                for class in ["k", "s", "c", "n", "f"] {
                    html = html.replace(&format!("<i class={class}>"), "");
                }
                html = html.replace("</i>", "");
                assert!(!html.contains(['<', '>']), "{html}");
                let text = html
                    .replace("&lt;", "<")
                    .replace("&gt;", ">")
                    .replace("&amp;", "&");
                assert_eq!(text, snippet.code);
            }
        }
    }
}

#[test]
fn colours_are_where_a_reader_expects_them() {
    let catalog = fixture_catalog();
    let snippets = Snippets::load(None).expect("the built-in templates");
    let (database, table) = catalog.tables().next().expect("a table");
    let rendered = snippets
        .render(&catalog, database, table)
        .expect("snippets");
    let html = |id: &str| {
        let snippet = rendered.iter().find(|snippet| snippet.id == id);
        snippet.map_or_else(String::new, |snippet| snippet.html.clone())
    };
    let python = html("python");
    assert!(
        python.starts_with("<i class=k>from</i> neurolake <i class=k>import</i> catalog\n"),
        "{python}"
    );
    assert!(python.contains("implant_id=<i class=n>7</i>,"), "{python}");
    assert!(python.contains(".<i class=f>table</i>("), "{python}");
    let psql = html("psql");
    assert!(psql.contains("\n<i class=k>select</i> *\n"), "{psql}");
    assert!(
        psql.contains("<i class=k>date</i> <i class=s>'2026-03-01'</i>"),
        "{psql}"
    );
    assert!(
        html("r").contains("<i class=s>r\"(\nselect"),
        "{}",
        html("r")
    );
}

fn load_with(files: &[(&str, &str)]) -> Result<Snippets, SnippetError> {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("a template");
    }
    Snippets::load(Some(folder.path()))
}

fn ids(snippets: &Snippets) -> Vec<String> {
    let catalog = fixture_catalog();
    let (database, table) = catalog.tables().next().expect("a table");
    let rendered = snippets
        .render(&catalog, database, table)
        .expect("snippets");
    rendered.into_iter().map(|snippet| snippet.id).collect()
}

#[test]
fn a_folder_replaces_adds_and_removes_clients() {
    let snippets = load_with(&[
        (
            "10-python.j2",
            "{# title: Ours | language: python #}\nread({{ table|python }})",
        ),
        (
            "9-julia.j2",
            "{# title: Julia | language: text | kinds: delta #}\n{{ uri }}",
        ),
        ("60-rust.j2", "\n"),
        ("README.md", "not a template"),
        (
            "90-none.j2",
            "{# title: None | language: text #}\n{% if false %}x{% endif %}",
        ),
    ])
    .expect("templates");
    assert_eq!(
        ids(&snippets),
        [
            "julia",
            "python",
            "polars",
            "duckdb",
            "http",
            "graphql",
            "rest",
            "psql",
            "r",
            "spark",
            "ingest-python",
            "ingest-http",
            "ingest-rust",
        ]
    );
    let catalog = fixture_catalog();
    let (database, table) = catalog.tables().next().expect("a table");
    let rendered = snippets
        .render(&catalog, database, table)
        .expect("snippets");
    assert_eq!(code(&rendered, "julia"), "s3://lake/neural/band_power");
    assert_eq!(code(&rendered, "python"), "read(\"band_power\")");
}

/// Code that cannot run is not shown.
#[test]
fn a_client_whose_door_is_missing_is_not_offered() {
    let snippets = load_with(&[(
        "90-any.j2",
        "{# title: Any | language: text #}\n{{ postgres_host or 'nowhere' }}",
    )])
    .expect("templates");
    let offered = |postgres: Option<&str>| -> Vec<(String, String)> {
        let mut catalog = fixture_catalog();
        catalog.endpoints.postgres = postgres.map(str::to_owned);
        let rendered = render(&snippets, &catalog);
        rendered
            .into_iter()
            .map(|snippet| (snippet.id, snippet.code))
            .collect()
    };
    let with = offered(Some("lake.example.org:5432"));
    let without = offered(None);
    let missing: Vec<&str> = with
        .iter()
        .map(|(id, _)| id.as_str())
        .filter(|id| without.iter().all(|(other, _)| other != id))
        .collect();
    assert_eq!(missing, ["psql", "r"]);
    assert!(with.contains(&("any".to_owned(), "lake.example.org".to_owned())));
    assert!(without.contains(&("any".to_owned(), "nowhere".to_owned())));
}

/// Whoever copies code gets an answer of a platform that wants to know who asks.
#[test]
fn what_connects_says_who_asks_where_that_matters() {
    let snippets = Snippets::load(None).expect("the built-in templates");
    let connecting = |accounts: bool| -> Vec<(String, bool)> {
        let mut catalog = fixture_catalog();
        catalog.endpoints.accounts = accounts;
        catalog.endpoints.postgres = Some("lake.example.org:5432".into());
        let rendered = render(&snippets, &catalog);
        rendered
            .into_iter()
            .filter(|snippet| snippet.language == "bash" || snippet.id == "r")
            .map(|snippet| (snippet.id, snippet.code.contains("NEUROLAKE_TOKEN")))
            .collect()
    };
    let known = connecting(true);
    assert!(
        known.len() > 4 && known.iter().all(|(_, says)| *says),
        "{known:?}"
    );
    let open = connecting(false);
    assert!(open.iter().all(|(_, says)| !says), "{open:?}");
}

#[test]
fn a_wrong_template_says_what_would_be_right() {
    let head = "{# title: X | language: text #}\n";
    let cases = [
        (
            "x.j2",
            head.to_owned(),
            "is not the name of a snippet template",
        ),
        (
            "15-python.j2",
            head.to_owned() + "x",
            "are both for the client `python`",
        ),
        (
            "90-x.j2",
            "x".into(),
            "90-x.j2:1: a template begins with a comment",
        ),
        (
            "90-x.j2",
            "{# language: text #}\nx".into(),
            "`title` is missing",
        ),
        (
            "90-x.j2",
            "{# title: X | language: cobol #}\nx".into(),
            "languages are `bash`",
        ),
        (
            "90-x.j2",
            "{# title: X | lang: text #}\nx".into(),
            "unknown key `lang`",
        ),
        (
            "90-x.j2",
            "{# title: X | language: text | kinds: iceberg #}\nx".into(),
            "kinds are `delta`",
        ),
        (
            "90-x.j2",
            "{# title: X | language: text | door: gopher #}\nx".into(),
            "doors are `http`, `postgres`",
        ),
        (
            "90-x.j2",
            "{# title: X | language: text | for: fun #}\nx".into(),
            "purposes are `read`, `ingest`",
        ),
        (
            "90-x.j2",
            head.to_owned() + "\n{{ tabel }}",
            "90-x.j2:3: unknown variable `tabel`\nhint: variables are `accounts`, `catalog`",
        ),
        (
            "90-x.j2",
            head.to_owned() + "{% if %}",
            "90-x.j2:2: syntax error",
        ),
    ];
    for (name, text, expected) in cases {
        let error = load_with(&[(name, &text)])
            .expect_err("an error")
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
    let cases = [
        (
            "{% for f in filters %}{{ f.nmae }}{% endfor %}",
            "90-x.j2:2: undefined value",
            "a filter has `duckdb`",
        ),
        ("{{ table|pyhton }}", "unknown filter", "`python`"),
        (
            "{% for a in range(9999) %}{% for b in range(9999) %}{{ b }}{% endfor %}{% endfor %}",
            "fuel",
            "loop",
        ),
    ];
    let catalog = fixture_catalog();
    let (database, table) = catalog.tables().next().expect("a table");
    for (text, expected, hint) in cases {
        let snippets = load_with(&[("90-x.j2", &(head.to_owned() + text))]).expect("a template");
        let error = snippets
            .render(&catalog, database, table)
            .expect_err("an error")
            .to_string();
        assert!(error.contains(expected) && error.contains(hint), "{error}");
    }
    let missing = Snippets::load(Some(Path::new("/no/such/folder"))).expect_err("an error");
    assert_eq!(missing.to_string(), "cannot read `/no/such/folder`");
}

/// What a template may use is what the README promises.
#[test]
fn the_readme_names_what_templates_can_use() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../templates/snippets/README.md");
    let readme = fs::read_to_string(readme).expect("a README");
    let error = load_with(&[("90-x.j2", "{# title: X | language: text #}\n{{ nope }}")])
        .expect_err("an error");
    let hint = error.to_string();
    for name in hint.split('`').skip(3).step_by(2) {
        assert!(
            readme.contains(&format!("`{name}`")),
            "`{name}` is not in the README"
        );
    }
}

#[test]
fn other_shapes_of_tables() {
    let snippets = Snippets::load(None).expect("the built-in templates");
    let mut catalog = catalog_of("day", Some(Type::Date), Value::Date("2026-03-01".into()));
    catalog.endpoints.postgres = Some("[::1]:6543".into());
    let table = &mut catalog.databases[0].tables[0];
    table.source = Source::Parquet {
        uri: "gs://lake/t[1]".into(),
        partitioning: Partitioning::Hive,
    };
    let rendered = render(&snippets, &catalog);
    // A pattern in the address would match other folders, and a type that isn't known isn't made up.
    assert!(
        rendered
            .iter()
            .all(|snippet| snippet.id != "polars" && snippet.id != "duckdb")
    );
    assert!(code(&rendered, "psql").starts_with("psql -h ::1 -p 6543 -d demo <<'SQL'\n"));

    let table = &mut catalog.databases[0].tables[0];
    table.source = Source::Parquet {
        uri: "data/t/".into(),
        partitioning: Partitioning::Hive,
    };
    table.partition_by = vec![Partition {
        name: "lab".into(),
        data_type: None,
    }];
    let rendered = render(&snippets, &catalog);
    assert!(
        code(&rendered, "polars")
            .contains("    \"data/t/**/*.parquet\",\n    hive_partitioning=True,\n)")
    );
    assert!(!code(&rendered, "duckdb").contains("hive_types"));

    let table = &mut catalog.databases[0].tables[0];
    table.source = Source::Parquet {
        uri: "data/t".into(),
        partitioning: Partitioning::Directory,
    };
    table.partition_by.push(Partition {
        name: "day".into(),
        data_type: Some(Type::Date),
    });
    let rendered = render(&snippets, &catalog);
    assert!(code(&rendered, "polars").contains("(\"data/t/*/2026-03-01/**/*.parquet\")\n"));
    catalog.databases[0].tables[0].example[0].1 = Value::String("a/b".into());
    assert!(
        render(&snippets, &catalog)
            .iter()
            .all(|snippet| snippet.id != "polars")
    );
}

/// What an argument takes several of is given one by one: the platform compares no lists.
#[test]
fn a_list_for_an_argument_means_any_of_it() {
    let snippets = Snippets::load(None).expect("the built-in templates");
    let values = |items: &[&str]| {
        Value::List(
            items
                .iter()
                .map(|item| Value::String((*item).into()))
                .collect(),
        )
    };
    let mut catalog = catalog_of("c", Some(Type::Int32), Value::Int(7));
    let table = &mut catalog.databases[0].tables[0];
    table.source = Source::Function {
        arguments: vec![Argument {
            name: "tasks".into(),
            data_type: Type::List {
                item: Box::new(Type::String),
                nullable: false,
            },
            required: true,
        }],
    };
    for (example, sql, rust) in [
        (
            Some(values(&["a", "b"])),
            "where tasks in ('a', 'b')\n",
            r#"vec!["a".into(), "b".into()]"#,
        ),
        (
            Some(values(&["a"])),
            "where tasks in ('a')\n",
            r#"vec!["a".into()]"#,
        ),
        (
            None,
            "where tasks in ('...') /* your value */\n",
            r#"vec!["...".into()] /* tasks */"#,
        ),
    ] {
        let table = &mut catalog.databases[0].tables[0];
        table.example = example
            .map(|value| ("tasks".into(), value))
            .into_iter()
            .collect();
        let rendered = render(&snippets, &catalog);
        assert!(
            code(&rendered, "http").contains(sql),
            "{}",
            code(&rendered, "http")
        );
        assert!(
            code(&rendered, "rust").contains(rust),
            "{}",
            code(&rendered, "rust")
        );
    }
}

/// Time for 10,000 tables: `cargo test --release -p catalog-gen --test snippets -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn rendering_is_fast() {
    let snippets = Snippets::load(None).expect("the built-in templates");
    let catalog = catalog_of("implant_id", Some(Type::Int32), Value::Int(7));
    let (database, table) = catalog.tables().next().expect("a table");
    let start = std::time::Instant::now();
    let mut bytes = 0;
    for _ in 0..10_000 {
        let rendered = snippets
            .render(&catalog, database, table)
            .expect("snippets");
        bytes += rendered
            .iter()
            .map(|snippet| snippet.html.len())
            .sum::<usize>();
    }
    println!(
        "10,000 tables x 11 snippets: {:?}, {bytes} bytes of HTML",
        start.elapsed()
    );
}
