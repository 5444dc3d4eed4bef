//! What `[workspace.metadata.neurolake]` and `[package.metadata.neurolake]` say.

use std::path::Path;

use neurolake_declare::diagnostic::Severity;
use neurolake_declare::{Code, secret};
use serde_json::Value as Json;

use super::finding::{Finding, Place, Range};

/// Settings of a workspace. Every key is described in the README.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Name of the catalog; default: the declaring package.
    pub catalog: Option<String>,
    /// Name for people.
    pub title: Option<String>,
    /// Address of the repository; default: `repository` of the declaring package.
    pub repository: Option<String>,
    /// Address of a JupyterHub.
    pub jupyterhub: Option<String>,
    /// Base address of the HTTP doors, for snippets.
    pub http: Option<String>,
    /// `host:port` of the Postgres door, for snippets and dashboards; default: there is none.
    pub postgres: Option<String>,
    /// Whether these doors ask for an account, which snippets then take from the environment.
    pub accounts: bool,
    /// Folder of the site, relative to the workspace root.
    pub out: Option<String>,
    /// The committed `catalog.json`, relative to the workspace root.
    pub catalog_json: Option<String>,
    /// Folder of site templates that replace the built-in ones.
    pub templates: Option<String>,
    /// Folder of snippet templates that replace or extend the built-in ones.
    pub snippets: Option<String>,
    /// Address of a Grafana that shows the dashboards, for links to them.
    pub grafana: Option<String>,
    /// Folder of Grafana templates that replace the built-in ones.
    pub grafana_templates: Option<String>,
    /// Features that are on besides the default ones.
    pub features: Vec<String>,
    /// How seriously a table without documentation is taken; `None`: not at all.
    pub missing_docs: Option<Severity>,
    /// The same for a table without an owner.
    pub missing_owner: Option<Severity>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            catalog: None,
            title: None,
            repository: None,
            jupyterhub: None,
            http: None,
            postgres: None,
            accounts: false,
            out: None,
            catalog_json: None,
            templates: None,
            snippets: None,
            grafana: None,
            grafana_templates: None,
            features: Vec::new(),
            missing_docs: Some(Severity::Warning),
            missing_owner: None,
        }
    }
}

const KEYS: &[&str] = &[
    "catalog",
    "title",
    "repository",
    "jupyterhub",
    "http",
    "postgres",
    "accounts",
    "out",
    "catalog-json",
    "templates",
    "snippets",
    "grafana",
    "grafana-templates",
    "features",
    "missing-docs",
    "missing-owner",
];

impl Settings {
    /// Takes the keys of one metadata table; later tables win.
    pub(crate) fn read(
        &mut self,
        metadata: &Json,
        manifest: &str,
        root: &Path,
        findings: &mut Vec<Finding>,
    ) {
        let place = |key: &str| Some(place_of(key, manifest, root));
        let table = match &metadata["neurolake"] {
            Json::Null => return,
            Json::Object(table) => table,
            _ => {
                let message = "`neurolake` is not a table";
                findings.push(Finding::error(Code::Settings, message, place("neurolake")));
                return;
            }
        };
        for (key, value) in table {
            if let Some(found) = secret::find(&value.to_string()) {
                findings.push(
                    Finding::error(
                        Code::Secret,
                        format!("setting `{key}` holds {found}"),
                        place(key),
                    )
                    .help("settings are published with the catalog; remove it, and revoke it"),
                );
                continue;
            }
            if let Err(message) = self.set(key, value) {
                findings.push(Finding::error(Code::Settings, message, place(key)));
            }
        }
    }

    fn set(&mut self, key: &str, value: &Json) -> Result<(), String> {
        let text = || {
            let text = value.as_str().filter(|text| !text.trim().is_empty());
            text.map(str::to_owned)
                .ok_or_else(|| format!("setting `{key}` must be text"))
        };
        let address = || {
            let text = text()?;
            if text.starts_with("https://") || text.starts_with("http://") {
                Ok(text.trim_end_matches('/').to_owned())
            } else {
                Err(format!(
                    "setting `{key}` must be an `https://` address, found `{text}`"
                ))
            }
        };
        match key {
            "catalog" => {
                let name = text()?;
                if !neurolake_declare::names::is_valid_table_name(&name) {
                    return Err(format!(
                        "setting `catalog` must have lower-case letters, digits and `_`, found `{name}`"
                    ));
                }
                self.catalog = Some(name);
            }
            "title" => self.title = Some(text()?),
            "repository" => self.repository = Some(address()?),
            "jupyterhub" => self.jupyterhub = Some(address()?),
            "http" => self.http = Some(address()?),
            "postgres" => {
                let text = text()?;
                let port = text.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
                if !matches!(port, Some(Ok(_))) {
                    return Err(format!(
                        "setting `postgres` must be `host:port`, found `{text}`"
                    ));
                }
                self.postgres = Some(text);
            }
            "accounts" => {
                let value = value.as_bool();
                self.accounts = value.ok_or("setting `accounts` must be true or false")?;
            }
            "out" => self.out = Some(text()?),
            "catalog-json" => self.catalog_json = Some(text()?),
            "templates" => self.templates = Some(text()?),
            "snippets" => self.snippets = Some(text()?),
            "grafana" => self.grafana = Some(address()?),
            "grafana-templates" => self.grafana_templates = Some(text()?),
            "features" => {
                self.features = value
                    .as_array()
                    .and_then(|list| {
                        list.iter()
                            .map(|feature| feature.as_str().map(str::to_owned))
                            .collect()
                    })
                    .ok_or_else(|| "setting `features` must be a list of names".to_owned())?;
            }
            "missing-docs" => self.missing_docs = level(key, value)?,
            "missing-owner" => self.missing_owner = level(key, value)?,
            unknown => {
                let near = neurolake_declare::names::nearest(unknown, KEYS.iter().copied());
                return Err(match near {
                    Some(near) => format!("unknown setting `{unknown}`, did you mean `{near}`?"),
                    None => format!(
                        "unknown setting `{unknown}`, expected one of {}",
                        KEYS.join(", ")
                    ),
                });
            }
        }
        Ok(())
    }
}

fn level(key: &str, value: &Json) -> Result<Option<Severity>, String> {
    match value.as_str() {
        Some("allow") => Ok(None),
        Some("warn") => Ok(Some(Severity::Warning)),
        Some("deny") => Ok(Some(Severity::Error)),
        _ => Err(format!(
            "setting `{key}` must be \"allow\", \"warn\" or \"deny\""
        )),
    }
}

/// Where a key stands in its manifest; the start of the file where it can't be found.
fn place_of(key: &str, manifest: &str, root: &Path) -> Place {
    let text = std::fs::read_to_string(root.join(manifest)).unwrap_or_default();
    let mut is_ours = false;
    for (line, text) in text.lines().enumerate() {
        let trimmed = text.trim_start();
        if trimmed.starts_with('[') {
            is_ours = trimmed.contains("metadata.neurolake");
        }
        let rest = trimmed.trim_start_matches('"').strip_prefix(key);
        let is_key = rest.is_some_and(|rest| rest.trim_start_matches(['"', ' ']).starts_with('='));
        if is_ours && is_key {
            let indent = text.chars().count() - trimmed.chars().count();
            let number = |value: usize| u32::try_from(value + 1).unwrap_or(u32::MAX);
            let range = Range {
                line: number(line),
                column: number(indent),
                end_line: number(line),
                end_column: number(text.trim_end().chars().count()),
            };
            return Place::at(manifest, range);
        }
    }
    Place::start_of(manifest)
}
