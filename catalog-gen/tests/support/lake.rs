//! A small workspace in a folder of its own, and the command run on it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

use tempfile::TempDir;

const MANIFEST: &str = r#"[workspace]
resolver = "3"
members = ["crates/*"]

[workspace.metadata.neurolake]
catalog = "lab"
title = "Lab lake"
repository = "https://github.com/example/lab"
"#;

const PACKAGE: &str = r#"[package]
name = "lab"
version = "0.1.0"
edition = "2024"

[dependencies]
neurolake = "0.1"

[features]
trials = []
"#;

const LIB: &str = "//! A lake for tests.\n\npub mod neural;\npub mod surgery;\n";

pub(crate) const NEURAL: &str = r#"//! Signals.

use neurolake::prelude::*;

/// Band power of each channel.
#[table(
    delta = "s3://lab/band_power",
    partition_by(implant_id),
    owner = "signals",
    example(implant_id = 7)
)]
pub(crate) struct BandPower {
    /// The recording implant.
    pub implant_id: i32,
    /// Power over the baseline.
    #[column(unit = "dB")]
    pub power: f32,
}

/// Mean power of each implant.
#[table(sql = "select implant_id, avg(power) as power from neural.band_power group by implant_id")]
pub(crate) struct MeanPower {
    /// The recording implant.
    pub implant_id: i32,
    /// Mean power.
    pub power: f64,
}

/// Trials of new electrodes.
#[cfg(feature = "trials")]
#[table(delta = "s3://lab/trials")]
pub(crate) struct Trials {
    /// Number of the trial.
    pub trial_id: i64,
}
"#;

pub(crate) const SURGERY: &str = r#"//! Operations.

use neurolake::prelude::*;

/// Operations, one row each.
#[table(delta = "s3://lab/surgeries", owner = "robotics", tags("phi"))]
pub(crate) struct Surgeries {
    /// Number of the operation.
    pub surgery_id: i64,
    /// From incision to closure.
    #[column(unit = "min")]
    pub duration: i32,
}
"#;

/// A workspace that vanishes with it.
pub(crate) struct Lake {
    folder: TempDir,
}

/// How a command ended.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Lake {
    pub(crate) fn new() -> Self {
        let lake = Self::empty();
        lake.write("Cargo.toml", MANIFEST);
        lake.write("crates/lab/Cargo.toml", PACKAGE);
        lake.write("crates/lab/src/lib.rs", LIB);
        lake.write("crates/lab/src/neural.rs", NEURAL);
        lake.write("crates/lab/src/surgery.rs", SURGERY);
        lake
    }

    /// The demo lake, alone in a workspace.
    pub(crate) fn demo() -> Self {
        let lake = Self::empty();
        lake.write("Cargo.toml", &MANIFEST.replace("crates/*", "demo"));
        lake.write("demo/Cargo.toml", &PACKAGE.replace("lab", "demo"));
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../neurolake/demo/src");
        for (path, bytes) in files(&demo) {
            let text = String::from_utf8(bytes).expect("source is text");
            lake.write(&format!("demo/src/{path}"), &text);
        }
        lake
    }

    pub(crate) fn empty() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    pub(crate) fn read(&self, path: &str) -> String {
        let path = self.path(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Replaces text that must be there.
    pub(crate) fn edit(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "`{path}` holds no {from:?}");
        self.write(path, &text.replace(from, to));
    }

    /// The command, to be run in the workspace's folder with nothing of the caller's in its
    /// environment that would change the result.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_catalog-gen"));
        command.args(arguments).current_dir(self.folder.path());
        for name in [
            "CARGO_TARGET_DIR",
            "GITHUB_SHA",
            "CI_COMMIT_SHA",
            "NO_COLOR",
        ] {
            command.env_remove(name);
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        run(&mut self.command(arguments))
    }

    /// Runs what must end with this code.
    pub(crate) fn expect(&self, code: i32, arguments: &[&str]) -> Run {
        let run = self.run(arguments);
        assert_eq!(
            run.code,
            Some(code),
            "catalog-gen {}\n{}\n{}",
            arguments.join(" "),
            run.stdout,
            run.stderr
        );
        run
    }
}

pub(crate) fn run(command: &mut Command) -> Run {
    ended(&command.stdin(Stdio::null()).output().expect("the command"))
}

pub(crate) fn ended(output: &Output) -> Run {
    Run {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Every file below a folder with its bytes.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    below(folder)
        .into_iter()
        .map(|path| {
            let name = path
                .strip_prefix(folder)
                .expect("below")
                .display()
                .to_string();
            (name, fs::read(&path).expect("a file"))
        })
        .collect()
}

/// When each file below a folder was written.
pub(crate) fn times(folder: &Path) -> BTreeMap<PathBuf, SystemTime> {
    let time = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
    below(folder)
        .into_iter()
        .map(|path| (path.clone(), time(&path).expect("a time")))
        .collect()
}

fn below(folder: &Path) -> Vec<PathBuf> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .map(|entry| entry.expect("a readable folder"))
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
        .collect()
}
