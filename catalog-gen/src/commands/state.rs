//! Remembers what a build read and wrote, so that a build of the same does nothing.
//!
//! The state lies in the target folder: it holds times, and the site must not.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Length and time of change of each file and folder that a build depended on.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Everything else that decides the result: version and arguments.
    key: String,
    summary: String,
    stamps: Vec<(PathBuf, u64, u128)>,
    /// Folders with the packages in them: `members = ["lakes/*"]` takes in what comes there.
    homes: Vec<(PathBuf, Vec<PathBuf>)>,
}

impl State {
    /// Takes the stamps of all paths. `None` where one can't be taken, or where an input changed
    /// after the build had started: the build may have read it before.
    pub(crate) fn take(
        key: String,
        summary: String,
        started: SystemTime,
        inputs: impl IntoIterator<Item = PathBuf>,
        outputs: impl IntoIterator<Item = PathBuf>,
        homes: impl IntoIterator<Item = PathBuf>,
    ) -> Option<Self> {
        let started = started.duration_since(UNIX_EPOCH).ok()?.as_nanos();
        let mut stamps = Vec::new();
        for path in inputs {
            let (length, changed) = stamp(&path)?;
            if changed >= started {
                return None;
            }
            stamps.push((path, length, changed));
        }
        for path in outputs {
            let (length, changed) = stamp(&path)?;
            stamps.push((path, length, changed));
        }
        let homes = homes.into_iter().map(|home| {
            let packages = packages(&home);
            (home, packages)
        });
        let homes = homes.collect();
        Some(Self {
            key,
            summary,
            stamps,
            homes,
        })
    }

    /// What the last build said, if nothing it depended on has changed since.
    pub(crate) fn unchanged(file: &Path, key: &str) -> Option<String> {
        let state: Self = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
        let is_same = state.key == key
            && state.stamps.iter().all(|(path, length, changed)| {
                stamp(path).is_some_and(|now| now == (*length, *changed))
            })
            && state
                .homes
                .iter()
                .all(|(home, known)| packages(home) == *known);
        is_same.then_some(state.summary)
    }

    /// Writes the state. A state that can't be written only costs time.
    pub(crate) fn save(&self, file: &Path) {
        if let Some(folder) = file.parent() {
            let _ = fs::create_dir_all(folder);
        }
        if let Ok(json) = serde_json::to_vec(self) {
            let _ = fs::write(file, json);
        }
    }
}

/// Folders in a folder that hold a manifest.
fn packages(home: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(home).into_iter().flatten().flatten();
    let folders = entries.map(|entry| entry.path());
    let mut packages: Vec<PathBuf> = folders
        .filter(|path| path.join("Cargo.toml").is_file())
        .collect();
    packages.sort();
    packages
}

fn stamp(path: &Path) -> Option<(u64, u128)> {
    let metadata = fs::metadata(path).ok()?;
    let changed = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    let length = if metadata.is_dir() { 0 } else { metadata.len() };
    Some((length, changed.as_nanos()))
}
