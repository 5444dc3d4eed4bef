//! Each folder in `fixtures/diff` is a case: `old.json` and `new.json` hold what differs from a
//! base catalog, `expected.md` the pull request comment and `expected.txt` the terminal's text.
//! `UPDATE_EXPECT=1` writes the expectations.

use std::path::{Path, PathBuf};
use std::{env, fs};

use catalog_gen::diff::{CatalogDiff, ChangeKind};
use neurolake_model::Catalog;

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/diff");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a folder of cases")
        .map(|entry| entry.expect("a case").path())
        .collect();
    cases.sort();
    cases
}

fn load(file: &Path) -> Catalog {
    let text = fs::read_to_string(file).expect("a catalog");
    Catalog::from_json(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn diff(case: &Path) -> CatalogDiff {
    CatalogDiff::new(&load(&case.join("old.json")), &load(&case.join("new.json")))
}

#[test]
fn each_case_reads_as_expected() {
    for case in cases() {
        let diff = diff(&case);
        for (name, text) in [
            ("expected.md", diff.to_markdown()),
            ("expected.txt", diff.to_text()),
        ] {
            let file = case.join(name);
            if env::var_os("UPDATE_EXPECT").is_some() {
                fs::write(&file, &text).expect("a writable fixture");
            }
            let expected = fs::read_to_string(&file).unwrap_or_default();
            assert_eq!(
                text,
                expected,
                "{} (UPDATE_EXPECT=1 accepts)",
                file.display()
            );
        }
    }
}

#[test]
fn nothing_differs_from_itself() {
    for case in cases() {
        let catalog = load(&case.join("old.json"));
        assert_eq!(
            CatalogDiff::new(&catalog, &catalog).to_text(),
            "no changes\n"
        );
    }
}

#[test]
fn the_order_of_columns_does_not_matter() {
    for case in cases() {
        let mut catalog = load(&case.join("old.json"));
        let old = catalog.clone();
        for table in catalog.databases.iter_mut().flat_map(|d| &mut d.tables) {
            table.columns.reverse();
        }
        assert_eq!(CatalogDiff::new(&old, &catalog).changes, []);
    }
}

#[test]
fn json_keeps_everything_and_is_stable() {
    for case in cases() {
        let diff = diff(&case);
        let json = serde_json::to_string(&diff).expect("JSON");
        let back: CatalogDiff = serde_json::from_str(&json).expect("a diff");
        assert_eq!(back, diff);
    }
    let kind = serde_json::to_value(ChangeKind::ColumnRetyped).expect("JSON");
    assert_eq!(kind, "column_retyped");
}
