//! Writes a folder of generated files: only what changed, and never over somebody else's files.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

/// The list of files that this tool wrote into a folder; it also marks the folder as ours.
const MANIFEST: &str = ".catalog-gen";

/// Why a folder can't be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The folder holds files and no manifest.
    #[error("`{}` is not empty and was not made by catalog-gen", .0.display())]
    NotOurs(PathBuf),
    /// There is a file where the folder should be.
    #[error("`{}` is not a folder", .0.display())]
    NotAFolder(PathBuf),
    /// The system refused.
    #[error("can't write `{}`: {error}", .path.display())]
    Io {
        /// What was written.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
}

/// What writing did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Files that are new or different.
    pub written: usize,
    /// Files that were the same already.
    pub unchanged: usize,
    /// Files of an earlier run that are no longer part of the site.
    pub removed: usize,
}

/// Checks that the folder may be written before any work is done.
///
/// # Errors
/// See [`OutputError`].
pub fn check(folder: &Path) -> Result<(), OutputError> {
    match fs::read_dir(folder) {
        Ok(mut entries) => {
            let is_empty = entries.next().is_none();
            if is_empty || folder.join(MANIFEST).is_file() {
                Ok(())
            } else {
                Err(OutputError::NotOurs(folder.to_owned()))
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(_) if folder.is_file() => Err(OutputError::NotAFolder(folder.to_owned())),
        Err(error) => Err(OutputError::Io {
            path: folder.to_owned(),
            error,
        }),
    }
}

/// Writes all files that differ from what is there, and removes those of an earlier run that are
/// gone. `render` gives the bytes of a path; `progress` gets the number of files done.
///
/// # Errors
/// The first error of `render` or of the file system. The folder stays ours then, and the next run
/// completes it.
pub fn write<E: From<OutputError> + Send>(
    folder: &Path,
    paths: &[String],
    render: impl Fn(&str) -> Result<Vec<u8>, E> + Sync,
    progress: impl Fn(usize) + Sync,
) -> Result<Written, E> {
    check(folder)?;
    let folders: BTreeSet<PathBuf> = paths
        .iter()
        .filter_map(|path| Some(folder.join(path).parent()?.to_owned()))
        .collect();
    for path in folders {
        fs::create_dir_all(&path).map_err(|error| OutputError::Io { path, error })?;
    }
    // Whoever is interrupted leaves files behind that the next run must know as its own.
    let old = fs::read_to_string(folder.join(MANIFEST)).unwrap_or_default();
    write_manifest(folder, paths.iter().map(String::as_str).chain(old.lines()))?;
    let written = AtomicUsize::new(0);
    let done = AtomicUsize::new(0);
    paths.par_iter().try_for_each(|path| -> Result<(), E> {
        let bytes = render(path)?;
        if write_if_changed(&folder.join(path), &bytes)? {
            written.fetch_add(1, Ordering::Relaxed);
        }
        progress(done.fetch_add(1, Ordering::Relaxed) + 1);
        Ok(())
    })?;
    let removed = remove_stale(folder, paths, &old)?;
    write_manifest(folder, paths.iter().map(String::as_str))?;
    let written = written.into_inner();
    Ok(Written {
        written,
        unchanged: paths.len() - written,
        removed,
    })
}

/// Writes a file unless it holds these bytes already; says whether it did.
///
/// # Errors
/// [`OutputError::Io`].
pub fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<bool, OutputError> {
    let is_same_length =
        fs::metadata(path).is_ok_and(|metadata| metadata.len() == bytes.len() as u64);
    if is_same_length && fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(false);
    }
    fs::write(path, bytes).map_err(|error| OutputError::Io {
        path: path.to_owned(),
        error,
    })?;
    Ok(true)
}

fn write_manifest<'a>(
    folder: &Path,
    paths: impl Iterator<Item = &'a str>,
) -> Result<bool, OutputError> {
    let paths: BTreeSet<&str> = paths.filter(|path| !path.is_empty()).collect();
    let lines: Vec<&str> = paths.into_iter().collect();
    write_if_changed(&folder.join(MANIFEST), (lines.join("\n") + "\n").as_bytes())
}

fn remove_stale(folder: &Path, paths: &[String], manifest: &str) -> Result<usize, OutputError> {
    let current: BTreeSet<&str> = paths.iter().map(String::as_str).collect();
    let mut removed = 0;
    let mut folders = BTreeSet::new();
    for old in manifest.lines().filter(|line| !line.is_empty()) {
        // A manifest that somebody edited must not lead out of the folder.
        let is_inside = !old.starts_with('/') && !old.split('/').any(|part| part == "..");
        if current.contains(old) || !is_inside {
            continue;
        }
        let path = folder.join(old);
        match fs::remove_file(&path) {
            Ok(()) => removed += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(OutputError::Io { path, error }),
        }
        let above = path.ancestors().skip(1);
        let inside = above.take_while(|path| *path != folder);
        folders.extend(inside.map(Path::to_owned));
    }
    // Inner ones first; only succeeds for folders that are empty now.
    for path in folders.iter().rev() {
        let _ = fs::remove_dir(path);
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(folder: &Path, files: &[(&str, &str)]) -> Written {
        let paths: Vec<String> = files.iter().map(|(path, _)| (*path).to_owned()).collect();
        let render = |path: &str| {
            let text = files.iter().find(|(other, _)| *other == path);
            Ok::<_, OutputError>(
                text.map(|(_, text)| text.as_bytes().to_vec())
                    .unwrap_or_default(),
            )
        };
        write(folder, &paths, render, |_| {}).expect("a folder of ours")
    }

    #[test]
    fn writes_what_changed_and_removes_what_is_gone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("site");
        let first = put(&path, &[("a.html", "1"), ("b/d/c.html", "2")]);
        assert_eq!((first.written, first.unchanged, first.removed), (2, 0, 0));
        let same = put(&path, &[("a.html", "1"), ("b/d/c.html", "2")]);
        assert_eq!((same.written, same.unchanged, same.removed), (0, 2, 0));
        fs::write(path.join("theirs.txt"), "kept").expect("a file");
        let less = put(&path, &[("a.html", "3")]);
        assert_eq!((less.written, less.unchanged, less.removed), (1, 0, 1));
        assert!(!path.join("b").exists());
        assert!(path.join("theirs.txt").exists());
    }

    #[test]
    fn leaves_the_folder_of_somebody_else_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("thesis.tex"), "precious").expect("a file");
        assert!(matches!(check(folder.path()), Err(OutputError::NotOurs(_))));
        let file = folder.path().join("thesis.tex");
        assert!(matches!(check(&file), Err(OutputError::NotAFolder(_))));
    }

    #[test]
    fn completes_what_was_interrupted() {
        let folder = tempfile::tempdir().expect("a folder");
        let site = folder.path().join("site");
        put(&site, &[("old.html", "1")]);
        let paths = ["a.html", "b.html"].map(str::to_owned);
        let render = |path: &str| match path {
            "a.html" => Ok(b"2".to_vec()),
            _ => Err(OutputError::NotAFolder(PathBuf::new())),
        };
        write(&site, &paths, render, |_| {}).expect_err("`b.html` can't be rendered");
        let rest = put(&site, &[("b.html", "3")]);
        assert_eq!(
            (rest.written, rest.removed),
            (1, 2),
            "neither `a` nor `old` is left"
        );
    }

    #[test]
    fn an_edited_manifest_leads_nowhere() {
        let folder = tempfile::tempdir().expect("a folder");
        let site = folder.path().join("site");
        fs::write(folder.path().join("precious"), "kept").expect("a file");
        put(&site, &[("a.html", "1")]);
        fs::write(site.join(MANIFEST), "../precious\na.html\n").expect("a file");
        put(&site, &[("a.html", "1")]);
        assert!(folder.path().join("precious").exists());
    }
}
