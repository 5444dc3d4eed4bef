//! Whole workspaces with something wrong, or merely odd: what people see, and that nothing is
//! half-written.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use neurolake_declare::Code;
use neurolake_model::Catalog;
use neurolake_tests::tools::{catalog_gen, expect_file, scratch, stderr, workspace};

fn fixtures() -> PathBuf {
    workspace().join("tests/fixtures/workspaces")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a fixture") {
        let entry = entry.expect("a file");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                pending.push(path);
            } else {
                files.insert(path.clone(), fs::read(path).expect("a file"));
            }
        }
    }
    files
}

/// An earlier site.
fn site(folder: &Path) -> PathBuf {
    let out = folder.join("out");
    fs::create_dir(&out).expect("a folder");
    fs::write(out.join(".catalog-gen"), "index.html\nold.html\n").expect("a file");
    fs::write(out.join("index.html"), "old").expect("a file");
    fs::write(out.join("old.html"), "old").expect("a file");
    out
}

/// A line for each table, with what a reader may get wrong.
fn tables(catalog: &[u8]) -> String {
    let catalog = std::str::from_utf8(catalog).expect("UTF-8");
    let catalog = Catalog::from_json(catalog).expect("a catalog");
    let mut text = format!("catalog {}\n", catalog.name);
    for database in &catalog.databases {
        for table in &database.tables {
            let columns: Vec<String> = table
                .columns
                .iter()
                .map(|column| format!("{}: {}", column.name, column.data_type))
                .collect();
            let cfg = table.cfg.as_ref().map(|cfg| format!(" cfg({cfg})"));
            let _ = writeln!(
                text,
                "{}.{} ({}) = {} at {}:{}{}",
                database.name,
                table.name,
                columns.join(", "),
                table.rust_path,
                table.location.file,
                table.location.line,
                cfg.unwrap_or_default(),
            );
        }
    }
    text
}

/// Checks and builds; gives what people see of the check. A site is replaced as a whole or left
/// as it was.
fn check(folder: &Path) -> String {
    let checked = catalog_gen(folder, &["check", "--color", "never"]);
    let code = checked.status.code().expect("an exit code, not a signal");
    let text = stderr(&checked);
    assert!(!text.contains("panicked"), "{text}");
    let out = site(folder);
    let before = files(&out);
    let built = catalog_gen(folder, &["build", "--out", "out", "--quiet"]);
    let is_stale = text.contains("[NL0118]");
    if !is_stale {
        assert_eq!(built.status.code(), Some(code), "{}", stderr(&built));
    }
    if built.status.success() {
        let after = files(&out);
        assert!(after.contains_key(&out.join("catalog.json")));
        assert!(!after.contains_key(&out.join("old.html")));
        return text + "\n" + &tables(&after[&out.join("catalog.json")]);
    }
    assert_eq!(files(&out), before);
    text
}

#[test]
fn each_workspace_gives_what_is_expected() {
    let scratch = scratch("workspaces");
    let mut differences = Vec::new();
    for entry in fs::read_dir(fixtures()).expect("fixtures") {
        let fixture = entry.expect("a fixture").path();
        let name = fixture.file_name().expect("a name");
        let folder = scratch.join(name);
        copy(&fixture, &folder);
        let seen = check(&folder).replace(&folder.display().to_string(), "[folder]");
        differences.extend(expect_file(&fixture.join("expected.txt"), &seen).err());
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn every_rule_of_the_reader_has_a_workspace() {
    let mut found = String::new();
    for entry in fs::read_dir(fixtures()).expect("fixtures") {
        let file = entry.expect("a fixture").path().join("expected.txt");
        found += &fs::read_to_string(file).unwrap_or_default();
    }
    // Made below, because they would be a burden in a repository.
    found += "[NL0102] [NL0103]";
    let missing: Vec<String> = Code::ALL
        .iter()
        .map(ToString::to_string)
        .filter(|code| code.as_str() > "NL0100" && !found.contains(&format!("[{code}]")))
        .collect();
    assert!(missing.is_empty(), "no workspace for {missing:?}");
}
