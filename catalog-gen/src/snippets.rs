//! Client code for each table: from templates to highlighted snippets.
//!
//! A client is one MiniJinja template in `templates/snippets`, whose README is the contract with
//! people who write their own. Read in this order: `filter` (what a snippet filters by), `row` (what
//! a snippet sends), `literal` (values in each language), `context` (what a template sees),
//! `highlight`.

mod context;
mod filter;
mod graphql;
mod highlight;
mod literal;
mod row;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use minijinja::{Environment, ErrorKind, Value};
use neurolake_model::{Catalog, Database, Endpoints, Table};
use serde::Serialize;

pub(crate) use self::literal::{is_python_keyword, python_string, sh_word, sql_name};

use crate::jinja;

use self::context::{FILTER_ATTRIBUTES, PARTITION_ATTRIBUTES, TableContext, VARIABLES};

/// Instructions one rendering may take. The built-in templates take a few hundred; a runaway loop
/// of an override ends in milliseconds.
const FUEL: u64 = 100_000;

const KINDS: [&str; 6] = ["delta", "parquet", "postgres", "sheet", "sql", "function"];

/// Where a client connects to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Http,
    Postgres,
}

impl Door {
    const ALL: [(&str, Self); 2] = [("http", Self::Http), ("postgres", Self::Postgres)];

    fn exists(self, endpoints: &Endpoints) -> bool {
        match self {
            Self::Http => true,
            Self::Postgres => endpoints.postgres.is_some(),
        }
    }
}

/// What the code of a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Reads rows: for every table.
    Read,
    /// Sends rows: for tables that take events.
    Ingest,
}

impl Purpose {
    const ALL: [(&str, Self); 2] = [("read", Self::Read), ("ingest", Self::Ingest)];

    fn fits(self, table: &Table) -> bool {
        self == Self::Read || table.ingest
    }
}

macro_rules! built_in {
    ($($file:literal),* $(,)?) => {
        &[$(($file, include_str!(concat!("../../templates/snippets/", $file)))),*]
    };
}

const BUILT_IN: &[(&str, &str)] = built_in![
    "10-python.j2",
    "20-polars.j2",
    "30-duckdb.j2",
    "40-http.j2",
    "44-graphql.j2",
    "45-rest.j2",
    "50-psql.j2",
    "60-rust.j2",
    "70-r.j2",
    "80-spark.j2",
    "91-ingest-python.j2",
    "92-ingest-http.j2",
    "93-ingest-rust.j2",
];

/// Code of one client for one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Snippet {
    /// Stable name of the client, such as `python`.
    pub id: String,
    /// What people call the client. Clients of one purpose have titles of their own.
    pub title: String,
    /// What the code does.
    pub purpose: Purpose,
    /// Language of the code, one of those the highlighter knows, or `text`.
    pub language: String,
    /// The code, without a final newline.
    pub code: String,
    /// The code as HTML: escaped, with `<i>` of the classes `k` (keyword), `s` (string),
    /// `c` (comment), `n` (number) and `f` (call).
    pub html: String,
}

/// Why snippets could not be loaded or rendered.
#[derive(Debug, thiserror::Error)]
pub enum SnippetError {
    /// A template or the folder of templates could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The name of a template's file says neither place nor client.
    #[error(
        "`{}` is not the name of a snippet template\nhint: name it like `45-julia.j2`: a number that orders the clients, then lower-case letters, digits and `-`",
        path.display()
    )]
    Name {
        /// The file.
        path: PathBuf,
    },
    /// Two templates are of the same client.
    #[error(
        "`{first}` and `{second}` are both for the client `{id}`\nhint: to replace a template, give the new one the same file name"
    )]
    Duplicate {
        /// The client.
        id: String,
        /// One template.
        first: String,
        /// The other one.
        second: String,
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
        hint: String,
    },
}

impl From<jinja::Unusable> for SnippetError {
    fn from(unusable: jinja::Unusable) -> Self {
        match unusable {
            jinja::Unusable::Folder { path, source } => Self::Read { path, source },
            jinja::Unusable::Name { path } => Self::Name { path },
        }
    }
}

/// The example of a table as the REST door reads it.
pub(crate) struct RestExample {
    /// What stands behind `?` in an address.
    pub(crate) query: String,
    /// By column: its condition, not encoded.
    pub(crate) conditions: BTreeMap<String, String>,
}

impl RestExample {
    /// An example that can't be said there is left out: any rows will do.
    pub(crate) fn new(table: &Table) -> Self {
        let filters = filter::filters(table);
        let conditions = filters.iter();
        Self {
            query: context::rest_query(&filters).unwrap_or_else(context::any_rows),
            conditions: conditions
                .filter_map(|filter| Some((filter.name.clone(), filter.rest()?)))
                .collect(),
        }
    }
}

/// All clients, ready to render.
#[derive(Debug)]
pub struct Snippets {
    environment: Environment<'static>,
    clients: Vec<Client>,
}

#[derive(Debug)]
struct Client {
    id: String,
    title: String,
    purpose: Purpose,
    language: String,
    /// Empty: all.
    kinds: Vec<&'static str>,
    /// `None`: it needs no running platform, or finds it by itself.
    door: Option<Door>,
    /// Name of the template in the environment.
    template: String,
    /// Where the template comes from, for messages.
    file: String,
}

impl Snippets {
    /// Loads the built-in clients and those of `override_dir`: a file of the same name replaces a
    /// built-in template, a new file adds a client, an empty one removes it.
    ///
    /// # Errors
    /// [`SnippetError`] if the folder cannot be read or a template in it is wrong.
    pub fn load(override_dir: Option<&Path>) -> Result<Self, SnippetError> {
        let mut sources: BTreeMap<String, (String, String)> = BUILT_IN
            .iter()
            .map(|(name, text)| {
                let file = format!("templates/snippets/{name}");
                ((*name).to_owned(), (file, (*text).to_owned()))
            })
            .collect();
        if let Some(folder) = override_dir {
            for (name, path) in jinja::templates_in(folder)? {
                let text = fs::read_to_string(&path).map_err(|source| SnippetError::Read {
                    path: path.clone(),
                    source,
                })?;
                sources.insert(name, (path.display().to_string(), text));
            }
        }
        sources.retain(|_, (_, text)| !text.trim().is_empty());

        let mut snippets = Self {
            environment: environment(),
            clients: Vec::with_capacity(sources.len()),
        };
        for (name, (file, text)) in sources {
            snippets.add(&name, file, text)?;
        }
        snippets
            .clients
            .sort_by_key(|client| order(&client.template));
        Ok(snippets)
    }

    fn add(&mut self, name: &str, file: String, text: String) -> Result<(), SnippetError> {
        let Some(id) = client_id(name) else {
            return Err(SnippetError::Name { path: file.into() });
        };
        if let Some(other) = self.clients.iter().find(|client| client.id == id) {
            return Err(SnippetError::Duplicate {
                id: id.to_owned(),
                first: other.file.clone(),
                second: file,
            });
        }
        let client = read_metadata(id, name, &file, &text)?;
        if let Err(error) = self.environment.add_template_owned(name.to_owned(), text) {
            return Err(client.error(&error));
        }
        if let Ok(template) = self.environment.get_template(name) {
            let globals: Vec<&str> = self.environment.globals().map(|(name, _)| name).collect();
            let mut unknown: Vec<String> = template
                .undeclared_variables(false)
                .into_iter()
                .filter(|name| {
                    !VARIABLES.contains(&name.as_str()) && !globals.contains(&name.as_str())
                })
                .collect();
            unknown.sort();
            if let Some(name) = unknown.first() {
                return Err(client.unknown_variable(name, template.source()));
            }
        }
        self.clients.push(client);
        Ok(())
    }

    /// Renders the clients of `table`, in their order: those that can read it, and those that send
    /// rows to it if it takes events. A template that renders nothing offers nothing, and neither does
    /// one whose door the platform lacks.
    ///
    /// # Errors
    /// [`SnippetError::Template`] if a template fails.
    pub fn render(
        &self,
        catalog: &Catalog,
        database: &Database,
        table: &Table,
    ) -> Result<Vec<Snippet>, SnippetError> {
        let kind = table.source.kind();
        let context = Value::from_object(TableContext::new(catalog, database, table));
        let mut snippets = Vec::with_capacity(self.clients.len());
        for client in &self.clients {
            if !client.kinds.is_empty() && !client.kinds.contains(&kind) {
                continue;
            }
            if !client.purpose.fits(table) {
                continue;
            }
            if client
                .door
                .is_some_and(|door| !door.exists(&catalog.endpoints))
            {
                continue;
            }
            let text = self
                .environment
                .get_template(&client.template)
                .and_then(|template| template.render(context.clone()))
                .map_err(|error| client.error(&error))?;
            let code = text.trim_matches('\n').trim_end();
            if code.is_empty() {
                continue;
            }
            snippets.push(Snippet {
                id: client.id.clone(),
                title: client.title.clone(),
                purpose: client.purpose,
                language: client.language.clone(),
                html: highlight::highlight(code, &client.language),
                code: code.to_owned(),
            });
        }
        Ok(snippets)
    }
}

fn environment() -> Environment<'static> {
    let mut environment = jinja::environment(FUEL);
    environment.add_filter("python", literal::python_string);
    environment.add_filter("rust", literal::rust_string);
    environment.add_filter("r", literal::r_string);
    environment.add_filter("sh", literal::sh_word);
    environment.add_filter("sql", literal::sql_string);
    environment.add_filter("sql_name", |name: &str| {
        literal::sql_name(name).into_owned()
    });
    environment.add_filter("heredoc", |text: &str, language: Option<&str>| {
        literal::heredoc(text, language)
    });
    environment
}

/// `10-python.j2` is of the client `python`.
fn client_id(file_name: &str) -> Option<&str> {
    let (number, id) = file_name.strip_suffix(".j2")?.split_once('-')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let is_id = !id.is_empty()
        && id
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    (is_number && is_id).then_some(id)
}

/// Numbers order as numbers: `9-x.j2` stands before `10-y.j2`.
fn order(file_name: &str) -> (u64, String) {
    let number = file_name
        .split_once('-')
        .and_then(|(number, _)| number.parse().ok());
    (number.unwrap_or(u64::MAX), file_name.to_owned())
}

/// Reads `{# title: Python | language: python | kinds: delta, parquet #}`.
fn read_metadata(id: &str, name: &str, file: &str, text: &str) -> Result<Client, SnippetError> {
    let fail = |message: String, hint: String| SnippetError::Template {
        file: file.to_owned(),
        line: 1,
        message,
        hint,
    };
    let head = text
        .strip_prefix("{#")
        .and_then(|rest| rest.split_once("#}"))
        .map(|(head, _)| head.trim_matches(|c: char| c == '-' || c.is_whitespace()))
        .ok_or_else(|| {
            fail(
                "a template begins with a comment that describes it".into(),
                format!("`{{# title: {id} | language: python | kinds: delta, parquet #}}`; `kinds` may be left out"),
            )
        })?;
    let mut client = Client {
        id: id.to_owned(),
        title: String::new(),
        purpose: Purpose::Read,
        language: String::new(),
        kinds: Vec::new(),
        door: None,
        template: name.to_owned(),
        file: file.to_owned(),
    };
    for part in head.split('|') {
        let (key, value) = part.split_once(':').unwrap_or((part, ""));
        match (key.trim(), value.trim()) {
            ("title", title) => title.clone_into(&mut client.title),
            ("language", language) => language.clone_into(&mut client.language),
            ("kinds", kinds) => {
                for kind in kinds.split(',').map(str::trim) {
                    let Some(known) = KINDS.iter().find(|known| **known == kind) else {
                        return Err(fail(
                            format!("unknown source kind `{kind}`"),
                            format!("kinds are {}", list(&KINDS)),
                        ));
                    };
                    client.kinds.push(known);
                }
            }
            ("door", name) => {
                let Some((_, door)) = Door::ALL.iter().find(|(known, _)| *known == name) else {
                    return Err(fail(
                        format!("unknown door `{name}`"),
                        format!("doors are {}", list(&Door::ALL.map(|(name, _)| name))),
                    ));
                };
                client.door = Some(*door);
            }
            ("for", name) => {
                let Some((_, purpose)) = Purpose::ALL.iter().find(|(known, _)| *known == name)
                else {
                    return Err(fail(
                        format!("unknown purpose `{name}`"),
                        format!("purposes are {}", list(&Purpose::ALL.map(|(name, _)| name))),
                    ));
                };
                client.purpose = *purpose;
            }
            (key, _) => {
                return Err(fail(
                    format!("unknown key `{key}`"),
                    format!(
                        "keys are {}",
                        list(&["title", "language", "kinds", "door", "for"])
                    ),
                ));
            }
        }
    }
    if client.title.is_empty() {
        return Err(fail(
            "`title` is missing".into(),
            format!("`title: {id}` is what people read on the tab"),
        ));
    }
    if !highlight::LANGUAGES.contains(&client.language.as_str()) {
        return Err(fail(
            format!("unknown language `{}`", client.language),
            format!("languages are {}", list(highlight::LANGUAGES)),
        ));
    }
    Ok(client)
}

impl Client {
    fn error(&self, error: &minijinja::Error) -> SnippetError {
        let hint = match error.kind() {
            ErrorKind::UndefinedError | ErrorKind::UnknownMethod => available(),
            ErrorKind::UnknownFilter => format!(
                "besides the filters of Jinja there are {}",
                list(&["heredoc", "python", "r", "rust", "sh", "sql", "sql_name"])
            ),
            ErrorKind::OutOfFuel => {
                "the template takes too many steps; is there a loop in a loop?".to_owned()
            }
            _ => "the language of templates is Jinja; templates/snippets/README.md lists what they can use".to_owned(),
        };
        SnippetError::Template {
            file: self.file.clone(),
            line: error.line().unwrap_or(1),
            message: jinja::message(error),
            hint,
        }
    }

    fn unknown_variable(&self, name: &str, source: &str) -> SnippetError {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let line = source
            .lines()
            .position(|line| line.split(|c| !is_word(c)).any(|word| word == name));
        SnippetError::Template {
            file: self.file.clone(),
            line: line.map_or(1, |line| line + 1),
            message: format!("unknown variable `{name}`"),
            hint: available(),
        }
    }
}

fn available() -> String {
    format!(
        "variables are {}; a filter has {}; a partition has {}",
        list(VARIABLES),
        list(FILTER_ATTRIBUTES),
        list(PARTITION_ATTRIBUTES)
    )
}

fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}
