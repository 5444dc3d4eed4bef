//! Every mistake in `tests/cases/errors` through both front ends: the compiler with the macro, and
//! `catalog-gen check`. They must say the same at the same place, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use neurolake_declare::Code;
use neurolake_tests::tools::{cargo, catalog_gen, expect_file, scratch, stderr, stdout, workspace};
use serde_json::Value as Json;

/// One error: place and text as both front ends give them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Shown {
    line: u64,
    column: u64,
    end_line: u64,
    end_column: u64,
    text: String,
}

type ByCase = BTreeMap<String, BTreeSet<Shown>>;

fn folder() -> PathBuf {
    workspace().join("tests/cases/errors")
}

fn names() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder())
        .expect("cases")
        .filter_map(|entry| {
            let name = entry.expect("a case").file_name().into_string().ok()?;
            Some(name.strip_suffix(".rs")?.to_owned())
        })
        .collect();
    names.sort();
    names
}

/// A crate that has every case as a module; both front ends read this one.
static CRATE: LazyLock<PathBuf> = LazyLock::new(|| {
    let root = scratch("errors");
    let workspace = workspace();
    let mut lib = String::new();
    for name in names() {
        let file = folder().join(format!("{name}.rs"));
        writeln!(lib, "#[path = \"{}\"]\npub mod {name};", file.display()).expect("text");
    }
    fs::create_dir(root.join("src")).expect("a folder");
    fs::write(root.join("src/lib.rs"), lib).expect("a file");
    // The lock file keeps the versions, and the profile keeps the flags, that the dependencies are
    // built with already.
    fs::copy(workspace.join("Cargo.lock"), root.join("Cargo.lock")).expect("a lock file");
    let manifest = format!(
        "[package]\nname = \"errors\"\nedition = \"2024\"\n\n\
         [dependencies]\nneurolake = {{ path = \"{}\" }}\n\n\
         [package.metadata.neurolake]\nmissing-docs = \"allow\"\n\n\
         [profile.dev]\ndebug = \"line-tables-only\"\n\n\
         [profile.dev.package.\"*\"]\ndebug = false\n\n[workspace]\n",
        workspace.join("neurolake/lake").display()
    );
    fs::write(root.join("Cargo.toml"), manifest).expect("a file");
    root
});

fn case_of(file: &str) -> String {
    let name = Path::new(file).file_stem().expect("a file");
    name.to_string_lossy().into_owned()
}

/// What the compiler says.
fn compiled() -> ByCase {
    let output = cargo(&CRATE)
        .args(["check", "--offline", "--quiet", "--message-format=json"])
        .output()
        .expect("cargo runs");
    let mut cases = ByCase::new();
    for line in stdout(&output).lines() {
        let line: Json = serde_json::from_str(line).expect("a line of JSON");
        let message = &line["message"];
        let text = message["message"].as_str().unwrap_or_default();
        if message["level"] != "error" || text.starts_with("aborting due to") {
            continue;
        }
        let spans = message["spans"].as_array().expect("spans");
        let span = spans
            .iter()
            .find(|span| span["is_primary"] == true)
            .unwrap_or_else(|| panic!("no place for {message}"));
        let number = |key: &str| span[key].as_u64().expect("a number");
        let shown = Shown {
            line: number("line_start"),
            column: number("column_start"),
            end_line: number("line_end"),
            end_column: number("column_end"),
            text: text.to_owned(),
        };
        let file = span["file_name"].as_str().expect("a file");
        cases.entry(case_of(file)).or_default().insert(shown);
    }
    assert!(!cases.is_empty(), "cargo check said: {}", stderr(&output));
    cases
}

/// What `catalog-gen check` says.
fn read() -> ByCase {
    let output = catalog_gen(&CRATE, &["check", "--message-format", "json"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let mut cases = ByCase::new();
    for line in stdout(&output).lines() {
        let finding: Json = serde_json::from_str(line).expect("a line of JSON");
        let text = |value: &Json| value.as_str().expect("text").to_owned();
        let mut message = format!("[{}] {}", text(&finding["code"]), text(&finding["message"]));
        for help in finding["help"].as_array().expect("a list") {
            message += "\nhelp: ";
            message += &text(help);
        }
        let place = &finding["place"];
        let number = |key: &str| place[key].as_u64().expect("a number");
        let shown = Shown {
            line: number("line"),
            column: number("column"),
            end_line: number("end_line"),
            end_column: number("end_column"),
            text: message,
        };
        cases
            .entry(case_of(&text(&place["file"])))
            .or_default()
            .insert(shown);
    }
    cases
}

#[test]
fn the_compiler_and_the_reader_say_the_same() {
    let compiled = compiled();
    let read = read();
    let mut differences = String::new();
    for name in names() {
        let none = BTreeSet::new();
        let macros = compiled.get(&name).unwrap_or(&none);
        let reader = read.get(&name).unwrap_or(&none);
        if macros.is_empty() {
            let _ = writeln!(differences, "{name}: the compiler finds nothing");
        }
        for shown in macros.difference(reader) {
            let _ = writeln!(differences, "{name}: only the compiler says {shown:#?}");
        }
        for shown in reader.difference(macros) {
            let _ = writeln!(differences, "{name}: only the reader says {shown:#?}");
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

#[test]
fn people_see_what_they_need() {
    let output = catalog_gen(&CRATE, &["check", "--color", "never"]);
    let text = stderr(&output);
    let mut shown: BTreeMap<String, String> = BTreeMap::new();
    let mut blocks: Vec<String> = Vec::new();
    for line in text.lines() {
        if line.starts_with("error[") {
            blocks.push(String::new());
        }
        if let Some(block) = blocks.last_mut() {
            block.push_str(line);
            block.push('\n');
        }
    }
    for block in blocks {
        let (_, place) = block.split_once("--> ").expect("a place");
        let (path, rest) = place.split_once(".rs:").expect("a path");
        let name = case_of(&format!("{path}.rs"));
        let rest = rest.split("\n\n").next().expect("the block");
        let title = block.split("--> ").next().expect("a title");
        let text = format!("{title}--> {name}.rs:{}\n", rest.trim_end());
        let all = shown.entry(name).or_default();
        if !all.is_empty() {
            all.push('\n');
        }
        all.push_str(&text);
    }
    let mut differences = Vec::new();
    for name in names() {
        let actual = shown.remove(&name).unwrap_or_default();
        differences.extend(expect_file(&folder().join(format!("{name}.stderr")), &actual).err());
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn every_rule_of_the_language_has_a_case() {
    let found: String = names()
        .iter()
        .filter_map(|name| fs::read_to_string(folder().join(format!("{name}.stderr"))).ok())
        .collect();
    let missing: Vec<String> = Code::ALL
        .iter()
        .map(ToString::to_string)
        .filter(|code| code.as_str() < "NL0100")
        .filter(|code| !found.contains(&format!("error[{code}]")))
        .collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
}
