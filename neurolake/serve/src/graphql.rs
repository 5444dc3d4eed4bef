//! `/api/graphql`: tables in GraphQL, in Hasura's words.
//!
//! The library `async-graphql` reads documents, knows the rules and answers questions about the
//! schema; rows never pass through it. Read in this order: `envelope` (what HTTP carries), `document`
//! (from text to fields; `nesting` looks first), `names`, `columns` (a table in the terms of GraphQL),
//! `types` (its schema), `prepare` (the tables that a document needs), `plan` and `condition` (from a
//! field to a question for the engine), `form` (columns under the names of the document), `answer`,
//! `mistake`.

mod answer;
mod columns;
mod condition;
mod document;
mod envelope;
mod form;
mod mistake;
mod names;
mod nesting;
mod plan;
mod prepare;
mod types;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use async_graphql::indexmap::IndexMap;
use async_graphql::{Name, Value};
use axum::Extension;
use axum::extract::{Path, Request};
use axum::http::HeaderMap;
use axum::response::Response;
use neurolake_query::suggest::nearest;
use neurolake_query::{Error, Kind, Lake};

use self::answer::{Fault, Filled, Outline};
use self::document::{Asked, Document};
use self::envelope::{Incoming, Media};
use self::mistake::Mistake;
use self::names::{AGGREGATE, About};
use self::plan::plan;
pub(crate) use self::prepare::Tables;
use self::prepare::{Needed, Prepared};
use crate::accounts::Client;
use crate::identity::RequestId;
use crate::refusal::Refusal;
use crate::turn::Turn;

/// Tables that one document names, in all of its operations.
const MOST_TABLES: usize = 100;

/// Fields of the schema's description that are lists. Lists of lists grow beyond all bounds.
const LISTS: [&str; 7] = [
    "args",
    "enumValues",
    "fields",
    "inputFields",
    "interfaces",
    "possibleTypes",
    "types",
];

/// Such fields of one document; tools ask for eight, three inside of each other.
const MOST_LISTS: usize = 30;
const DEEPEST_LISTS: usize = 3;

/// Errors of one answer. A long document may break a rule in each of its lines.
const MOST_FAULTS: usize = 20;

pub(crate) async fn get(
    client: Client,
    Extension(id): Extension<RequestId>,
    database: Option<Path<String>>,
    request: Request,
) -> Response {
    let media = match Media::wanted(request.headers()) {
        Ok(media) => media,
        Err(refusal) => return refusal.respond(&id),
    };
    let incoming = Incoming::from_address(&client, &request);
    respond(&client, &id, media, database, incoming).await
}

pub(crate) async fn post(
    client: Client,
    Extension(id): Extension<RequestId>,
    database: Option<Path<String>>,
    request: Request,
) -> Response {
    let media = match Media::wanted(request.headers()) {
        Ok(media) => media,
        Err(refusal) => return refusal.respond(&id),
    };
    let incoming = Incoming::from_body(&client, request).await;
    respond(&client, &id, media, database, incoming).await
}

/// To a body that is too long to be read.
pub(crate) fn too_long(headers: &HeaderMap, most: usize, id: &RequestId) -> Response {
    match Media::wanted(headers) {
        Ok(media) => {
            let refusal = envelope::too_long(most);
            media.refuse(refusal.status(), &[Fault::from(refusal)], id)
        }
        Err(refusal) => refusal.respond(id),
    }
}

async fn respond(
    client: &Client,
    id: &RequestId,
    media: Media,
    database: Option<Path<String>>,
    incoming: Result<Incoming, Refusal>,
) -> Response {
    let scope = Scope::of(client, database);
    let incoming = match incoming {
        Ok(incoming) => incoming,
        Err(refusal) => return media.refuse(refusal.status(), &[Fault::from(refusal)], id),
    };
    match outline(&scope, id, &incoming).await {
        Ok(outline) => {
            let Filled {
                data,
                faults,
                noted,
            } = outline.fill(client, id).await;
            let answer = media.answer(&data, &faults, id);
            match faults.is_empty() {
                true => noted.attach(answer),
                false => answer,
            }
        }
        Err(mut faults) => {
            faults.truncate(MOST_FAULTS);
            media.refuse(media.status(&faults), &faults, id)
        }
    }
}

/// Checks a document, and finds out what has to be read for it.
async fn outline(
    scope: &Scope<'_>,
    id: &RequestId,
    incoming: &Incoming,
) -> Result<Outline, Vec<Fault>> {
    let document = Document::parse(&incoming.query).map_err(alone)?;
    let operation = incoming.operation.as_deref();
    if incoming.is_get && document.is_no_query(operation).map_err(alone)? {
        let refusal = Refusal::method("`GET` is for queries only");
        return Err(vec![refusal.into()]);
    }
    let variables = document.variables(operation, &incoming.variables);
    let variables = variables.map_err(alone)?;
    let fields = document.fields(operation, &variables).map_err(alone)?;
    let fields = scope.resolve(fields).map_err(alone)?;
    let (turn, prepared) = scope
        .prepare(id, &document.roots())
        .await
        .map_err(|fault| vec![fault])?;
    // Before the rules of GraphQL, because errors here know the nearest names.
    let mut outline = plan_all(&prepared, fields).map_err(alone)?;
    let request = async_graphql::Request::new(String::new()).variables(variables);
    let mut request = match operation {
        Some(name) => request.operation_name(name),
        None => request,
    };
    request.set_parsed_query(document.into_parsed());
    outline.know(&check(turn, prepared, request).await?);
    Ok(outline)
}

fn alone(mistake: Mistake) -> Vec<Fault> {
    vec![mistake.into()]
}

/// A field of the query, and the table that it is about; none if it is about the schema.
type Resolved = (Asked, Option<(usize, About)>);

/// The tables that an address is about: all, or those of one database.
struct Scope<'a> {
    client: &'a Client,
    database: Option<String>,
}

impl<'a> Scope<'a> {
    fn of(client: &'a Client, database: Option<Path<String>>) -> Self {
        Self {
            client,
            database: database.map(|Path(database)| database),
        }
    }

    fn lake(&self) -> &Lake {
        &self.client.principal.lake
    }

    fn tables(&self) -> &Tables {
        &self.client.principal.graphql
    }

    fn knows(&self, table: usize) -> bool {
        let (database, _, _) = self.tables().names.table(table);
        let database = &self.lake().catalog().databases[database].name;
        self.database.as_ref().is_none_or(|known| known == database)
    }

    fn resolve(&self, fields: Vec<Asked>) -> Result<Vec<Resolved>, Mistake> {
        check_description(&fields)?;
        let resolved = fields.into_iter().map(|field| {
            if field.name.starts_with("__") {
                return Ok((field, None));
            }
            match self.tables().names.find(&field.name) {
                Some((table, about)) if self.knows(table) => Ok((field, Some((table, about)))),
                _ => Err(self.unknown(&field)),
            }
        });
        resolved.collect()
    }

    fn unknown(&self, field: &Asked) -> Mistake {
        let name = &field.name;
        let mistake = Mistake::new(format!("there is no field `{name}`"), field.place);
        let (stem, end) = match name.strip_suffix(AGGREGATE) {
            Some(stem) => (stem, AGGREGATE),
            None => (name.as_str(), ""),
        };
        let names = &self.tables().names;
        let known = (0..names.len()).filter(|table| self.knows(*table));
        match nearest(stem, known.map(|table| names.table(table).2)) {
            Some(near) => mistake.with_hint(format!("did you mean `{near}{end}`?")),
            None => {
                mistake.with_hint("the table `spikes` of `neural` is the field `neural_spikes`")
            }
        }
    }

    /// The tables of fields with these names. Where they had to be opened, or are many, with a turn for what
    /// follows.
    async fn prepare(
        &self,
        id: &RequestId,
        roots: &HashSet<&str>,
    ) -> Result<(Option<Turn>, Arc<Prepared>), Fault> {
        let (tables, lake) = (self.tables(), self.lake());
        let needed = self.needed(roots).map_err(Refusal::from)?;
        if let Some(key) = tables.declared(lake, &needed) {
            let prepared = tables.prepare(lake, key);
            return Ok((None, prepared.map_err(Refusal::from)?));
        }
        let turn = Turn::begin(self.client, id).await?;
        let key = tables.open(lake, &turn, &needed).await;
        let key = key.map_err(Refusal::from)?;
        let principal = Arc::clone(&self.client.principal);
        let prepared =
            turn.on_queries(async move { principal.graphql.prepare(&principal.lake, key) });
        let prepared = prepared.await.map_err(Refusal::from)?;
        Ok((Some(turn), prepared))
    }

    /// All that the document names, not only what is asked for: the rules are about every part of it.
    fn needed(&self, roots: &HashSet<&str>) -> Result<Needed, Error> {
        if roots.contains("__schema") || roots.contains("__type") {
            return self.tables().all(self.lake(), self.database.as_deref());
        }
        let names = &self.tables().names;
        let tables = roots.iter().filter_map(|name| names.find(name));
        let tables = tables.map(|(table, _)| table);
        let tables: BTreeSet<usize> = tables.filter(|table| self.knows(*table)).collect();
        if tables.len() > MOST_TABLES {
            let message = format!("the document names more than {MOST_TABLES} tables");
            return Err(Error::new(Kind::TooMuch, message).with_hint("send several documents"));
        }
        Ok(Needed::These(tables))
    }
}

/// What is asked about the schema must not take long to answer.
fn check_description(fields: &[Asked]) -> Result<(), Mistake> {
    let about_schema = fields.iter().filter(|field| field.name.starts_with("__"));
    let mut all = 0;
    for field in about_schema {
        let (lists, depth) = lists(field);
        all += lists;
        if all > MOST_LISTS || depth > DEEPEST_LISTS {
            let error = Error::new(
                Kind::TooMuch,
                "the document asks for too much of the schema",
            );
            let error = error.with_hint("ask as tools do, once and without lists inside of lists");
            return Err(Mistake::of(error, field.place));
        }
    }
    Ok(())
}

/// How many lists a field holds, and how many inside of each other.
fn lists(field: &Asked) -> (usize, usize) {
    let own = usize::from(LISTS.contains(&field.name.as_str()));
    let (mut count, mut depth) = (0, 0);
    for inner in &field.fields {
        let (more, below) = lists(inner);
        count += more;
        depth = depth.max(below);
    }
    (count + own, depth + own)
}

fn plan_all(prepared: &Prepared, fields: Vec<Resolved>) -> Result<Outline, Mistake> {
    let mut outline = Outline::default();
    for (asked, about) in fields {
        let Some((place, about)) = about else {
            outline.add_known(asked.key);
            continue;
        };
        let Some(table) = prepared.tables.get(&place) else {
            let message = format!("the table behind `{}` has no columns", asked.name);
            return Err(Mistake::new(message, asked.place));
        };
        outline.add(plan(&asked, table, about)?, table)?;
    }
    Ok(outline)
}

/// Applies the rules of GraphQL, and answers what is asked about the schema.
async fn check(
    turn: Option<Turn>,
    prepared: Arc<Prepared>,
    request: async_graphql::Request,
) -> Result<IndexMap<Name, Value>, Vec<Fault>> {
    let work = async move { Ok(prepared.schema.execute(request).await) };
    let response = match turn {
        Some(turn) => turn.on_queries(work).await,
        None => work.await,
    };
    let response = response.map_err(|error: Error| vec![Refusal::from(error).into()])?;
    if !response.errors.is_empty() {
        let mistakes = response.errors.into_iter().map(Mistake::from);
        return Err(mistakes.map(Fault::from).collect());
    }
    match response.data {
        Value::Object(values) => Ok(values),
        _ => Ok(IndexMap::new()),
    }
}
