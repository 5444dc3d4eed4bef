//! Source that has nothing to do with neurolake: whatever crates Cargo has unpacked here. The reader
//! finds nothing in them, never panics and is quick. `FOREIGN_SOURCE=DIR` looks elsewhere,
//! `--nocapture` prints the figures.

use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{env, fs};

use catalog_gen::reader::scan::scan;

/// Without a folder of one's own choice: files from all over the registry, so that it ends soon.
const SAMPLE_BYTES: u64 = 3 << 20;

fn registry() -> Option<PathBuf> {
    if let Some(folder) = env::var_os("FOREIGN_SOURCE") {
        return Some(folder.into());
    }
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")))?;
    Some(home.join("registry/src")).filter(|folder| folder.is_dir())
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let mut entries: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn other_peoples_crates_declare_nothing() {
    let Some(folder) = registry() else {
        return;
    };
    let mut files = Vec::new();
    sources(&folder, &mut files);
    if env::var_os("FOREIGN_SOURCE").is_none() {
        let length = |file: &PathBuf| fs::metadata(file).map_or(0, |metadata| metadata.len());
        let total: u64 = files.iter().map(length).sum();
        let step = usize::try_from(total / SAMPLE_BYTES).unwrap_or(1).max(1);
        files = files.into_iter().step_by(step).collect();
    }
    let started = Instant::now();
    let (mut scanned, mut bytes, mut broken) = (0, 0, 0);
    let mut findings = Vec::new();
    for path in files {
        let Ok(source) = fs::read(&path) else {
            continue;
        };
        scanned += 1;
        bytes += source.len();
        let scan = scan(&source);
        if !scan.parsed {
            // Test data for parsers is broken on purpose.
            broken += 1;
            continue;
        }
        findings.extend(
            scan.messages()
                .map(|message| format!("{}: {message}", path.display())),
        );
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{scanned} files, {} kB, {seconds:.2} s, {broken} broken",
        bytes / 1000
    );
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}
