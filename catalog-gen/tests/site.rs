//! The site as its readers meet it: every link leads somewhere, nothing escapes its place, pages
//! stay small at any size of the catalog.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;

use catalog_gen::diff::CatalogDiff;
use catalog_gen::site::{Site, SiteError, SiteOptions};
use catalog_gen::snippets::Snippets;
use neurolake_model::{
    Catalog, Column, Database, Deprecation, Endpoints, FORMAT_VERSION, Input, Location, Notebook,
    Source, Table, Type,
};

const VERSION_1: &str = include_str!("../../tests/fixtures/catalog/v1.json");

fn fixture() -> Catalog {
    Catalog::from_json(VERSION_1).expect("version 1 loads")
}

fn snippets() -> Snippets {
    Snippets::load(None).expect("embedded snippets are right")
}

/// All files of a site as text.
fn files(catalog: &Catalog, options: SiteOptions) -> BTreeMap<String, String> {
    let snippets = snippets();
    let site = Site::new(catalog, options, &snippets).expect("embedded templates are right");
    site.paths()
        .into_iter()
        .map(|path| {
            let content = text(&site, &path);
            (path, content)
        })
        .collect()
}

fn text(site: &Site<'_>, path: &str) -> String {
    let content = site.render(path).expect("renders").expect("is listed");
    String::from_utf8(content).expect("is text")
}

fn pages(files: &BTreeMap<String, String>) -> impl Iterator<Item = (&String, &String)> {
    files.iter().filter(|(path, _)| path.ends_with(".html"))
}

/// Values of an attribute, unescaped.
fn attributes(html: &str, name: &str) -> Vec<String> {
    html.split(&format!(" {name}=\""))
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .map(|value| value.replace("&amp;", "&").replace("&#39;", "'"))
        .collect()
}

fn table(name: &str, columns: usize) -> Table {
    let column = |index: usize| Column {
        name: format!("measured_{name}_{index}"),
        data_type: Type::Float64,
        nullable: index.is_multiple_of(4),
        docs: "What was measured by the device, corrected for its temperature.".to_owned(),
        unit: index.is_multiple_of(3).then(|| "uV".to_owned()),
        pii: false,
        since: None,
        renamed_from: None,
        deprecated: None,
        aliases: Vec::new(),
    };
    Table {
        name: name.to_owned(),
        docs: "One row per measurement, as recorded by the device on the bench.\n\nMore text that explains where the numbers come from and when not to trust them.".to_owned(),
        source: Source::Delta {
            uri: format!("s3://lake/bench/{name}"),
        },
        store: None,
        columns: (0..columns).map(column).collect(),
        partition_by: Vec::new(),
        sort_by: Vec::new(),
        unique_by: Vec::new(),
        owner: Some("signals".to_owned()),
        tags: vec!["neural".to_owned()],
        freshness: Some("2s".to_owned()),
        inputs: Vec::new(),
        notebooks: Vec::new(),
        example: Vec::new(),
        deprecated: None,
        aliases: Vec::new(),
        hidden: false,
        ingest: false,
        cfg: None,
        rust_path: format!("lake::bench::{name}"),
        location: Location {
            file: "src/bench.rs".to_owned(),
            line: 7,
        },
    }
}

fn catalog(databases: Vec<Database>) -> Catalog {
    Catalog {
        format_version: FORMAT_VERSION,
        name: "lake".to_owned(),
        title: String::new(),
        docs: "Measurements of the bench.".to_owned(),
        repository: Some("https://github.com/acme/lake".to_owned()),
        jupyterhub: Some("https://hub.example.org/".to_owned()),
        endpoints: Endpoints::default(),
        databases,
    }
}

fn database(name: &str, tables: Vec<Table>) -> Database {
    Database {
        name: name.to_owned(),
        docs: "Everything that one bench records, and what follows from it.".to_owned(),
        location: Location::default(),
        tables,
    }
}

/// `databases` with `tables` of 20 columns each.
fn grid(databases: usize, tables: usize) -> Catalog {
    let tables = |d: usize| {
        (0..tables)
            .map(|t| table(&format!("recording_{d:04}_{t:04}"), 20))
            .collect()
    };
    catalog(
        (0..databases)
            .map(|d| database(&format!("bench_{d:04}"), tables(d)))
            .collect(),
    )
}

#[test]
fn a_document_of_version_1_keeps_its_bytes() {
    assert_eq!(fixture().to_json(), VERSION_1);
}

#[test]
fn every_link_leads_to_a_file_and_an_anchor() {
    let mut old = fixture();
    old.databases.remove(0);
    let options = SiteOptions {
        changes: Some(CatalogDiff::new(&old, &fixture())),
        ..SiteOptions::default()
    };
    let files = files(&fixture(), options);
    let ids: BTreeMap<&str, HashSet<String>> = pages(&files)
        .map(|(path, html)| (path.as_str(), attributes(html, "id").into_iter().collect()))
        .collect();
    let mut checked = 0;
    for (path, html) in pages(&files) {
        let mut links = attributes(html, "href");
        links.extend(attributes(html, "src"));
        for link in links {
            if link.starts_with("http") || link.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = resolve(path, file.split('?').next().unwrap_or_default());
            assert!(files.contains_key(&target), "{path} links to {link}");
            if !anchor.is_empty() {
                assert!(
                    ids[target.as_str()].contains(anchor),
                    "{path} links to {link}"
                );
            }
            checked += 1;
        }
    }
    assert!(checked > 500, "only {checked} links");
}

/// Path of a link in a page. `404.html` links from the root because it answers at any depth.
fn resolve(page: &str, link: &str) -> String {
    if let Some(rooted) = link.strip_prefix('/') {
        assert_eq!(page, "404.html");
        return rooted.to_owned();
    }
    if link.is_empty() {
        return page.to_owned();
    }
    let mut folders: Vec<&str> = page.split('/').collect();
    folders.pop();
    for part in link.split('/') {
        if part == ".." {
            assert!(folders.pop().is_some(), "{page} leaves the site: {link}");
        } else {
            folders.push(part);
        }
    }
    folders.join("/")
}

#[test]
fn ids_are_unique_in_a_page() {
    for (path, html) in pages(&files(&fixture(), SiteOptions::default())) {
        let ids = attributes(html, "id");
        let distinct: BTreeSet<_> = ids.iter().collect();
        assert_eq!(ids.len(), distinct.len(), "{path} has an id twice");
    }
}

#[test]
fn pages_load_nothing_from_elsewhere() {
    let files = files(&fixture(), SiteOptions::default());
    for (path, html) in pages(&files) {
        for loading in ["<script ", "<link ", "<img ", "<iframe ", "@import"] {
            for tag in html.split(loading).skip(1) {
                let tag = tag.split('>').next().unwrap_or_default();
                assert!(!tag.contains("//"), "{path} loads {tag}");
            }
        }
    }
    assert!(!files["assets/site.css"].contains("//"));
}

#[test]
fn assets_stay_small() {
    let files = files(&fixture(), SiteOptions::default());
    for (asset, most) in [("assets/site.css", 25_000), ("assets/site.js", 20_000)] {
        let size = files[asset].len();
        assert!(size <= most, "{asset}: {size} bytes");
    }
}

#[test]
fn hidden_tables_stay_off_the_site() {
    for (path, text) in files(&fixture(), SiteOptions::default()) {
        assert!(
            path == "catalog.json" || !text.contains("raw_frames"),
            "{path} names a hidden table"
        );
    }
}

#[test]
fn names_and_texts_cannot_leave_their_place() {
    const EVIL: &str = "\"><script>alert('x')</script>&amp;";
    let evil = || EVIL.to_owned();
    let mut table = table("spikes", 2);
    table.columns[0].name = evil();
    table.columns[1].unit = Some(evil());
    table.columns[1].docs = evil();
    table.columns[1].renamed_from = Some(evil());
    table.docs = format!("{EVIL}\n\n{EVIL}");
    table.owner = Some(evil());
    table.tags = vec![evil()];
    table.store = Some(evil());
    table.freshness = Some(evil());
    table.cfg = Some(evil());
    table.sort_by = vec![evil()];
    table.location.file = evil();
    table.inputs = vec![Input {
        database: evil(),
        table: evil(),
    }];
    table.notebooks = vec![
        Notebook {
            title: evil(),
            url: format!("https://example.org/{EVIL}"),
        },
        Notebook {
            title: "runs".to_owned(),
            url: "javascript:alert(1)".to_owned(),
        },
    ];
    table.deprecated = Some(Deprecation {
        since: Some(evil()),
        note: evil(),
        replacement: None,
    });
    let mut catalog = catalog(vec![database("neural", vec![table])]);
    catalog.title = evil();
    catalog.jupyterhub = Some("javascript:alert(1)".to_owned());
    catalog.repository = Some("javascript:alert(1)".to_owned());
    for (path, html) in pages(&files(&catalog, SiteOptions::default())) {
        assert!(!html.contains("<script>alert"), "{path}");
        assert!(!html.contains("&amp;amp;amp;"), "{path} escapes twice");
        for href in attributes(html, "href") {
            assert!(!href.starts_with("javascript:"), "{path} links to {href}");
        }
    }
}

#[test]
fn a_table_that_takes_events_says_so() {
    let mut taking = table("spikes", 2);
    taking.ingest = true;
    let catalog = catalog(vec![database("neural", vec![table("rates", 2), taking])]);
    let all = files(&catalog, SiteOptions::default());
    let page = &all["neural/spikes.html"];
    assert!(page.contains("<a href=\"#send\">takes events</a>"));
    assert!(page.contains("<section id=\"send\">"));
    assert!(page.contains("data-id=\"ingest-python\""));
    let markdown = &all["neural/spikes.md"];
    assert!(
        markdown.contains("- Takes events: POST http://127.0.0.1:8080/v1/ingest/neural/spikes\n")
    );
    assert!(markdown.contains("\n## Send events\n\n### Python\n\n```python\n"));
    for listing in ["index.html", "neural/index.html", "owners/signals.html"] {
        let badges = all[listing].matches("<b>takes events</b>").count();
        assert_eq!(badges, 1, "{listing}");
    }
    for page in ["neural/rates.html", "neural/rates.md"] {
        let text = all[page].to_lowercase();
        assert!(!text.contains("takes events") && !text.contains("send events"));
    }

    // Whoever offers no code still says it, without a link that leads nowhere.
    let folder = tempfile::tempdir().expect("a folder");
    for file in ["91-ingest-python", "92-ingest-http", "93-ingest-rust"] {
        fs::write(folder.path().join(format!("{file}.j2")), "").expect("writes");
    }
    let snippets = Snippets::load(Some(folder.path())).expect("templates");
    let site = Site::new(&catalog, SiteOptions::default(), &snippets).expect("is right");
    let page = text(&site, "neural/spikes.html");
    assert!(page.contains("<dd>takes events</div>"));
    assert!(!page.contains("#send") && !page.contains("id=\"send\""));
    assert!(!text(&site, "neural/spikes.md").contains("Send events"));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let first = files(&fixture(), SiteOptions::default());
    assert_eq!(first, files(&fixture(), SiteOptions::default()));
}

#[test]
fn the_home_page_stays_small_at_any_size() {
    for (databases, tables) in [(1, 1), (5, 11), (2, 300), (24, 40), (90, 3), (700, 1)] {
        let catalog = grid(databases, tables);
        let snippets = snippets();
        let site = Site::new(&catalog, SiteOptions::default(), &snippets).expect("is right");
        let mut listed = 0;
        for path in site.paths() {
            if path.contains('/') || !path.starts_with("index.") {
                continue;
            }
            let html = text(&site, &path);
            let nodes = html.matches('<').count() - html.matches("</").count();
            let size = html.len();
            assert!(size <= 25_000, "{databases} x {tables}: {size} bytes");
            assert!(nodes <= 1_500, "{databases} x {tables}: {nodes} nodes");
            listed += html.matches("<section class=\"db\">").count();
        }
        assert_eq!(listed, databases, "every database is on a home page");
    }
}

#[test]
fn a_table_page_of_20_columns_stays_small() {
    let mut catalog = grid(30, 60);
    let inputs: Vec<Input> = catalog.databases[0].tables[..4]
        .iter()
        .map(|table| Input {
            database: "bench_0000".to_owned(),
            table: table.name.clone(),
        })
        .collect();
    let table = &mut catalog.databases[0].tables[30];
    table.inputs = inputs;
    let path = format!("bench_0000/{}.html", table.name);
    let snippets = snippets();
    let site = Site::new(&catalog, SiteOptions::default(), &snippets).expect("is right");
    let size = text(&site, &path).len();
    assert!(size <= 15_000, "{size} bytes");
}

#[test]
fn llms_txt_stays_below_its_limit() {
    for (databases, tables) in [(4, 40), (30, 100), (3, 2_500), (5_000, 1)] {
        let catalog = grid(databases, tables);
        let snippets = snippets();
        let site = Site::new(&catalog, SiteOptions::default(), &snippets).expect("is right");
        let size = text(&site, "llms.txt").len();
        assert!(size <= 100_000, "{databases} x {tables}: {size} bytes");
    }
}

#[test]
fn long_listings_are_split_without_losing_a_table() {
    let catalog = grid(1, 1_001);
    let snippets = snippets();
    let site = Site::new(&catalog, SiteOptions::default(), &snippets).expect("is right");
    for stem in ["bench_0000/index", "owners/signals", "formats/delta"] {
        let rows: usize = ["", ".2", ".3"]
            .map(|page| text(&site, &format!("{stem}{page}.html")))
            .iter()
            .map(|html| html.matches("<tr><th><a").count())
            .sum();
        assert_eq!(rows, 1_001, "{stem}");
    }
    assert!(matches!(site.render("owners/signals.4.html"), Ok(None)));
}

#[test]
fn facets_give_way_to_databases_of_the_same_name() {
    let catalog = catalog(vec![database("tags", vec![table("neural", 1)])]);
    let files = files(&catalog, SiteOptions::default());
    assert!(files["tags/neural.html"].contains("Columns"));
    assert!(files["tags-/neural.html"].contains("1 table"));
}

#[test]
fn names_that_cannot_be_files_are_refused() {
    for name in ["index", "../evil", "a/b", ""] {
        let catalog = catalog(vec![database("neural", vec![table(name, 1)])]);
        let result = Site::new(&catalog, SiteOptions::default(), &snippets()).map(|_| ());
        assert!(
            matches!(result, Err(SiteError::UnusableName { .. })),
            "{name:?}: {result:?}"
        );
    }
}

#[test]
fn source_links_name_the_commit_in_the_way_of_the_host() {
    let link = |repository: &str, source_url: Option<&str>| {
        let mut catalog = catalog(vec![database("neural", vec![table("spikes", 1)])]);
        catalog.repository = Some(repository.to_owned());
        let options = SiteOptions {
            commit: Some("abc".to_owned()),
            source_url: source_url.map(str::to_owned),
            ..SiteOptions::default()
        };
        let links = attributes(&files(&catalog, options)["neural/spikes.html"], "href");
        links.into_iter().find(|link| link.contains("bench.rs"))
    };
    assert_eq!(
        link("https://github.com/acme/lake", None).as_deref(),
        Some("https://github.com/acme/lake/blob/abc/src/bench.rs#L7")
    );
    assert_eq!(
        link("https://gitlab.acme.org/data/lake", None).as_deref(),
        Some("https://gitlab.acme.org/data/lake/-/blob/abc/src/bench.rs#L7")
    );
    let gitea = "{repository}/src/commit/{commit}/{file}?l={line}";
    assert_eq!(
        link("https://git.acme.org/lake", Some(gitea)).as_deref(),
        Some("https://git.acme.org/lake/src/commit/abc/src/bench.rs?l=7")
    );
}

#[test]
fn templates_of_the_user_replace_ours_and_are_checked_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let search = folder.path().join("search.html");
    let options = || SiteOptions {
        templates: Some(folder.path().to_owned()),
        ..SiteOptions::default()
    };
    fs::write(&search, "<p>Our search of {{ site }}</p>").expect("writes");
    let files = files(&fixture(), options());
    assert_eq!(files["search.html"], "<p>Our search of NeuroLake</p>");

    fs::write(&search, "{{ site | shout }}").expect("writes");
    let result = Site::new(&fixture(), options(), &snippets()).map(|_| ());
    assert!(matches!(result, Err(SiteError::Template(_))), "{result:?}");
}

#[test]
fn the_page_for_lost_readers_knows_where_the_site_is_mounted() {
    let options = SiteOptions {
        base_path: "/docs/lake".to_owned(),
        ..SiteOptions::default()
    };
    let html = &files(&fixture(), options)["404.html"];
    assert!(html.contains("href=\"/docs/lake/index.html\""));
    assert!(!html.contains("rel=\"stylesheet\""), "needs no other file");
}
