//! Catalogs that were written earlier, or by something else.

use std::fs;

use neurolake_model::{Catalog, LoadError};
use neurolake_tests::tools::{catalog_gen, expect_file, scratch, stderr, workspace};

#[test]
fn each_old_version_loads() {
    let folder = workspace().join("tests/fixtures/catalog");
    for version in 1..=neurolake_model::FORMAT_VERSION {
        let text = fs::read_to_string(folder.join(format!("v{version}.json"))).expect("a fixture");
        let catalog = Catalog::from_json(&text).expect("an old catalog");
        let written = catalog.to_json();
        if version == neurolake_model::FORMAT_VERSION {
            assert_eq!(written, text);
        } else {
            // What an old catalog means today is for people to judge.
            let file = folder.join(format!("v{version}.expected.json"));
            expect_file(&file, &written).unwrap_or_else(|difference| panic!("{difference}"));
        }
    }
}

#[test]
fn unknown_keys_are_ignored() {
    let file = workspace().join("tests/fixtures/catalog/v1.json");
    let text = fs::read_to_string(file).expect("a fixture");
    let mut json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    json["later"] = 1.into();
    json["databases"][0]["tables"][0]["later"] = serde_json::json!({"a": []});
    let catalog =
        Catalog::from_json(&json.to_string()).expect("a catalog of a later minor version");
    assert_eq!(catalog.to_json(), text);
}

#[test]
fn what_is_no_catalog_is_refused() {
    let load = |text: &str| Catalog::from_json(text).expect_err("no catalog");
    assert!(matches!(load(""), LoadError::Malformed(_)));
    assert!(matches!(load("{"), LoadError::Malformed(_)));
    assert!(matches!(load("[]"), LoadError::NotACatalog));
    assert!(matches!(
        load("{\"format_version\": \"1\"}"),
        LoadError::NotACatalog
    ));
    assert!(matches!(
        load("{\"format_version\": 1}"),
        LoadError::Malformed(_)
    ));
    assert!(matches!(
        load("{\"format_version\": 2}"),
        LoadError::TooNew { found: 2 }
    ));
}

#[test]
fn the_command_names_the_file_and_ends_with_2() {
    let folder = scratch("documents");
    for (text, message) in [
        (
            "{",
            "malformed catalog document: EOF while parsing an object at line 1 column 1",
        ),
        ("{}", "not a catalog document: `format_version` is missing"),
        (
            "{\"format_version\": 7}",
            "catalog document has format version 7, this build reads up to 1; use a newer neurolake",
        ),
    ] {
        fs::write(folder.join("old.json"), text).expect("a file");
        let output = catalog_gen(&folder, &["list", "--catalog", "old.json"]);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(
            stderr(&output),
            format!("error: can't load `old.json`: {message}\n")
        );
    }
}
