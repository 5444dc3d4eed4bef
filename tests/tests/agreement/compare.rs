//! What the macro registers is what the reader finds: the program serves what the site documents.

use std::path::Path;

use catalog_gen::reader::{ReadOptions, Reader, Reading};
use neurolake_model::declaration::DeclaredTable;
use neurolake_tests::tools::workspace;
use serde_json::{Value as Json, json};

// Without a use, the linker may drop the crate and its declarations.
use neurolake_demo as _;

fn read(manifest: &Path, package: &str, all_features: bool) -> Reading {
    let options = ReadOptions {
        manifest_path: Some(manifest.to_owned()),
        packages: vec![package.to_owned()],
        all_features,
        declared: true,
        ..ReadOptions::default()
    };
    let reading = Reader::open(options).expect("a workspace").read(false);
    assert!(reading.is_good(), "{:#?}", reading.findings);
    reading
}

fn registered(krate: &str) -> Vec<DeclaredTable> {
    let mut tables = neurolake::registry::tables();
    tables.retain(|table| table.module.split("::").next() == Some(krate));
    tables
}

/// The way to the first difference and both sides of it.
fn difference(left: &Json, right: &Json, way: &str) -> Option<String> {
    match (left, right) {
        (Json::Object(a), Json::Object(b)) => a.keys().chain(b.keys()).find_map(|key| {
            let none = &Json::Null;
            difference(
                a.get(key).unwrap_or(none),
                b.get(key).unwrap_or(none),
                &format!("{way}.{key}"),
            )
        }),
        (Json::Array(a), Json::Array(b)) if a.len() == b.len() => {
            let pairs = a.iter().zip(b).enumerate();
            pairs
                .into_iter()
                .find_map(|(at, (a, b))| difference(a, b, &format!("{way}[{at}]")))
        }
        _ if left == right => None,
        _ => Some(format!("{way}\n  macro:  {left}\n  reader: {right}")),
    }
}

fn assert_same(registered: &[DeclaredTable], read: &[DeclaredTable]) {
    let name = |table: &DeclaredTable| {
        let database = table.database().unwrap_or_default();
        format!("{database}.{}", table.declaration.table.name)
    };
    let names = |tables: &[DeclaredTable]| tables.iter().map(name).collect::<Vec<_>>();
    assert_eq!(names(registered), names(read));
    for (registered, read) in registered.iter().zip(read) {
        let difference = difference(&json!(registered), &json!(read), &name(read));
        assert!(difference.is_none(), "{}", difference.unwrap_or_default());
    }
}

#[test]
fn in_a_crate_with_every_feature_of_the_language() {
    let manifest = workspace().join("tests/fixtures/agreement/Cargo.toml");
    let reading = read(&manifest, "agreement", false);
    assert_same(&registered("agreement"), &reading.declared);
    assert!(reading.declared.len() >= 25, "{}", reading.declared.len());
    assert_eq!(reading.catalog.tables().count(), reading.declared.len());
}

#[test]
fn in_the_demo_lake() {
    // This test is built with all features of the demo.
    let manifest = workspace().join("neurolake/demo/Cargo.toml");
    let registered = registered("neurolake_demo");
    assert_same(
        &registered,
        &read(&manifest, "neurolake-demo", true).declared,
    );
    let by_default = read(&manifest, "neurolake-demo", false).declared;
    let (optional, always): (Vec<_>, Vec<_>) = registered
        .into_iter()
        .partition(|table| table.declaration.table.name == "synthetic_bins");
    assert_eq!(optional.len(), 1);
    assert_same(&always, &by_default);
}
