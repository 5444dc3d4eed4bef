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

fn package(folder: &Path, lib: &str) {
    fs::create_dir_all(folder.join("src")).expect("a folder");
    let manifest = "[package]\nname = \"lake\"\nedition = \"2024\"\n\n\
                    [dependencies]\nneurolake = \"0.1\"\n\n[workspace]\n";
    fs::write(folder.join("Cargo.toml"), manifest).expect("a file");
    fs::write(folder.join("src/lib.rs"), lib).expect("a file");
}

#[test]
fn a_file_in_another_encoding_is_named_with_its_place() {
    let folder = scratch("latin1");
    package(&folder, "pub mod neural;\n");
    let mut text = b"//! Signale.\n\n/// Gr".to_vec();
    text.extend([0xF6, 0xDF]);
    text.extend(b"e\n#[table(delta = \"s3://lake/x\")]\npub struct Spikes;\n");
    fs::write(folder.join("src/neural.rs"), text).expect("a file");
    let seen = check(&folder);
    assert!(
        seen.contains("error[NL0102]: the file is not UTF-8"),
        "{seen}"
    );
    assert!(seen.contains("src/neural.rs:3:7"), "{seen}");
}

#[test]
fn a_file_of_50_megabytes_is_refused_at_once() {
    let folder = scratch("large");
    package(&folder, "pub mod neural;\n");
    let file = fs::File::create(folder.join("src/neural.rs")).expect("a file");
    file.set_len(50 << 20).expect("a sparse file");
    let started = std::time::Instant::now();
    let seen = check(&folder);
    assert!(
        seen.contains("error[NL0103]: the file has 50 MiB, more than the limit of 16"),
        "{seen}"
    );
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[cfg(unix)]
#[test]
fn links_that_lead_in_a_circle_end() {
    use std::os::unix::fs::symlink;
    let folder = scratch("links");
    package(&folder, "pub mod neural;\npub mod lab;\npub mod again;\n");
    symlink("neural.rs", folder.join("src/neural.rs")).expect("a link");
    symlink("../src", folder.join("src/deeper")).expect("a link");
    symlink("lib.rs", folder.join("src/again.rs")).expect("a link");
    fs::write(
        folder.join("src/lab.rs"),
        "use neurolake::prelude::*;\n\n/// Rows.\n#[table(delta = \"s3://lake/x\")]\npub struct X;\n",
    )
    .expect("a file");
    let seen = check(&folder);
    assert!(
        seen.contains("error[NL0105]: file of module `neural` not found"),
        "{seen}"
    );
    assert!(
        seen.contains("error[NL0106]: module `again` leads back to its own file"),
        "{seen}"
    );
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_change_nothing() {
    let folder = scratch("windows");
    let lib = "pub mod neural {\n    use neurolake::prelude::*;\n\n    /// Rows of [`Nothing`].\n    \
               ///\n    /// More.\n    #[table(delta = \"s3://lake/x\", ownr = \"me\")]\n    pub struct X;\n}\n";
    package(&folder, lib);
    let unix = check(&folder);
    fs::remove_dir_all(folder.join("out")).expect("a folder");
    package(&folder, &format!("\u{feff}{}", lib.replace('\n', "\r\n")));
    assert_eq!(check(&folder), unix);
}

#[test]
fn without_a_workspace_the_exit_code_is_2() {
    let folder = tempfile::tempdir().expect("a folder");
    for arguments in [&["check"][..], &["build"], &["list"], &["search", "x"]] {
        let output = catalog_gen(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2));
        let seen = stderr(&output);
        assert!(seen.contains("no `Cargo.toml` in"), "{seen}");
        assert!(seen.contains("hint: run it in a Cargo workspace"), "{seen}");
    }
    let output = catalog_gen(folder.path(), &["check", "--manifest-path", "nowhere"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("`nowhere` does not exist"));
}

#[test]
fn a_deep_nest_of_brackets_and_types_is_no_crash() {
    let folder = scratch("deep");
    let depth = 3000;
    let deep = format!("{}i32{}", "Vec<".repeat(depth), ">".repeat(depth));
    let lib = format!(
        "pub mod neural {{\n    use neurolake::prelude::*;\n\n    /// Rows.\n    \
         #[table(delta = \"s3://lake/x\")]\n    pub struct X {{\n        /// Deep.\n        \
         pub deep: {deep},\n    }}\n}}\n"
    );
    package(&folder, &lib);
    let output = catalog_gen(&folder, &["check"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
}
