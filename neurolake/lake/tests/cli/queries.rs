//! `query`, `tables`, `describe`, `doctor`.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::runs::Folder;

const ALL: &str = "select * from lab.numbers order by id";

#[test]
fn rows_in_every_format() {
    let folder = Folder::new();
    let csv = folder.expect(0, &["query", ALL]);
    assert_eq!(csv.stdout, "id,word\n1,one\n2,\n3,it's\n");
    assert_eq!(csv.stderr, "");
    let json = folder.expect(0, &["query", ALL, "--format", "json"]);
    assert_eq!(
        serde_json::from_str::<Value>(&json.stdout).unwrap(),
        json!([{"id": 1, "word": "one"}, {"id": 2, "word": null}, {"id": 3, "word": "it's"}])
    );
    let lines = folder.expect(0, &["query", ALL, "-f", "ndjson"]);
    assert_eq!(lines.stdout.lines().count(), 3);
    let table = folder.expect(0, &["query", ALL, "-f", "table", "--rows", "2"]);
    assert_eq!(table.stdout, "id | word\n---+-----\n 1 | one\n 2 | NULL\n");
    assert!(
        table.stderr.contains("the first 2 rows"),
        "{}",
        table.stderr
    );
}

#[test]
fn files_appear_when_they_are_complete() {
    let folder = Folder::new();
    for name in [
        "rows.csv",
        "rows.json",
        "rows.ndjson",
        "rows.arrow",
        "rows.parquet",
    ] {
        let run = folder.expect(0, &["query", ALL, "--output", name]);
        assert_eq!(run.stdout, "");
        assert!(folder.path(name).metadata().unwrap().len() > 0, "{name}");
    }
    let bytes = std::fs::read(folder.path("rows.parquet")).unwrap();
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
    let before = folder.files();
    let fails = "select 1 / (100000 - value) as q from generate_series(1, 200000)";
    folder.expect(2, &["query", fails, "--output", "never.csv"]);
    assert_eq!(folder.files(), before, "no half of a file is left");
    let run = folder.expect(2, &["query", ALL, "--output", "rows.xyz"]);
    assert!(
        run.stderr.contains("hint: name it with `--format`"),
        "{}",
        run.stderr
    );
}

#[test]
fn parameters_are_values() {
    let folder = Folder::new();
    let sql = "select word from lab.numbers where id = $id or word = $word";
    let run = folder.expect(0, &["query", sql, "-p", "id=1", "--param", "word=it's"]);
    assert_eq!(run.stdout, "word\none\nit's\n");
    let run = folder.expect(
        0,
        &[
            "query",
            "select $1 as a, $2 as b",
            "-p",
            "1=x",
            "-p",
            "2=null",
        ],
    );
    assert_eq!(run.stdout, "a,b\nx,\n");
    folder.expect(2, &["query", sql, "-p", "7"]);
}

#[test]
fn statements_come_from_files_and_pipes() {
    let folder = Folder::new();
    folder.write("query.sql", ALL);
    let run = folder.expect(0, &["query", "--file", "query.sql"]);
    assert_eq!(run.stdout.lines().count(), 4);
    let mut command = folder.command(&["query", "-"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"select 7 as seven")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "seven\n7\n");
    folder.expect(4, &["query", "--file", "missing.sql"]);
    folder.expect(2, &["query"]);
    folder.expect(2, &["query", " "]);
}

#[test]
fn a_closed_pipe_is_quiet() {
    let folder = Folder::new();
    let mut command = folder.command(&["query", "select value from generate_series(1, 3000000)"]);
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn mistakes_have_codes_and_hints() {
    let folder = Folder::new();
    for (code, sql, said) in [
        (2, "selec 1", "error: "),
        (2, "select * from lab.number", "numbers"),
        (2, "insert into lab.numbers values (4, 'four')", "error: "),
        (3, "select * from lab.animals", "lab.animals"),
    ] {
        let run = folder.expect(code, &["query", sql]);
        assert_eq!(run.stdout, "", "{sql}");
        assert!(run.stderr.contains(said), "{sql}: {}", run.stderr);
    }
    let run = folder.expect(2, &["query", "select 1", "--catalog", "missing.json"]);
    assert!(run.stderr.contains("missing.json"), "{}", run.stderr);
    let mut command = folder.command(&["tables"]);
    let run = command.env_remove("NEUROLAKE_CATALOG").output().unwrap();
    assert_eq!(run.status.code(), Some(2));
    assert!(
        String::from_utf8(run.stderr)
            .unwrap()
            .contains("hint: name a catalog")
    );
}

#[test]
fn tables_are_found_by_pattern() {
    let folder = Folder::new();
    let all = folder.expect(0, &["tables"]).stdout;
    assert_eq!(
        all,
        "lab.animals  PostgreSQL    Animals of the colony.\nlab.numbers  SQL view      Small numbers.\n"
    );
    assert_eq!(
        folder.expect(0, &["tables", "NUM"]).stdout.lines().count(),
        1
    );
    let json = folder
        .expect(0, &["tables", "*.animals", "--format", "json"])
        .stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["table"], "lab.animals");
    let none = folder.expect(1, &["tables", "zebra"]);
    assert_eq!(none.stdout, "");
}

#[test]
fn a_table_is_described() {
    let folder = Folder::new();
    let text = folder.expect(0, &["describe", "lab.animals"]).stdout;
    for part in [
        "One row each.",
        "colony.animals",
        "int64",
        "Its tag.",
        "where id = 2 limit 10",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let run = folder.expect(2, &["describe", "lab.animal"]);
    assert!(
        run.stderr.contains("hint: did you mean `lab.animals`?"),
        "{}",
        run.stderr
    );
    let run = folder.expect(2, &["describe", "numbers"]);
    assert!(run.stderr.contains("`lab.numbers`"), "{}", run.stderr);
}

#[test]
fn the_doctor_finds_what_is_broken_and_only_that() {
    let folder = Folder::new();
    let run = folder.expect(1, &["doctor"]);
    assert!(
        run.stdout.contains("broken   table  lab.animals"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout.contains("ok       table  lab.numbers"),
        "{}",
        run.stdout
    );
    folder.expect(0, &["doctor", "lab.numbers"]);
    folder.expect(2, &["doctor", "lab.nothing"]);
    let json = folder.expect(1, &["doctor", "--format", "json"]).stdout;
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["tables"][0]["state"], "broken");
    assert_eq!(report["tables"][1]["state"], "ok");
}

#[test]
fn a_copy_stands_in_for_a_database() {
    let folder = Folder::new();
    std::fs::create_dir_all(folder.path(".neurolake/copies")).unwrap();
    let copy = ".neurolake/copies/lab.animals.parquet";
    let sql = "select cast(id as bigint) as id, word as name from lab.numbers";
    folder.expect(0, &["query", sql, "--output", copy]);
    let run = folder.expect(0, &["query", "select name from lab.animals where id = 3"]);
    assert_eq!(run.stdout, "name\nit's\n");
}

#[test]
fn help_documents_exit_codes_and_variables() {
    let folder = Folder::new();
    let help = folder.expect(0, &["--help"]).stdout;
    for part in ["Exit codes:", "130", "NEUROLAKE_CONFIG", "NEUROLAKE_LOG"] {
        assert!(help.contains(part), "{part}");
    }
    let version = folder.expect(0, &["--version"]).stdout;
    assert!(version.contains(env!("CARGO_PKG_VERSION")));
}
