//! Files to tables, each job once; small files to large ones.

use std::fs;
use std::process::Child;
use std::thread;

use serde_json::Value;

use crate::events::folder;
use crate::runs::{Folder, Run};

fn rows(ids: std::ops::Range<u64>) -> String {
    let line = |id| {
        let day = id % 3 + 1;
        format!("{id},2026-03-0{day},\"it's {id},\n\"\"{id}\"\"\"\n")
    };
    format!("id,day,text\n{}", ids.map(line).collect::<String>())
}

#[track_caller]
fn holds(folder: &Folder, count: u64) {
    let sql = "select count(*) as n, count(distinct id) as ids from lab.events";
    let found = folder.expect(0, &["query", sql]).stdout;
    assert_eq!(found, format!("n,ids\n{count},{count}\n"));
}

fn report(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap()
}

#[test]
fn every_form_is_read_and_every_job_is_done_once() {
    let folder = folder();
    folder.write("a.csv", &rows(0..1000));
    folder.expect(0, &["write", "lab.events", "a.csv"]);
    holds(&folder, 1000);
    // The same contents are the same job.
    let again = folder.expect(0, &["write", "lab.events", "a.csv", "--format", "json"]);
    assert_eq!(report(&again)["duplicate"], true);
    holds(&folder, 1000);
    // What it gives, it takes.
    for (number, name) in ["b.parquet", "c.arrow", "d.ndjson", "e.json"]
        .iter()
        .enumerate()
    {
        let first = 1000 * (number as u64 + 1);
        let sql = format!("select id + {first} as id, day, text from lab.events where id < 1000");
        folder.expect(0, &["query", &sql, "--output", name]);
        let done = folder.expect(
            0,
            &[
                "write",
                "lab.events",
                name,
                "--job",
                name,
                "--format",
                "json",
            ],
        );
        let done = report(&done);
        assert_eq!(
            (&done["rows"], &done["duplicate"]),
            (&1000.into(), &false.into())
        );
        holds(&folder, first + 1000);
        let text = format!("select text from lab.events where id = {}", first + 7);
        let found = folder
            .expect(0, &["query", &text, "--format", "json"])
            .stdout;
        assert!(found.contains(r#"it's 7,\n\"7\""#), "{found}");
    }
    // A job is known by its name, whatever its files hold now; unlike another of the same files.
    folder.write("f.csv", &rows(9000..9001));
    folder.expect(0, &["write", "lab.events", "f.csv", "--job", "b.parquet"]);
    holds(&folder, 5000);
    folder.expect(0, &["write", "lab.events", "f.csv", "--job", "other"]);
    holds(&folder, 5001);
}

#[test]
fn nothing_is_written_if_a_row_doesnt_fit() {
    let folder = folder();
    folder.write("good.csv", &rows(0..10));
    folder.write(
        "bad.csv",
        "id,day,text\n1,2026-03-01,\"two\nlines\"\nx,2026-13-01,b\n3,,c\n",
    );
    let refused = folder.expect(1, &["write", "lab.events", "good.csv", "bad.csv"]);
    for part in [
        "bad.csv:4: `id`: expected a whole number (int64), found a string \"x\"",
        "bad.csv:4: `day`: expected a date",
        "bad.csv:5: `day`: is missing",
    ] {
        assert!(refused.stderr.contains(part), "{}", refused.stderr);
    }
    folder.write(
        "bad.ndjson",
        &("{\"id\": 1, \"day\": \"2026-03-01\"}\n".repeat(200_000) + "{}\n"),
    );
    let refused = folder.expect(
        1,
        &["write", "lab.events", "bad.ndjson", "--format", "json"],
    );
    let error = &report(&refused)["errors"][0];
    assert_eq!(
        (&error["line"], &error["row"]),
        (&200_001.into(), &200_000.into())
    );
    folder.write("ragged.csv", "id,day,text\n1,2026-03-01\n");
    let refused = folder.expect(2, &["write", "lab.events", "ragged.csv"]);
    assert!(
        refused.stderr.contains("line 2 has 2 cells, expected 3"),
        "{}",
        refused.stderr
    );
    folder.write("notes.txt", "");
    let refused = folder.expect(2, &["write", "lab.events", "notes.txt"]);
    assert!(refused.stderr.contains("--form"), "{}", refused.stderr);
    folder.write("broken.parquet", "PAR1");
    folder.expect(2, &["write", "lab.events", "broken.parquet"]);
    // It can be read once only.
    let refused = folder.expect(2, &["write", "lab.events", "/dev/null", "--form", "csv"]);
    assert!(refused.stderr.contains("--job"), "{}", refused.stderr);
    folder.expect(0, &["write", "lab.events", "good.csv", "--check"]);
    holds(&folder, 0);
}

#[test]
fn a_job_that_is_killed_or_started_twice_is_done_once() {
    let folder = folder();
    folder.write("a.csv", &rows(0..20_000));
    let arguments = ["write", "lab.events", "a.csv", "--job", "night"];
    for round in 0..8 {
        let mut run = folder.command(&arguments).spawn().unwrap();
        thread::sleep(std::time::Duration::from_millis(40 * round));
        let _ = run.kill();
        run.wait().unwrap();
    }
    folder.expect(0, &arguments);
    holds(&folder, 20_000);
    folder.write("b.csv", &rows(20_000..40_000));
    let arguments = [
        "write",
        "lab.events",
        "b.csv",
        "--job",
        "day",
        "--format",
        "json",
    ];
    let runs: Vec<Child> = (0..3)
        .map(|_| folder.command(&arguments).spawn().unwrap())
        .collect();
    let mut written = 0;
    for run in runs {
        let run = Run::from(run.wait_with_output().unwrap());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        written += usize::from(report(&run)["duplicate"] == false);
    }
    assert_eq!(written, 1);
    holds(&folder, 40_000);
    // What the killed ones left is not young enough to be in anybody's way.
    let kept = folder.expect(
        0,
        &["vacuum", "lab.events", "--dry-run", "--format", "json"],
    );
    assert_eq!(report(&kept)["files_removed"], 0);
}

#[test]
fn small_files_are_merged_and_the_rows_stay() {
    let folder = folder();
    for number in 0..12 {
        let name = format!("{number}.csv");
        folder.write(&name, &rows(number * 10..number * 10 + 10));
        folder.expect(0, &["write", "lab.events", &name]);
    }
    let files = || -> usize {
        let days = fs::read_dir(folder.path(".neurolake/buckets/lake/events")).unwrap();
        let of = |day: fs::DirEntry| fs::read_dir(day.path()).unwrap().count();
        let days = days.map(Result::unwrap);
        days.filter(|day| day.file_name().to_string_lossy().starts_with("day="))
            .map(of)
            .sum()
    };
    assert_eq!(files(), 36);
    // Two at once are as good as one.
    let arguments = ["compact", "lab.events", "--format", "json"];
    let runs: Vec<Child> = (0..2)
        .map(|_| folder.command(&arguments).spawn().unwrap())
        .collect();
    let mut removed = 0;
    for run in runs {
        let run = Run::from(run.wait_with_output().unwrap());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        removed += report(&run)["files_removed"].as_u64().unwrap();
    }
    assert_eq!(removed, 36);
    holds(&folder, 120);
    let refused = folder.expect(1, &["vacuum", "--keep", "5m"]);
    assert!(refused.stdout.contains("too short"), "{}", refused.stdout);
    folder.expect(0, &["vacuum", "--keep", "1h"]);
    holds(&folder, 120);
}

#[test]
fn the_doctor_proves_that_commits_are_safe() {
    let folder = folder();
    let found = folder.expect(0, &["doctor", "--prove-commits"]).stdout;
    assert!(
        found.contains("ok       store  default: s3://lake, commits"),
        "{found}"
    );
}

#[test]
fn a_writer_of_its_own_needs_a_broker() {
    let folder = folder();
    let refused = folder.expect(2, &["writer"]);
    assert!(
        refused.stderr.contains("ingest.queue"),
        "{}",
        refused.stderr
    );
}
