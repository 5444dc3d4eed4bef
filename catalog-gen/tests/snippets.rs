//! Snippets are run, not looked at: Python against modules that record what they are asked for,
//! shell against programs that print what they get, SQL and Rust through their parsers.

use std::path::{Path, PathBuf};
use std::{env, fs};

use catalog_gen::snippets::{Snippet, Snippets};
use neurolake_model::Catalog;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn fixture_catalog() -> Catalog {
    let text = fs::read_to_string(fixtures().join("catalog.json")).expect("a fixture");
    Catalog::from_json(&text).expect("a catalog")
}

/// One page of snippets per table of the fixture. `UPDATE_EXPECT=1` writes them.
#[test]
fn each_kind_of_source_has_its_snippets() {
    let catalog = fixture_catalog();
    let snippets = Snippets::load(None).expect("the built-in templates");
    for (database, table) in catalog.tables() {
        let rendered = snippets
            .render(&catalog, database, table)
            .expect("snippets");
        let mut page = String::new();
        for Snippet {
            title,
            language,
            code,
            ..
        } in rendered
        {
            page += &format!("## {title}\n\n```{language}\n{code}\n```\n\n");
        }
        let file = fixtures().join(format!("snippets/{}.{}.md", database.name, table.name));
        if env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&file, &page).expect("a writable fixture");
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(
            page,
            expected,
            "{} (UPDATE_EXPECT=1 accepts)",
            file.display()
        );
    }
}
