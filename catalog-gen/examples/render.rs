//! Renders a catalog document to a folder, to look at a design without a workspace:
//! `cargo run -p catalog-gen --example render -- catalog.json out/ [earlier-catalog.json]`.

use std::path::Path;
use std::{env, error, fs};

use catalog_gen::diff::CatalogDiff;
use catalog_gen::site::{Site, SiteOptions};
use catalog_gen::snippets::Snippets;
use neurolake_model::Catalog;

fn main() -> Result<(), Box<dyn error::Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(document), Some(out)) = (arguments.next(), arguments.next()) else {
        return Err("usage: render CATALOG_JSON OUT [EARLIER_CATALOG_JSON]".into());
    };
    let catalog = Catalog::from_json(&fs::read_to_string(document)?)?;
    let mut options = SiteOptions::default();
    if let Some(earlier) = arguments.next() {
        let earlier = Catalog::from_json(&fs::read_to_string(earlier)?)?;
        options.changes = Some(CatalogDiff::new(&earlier, &catalog));
    }
    let snippets = Snippets::load(None)?;
    let site = Site::new(&catalog, options, &snippets)?;
    for path in site.paths() {
        let content = site.render(&path)?.expect("the path was listed");
        let file = Path::new(&out).join(path);
        fs::create_dir_all(file.parent().expect("inside `out`"))?;
        fs::write(file, content)?;
    }
    Ok(())
}
