//! The programs under test, and a place for what tests generate.

#![expect(
    clippy::missing_panics_doc,
    reason = "a test that can't run has to panic"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;
use std::{env, fs};

/// The workspace of neurolake itself.
pub fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("tests is a member").to_owned()
}

/// The target folder that the running test was built into.
pub fn target() -> PathBuf {
    let test = env::current_exe().expect("a test is a file");
    let target = test
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").is_file());
    target.expect("Cargo marks its target folder").to_owned()
}

/// An empty folder below the target folder; each name belongs to one test.
pub fn scratch(name: &str) -> PathBuf {
    let folder = target().join("tests").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("a scratch folder is ours");
    }
    fs::create_dir_all(&folder).expect("the target folder is writable");
    folder
}

/// Cargo without network, building into the target folder of the running test.
pub fn cargo(folder: &Path) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target())
        .env("CARGO_NET_OFFLINE", "true");
    cargo
}

static CATALOG_GEN: LazyLock<PathBuf> = LazyLock::new(|| {
    // `cargo test` builds binaries of the tested package only, so an old one may lie there.
    let built = cargo(&workspace())
        .args([
            "build",
            "--quiet",
            "--package",
            "catalog-gen",
            "--bin",
            "catalog-gen",
        ])
        .status()
        .expect("cargo runs");
    assert!(built.success(), "catalog-gen builds");
    target()
        .join("debug")
        .join(format!("catalog-gen{}", env::consts::EXE_SUFFIX))
});

/// Runs `catalog-gen` in a folder, with nothing inherited that would change what it does.
pub fn catalog_gen(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(&*CATALOG_GEN)
        .args(arguments)
        .current_dir(folder)
        .env_remove("GITHUB_SHA")
        .env_remove("CI_COMMIT_SHA")
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .output()
        .expect("catalog-gen runs")
}

/// Standard output as text.
pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("output is UTF-8")
}

/// Standard error as text.
pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("output is UTF-8")
}

/// Compares a text with a file; writes the file instead when `UPDATE_EXPECT` is set.
///
/// # Errors
/// What differs, and how to accept it.
pub fn expect_file(file: &Path, actual: &str) -> Result<(), String> {
    if env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(file, actual).map_err(|error| format!("{}: {error}", file.display()))?;
        return Ok(());
    }
    let expected = fs::read_to_string(file)
        .unwrap_or_default()
        .replace("\r\n", "\n");
    if expected == actual {
        return Ok(());
    }
    Err(format!(
        "{} differs; accept with `UPDATE_EXPECT=1 cargo test -p neurolake-tests` and read the diff\n\
         --- expected\n{expected}\n--- actual\n{actual}",
        file.display()
    ))
}
