//! Dashboards, a data source and alerts for Grafana, over the platform's Postgres door.
//!
//! What a dashboard shows is chosen here, from types, units and documentation. How it looks is said
//! by MiniJinja templates in `templates/grafana`, whose README is the contract with people who write
//! their own. Read in this order: `panels` (which panels a table gets), `variables` (what its readers
//! choose), `statements` (SQL), `units`, `alerts`.
//!
//! A catalog without a Postgres door has none of this.

mod alerts;
mod panels;
mod statements;
mod units;
mod variables;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, Value};
use neurolake_model::{Catalog, Database, Table};
use serde::Serialize;
use serde::de::IgnoredAny;

use crate::jinja;
use crate::site::{free_folder, hash, summary_text, table_address};

use self::alerts::Rule;
use self::panels::{Dashboard, has_dashboard};

/// Instructions one rendering may take: a dashboard of 100 columns takes some ten thousand.
const FUEL: u64 = 10_000_000;
/// Longest identifier that Grafana takes.
const UID_LENGTH: usize = 40;
const DESCRIPTION: usize = 500;
/// Folder of the site that holds everything for Grafana.
const FOLDER: &str = "grafana";
/// Before the name of a built-in template, for those that replace it and want to go on from it.
const BUILT_IN_PREFIX: &str = "built-in/";
/// Template of a dashboard that has none of its own.
const DASHBOARD: &str = "dashboard.json.j2";
/// End of the name of a template of one table: `database.table.json.j2`.
const JSON: &str = ".json.j2";

macro_rules! built_in {
    ($($file:literal),* $(,)?) => {
        &[$(($file, include_str!(concat!("../../templates/grafana/", $file)))),*]
    };
}

const BUILT_IN: &[(&str, &str)] = built_in![
    "README.md.j2",
    "alerts.yaml.j2",
    "dashboard.json.j2",
    "dashboards.yaml.j2",
    "datasource.yaml.j2",
    "panel-row.json.j2",
    "panel-table.json.j2",
    "panel-timeseries.json.j2",
];

/// A file that is about the whole catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Provision {
    DataSource,
    Dashboards,
    Alerts,
    Readme,
}

impl Provision {
    pub(crate) const ALL: [Self; 4] = [
        Self::DataSource,
        Self::Dashboards,
        Self::Alerts,
        Self::Readme,
    ];

    fn template(self) -> &'static str {
        match self {
            Self::DataSource => "datasource.yaml.j2",
            Self::Dashboards => "dashboards.yaml.j2",
            Self::Alerts => "alerts.yaml.j2",
            Self::Readme => "README.md.j2",
        }
    }

    /// Where it lies in Grafana's folder. Named after the catalog, so that one Grafana takes several.
    fn path(self, catalog: &str) -> String {
        match self {
            Self::DataSource => format!("provisioning/datasources/{catalog}.yaml"),
            Self::Dashboards => format!("provisioning/dashboards/{catalog}.yaml"),
            Self::Alerts => format!("provisioning/alerting/{catalog}.yaml"),
            Self::Readme => "README.md".to_owned(),
        }
    }
}

/// Why files for Grafana could not be made.
#[derive(Debug, thiserror::Error)]
pub enum GrafanaError {
    /// A template or the folder of templates could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// A template is for nothing.
    #[error(
        "`{}` replaces no template and is of no table that has a dashboard\nhint: names are {}, `database.table.json.j2`, and anything that begins with `_` for templates that others include",
        path.display(),
        built_in_names()
    )]
    Name {
        /// The file.
        path: PathBuf,
    },
    /// A template is wrong.
    #[error("{file}:{line}: {message}\nhint: {hint}")]
    Template {
        /// The template's file.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        message: String,
        /// What would be right.
        hint: &'static str,
    },
    /// What a template made is not JSON.
    #[error(
        "`{file}` makes no JSON of `{table}`: {message}\n  {line}\nhint: the filter `json` writes any value; commas stand between values only"
    )]
    NotJson {
        /// The template's file.
        file: String,
        /// The table, as `database.table`.
        table: String,
        /// What is wrong.
        message: String,
        /// The line where it was noticed.
        line: String,
    },
}

impl From<jinja::Unusable> for GrafanaError {
    fn from(unusable: jinja::Unusable) -> Self {
        match unusable {
            jinja::Unusable::Folder { path, source } => Self::Read { path, source },
            jinja::Unusable::Name { path } => Self::Name { path },
        }
    }
}

/// All templates, ready to render.
#[derive(Debug)]
pub(crate) struct Grafana {
    /// Folder of the files in the site.
    folder: String,
    environment: Environment<'static>,
    /// Where each template comes from, for messages.
    files: BTreeMap<String, String>,
    /// Built-in templates that were replaced by an empty file.
    removed: BTreeSet<String>,
    /// See [`panels::keys`].
    keys: BTreeSet<String>,
}

/// What every template sees.
#[derive(Serialize)]
struct About<'a> {
    catalog: &'a str,
    catalog_title: &'a str,
    /// Base address of the site.
    http: &'a str,
    /// `host:port`
    postgres: &'a str,
    /// Whether the door is on the machine itself.
    is_loopback: bool,
    datasource_uid: String,
}

#[derive(Serialize)]
struct DashboardContext<'a> {
    #[serde(flatten)]
    about: About<'a>,
    #[serde(flatten)]
    dashboard: Dashboard,
    database: &'a str,
    table: &'a str,
    uid: String,
    title: String,
    description: String,
    page: String,
    tags: Vec<&'a str>,
}

#[derive(Serialize)]
struct CatalogContext<'a> {
    #[serde(flatten)]
    about: About<'a>,
    groups: Vec<Group<'a>>,
}

/// Rules of one database.
#[derive(Serialize)]
struct Group<'a> {
    database: &'a str,
    rules: Vec<RuleContext>,
}

#[derive(Serialize)]
struct RuleContext {
    #[serde(flatten)]
    rule: Rule,
    page: String,
    /// `None` where the table has no dashboard.
    dashboard_uid: Option<String>,
}

impl Grafana {
    /// Loads the built-in templates and those of `folder`: a file of the same name replaces a built-in
    /// template, an empty one removes what it makes, `database.table.json.j2` makes the dashboard of
    /// one table.
    pub(crate) fn load(folder: Option<&Path>, catalog: &Catalog) -> Result<Self, GrafanaError> {
        let mut grafana = Self {
            folder: free_folder(catalog, FOLDER),
            environment: environment(),
            files: BTreeMap::new(),
            removed: BTreeSet::new(),
            keys: panels::keys(catalog),
        };
        for (name, text) in BUILT_IN {
            let file = format!("templates/grafana/{name}");
            grafana.add(name, &file, (*text).to_owned())?;
            let name = format!("{BUILT_IN_PREFIX}{name}");
            grafana.add(&name, &file, (*text).to_owned())?;
        }
        for (name, path) in folder
            .map(jinja::templates_in)
            .transpose()?
            .unwrap_or_default()
        {
            if !is_known(&name, catalog) {
                return Err(GrafanaError::Name { path });
            }
            let text = fs::read_to_string(&path).map_err(|source| GrafanaError::Read {
                path: path.clone(),
                source,
            })?;
            if text.trim().is_empty() {
                grafana.removed.insert(name);
            } else {
                grafana.add(&name, &path.display().to_string(), text)?;
            }
        }
        Ok(grafana)
    }

    fn add(&mut self, name: &str, file: &str, text: String) -> Result<(), GrafanaError> {
        self.files.insert(name.to_owned(), file.to_owned());
        let added = self.environment.add_template_owned(name.to_owned(), text);
        added.map_err(|error| self.error(name, &error))
    }

    /// The files about the whole catalog, with their paths in the site. None without a door.
    pub(crate) fn provisions(&self, catalog: &Catalog) -> Vec<(String, Provision)> {
        let all = Provision::ALL.into_iter().filter(|provision| {
            catalog.endpoints.postgres.is_some() && !self.removed.contains(provision.template())
        });
        // The name of a document from elsewhere may be anything.
        let name = uid(&[&catalog.name]);
        all.map(|provision| (self.path(&provision.path(&name)), provision))
            .collect()
    }

    /// Path of a table's dashboard in the site.
    pub(crate) fn dashboard_path(&self, database: &str, table: &str) -> String {
        self.path(&format!("dashboards/{database}/{table}.json"))
    }

    /// Path of the instructions in the site, if there are any.
    pub(crate) fn readme_path(&self, catalog: &Catalog) -> Option<String> {
        let mut all = self.provisions(catalog).into_iter();
        all.find(|(_, provision)| *provision == Provision::Readme)
            .map(|(path, _)| path)
    }

    fn path(&self, path: &str) -> String {
        format!("{}/{path}", self.folder)
    }

    /// Whether the table gets a dashboard.
    pub(crate) fn has_dashboard(
        &self,
        catalog: &Catalog,
        database: &Database,
        table: &Table,
    ) -> bool {
        catalog.endpoints.postgres.is_some()
            && has_dashboard(table)
            && !self.removed.contains(&self.template_of(database, table))
    }

    /// The template of its own, or that of all.
    fn template_of(&self, database: &Database, table: &Table) -> String {
        let own = format!("{}.{}{JSON}", database.name, table.name);
        if self.files.contains_key(&own) || self.removed.contains(&own) {
            own
        } else {
            DASHBOARD.to_owned()
        }
    }

    /// The dashboard of a table as JSON: empty unless [`Self::has_dashboard`].
    pub(crate) fn dashboard(
        &self,
        catalog: &Catalog,
        database: &Database,
        table: &Table,
    ) -> Result<Vec<u8>, GrafanaError> {
        let Some(mut dashboard) = panels::dashboard(database, table, &self.keys) else {
            return Ok(Vec::new());
        };
        dashboard.retain(|template| !self.removed.contains(&format!("panel-{template}{JSON}")));
        let name = format!("{}.{}", database.name, table.name);
        let context = DashboardContext {
            about: about(catalog),
            dashboard,
            database: &database.name,
            table: &table.name,
            uid: dashboard_uid(catalog, database, table),
            title: name.clone(),
            description: summary_text(&table.docs, DESCRIPTION),
            page: page(catalog, database, table),
            tags: tags(database, table),
        };
        let template = self.template_of(database, table);
        let text = self.render(&template, Serde(&context).into())?;
        serde_json::from_str::<IgnoredAny>(&text).map_err(|error| GrafanaError::NotJson {
            file: self.file(&template),
            table: name,
            line: line_of(&text, error.line()),
            message: error.to_string(),
        })?;
        Ok(without_spaces(&text).into_bytes())
    }

    /// One of the files about the whole catalog.
    pub(crate) fn provision(
        &self,
        catalog: &Catalog,
        provision: Provision,
    ) -> Result<Vec<u8>, GrafanaError> {
        let context = CatalogContext {
            about: about(catalog),
            groups: match provision {
                Provision::Alerts => self.groups(catalog),
                _ => Vec::new(),
            },
        };
        let mut text = self.render(provision.template(), Serde(&context).into())?;
        text.push('\n');
        Ok(text.into_bytes())
    }

    fn groups<'a>(&self, catalog: &'a Catalog) -> Vec<Group<'a>> {
        let groups = catalog.databases.iter().map(|database| {
            let tables = database.tables.iter().filter(|table| !table.hidden);
            let rules = tables.flat_map(|table| {
                let rules = alerts::rules(&catalog.name, database, table);
                rules.into_iter().map(|rule| RuleContext {
                    page: page(catalog, database, table),
                    dashboard_uid: self
                        .has_dashboard(catalog, database, table)
                        .then(|| dashboard_uid(catalog, database, table)),
                    rule,
                })
            });
            Group {
                database: &database.name,
                rules: rules.collect(),
            }
        });
        groups.filter(|group| !group.rules.is_empty()).collect()
    }

    fn render(&self, template: &str, context: Value) -> Result<String, GrafanaError> {
        let rendered = self
            .environment
            .get_template(template)
            .and_then(|template| template.render(context));
        rendered.map_err(|error| self.error(template, &error))
    }

    fn file(&self, template: &str) -> String {
        let file = self.files.get(template);
        file.cloned().unwrap_or_else(|| template.to_owned())
    }

    /// Names the template that is wrong, not the one that includes it.
    fn error(&self, template: &str, error: &Error) -> GrafanaError {
        let mut inner = error;
        while let Some(cause) = std::error::Error::source(inner)
            && let Some(cause) = cause.downcast_ref::<Error>()
        {
            inner = cause;
        }
        GrafanaError::Template {
            file: self.file(inner.name().unwrap_or(template)),
            line: inner.line().unwrap_or(1),
            message: jinja::message(inner),
            hint: match inner.kind() {
                ErrorKind::OutOfFuel => {
                    "the template takes too many steps; is there a loop in a loop?"
                }
                _ => {
                    "the language of templates is Jinja; templates/grafana/README.md lists what they can use"
                }
            },
        }
    }
}

/// Address of a table's dashboard in Grafana.
pub(crate) fn dashboard_address(
    grafana: &str,
    catalog: &Catalog,
    database: &Database,
    table: &Table,
) -> String {
    let uid = dashboard_uid(catalog, database, table);
    format!("{}/d/{uid}", grafana.trim_end_matches('/'))
}

fn dashboard_uid(catalog: &Catalog, database: &Database, table: &Table) -> String {
    uid(&[&catalog.name, &database.name, &table.name])
}

/// A stable identifier. No name holds a `-`, so different names have different ones; what doesn't fit
/// into Grafana's length or alphabet ends with a hash of all of it.
fn uid(names: &[&str]) -> String {
    let name = names.join("-");
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.len() <= UID_LENGTH && name.chars().all(is_plain) {
        return name;
    }
    let hash = format!("-{:016x}", hash(&name));
    let kept = name.chars().filter(|c| is_plain(*c));
    let mut uid: String = kept.take(UID_LENGTH - hash.len()).collect();
    uid.push_str(&hash);
    uid
}

fn about(catalog: &Catalog) -> About<'_> {
    let postgres = catalog.endpoints.postgres.as_deref().unwrap_or_default();
    About {
        catalog: &catalog.name,
        catalog_title: catalog.display_title(),
        http: &catalog.endpoints.http,
        postgres,
        is_loopback: is_loopback(postgres),
        datasource_uid: uid(&["neurolake", &catalog.name]),
    }
}

fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_matches(['[', ']']);
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn page(catalog: &Catalog, database: &Database, table: &Table) -> String {
    let root = format!("{}/", catalog.endpoints.http);
    table_address(&root, &database.name, &table.name, "html")
}

fn tags<'a>(database: &'a Database, table: &'a Table) -> Vec<&'a str> {
    let mut tags = vec!["neurolake", database.name.as_str()];
    tags.extend(table.tags.iter().map(String::as_str));
    tags.extend(table.deprecated.as_ref().map(|_| "deprecated"));
    let mut seen = BTreeSet::new();
    tags.retain(|tag| seen.insert(*tag));
    tags
}

fn environment() -> Environment<'static> {
    let mut environment = jinja::environment(FUEL);
    environment.add_filter("json", json);
    environment.add_filter("yaml", |value: Value| {
        // Grafana replaces variables of the environment in files of provisioning.
        Ok::<_, Error>(json(value)?.replace('$', "$$"))
    });
    environment
}

/// The value as JSON, which is also YAML.
#[expect(
    clippy::needless_pass_by_value,
    reason = "minijinja calls it with a value"
)]
fn json(value: Value) -> Result<String, Error> {
    if value.is_undefined() {
        return Err(ErrorKind::UndefinedError.into());
    }
    let text = serde_json::to_string(&value)
        .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
    // JSON takes them, YAML takes them for the end of a line or refuses them.
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{7f}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

fn is_known(name: &str, catalog: &Catalog) -> bool {
    if name.starts_with('_') || BUILT_IN.iter().any(|(known, _)| *known == name) {
        return true;
    }
    let names = name
        .strip_suffix(JSON)
        .and_then(|name| name.split_once('.'));
    names.is_some_and(|(database, table)| {
        let table = catalog.table(database, table);
        table.is_some_and(|table| !table.hidden && has_dashboard(table))
    })
}

fn built_in_names() -> String {
    let names: Vec<String> = BUILT_IN
        .iter()
        .map(|(name, _)| format!("`{name}`"))
        .collect();
    names.join(", ")
}

/// JSON on one line. Dashboards of all tables are by far the largest part of a site, and half of them
/// would be indentation.
fn without_spaces(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut in_text = false;
    let mut is_escaped = false;
    for c in json.chars() {
        if !in_text && c.is_ascii_whitespace() {
            continue;
        }
        out.push(c);
        let is_quote = c == '"' && !is_escaped;
        in_text ^= is_quote;
        is_escaped = in_text && c == '\\' && !is_escaped;
    }
    out.push('\n');
    out
}

fn line_of(text: &str, line: usize) -> String {
    let line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    line.trim().chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_short_plain_and_stable() {
        assert_eq!(uid(&["demo", "neural", "spikes"]), "demo-neural-spikes");
        let long = "a_name_that_goes_on_for_longer_than_grafana_likes";
        let uids = [
            uid(&["demo", "neural", long]),
            uid(&["demo", "neural", &format!("{long}_2")]),
            uid(&["demo", "größe", "t"]),
            uid(&["demo", "grösse", "t"]),
            uid(&["神経", "神経", "神経"]),
        ];
        for uid in &uids {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            assert!(
                uid.len() <= UID_LENGTH && uid.chars().all(is_plain),
                "{uid}"
            );
        }
        let distinct: BTreeSet<_> = uids.iter().collect();
        assert_eq!(distinct.len(), uids.len());
        assert_eq!(uids[0], uid(&["demo", "neural", long]));
    }

    #[test]
    fn only_this_machine_is_reached_without_a_certificate() {
        for address in [
            "127.0.0.1:5432",
            "localhost:5432",
            "[::1]:5432",
            "127.8.8.8:1",
        ] {
            assert!(is_loopback(address), "{address}");
        }
        for address in ["lake.example.org:5432", "10.0.0.1:5432", "[::2]:5432", ""] {
            assert!(!is_loopback(address), "{address}");
        }
    }

    #[test]
    fn spaces_go_and_texts_stay() {
        let json = r#"{ "a b" : [ 1, "\\", " \" c " ],
 "d\\\"": " " }"#;
        let short = without_spaces(json);
        assert_eq!(
            short,
            "{\"a b\":[1,\"\\\\\",\" \\\" c \"],\"d\\\\\\\"\":\" \"}\n"
        );
        let read = |text| serde_json::from_str::<serde_json::Value>(text).expect("is JSON");
        assert_eq!(read(&short), read(json));
    }

    #[test]
    fn values_are_json_and_yaml() {
        let text = Value::from("a\u{2028}b\u{85}\"$HOME\"");
        assert_eq!(
            json(text.clone()).expect("a value"),
            "\"a\\u2028b\\u0085\\\"$HOME\\\"\""
        );
        let environment = environment();
        let yaml = environment.render_str("{{ x|yaml }}", minijinja::context! { x => "$__rate" });
        assert_eq!(yaml.expect("renders"), "\"$$__rate\"");
        environment
            .render_str("{{ x|json }}", ())
            .expect_err("`x` is unknown");
    }
}
