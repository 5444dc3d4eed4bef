//! The static site: a pure function of a catalog, templates and snippets.
//!
//! A `Site` knows the path of every file and renders each on demand, so that `build` can write all
//! of them in parallel and `serve` only those that a browser asks for.
//!
//! Read in this order: `atlas` (the catalog, indexed), `pages` (what templates see),
//! `listing`, `schema` and `lineage` (HTML by hand where there is much of it), `twin` (pages
//! for programs), `markdown` and `html`.

mod atlas;
mod html;
mod lineage;
mod listing;
mod markdown;
mod pages;
mod schema;
mod twin;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::{fs, io};

use neurolake_model::Catalog;
use tera::Tera;

pub(crate) use self::atlas::free_folder;
pub(crate) use self::html::{hash, table_address};
pub(crate) use self::html::{percent_encode, percent_encoded};
pub(crate) use self::markdown::summary_text;

use self::atlas::{Atlas, TableId};
use crate::diff::CatalogDiff;
use crate::grafana::{Grafana, GrafanaError, Provision};
use crate::openapi;
use crate::search::SearchIndex;
use crate::snippets::{Snippet, SnippetError, Snippets};

/// Script that pages ask for when [`SiteOptions::live`] is set; `serve` answers it.
pub const LIVE_SCRIPT: &str = "assets/live.js";

/// Rows of a listing on one page.
const PAGE_ROWS: usize = 500;
/// Tables of a page that says how each is asked for over REST.
const PAGE_OPERATIONS: usize = 100;
/// Tables whose snippets are kept for a moment; a few for each thread that renders.
const RECENT: usize = 64;
/// Databases of the home page when there are too many for it.
const HOME_DATABASES: usize = 80;

const TEMPLATES: [(&str, &str); 13] = [
    ("404.html", include_str!("../../templates/site/404.html")),
    (
        "about.html",
        include_str!("../../templates/site/about.html"),
    ),
    ("api.html", include_str!("../../templates/site/api.html")),
    ("base.html", include_str!("../../templates/site/base.html")),
    (
        "browse.html",
        include_str!("../../templates/site/browse.html"),
    ),
    (
        "changes.html",
        include_str!("../../templates/site/changes.html"),
    ),
    (
        "components.html",
        include_str!("../../templates/site/components.html"),
    ),
    (
        "database.html",
        include_str!("../../templates/site/database.html"),
    ),
    ("home.html", include_str!("../../templates/site/home.html")),
    (
        "listing.html",
        include_str!("../../templates/site/listing.html"),
    ),
    (
        "operations.html",
        include_str!("../../templates/site/operations.html"),
    ),
    (
        "search.html",
        include_str!("../../templates/site/search.html"),
    ),
    (
        "table.html",
        include_str!("../../templates/site/table.html"),
    ),
];
const CSS: &str = include_str!("../../site/assets/site.css");
const JS: &str = include_str!("../../site/assets/site.js");
const SEARCH_JS: &str = include_str!("../../site/assets/search.js");
const ICON: &str = include_str!("../../site/assets/icon.svg");

/// How a site is made.
#[derive(Debug, Clone, Default)]
pub struct SiteOptions {
    /// Folder of templates: a file there replaces the embedded one of the same name; others are for
    /// its own use.
    pub templates: Option<PathBuf>,
    /// Address of a Grafana that shows the dashboards; pages link to them.
    pub grafana: Option<String>,
    /// Folder of templates for Grafana that replace the embedded ones.
    pub grafana_templates: Option<PathBuf>,
    /// Full hash of the commit that links to source files name. `None`: the newest.
    pub commit: Option<String>,
    /// Address of a source file with `{repository}`, `{commit}`, `{file}` and `{line}`. `None`: the
    /// one of GitHub, or of GitLab where the repository's host is called so.
    pub source_url: Option<String>,
    /// Where the site is mounted, for the links of `404.html` only: that page answers at any depth.
    /// Empty means `/`.
    pub base_path: String,
    /// Add [`LIVE_SCRIPT`] to every page.
    pub live: bool,
    /// What the page of changes shows.
    pub changes: Option<CatalogDiff>,
}

/// Why a site could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// A template is malformed or failed.
    #[error("template error")]
    Template(#[from] tera::Error),
    /// A snippet failed.
    #[error(transparent)]
    Snippets(#[from] SnippetError),
    /// A file for Grafana failed.
    #[error(transparent)]
    Grafana(#[from] GrafanaError),
    /// A template of the user could not be read.
    #[error("cannot read template `{}`", path.display())]
    ReadTemplate {
        /// File or folder.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// A name cannot be part of a file's path.
    #[error(
        "`{name}` cannot have a page: {reason}\nhint: give it another name with `name = \"...\"`"
    )]
    UnusableName {
        /// Database, or `database.table`.
        name: String,
        /// Why not.
        reason: &'static str,
    },
}

/// Every file of a catalog's site.
pub struct Site<'a> {
    atlas: Atlas<'a>,
    snippets: &'a Snippets,
    grafana: Grafana,
    options: SiteOptions,
    tera: Tera,
    files: BTreeMap<String, File>,
    /// Two files are made from it, and none if nobody asks for them.
    search: OnceLock<SearchIndex>,
    /// Snippets of tables whose page was rendered last: their Markdown twin usually comes next.
    recent: [Mutex<Recent>; RECENT],
}

/// Snippets of a table whose page was just rendered.
type Recent = Option<(TableId, Vec<Snippet>)>;

/// What a path answers with.
#[derive(Debug, Clone, Copy)]
enum File {
    Home {
        page: usize,
    },
    About,
    Api,
    OpenApi,
    Operations {
        index: usize,
        page: usize,
    },
    Database {
        index: usize,
        page: usize,
    },
    Table(TableId),
    TableJson(TableId),
    TableMarkdown(TableId),
    Dashboard(TableId),
    Provision(Provision),
    Facet {
        group: usize,
        index: usize,
        page: usize,
    },
    Deprecated {
        page: usize,
    },
    Browse,
    Changes {
        page: usize,
    },
    Search,
    NotFound,
    CatalogJson,
    Llms,
    Css,
    Js,
    SearchJs,
    SearchIndex,
    SearchText,
    Icon,
}

impl<'a> Site<'a> {
    /// Loads templates and lists the files of the site.
    ///
    /// # Errors
    /// Every variant of [`SiteError`]; templates are checked here, not on the first page that uses
    /// them.
    pub fn new(
        catalog: &'a Catalog,
        options: SiteOptions,
        snippets: &'a Snippets,
    ) -> Result<Self, SiteError> {
        let atlas = Atlas::new(catalog);
        check_names(&atlas)?;
        let mut tera = Tera::new();
        tera.set_escape_fn(html::write_escaped);
        tera.add_raw_templates(templates(options.templates.as_deref())?)?;
        let grafana = Grafana::load(options.grafana_templates.as_deref(), catalog)?;
        let mut site = Self {
            files: BTreeMap::new(),
            atlas,
            snippets,
            grafana,
            options,
            tera,
            search: OnceLock::new(),
            recent: std::array::from_fn(|_| Mutex::new(None)),
        };
        site.files = site.list();
        site.set_globals();
        Ok(site)
    }

    /// Every file of the site, relative to its top folder, sorted.
    pub fn paths(&self) -> Vec<String> {
        self.files.keys().cloned().collect()
    }

    /// Content of one file; `None` where the site has no such file.
    ///
    /// # Errors
    /// [`SiteError::Template`].
    pub fn render(&self, path: &str) -> Result<Option<Vec<u8>>, SiteError> {
        let Some(file) = self.files.get(path) else {
            return Ok(None);
        };
        self.content(*file).map(Some)
    }

    fn list(&self) -> BTreeMap<String, File> {
        let mut files = BTreeMap::from(
            [
                ("404.html", File::NotFound),
                ("api.html", File::Api),
                ("assets/icon.svg", File::Icon),
                ("assets/search-index.js", File::SearchIndex),
                ("assets/search-text.js", File::SearchText),
                ("assets/search.js", File::SearchJs),
                ("assets/site.css", File::Css),
                ("assets/site.js", File::Js),
                ("browse.html", File::Browse),
                ("catalog.json", File::CatalogJson),
                ("llms.txt", File::Llms),
                ("openapi.json", File::OpenApi),
                ("search.html", File::Search),
            ]
            .map(|(path, file)| (path.to_owned(), file)),
        );
        let mut paged = |stem: &str, pages: usize, file: &dyn Fn(usize) -> File| {
            for page in 0..pages.max(1) {
                files.insert(page_path(stem, page), file(page));
            }
        };
        paged("index", self.home_pages(), &|page| File::Home { page });
        paged(
            "changes",
            self.change_count().div_ceil(PAGE_ROWS),
            &|page| File::Changes { page },
        );
        paged(
            "deprecated",
            self.atlas.deprecated.len().div_ceil(PAGE_ROWS),
            &|page| File::Deprecated { page },
        );
        for (index, entry) in self.atlas.databases.iter().enumerate() {
            let stem = format!("{}/index", entry.database.name);
            paged(&stem, entry.tables.len().div_ceil(PAGE_ROWS), &|page| {
                File::Database { index, page }
            });
            let stem = format!("{}/index.api", entry.database.name);
            paged(
                &stem,
                entry.tables.len().div_ceil(PAGE_OPERATIONS),
                &|page| File::Operations { index, page },
            );
        }
        for (group, facets) in self.groups().into_iter().enumerate() {
            for (index, facet) in facets.facets.iter().enumerate() {
                let stem = format!("{}/{}", facets.folder, facet.slug);
                paged(&stem, facet.tables.len().div_ceil(PAGE_ROWS), &|page| {
                    File::Facet { group, index, page }
                });
            }
        }
        if self.has_about() {
            files.insert("about.html".to_owned(), File::About);
        }
        for (id, (database, table)) in self.atlas.tables.iter().enumerate() {
            let stem = format!("{}/{}", database.name, table.name);
            files.insert(format!("{stem}.html"), File::Table(id));
            files.insert(format!("{stem}.json"), File::TableJson(id));
            files.insert(format!("{stem}.md"), File::TableMarkdown(id));
            if self.has_dashboard(id) {
                let path = self.grafana.dashboard_path(&database.name, &table.name);
                files.insert(path, File::Dashboard(id));
            }
        }
        for (path, provision) in self.grafana.provisions(self.atlas.catalog) {
            files.insert(path, File::Provision(provision));
        }
        files
    }

    fn search_index(&self) -> &SearchIndex {
        self.search
            .get_or_init(|| SearchIndex::build(self.atlas.catalog))
    }

    fn snippets_of(&self, id: TableId) -> Result<Vec<Snippet>, SnippetError> {
        let (database, table) = self.atlas.tables[id];
        self.snippets.render(self.atlas.catalog, database, table)
    }

    fn has_dashboard(&self, id: TableId) -> bool {
        let (database, table) = self.atlas.tables[id];
        self.grafana
            .has_dashboard(self.atlas.catalog, database, table)
    }

    /// Where the snippets of a table are kept.
    fn recent(&self, id: TableId) -> MutexGuard<'_, Recent> {
        self.recent[id % RECENT]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn content(&self, file: File) -> Result<Vec<u8>, SiteError> {
        Ok(match file {
            File::Home { page } => self.home(page)?,
            File::About => self.about()?,
            File::Api => self.api()?,
            File::OpenApi => {
                let document = openapi::document(self.atlas.catalog);
                format!("{document}\n").into_bytes()
            }
            File::Operations { index, page } => self.operations(index, page)?,
            File::Database { index, page } => self.database(index, page)?,
            File::Table(id) => self.table(id)?,
            File::TableJson(id) => twin::json(&self.atlas, id),
            File::TableMarkdown(id) => {
                let kept = self.recent(id).take().filter(|(kept, _)| *kept == id);
                let snippets = match kept {
                    Some((_, snippets)) => snippets,
                    None => self.snippets_of(id)?,
                };
                twin::markdown(&self.atlas, id, &snippets).into_bytes()
            }
            File::Dashboard(id) => {
                let (database, table) = self.atlas.tables[id];
                self.grafana
                    .dashboard(self.atlas.catalog, database, table)?
            }
            File::Provision(provision) => self.grafana.provision(self.atlas.catalog, provision)?,
            File::Facet { group, index, page } => self.facet(group, index, page)?,
            File::Deprecated { page } => self.deprecated(page)?,
            File::Browse => self.browse()?,
            File::Changes { page } => self.changes(page)?,
            File::Search => self.search()?,
            File::NotFound => self.not_found()?,
            File::CatalogJson => self.atlas.catalog.to_json().into_bytes(),
            File::Llms => twin::llms(&self.atlas).into_bytes(),
            File::Css => CSS.into(),
            File::Js => JS.into(),
            File::SearchJs => SEARCH_JS.into(),
            File::SearchIndex => self.search_index().to_js().into_bytes(),
            File::SearchText => self.search_index().text_js().into_bytes(),
            File::Icon => ICON.into(),
        })
    }
}

/// `index.html`, `index.2.html`...: no table, tag or owner has a dot in its file name.
fn page_path(stem: &str, page: usize) -> String {
    if page == 0 {
        format!("{stem}.html")
    } else {
        format!("{stem}.{}.html", page + 1)
    }
}

/// The reader of declarations lets nothing else through, but a document may come from elsewhere, and
/// names become paths of files.
fn check_names(atlas: &Atlas<'_>) -> Result<(), SiteError> {
    let is_identifier =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    for (database, table) in &atlas.tables {
        let reason = if !is_identifier(&database.name) || !is_identifier(&table.name) {
            "a name holds only letters, digits and underscores"
        } else if table.name == "index" {
            "`index.html` is the page of its database"
        } else {
            continue;
        };
        return Err(SiteError::UnusableName {
            name: format!("{}.{}", database.name, table.name),
            reason,
        });
    }
    Ok(())
}

/// The embedded templates with those of the user in their place.
fn templates(folder: Option<&Path>) -> Result<BTreeMap<String, String>, SiteError> {
    let mut templates: BTreeMap<String, String> = TEMPLATES
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect();
    let Some(folder) = folder else {
        return Ok(templates);
    };
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| SiteError::ReadTemplate { path, source }
    };
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(name) = name.filter(|name| name.ends_with(".html")) {
            let text = fs::read_to_string(&path).map_err(failed(&path))?;
            templates.insert(name.to_owned(), text);
        }
    }
    Ok(templates)
}
