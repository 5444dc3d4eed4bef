//! A folder of its own for each test, with a small catalog.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const CATALOG: &str = r#"{
  "format_version": 1,
  "name": "lab",
  "databases": [{
    "name": "lab",
    "location": {"file": "src/lab.rs", "line": 1},
    "tables": [
      {
        "name": "animals",
        "docs": "Animals of the colony. One row each.",
        "source": {"kind": "postgres", "relation": "colony.animals"},
        "store": "colony",
        "columns": [
          {"name": "id", "type": "int64", "nullable": false, "docs": "Its tag."},
          {"name": "name", "type": "string", "nullable": true}
        ],
        "example": [["id", {"int": 2}]],
        "rust_path": "lab::Animals",
        "location": {"file": "src/lab.rs", "line": 3}
      },
      {
        "name": "numbers",
        "docs": "Small numbers.",
        "source": {
          "kind": "sql",
          "query": "select column1 as id, column2 as word from (values (1, 'one'), (2, null), (3, 'it''s')) as v"
        },
        "rust_path": "lab::Numbers",
        "location": {"file": "src/lab.rs", "line": 9}
      }
    ]
  }]
}"#;

/// What a finished run left.
pub(crate) struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

pub(crate) struct Folder(TempDir);

impl Folder {
    /// With `catalog.json` and an empty folder of data.
    pub(crate) fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::write(folder.path("catalog.json"), CATALOG).unwrap();
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// The command in this folder, in an empty environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(Path::new(env!("CARGO_BIN_EXE_neurolake")));
        command
            .args(arguments)
            .current_dir(self.0.path())
            .env_clear()
            .env("NEUROLAKE_CATALOG", "catalog.json")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// For what a process says that goes on: a pipe that nobody reads is full at some time, and
    /// whoever writes to it waits for ever.
    pub(crate) fn log(&self, name: &str) -> fs::File {
        let mut options = fs::File::options();
        options.append(true).create(true);
        options.open(self.path(name)).unwrap()
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        self.command(arguments).output().unwrap().into()
    }

    /// Runs it and expects an exit code.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, arguments: &[&str]) -> Run {
        let run = self.run(arguments);
        assert_eq!(
            run.code,
            Some(code),
            "{arguments:?}\n{}\n{}",
            run.stdout,
            run.stderr
        );
        run
    }

    /// Names of all files in the folder itself.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }
}
