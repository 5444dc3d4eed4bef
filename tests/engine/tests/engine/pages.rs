//! The pages of the demo lake: what they offer to Rust compiles, and finds rows in the demo's data.

use neurolake::made_up::{Options, stores, write};
use neurolake::{Lake, lake_builder, registry};
use neurolake_demo as _;

use crate::snippets;

const OPTIONS: Options = Options {
    size: 1.0,
    seed: 1,
    force: false,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_code_of_every_page_gives_rows() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = registry::catalog("demo");
    write(&catalog, folder.path(), &OPTIONS, &|_| {})
        .await
        .unwrap();
    let stores = stores(&catalog, folder.path());
    let lake: Lake = lake_builder(catalog).stores(stores).build().unwrap().into();
    let failures = snippets::failures(&lake).await;
    assert!(failures.is_empty(), "{failures:#?}");
}
