//! Renders a catalog document to a folder, to look at a design without a workspace:
//! `cargo run -p catalog-gen --example render -- catalog.json out/`.

use std::path::Path;
use std::{env, error, fs};

use catalog_gen::site::{Site, SiteOptions};
use catalog_gen::snippets::Snippets;
use neurolake_model::Catalog;

fn main() -> Result<(), Box<dyn error::Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(document), Some(out)) = (arguments.next(), arguments.next()) else {
        return Err("usage: render CATALOG_JSON OUT".into());
    };
    let catalog = Catalog::from_json(&fs::read_to_string(document)?)?;
    let snippets = Snippets::load(None)?;
    let site = Site::new(&catalog, SiteOptions::default(), &snippets)?;
    for path in site.paths() {
        let content = site.render(&path)?.expect("the path was listed");
        let file = Path::new(&out).join(path);
        fs::create_dir_all(file.parent().expect("inside `out`"))?;
        fs::write(file, content)?;
    }
    Ok(())
}
