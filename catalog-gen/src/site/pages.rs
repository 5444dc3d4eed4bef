//! What templates see: one struct for each kind of page.

use std::fmt::Write as _;

use serde::Serialize;
use tera::Context;

use neurolake_model::{Argument, Input, Location, Notebook, Source, Table};

use super::atlas::{Facet, Group, Related, TableId};
use super::html::{escaped, fingerprint, page_address, percent_encoded, table_address};
use super::listing::{freshness, kind, navigation, short_rows, table_rows};
use super::markdown::{Place, Tables as _, summary_html, summary_text, to_html, to_inline_html};
use super::schema::{column_count, partition_path, schema};
use super::twin::location;
use crate::diff::Detail;
use crate::grafana::dashboard_address;
use crate::openapi;
use crate::snippets::{Purpose, RestExample, Snippet, sh_word};

use super::{
    CSS, HOME_DATABASES, JS, LIVE_SCRIPT, PAGE_OPERATIONS, PAGE_ROWS, Site, SiteError, page_path,
};

/// Tables that fit the home page with their summaries.
const HOME_TABLES: usize = 60;
/// Databases that fit the home page with some of their tables.
const HOME_SECTIONS: usize = 24;
/// Bytes of catalog documentation that fit the home page.
const HOME_DOCS: usize = 4_000;
/// Owners or tags named on the home page.
const HOME_FACETS: usize = 12;

/// What every page has.
#[derive(Serialize)]
struct Page<'a, T> {
    title: &'a str,
    description: &'a str,
    /// From the page to the top folder.
    root: &'a str,
    /// Navigation beside the page; empty where there is none.
    navigation: &'a str,
    #[serde(flatten)]
    content: T,
}

#[derive(Serialize)]
struct Link {
    text: String,
    href: String,
}

#[derive(Serialize)]
struct CountedLink {
    text: String,
    href: String,
    count: usize,
}

#[derive(Serialize)]
struct Pager {
    current: usize,
    links: Vec<Link>,
}

#[derive(Serialize)]
struct Home<'a> {
    /// First paragraph of the documentation: all that stands above the search box.
    lead: String,
    docs: String,
    /// Documentation goes on in `about.html`.
    more_docs: bool,
    databases: usize,
    tables: usize,
    columns: usize,
    deprecated: usize,
    facets: Vec<HomeFacets>,
    sections: Vec<Section<'a>>,
    /// Sections are only names, side by side.
    brief: bool,
    pager: Option<Pager>,
}

#[derive(Serialize)]
struct HomeFacets {
    title: &'static str,
    values: Vec<CountedLink>,
    more: usize,
}

#[derive(Serialize)]
struct Section<'a> {
    name: &'a str,
    href: String,
    summary: String,
    tables: usize,
    rows: String,
    /// Tables that `rows` leaves out.
    more: usize,
}

#[derive(Serialize)]
struct Listing {
    heading: String,
    lead: String,
    docs: String,
    rows: String,
    count: usize,
    source: Option<Link>,
    pager: Option<Pager>,
}

#[derive(Serialize)]
struct Api<'a> {
    http: &'a str,
    /// A call to begin with.
    example: Option<String>,
    databases: Vec<CountedLink>,
}

#[derive(Serialize)]
struct Operations<'a> {
    database: &'a str,
    http: &'a str,
    tables: Vec<Operation<'a>>,
    pager: Option<Pager>,
}

#[derive(Serialize)]
struct Operation<'a> {
    table: &'a str,
    href: String,
    summary: String,
    deprecated: bool,
    call: String,
    /// Arguments without which a function gives nothing.
    required: String,
}

#[derive(Serialize)]
struct Browse {
    groups: Vec<BrowseGroup>,
    databases: Vec<CountedLink>,
}

#[derive(Serialize)]
struct BrowseGroup {
    title: &'static str,
    id: &'static str,
    values: Vec<CountedLink>,
}

#[derive(Serialize)]
struct Changes<'a> {
    /// Whether there was something to compare with.
    known: bool,
    breaking: bool,
    total: usize,
    tables: Vec<ChangedTable<'a>>,
    pager: Option<Pager>,
}

#[derive(Serialize)]
struct ChangedTable<'a> {
    /// Of a table, of a database, or empty for the catalog.
    name: &'a str,
    href: Option<String>,
    changes: Vec<ChangeView<'a>>,
}

#[derive(Serialize)]
struct ChangeView<'a> {
    breaking: bool,
    /// The message with its code marked up.
    message: String,
    detail: Option<&'a Detail>,
}

#[derive(Serialize)]
struct TablePage<'a> {
    database: &'a str,
    table: &'a str,
    docs: String,
    summary: String,
    kind: String,
    owner: Option<Link>,
    tags: Vec<Link>,
    freshness: Option<String>,
    ingest: bool,
    store: Option<&'a str>,
    location: Option<String>,
    refresh: Option<&'a str>,
    header_row: Option<u32>,
    cfg: Option<&'a str>,
    deprecated: Option<Deprecated>,
    source: Link,
    jupyter: Option<String>,
    dashboard: Option<DashboardLinks>,
    snippets: String,
    /// Where its operation is described.
    api: String,
    /// Snippets that send events; empty unless the table takes them.
    send: String,
    columns: usize,
    rows: String,
    legend: Vec<&'static str>,
    runtime_schema: bool,
    partitions: Option<String>,
    arguments: Vec<ArgumentView<'a>>,
    query: Option<&'a str>,
    graph: String,
    inputs: Vec<Neighbour>,
    outputs: Vec<Neighbour>,
    related: Vec<RelatedView>,
    notebooks: Vec<Link>,
}

#[derive(Serialize)]
struct Deprecated {
    since: Option<String>,
    note: String,
    replacement: Option<Neighbour>,
}

#[derive(Serialize)]
struct ArgumentView<'a> {
    name: &'a str,
    data_type: String,
    required: bool,
    docs: String,
}

#[derive(Serialize)]
struct DashboardLinks {
    /// The file.
    file: String,
    /// How to set up all of them.
    readme: Option<String>,
    /// The dashboard in Grafana, where that is known.
    live: Option<String>,
}

/// A table with or without a page.
#[derive(Serialize)]
struct Neighbour {
    text: String,
    href: Option<String>,
}

#[derive(Serialize)]
struct RelatedView {
    text: String,
    href: String,
    columns: String,
}

impl<'a> Site<'a> {
    pub(super) fn set_globals(&mut self) {
        let title = self.atlas.catalog.display_title().to_owned();
        let live = if self.options.live { LIVE_SCRIPT } else { "" };
        let has_changes = self.options.changes.is_some();
        let repository = self.atlas.catalog.repository.clone();
        let globals = self.tera.global_context();
        globals.insert("site", &title);
        globals.insert("css", &fingerprint(CSS));
        globals.insert("js", &fingerprint(JS));
        globals.insert("live", live);
        globals.insert("has_changes", &has_changes);
        globals.insert("repository", &repository.filter(|address| is_web(address)));
    }

    fn show<T: Serialize>(&self, template: &str, page: &Page<'_, T>) -> Result<Vec<u8>, SiteError> {
        // Most pages fit; growing in steps would copy them again and again.
        let mut html = Vec::with_capacity(24 * 1024);
        let context = Context::from_serialize(page)?;
        self.tera.render_to(template, &context, &mut html)?;
        Ok(html)
    }

    fn place<'s>(&'s self, root: &'s str) -> Place<'s> {
        Place {
            tables: &self.atlas,
            root,
        }
    }

    pub(super) fn groups(&self) -> [&Group<'a>; 3] {
        [&self.atlas.owners, &self.atlas.tags, &self.atlas.formats]
    }

    /// How much of each database the home page shows: everything, some tables, or only its name.
    fn home_rows(&self) -> Option<usize> {
        let databases = self.atlas.databases.len();
        if self.atlas.tables.len() <= HOME_TABLES && databases <= HOME_TABLES / 2 {
            return Some(usize::MAX);
        }
        (databases <= HOME_SECTIONS).then(|| (HOME_TABLES / databases.max(1)).min(8))
    }

    pub(super) fn home_pages(&self) -> usize {
        if self.home_rows().is_some() {
            1
        } else {
            self.atlas.databases.len().div_ceil(HOME_DATABASES)
        }
    }

    fn docs_html(&self) -> String {
        to_html(&self.atlas.catalog.docs, 2, self.place(""))
    }

    pub(super) fn has_about(&self) -> bool {
        self.docs_html().len() > HOME_DOCS
    }

    pub(super) fn home(&self, page: usize) -> Result<Vec<u8>, SiteError> {
        let catalog = self.atlas.catalog;
        let more_docs = self.has_about();
        let (lead, docs) = if page > 0 {
            (String::new(), String::new())
        } else {
            let (lead, rest) = split_summary(&catalog.docs);
            let place = self.place("");
            let rest = if more_docs { "" } else { rest };
            (to_inline_html(lead, place), to_html(rest, 2, place))
        };
        let rows = self.home_rows();
        let pages = self.home_pages();
        let shown = match rows {
            Some(_) => 0..self.atlas.databases.len(),
            None => page_range(self.atlas.databases.len(), page, HOME_DATABASES),
        };
        let sections = self.atlas.databases[shown]
            .iter()
            .map(|entry| {
                let limit = rows.unwrap_or(0).min(entry.tables.len());
                let ids = self.most_read(entry.tables.clone(), limit);
                Section {
                    name: &entry.database.name,
                    href: format!("{}/index.html", percent_encoded(&entry.database.name)),
                    summary: summary_html(&entry.database.docs, if limit > 0 { 160 } else { 80 }),
                    tables: entry.tables.len(),
                    rows: short_rows(&self.atlas, ids, "", 110),
                    more: if limit > 0 {
                        entry.tables.len() - limit
                    } else {
                        0
                    },
                }
            })
            .collect();
        let facets = self
            .groups()
            .into_iter()
            .filter(|group| !group.facets.is_empty() && page == 0)
            .map(|group| HomeFacets {
                title: group.title,
                values: most_used(group, HOME_FACETS)
                    .into_iter()
                    .map(|facet| count(group, facet))
                    .collect(),
                more: group.facets.len().saturating_sub(HOME_FACETS),
            })
            .collect();
        let title = catalog.display_title();
        let description = summary_text(&catalog.docs, 160);
        self.show(
            "home.html",
            &Page {
                title,
                description: &description,
                root: "",
                navigation: "",
                content: Home {
                    lead,
                    docs,
                    more_docs,
                    databases: self.atlas.databases.len(),
                    tables: self.atlas.tables.len(),
                    columns: self.atlas.tables.iter().map(|(_, t)| column_count(t)).sum(),
                    deprecated: self.atlas.deprecated.len(),
                    facets,
                    sections,
                    brief: rows.is_none(),
                    pager: pager("index", page, pages),
                },
            },
        )
    }

    /// Up to `limit` tables, those that most others read; in the order of the document.
    fn most_read(&self, ids: std::ops::Range<TableId>, limit: usize) -> Vec<TableId> {
        let mut ids: Vec<TableId> = ids.collect();
        if limit < ids.len() {
            ids.sort_by_key(|id| {
                let deprecated = self.atlas.tables[*id].1.deprecated.is_some();
                (deprecated, std::cmp::Reverse(self.atlas.readers[*id].len()))
            });
            ids.truncate(limit);
            ids.sort_unstable();
        }
        ids
    }

    pub(super) fn about(&self) -> Result<Vec<u8>, SiteError> {
        #[derive(Serialize)]
        struct About {
            docs: String,
        }
        let navigation = navigation(&self.atlas, "", None, None);
        self.show(
            "about.html",
            &Page {
                title: "About",
                description: &summary_text(&self.atlas.catalog.docs, 160),
                root: "",
                navigation: &navigation,
                content: About {
                    docs: self.docs_html(),
                },
            },
        )
    }

    pub(super) fn database(&self, index: usize, page: usize) -> Result<Vec<u8>, SiteError> {
        let entry = &self.atlas.databases[index];
        let database = entry.database;
        let shown = page_range(entry.tables.len(), page, PAGE_ROWS);
        let ids = entry.tables.clone().skip(shown.start).take(shown.len());
        let navigation = navigation(&self.atlas, "../", Some(index), None);
        let docs = if page == 0 {
            to_html(&database.docs, 2, self.place("../"))
        } else {
            String::new()
        };
        self.show(
            "database.html",
            &Page {
                title: &database.name,
                description: &summary_text(&database.docs, 160),
                root: "../",
                navigation: &navigation,
                content: Listing {
                    heading: database.name.clone(),
                    lead: String::new(),
                    docs,
                    rows: table_rows(&self.atlas, ids, "../", false),
                    count: entry.tables.len(),
                    source: Some(self.source_link(&database.location)),
                    pager: pager("index", page, entry.tables.len().div_ceil(PAGE_ROWS)),
                },
            },
        )
    }

    pub(super) fn api(&self) -> Result<Vec<u8>, SiteError> {
        let catalog = self.atlas.catalog;
        let mut tables = self.atlas.tables.iter();
        let stored = |table: &Table| matches!(table.source.kind(), "delta" | "parquet");
        let example = tables.find(|(_, table)| stored(table) && !table.example.is_empty());
        let entries = self.atlas.databases.iter();
        let databases = entries.map(|entry| CountedLink {
            text: entry.database.name.clone(),
            href: format!("{}/index.api.html", percent_encoded(&entry.database.name)),
            count: entry.tables.len(),
        });
        self.show(
            "api.html",
            &Page {
                title: "REST",
                description: "How rows of one table are asked for over HTTP.",
                root: "",
                navigation: &navigation(&self.atlas, "", None, None),
                content: Api {
                    http: &catalog.endpoints.http,
                    example: example.map(|(database, table)| self.call(&database.name, table)),
                    databases: databases.collect(),
                },
            },
        )
    }

    /// The line for a shell that asks for the example rows of a table.
    fn call(&self, database: &str, table: &Table) -> String {
        let query = RestExample::new(table).query;
        let http = &self.atlas.catalog.endpoints.http;
        let path = openapi::path(database, &table.name);
        format!("curl -sS {}", sh_word(&format!("{http}{path}?{query}")))
    }

    /// Where a table stands among the operations of its database.
    fn operation_address(&self, id: TableId) -> String {
        let entry = &self.atlas.databases[self.atlas.database_index(id)];
        let page = page_path("index.api", (id - entry.tables.start) / PAGE_OPERATIONS);
        format!(
            "{page}#t-{}",
            percent_encoded(&self.atlas.tables[id].1.name)
        )
    }

    pub(super) fn operations(&self, index: usize, page: usize) -> Result<Vec<u8>, SiteError> {
        let entry = &self.atlas.databases[index];
        let database = &entry.database.name;
        let shown = page_range(entry.tables.len(), page, PAGE_OPERATIONS);
        let ids = entry.tables.clone().skip(shown.start).take(shown.len());
        let tables = ids.map(|id| {
            let (_, table) = self.atlas.tables[id];
            Operation {
                table: &table.name,
                href: format!("{}.html", percent_encoded(&table.name)),
                summary: summary_html(&table.docs, 200),
                deprecated: table.deprecated.is_some(),
                call: self.call(database, table),
                required: required_arguments(table),
            }
        });
        let title = format!("REST: {database}");
        self.show(
            "operations.html",
            &Page {
                title: &title,
                description: &format!("How rows of the tables of {database} are asked for."),
                root: "../",
                navigation: &navigation(&self.atlas, "../", Some(index), None),
                content: Operations {
                    database,
                    http: &self.atlas.catalog.endpoints.http,
                    tables: tables.collect(),
                    pager: pager(
                        "index.api",
                        page,
                        entry.tables.len().div_ceil(PAGE_OPERATIONS),
                    ),
                },
            },
        )
    }

    pub(super) fn facet(
        &self,
        group: usize,
        index: usize,
        page: usize,
    ) -> Result<Vec<u8>, SiteError> {
        let group = self.groups()[group];
        let facet = &group.facets[index];
        let title = format!("{}: {}", group.title, facet.label);
        self.listing(
            &title,
            facet.label,
            group.title,
            &facet.tables,
            "../",
            &facet.slug,
            page,
        )
    }

    pub(super) fn deprecated(&self, page: usize) -> Result<Vec<u8>, SiteError> {
        let tables = &self.atlas.deprecated;
        self.listing(
            "Deprecated tables",
            "Deprecated tables",
            "",
            tables,
            "",
            "deprecated",
            page,
        )
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "private, and each is a plain text"
    )]
    fn listing(
        &self,
        title: &str,
        heading: &str,
        lead: &str,
        tables: &[TableId],
        root: &str,
        stem: &str,
        page: usize,
    ) -> Result<Vec<u8>, SiteError> {
        let shown = page_range(tables.len(), page, PAGE_ROWS);
        let navigation = navigation(&self.atlas, root, None, None);
        self.show(
            "listing.html",
            &Page {
                title,
                description: "",
                root,
                navigation: &navigation,
                content: Listing {
                    heading: heading.to_owned(),
                    lead: lead.to_owned(),
                    docs: String::new(),
                    rows: table_rows(&self.atlas, tables[shown].iter().copied(), root, true),
                    count: tables.len(),
                    source: None,
                    pager: pager(
                        &percent_encoded(stem),
                        page,
                        tables.len().div_ceil(PAGE_ROWS),
                    ),
                },
            },
        )
    }

    pub(super) fn browse(&self) -> Result<Vec<u8>, SiteError> {
        let groups = self
            .groups()
            .into_iter()
            .zip(["owners", "tags", "formats"])
            .filter(|(group, _)| !group.facets.is_empty())
            .map(|(group, id)| BrowseGroup {
                title: group.title,
                id,
                values: group
                    .facets
                    .iter()
                    .map(|facet| count(group, facet))
                    .collect(),
            })
            .collect();
        let databases = self
            .atlas
            .databases
            .iter()
            .map(|entry| CountedLink {
                text: entry.database.name.clone(),
                href: format!("{}/index.html", percent_encoded(&entry.database.name)),
                count: entry.tables.len(),
            })
            .collect();
        self.show(
            "browse.html",
            &Page {
                title: "Browse",
                description: "",
                root: "",
                navigation: &navigation(&self.atlas, "", None, None),
                content: Browse { groups, databases },
            },
        )
    }

    pub(super) fn search(&self) -> Result<Vec<u8>, SiteError> {
        self.show(
            "search.html",
            &Page {
                title: "Search",
                description: "",
                root: "",
                navigation: "",
                content: (),
            },
        )
    }

    pub(super) fn not_found(&self) -> Result<Vec<u8>, SiteError> {
        #[derive(Serialize)]
        struct NotFound<'a> {
            style: &'a str,
        }
        let base = match self.options.base_path.trim_matches('/') {
            "" => "/".to_owned(),
            path => format!("/{path}/"),
        };
        self.show(
            "404.html",
            &Page {
                title: "Page not found",
                description: "",
                root: &base,
                navigation: "",
                content: NotFound { style: CSS },
            },
        )
    }

    pub(super) fn change_count(&self) -> usize {
        self.options
            .changes
            .as_ref()
            .map_or(0, |diff| diff.changes.len())
    }

    pub(super) fn changes(&self, page: usize) -> Result<Vec<u8>, SiteError> {
        let diff = self.options.changes.as_ref();
        let changes = diff.map_or(&[][..], |diff| &diff.changes);
        let mut tables: Vec<ChangedTable<'_>> = Vec::new();
        for change in &changes[page_range(changes.len(), page, PAGE_ROWS)] {
            if tables.last().is_none_or(|last| last.name != change.table) {
                tables.push(ChangedTable {
                    name: &change.table,
                    href: self.address_of(&change.table),
                    changes: Vec::new(),
                });
            }
            if let Some(table) = tables.last_mut() {
                table.changes.push(ChangeView {
                    breaking: change.breaking,
                    message: summary_html(&change.message, usize::MAX),
                    detail: change.detail.as_ref(),
                });
            }
        }
        self.show(
            "changes.html",
            &Page {
                title: "Changes",
                description: "",
                root: "",
                navigation: &navigation(&self.atlas, "", None, None),
                content: Changes {
                    known: diff.is_some(),
                    breaking: diff.is_some_and(|diff| diff.breaking),
                    total: changes.len(),
                    tables,
                    pager: pager("changes", page, changes.len().div_ceil(PAGE_ROWS)),
                },
            },
        )
    }

    /// Page of a changed table, or of a changed database.
    fn address_of(&self, name: &str) -> Option<String> {
        let Some((database, table)) = name.split_once('.') else {
            let exists = self.atlas.databases.iter().any(|d| d.database.name == name);
            return exists.then(|| format!("{}/index.html", percent_encoded(name)));
        };
        self.atlas
            .has_page(database, table)
            .then(|| table_address("", database, table, "html"))
    }

    pub(super) fn table(&self, id: TableId) -> Result<Vec<u8>, SiteError> {
        let root = "../";
        let place = self.place(root);
        let (database, table) = self.atlas.tables[id];
        let home = database.name.as_str();
        let index = self.atlas.database_index(id);
        let navigation = navigation(&self.atlas, root, Some(index), Some(id));
        let name = format!("{}.{}", database.name, table.name);
        let (lead, rest) = split_summary(&table.docs);
        let outputs = self.atlas.readers[id].as_slice();
        let graph = if table.inputs.is_empty() && outputs.is_empty() {
            String::new()
        } else {
            super::lineage::draw(
                &self.atlas,
                &database.name,
                &table.name,
                &table.inputs,
                outputs,
            )
        };
        let schema = schema(table, place);
        let snippets = self.snippets_of(id)?;
        let (refresh, header_row) = match &table.source {
            Source::Sheet {
                refresh,
                header_row,
                ..
            } => (refresh.as_deref(), Some(*header_row)),
            _ => (None, None),
        };
        let content = TablePage {
            database: &database.name,
            table: &table.name,
            summary: to_inline_html(lead, place),
            docs: to_html(rest, 2, place),
            kind: kind(table),
            owner: table
                .owner
                .as_deref()
                .map(|owner| facet_link(&self.atlas.owners, owner)),
            tags: table
                .tags
                .iter()
                .map(|tag| facet_link(&self.atlas.tags, tag))
                .collect(),
            freshness: table.freshness.as_deref().map(freshness),
            ingest: table.ingest,
            store: table.store.as_deref(),
            location: location(&table.source),
            refresh,
            header_row,
            cfg: table.cfg.as_deref(),
            deprecated: table.deprecated.as_ref().map(|deprecation| Deprecated {
                since: deprecation.since.clone(),
                note: to_inline_html(&deprecation.note, place),
                replacement: deprecation
                    .replacement
                    .as_ref()
                    .map(|t| self.neighbour(home, t)),
            }),
            source: self.source_link(&table.location),
            jupyter: self.jupyter(&name),
            dashboard: self
                .has_dashboard(id)
                .then(|| self.dashboard_links(id, root)),
            snippets: snippet_panels(&snippets, Purpose::Read),
            api: self.operation_address(id),
            send: snippet_panels(&snippets, Purpose::Ingest),
            columns: column_count(table),
            rows: schema.rows,
            legend: schema.legend,
            runtime_schema: table.columns.is_empty(),
            partitions: partition_path(table),
            arguments: arguments(table, place),
            query: match &table.source {
                Source::Sql { query } => Some(query),
                _ => None,
            },
            graph,
            inputs: table
                .inputs
                .iter()
                .map(|input| self.neighbour(home, input))
                .collect(),
            outputs: outputs
                .iter()
                .map(|output| self.neighbour(home, output))
                .collect(),
            related: self.related(id),
            notebooks: table
                .notebooks
                .iter()
                .filter_map(|n| self.notebook(n))
                .collect(),
        };
        let page = self.show(
            "table.html",
            &Page {
                title: &name,
                description: &summary_text(&table.docs, 160),
                root,
                navigation: &navigation,
                content,
            },
        );
        *self.recent(id) = Some((id, snippets));
        page
    }

    /// A table as a page of the database `home` shows it.
    fn neighbour(&self, home: &str, table: &Input) -> Neighbour {
        let has_page = self.atlas.has_page(&table.database, &table.table);
        Neighbour {
            text: table.to_string(),
            href: has_page.then(|| page_address(home, &table.database, &table.table)),
        }
    }

    fn related(&self, id: TableId) -> Vec<RelatedView> {
        const NAMED: usize = 4;
        let home = &self.atlas.tables[id].0.name;
        let view = |related: Related<'_>| {
            let (database, table) = self.atlas.tables[related.id];
            let mut columns = related.columns[..related.columns.len().min(NAMED)].join(", ");
            if related.columns.len() > NAMED {
                let _ = write!(columns, " and {} more", related.columns.len() - NAMED);
            }
            RelatedView {
                text: format!("{}.{}", database.name, table.name),
                href: page_address(home, &database.name, &table.name),
                columns,
            }
        };
        self.atlas.related(id).into_iter().map(view).collect()
    }

    fn dashboard_links(&self, id: TableId, root: &str) -> DashboardLinks {
        let (database, table) = self.atlas.tables[id];
        let path = self.grafana.dashboard_path(
            &percent_encoded(&database.name),
            &percent_encoded(&table.name),
        );
        let grafana = self.options.grafana.as_deref();
        DashboardLinks {
            file: format!("{root}{path}"),
            readme: self
                .grafana
                .readme_path(self.atlas.catalog)
                .map(|path| format!("{root}{path}")),
            live: grafana
                .map(|address| dashboard_address(address, self.atlas.catalog, database, table)),
        }
    }

    /// The query string survives JupyterHub's redirect to the user's own server.
    fn jupyter(&self, name: &str) -> Option<String> {
        let hub = self
            .atlas
            .catalog
            .jupyterhub
            .as_deref()
            .filter(|hub| is_web(hub))?;
        Some(format!(
            "{}/hub/user-redirect/lab?neurolake_table={}",
            hub.trim_end_matches('/'),
            percent_encoded(name)
        ))
    }

    fn notebook(&self, notebook: &Notebook) -> Option<Link> {
        let href = if is_web(&notebook.url) {
            notebook.url.clone()
        } else {
            let address = self.source_address(&notebook.url, None);
            address.filter(|_| !notebook.url.contains(':'))?
        };
        Some(Link {
            text: notebook.title.clone(),
            href,
        })
    }

    /// Link to a line of a source file; without a repository only its text, which is HTML.
    fn source_link(&self, location: &Location) -> Link {
        // A catalog that a program made of its own tables knows no files.
        if location.file.is_empty() {
            return Link {
                text: String::new(),
                href: String::new(),
            };
        }
        let address = self.source_address(&location.file, Some(location.line));
        Link {
            // Long paths break at their slashes.
            text: format!(
                "{}:{}",
                escaped(&location.file).replace('/', "/<wbr>"),
                location.line
            ),
            href: address.unwrap_or_default(),
        }
    }

    fn source_address(&self, file: &str, line: Option<u32>) -> Option<String> {
        let repository = self.atlas.catalog.repository.as_deref();
        let repository = repository.filter(|repository| is_web(repository));
        let repository = repository.map(|repository| repository.trim_end_matches('/'));
        let shape = match (self.options.source_url.as_deref(), repository) {
            (Some(shape), _) => shape,
            (None, Some(repository)) => {
                let host = repository.split('/').nth(2).unwrap_or_default();
                if host.contains("gitlab") {
                    "{repository}/-/blob/{commit}/{file}#L{line}"
                } else {
                    "{repository}/blob/{commit}/{file}#L{line}"
                }
            }
            (None, None) => return None,
        };
        if repository.is_none() && (shape.contains("{repository}") || !is_web(shape)) {
            return None;
        }
        let shape = match line {
            Some(_) => shape,
            None => shape.split('#').next().unwrap_or_default(),
        };
        let file: Vec<String> = file.split('/').map(percent_encoded).collect();
        let line = line.map(|line| line.to_string()).unwrap_or_default();
        Some(
            shape
                .replace("{repository}", repository.unwrap_or_default())
                .replace("{commit}", self.options.commit.as_deref().unwrap_or("HEAD"))
                .replace("{line}", &line)
                .replace("{file}", &file.join("/")),
        )
    }
}

/// One panel for each client of that purpose, the first one open.
fn snippet_panels(snippets: &[Snippet], purpose: Purpose) -> String {
    let chosen = || snippets.iter().filter(|snippet| snippet.purpose == purpose);
    let bytes = chosen().map(|snippet| snippet.html.len() + 128).sum();
    let mut out = String::with_capacity(bytes);
    for (index, snippet) in chosen().enumerate() {
        let _ = writeln!(
            out,
            r#"<details{} data-id="{}"><summary>{}</summary><pre tabindex="0"><code>{}</code></pre></details>"#,
            if index == 0 { " open" } else { "" },
            escaped(&snippet.id),
            escaped(&snippet.title),
            snippet.html
        );
    }
    out
}

fn required_arguments(table: &Table) -> String {
    let Source::Function { arguments } = &table.source else {
        return String::new();
    };
    let required = arguments.iter().filter(|argument| argument.required);
    let names: Vec<&str> = required.map(|argument| argument.name.as_str()).collect();
    names.join(", ")
}

fn is_web(address: &str) -> bool {
    let address = address.to_ascii_lowercase();
    address.starts_with("https://") || address.starts_with("http://")
}

/// The first paragraph, which stands at the top of a page, and the text after it.
fn split_summary(docs: &str) -> (&str, &str) {
    let docs = docs.trim_start();
    docs.split_once("\n\n").unwrap_or((docs, ""))
}

fn arguments<'t>(table: &'t Table, place: Place<'_>) -> Vec<ArgumentView<'t>> {
    let Source::Function { arguments } = &table.source else {
        return Vec::new();
    };
    let view = |argument: &'t Argument| ArgumentView {
        name: &argument.name,
        data_type: argument.data_type.to_string(),
        required: argument.required,
        docs: table
            .column(&argument.name)
            .map(|column| to_inline_html(&column.docs, place))
            .unwrap_or_default(),
    };
    arguments.iter().map(view).collect()
}

fn facet_link(group: &Group<'_>, label: &str) -> Link {
    Link {
        text: label.to_owned(),
        href: group.address(label).unwrap_or_default(),
    }
}

fn count(group: &Group<'_>, facet: &Facet<'_>) -> CountedLink {
    CountedLink {
        text: facet.label.to_owned(),
        href: format!("{}/{}.html", group.folder, percent_encoded(&facet.slug)),
        count: facet.tables.len(),
    }
}

/// Up to `limit` values that hold most tables, sorted by label.
fn most_used<'g, 'a>(group: &'g Group<'a>, limit: usize) -> Vec<&'g Facet<'a>> {
    let mut facets: Vec<_> = group.facets.iter().collect();
    if facets.len() > limit {
        facets.sort_by_key(|facet| std::cmp::Reverse(facet.tables.len()));
        facets.truncate(limit);
        facets.sort_by_key(|facet| facet.label);
    }
    facets
}

fn page_range(count: usize, page: usize, rows: usize) -> std::ops::Range<usize> {
    let start = (page * rows).min(count);
    start..(start + rows).min(count)
}

/// Links to the pages of a listing that has more than one.
fn pager(stem: &str, page: usize, pages: usize) -> Option<Pager> {
    (pages > 1).then(|| Pager {
        current: page + 1,
        links: (0..pages)
            .map(|page| Link {
                text: (page + 1).to_string(),
                href: page_path(stem, page),
            })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_cover_a_listing_once() {
        assert_eq!(page_range(1_001, 0, 500), 0..500);
        assert_eq!(page_range(1_001, 2, 500), 1_000..1_001);
        assert_eq!(page_range(0, 0, 500), 0..0);
        assert!(pager("index", 0, 1).is_none());
    }

    #[test]
    fn only_web_addresses_become_links() {
        assert!(is_web("HTTPS://example.org"));
        assert!(!is_web("javascript:alert(1)//http://"));
    }
}
