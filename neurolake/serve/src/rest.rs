//! `/api/rest/{database}/{table}`: rows of one table, asked for in PostgREST's words.
//!
//! What differs from PostgREST: `after` goes on behind a page (see `page`), every count is exact,
//! an unknown parameter is an error, and there is nothing but reading.

mod page;
mod parse;

use std::fmt;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, Schema};
use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use neurolake_query::suggest::nearest;
use neurolake_query::{Error, Kind, Result};

use self::page::{Cursor, Pager, Places, content_range};
use self::parse::Selected;
use crate::accounts::Client;
use crate::encode::Format;
use crate::format;
use crate::identity::RequestId;
use crate::refusal::Refusal;
use crate::select::{self, Condition, Order, Output, Select, Statement};
use crate::turn::{Manner, Turn, content_type};

/// Rows of a page at most. An answer with a larger limit, or none, is sent as it comes: nobody
/// knows where it ends before it has begun.
const PAGE_ROWS: u64 = 10_000;

/// One row as an object instead of a list.
const OBJECT: &str = "application/vnd.pgrst.object+json";

/// Parameters that are no filters. A column of such a name is filtered in `and=(limit.eq.5)`.
const SINGLE: [&str; 5] = ["select", "order", "limit", "offset", "after"];

pub(crate) const PREFER: HeaderName = HeaderName::from_static("prefer");
const RANGE_UNIT: HeaderName = HeaderName::from_static("range-unit");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// What a client asks for, before anything is known about the table.
struct Asked {
    select: Select,
    selected: Vec<Selected>,
    cursor: Option<Cursor>,
    format: Format,
    is_object: bool,
    wants_total: bool,
    /// Address of the next page, up to its cursor.
    next: String,
}

/// Makes the OpenAPI document of the catalog, or of one database. `None`: there is no such database.
#[derive(Clone)]
pub struct Description(Arc<Describe>);

type Describe = dyn Fn(Option<&str>) -> Option<String> + Send + Sync;

impl<F: Fn(Option<&str>) -> Option<String> + Send + Sync + 'static> From<F> for Description {
    fn from(make: F) -> Self {
        Self(Arc::new(make))
    }
}

impl fmt::Debug for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Description").finish_non_exhaustive()
    }
}

pub(crate) async fn root(client: Client, Extension(id): Extension<RequestId>) -> Response {
    described(&client, &id, None)
}

pub(crate) async fn database(
    client: Client,
    Extension(id): Extension<RequestId>,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    match path {
        Ok(Path(database)) => described(&client, &id, Some(&database)),
        Err(error) => Refusal::bad_request(error.body_text()).respond(&id),
    }
}

fn described(client: &Client, id: &RequestId, database: Option<&str>) -> Response {
    let description = client.shared.settings.openapi.as_ref();
    let document = description.and_then(|Description(make)| make(database));
    let Some(document) = document else {
        let names = client.principal.lake.catalog().databases.iter();
        let names = names.map(|database| database.name.as_str());
        let near = database.and_then(|database| nearest(database, names));
        let hint = match near {
            Some(near) => format!("did you mean `/api/rest/{near}`?"),
            None => "tables are listed in `/catalog.json`".to_owned(),
        };
        return Refusal::not_found("there is no description at this address")
            .with_hint(hint)
            .respond(id);
    };
    let json = HeaderValue::from_static("application/json");
    Manner::default().respond(json, document)
}

pub(crate) async fn table(
    client: Client,
    Extension(id): Extension<RequestId>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Response {
    let asked = match path {
        Ok(Path((database, table))) => asked(&client, database, table, &request),
        Err(error) => Err(Refusal::bad_request(error.body_text())),
    };
    let response = match asked {
        Ok(asked) => Box::pin(answer(&client, &id, asked)).await,
        Err(refusal) => Err(refusal),
    };
    response.unwrap_or_else(|refusal| refusal.respond(&id))
}

fn asked(
    client: &Client,
    database: String,
    table: String,
    request: &Request,
) -> Result<Asked, Refusal> {
    let pairs = Query::<Vec<(String, String)>>::try_from_uri(request.uri());
    let Query(pairs) = pairs.map_err(|error| Refusal::bad_request(error.body_text()))?;
    let headers = request.headers();
    let is_object = wants_object(headers);
    let mut asked = Asked {
        select: Select {
            database,
            table,
            ..Select::default()
        },
        selected: Vec::new(),
        cursor: None,
        format: if is_object {
            Format::NdJson
        } else {
            format::wanted(None, headers)?
        },
        is_object,
        wants_total: wants_total(headers),
        next: String::new(),
    };
    asked.read(&pairs)?;
    asked.narrow(headers)?;
    let base = &client.shared.settings.endpoints.http;
    asked.next = next_address(base, request, asked.select.limit);
    Ok(asked)
}

impl Asked {
    fn read(&mut self, pairs: &[(String, String)]) -> Result<()> {
        let mut conditions = Vec::new();
        let mut known: Vec<&str> = Vec::new();
        for (name, text) in pairs {
            // Filters may be repeated, and hold together.
            let is_single = SINGLE.contains(&name.as_str());
            if is_single && known.contains(&name.as_str()) {
                return Err(bad(format!("`{name}` is there twice")));
            }
            known.push(name);
            match name.as_str() {
                "select" => self.selected = parse::select(text)?,
                "order" => self.select.order = parse::order(text)?,
                "limit" => self.select.limit = Some(number(name, text)?),
                "offset" => self.select.offset = number(name, text)?,
                // A walk may begin with it, and forms send what is not filled in.
                "after" if text.is_empty() => {}
                "after" => self.cursor = Some(Cursor::decode(text)?),
                name if parse::is_logic(name) => conditions.push(parse::logic(name, text)?),
                name => conditions.push(filter(name, text)?),
            }
        }
        self.select.condition = Condition::All(conditions);
        Ok(())
    }

    /// Narrows what parameters ask for to what a header asks for.
    fn narrow(&mut self, headers: &HeaderMap) -> Result<(), Refusal> {
        if let Some(range) = page::range(headers)? {
            page::narrow(&mut self.select, range);
        }
        if self.cursor.is_some() && self.select.offset > 0 {
            return Err(Refusal::bad_request(
                "`after` doesn't go together with an offset or a range",
            )
            .with_hint("`after` alone says where the page begins"));
        }
        Ok(())
    }

    /// Whether its rows are few enough to be counted before they are sent.
    fn is_page(&self) -> bool {
        self.is_object || self.select.limit.is_some_and(|limit| limit <= PAGE_ROWS)
    }

    /// The order of a page that can be gone on from. `None`: it can't.
    fn places(&self, schema: &Schema, declared: &Declared) -> Option<Places> {
        let select = &self.select;
        let can_go_on = self.is_page() && !self.is_object && !select.order.is_empty();
        if !can_go_on || select.outputs.iter().any(Output::is_aggregate) {
            return None;
        }
        let shown: Vec<select::Path> = match &select.outputs[..] {
            [] => declared.columns.iter().map(select::Path::column).collect(),
            outputs => outputs.iter().filter_map(path_of).collect(),
        };
        page::places(select, schema, &declared.unique_by, &shown)
    }

    /// The statement for one page, and how its rows become one.
    fn page(mut self, schema: &Schema, declared: &Declared) -> Result<(Statement, Pager)> {
        let places = self.places(schema, declared);
        let position = self.position();
        let limit = self.select.limit;
        if places.is_some() && self.select.outputs.is_empty() {
            self.select.outputs = every(schema).collect();
        }
        let shown = self.select.outputs.len();
        if let Some(Places { keys, others }) = &places {
            self.select.order = [&keys[..], others].concat();
            self.select.outputs.extend(hidden(keys));
            // One more row tells whether there is a next page.
            self.select.limit = limit.map(|limit| limit + 1);
        }
        match (&self.cursor, &places) {
            (Some(cursor), Some(places)) => cursor.go_on(&places.keys, &mut self.select)?,
            (Some(_), None) => return Err(no_cursor()),
            (None, _) => {}
        }
        if self.is_object {
            // More than one is as wrong as many.
            self.select.limit = Some(limit.unwrap_or(2).min(2));
        }
        let pager = Pager {
            format: self.format,
            limit,
            position,
            cursor: self.cursor,
            keys: places.map(|places| (places.keys, shown)),
        };
        Ok((self.select.statement(schema)?, pager))
    }

    /// Rows before the first one of the answer.
    fn position(&self) -> u64 {
        let cursor = self.cursor.as_ref();
        cursor.map_or(self.select.offset, |cursor| cursor.position)
    }
}

/// What the catalog says about a table.
struct Declared {
    /// Names of the columns; empty where they are read from the table.
    columns: Vec<String>,
    unique_by: Vec<String>,
}

impl Declared {
    fn of(client: &Client, select: &Select, schema: &Schema) -> Self {
        let name = select.table.split('@').next().unwrap_or_default();
        let table = client
            .principal
            .lake
            .catalog()
            .table(&select.database, name);
        let declared = table.map(|table| &table.columns[..]).unwrap_or_default();
        let columns: Vec<String> = if declared.is_empty() {
            schema
                .fields()
                .iter()
                .map(|field| field.name().clone())
                .collect()
        } else {
            declared.iter().map(|column| column.name.clone()).collect()
        };
        Self {
            columns,
            unique_by: table
                .map(|table| table.unique_by.clone())
                .unwrap_or_default(),
        }
    }
}

async fn answer(client: &Client, id: &RequestId, mut asked: Asked) -> Result<Response, Refusal> {
    let turn = Turn::begin(client, id).await?;
    let schema = turn.schema(&asked.select.database, &asked.select.table);
    let schema = schema.await.map_err(|error| Refusal::from(&error))?;
    asked.select.outputs = outputs(&asked.selected, &schema);
    let total = match asked.wants_total {
        true => Some(count(&turn, &asked, &schema).await?),
        false => None,
    };
    match total {
        Some(total) if asked.select.offset > total => {
            let refusal = Refusal::range(format!(
                "offset {} is behind the last of {total} rows",
                asked.select.offset
            ));
            let mut response = refusal.respond(id);
            let range = header_value(&content_range(0, 0, Some(total)));
            response.headers_mut().insert(header::CONTENT_RANGE, range);
            Ok(response)
        }
        total if asked.is_page() => {
            let declared = Declared::of(client, &asked.select, &schema);
            page(&turn, asked, total, &schema, &declared).await
        }
        total => stream(turn, &asked, total, &schema).await,
    }
}

async fn count(turn: &Turn, asked: &Asked, schema: &Schema) -> Result<u64, Refusal> {
    let statement = asked.select.count(schema)?;
    let number = turn.collect(statement.into(), asked.format, |rows| {
        let count = rows.batches.iter().find(|batch| batch.num_rows() > 0);
        let count = count.and_then(|batch| batch.column(0).as_primitive_opt::<Int64Type>());
        let count = count.and_then(|count| u64::try_from(count.value(0)).ok());
        count.ok_or_else(|| Error::new(Kind::Internal, "a count gave no number"))
    });
    Ok(number.await?)
}

/// Rows as they come. Where the answer ends is known only if the total is.
async fn stream(
    turn: Turn,
    asked: &Asked,
    total: Option<u64>,
    schema: &Schema,
) -> Result<Response, Refusal> {
    if asked.cursor.is_some() {
        return Err(no_cursor().into());
    }
    let statement = asked.select.statement(schema)?;
    let first = asked.select.offset;
    let rows = total.map(|total| {
        let rest = total.saturating_sub(first);
        asked.select.limit.map_or(rest, |limit| rest.min(limit))
    });
    let manner = manner(first, rows, total);
    Ok(turn.answer(statement.into(), asked.format, manner).await)
}

async fn page(
    turn: &Turn,
    asked: Asked,
    total: Option<u64>,
    schema: &Schema,
    declared: &Declared,
) -> Result<Response, Refusal> {
    let (format, is_object, next) = (asked.format, asked.is_object, asked.next.clone());
    let first = asked.position();
    let (statement, pager) = asked.page(schema, declared)?;
    let page = turn.collect(statement.into(), format, move |rows| pager.page(&rows));
    let page = page.await?;
    if is_object && page.rows != 1 {
        let found = if page.rows == 0 { "none" } else { "more" };
        return Err(Refusal::not_acceptable(format!(
            "one row was asked for, and there is {found}"
        ))
        .with_hint("accept `application/json` for a list, or filter by what is unique"));
    }
    let mut manner = manner(first, Some(page.rows), total);
    if let Some(cursor) = &page.next {
        let link = format!("<{next}after={cursor}>; rel=\"next\"");
        manner.headers.insert(header::LINK, header_value(&link));
    }
    let content_type = if is_object {
        HeaderValue::from_static(OBJECT)
    } else {
        content_type(format)
    };
    Ok(turn.made(manner.respond(content_type, page.body)))
}

/// Status and headers of so many rows.
fn manner(first: u64, rows: Option<u64>, total: Option<u64>) -> Manner {
    let mut manner = Manner::default();
    let Some(rows) = rows else {
        return manner;
    };
    if total.is_some_and(|total| rows < total) {
        manner.status = StatusCode::PARTIAL_CONTENT;
    }
    let headers = &mut manner.headers;
    let range = header_value(&content_range(first, rows, total));
    headers.insert(header::CONTENT_RANGE, range);
    headers.insert(RANGE_UNIT, HeaderValue::from_static("items"));
    if total.is_some() {
        let applied = HeaderValue::from_static("count=exact");
        headers.insert(PREFERENCE_APPLIED, applied);
    }
    manner
}

/// Only numbers and what came as an address are ever put in.
fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_bytes(text.as_bytes()).unwrap_or(HeaderValue::from_static(""))
}

/// The columns of the answer; none for all that there are.
fn outputs(selected: &[Selected], schema: &Schema) -> Vec<Output> {
    if selected == [Selected::Every] {
        return Vec::new();
    }
    let outputs = selected.iter().map(|selected| match selected {
        Selected::Every => every(schema).collect(),
        Selected::One(output) => vec![output.clone()],
    });
    outputs.flatten().collect()
}

fn every(schema: &Schema) -> impl Iterator<Item = Output> {
    let fields = schema.fields().iter();
    fields.map(|field| Output::column(field.name()))
}

/// Columns with the values of keys, which no client sees.
fn hidden(keys: &[Order]) -> impl Iterator<Item = Output> {
    keys.iter().enumerate().map(|(index, key)| Output {
        name: format!("?{index}"),
        value: select::Value::Path(key.path.clone()),
        cast: None,
    })
}

fn path_of(output: &Output) -> Option<select::Path> {
    match &output.value {
        select::Value::Path(path) => Some(path.clone()),
        _ => None,
    }
}

fn filter(name: &str, text: &str) -> Result<Condition> {
    parse::filter(name, text).map_err(|error| match nearest(name, SINGLE) {
        Some(near) => error.with_hint(format!(
            "did you mean the parameter `{near}`? filters are written `column=eq.value`"
        )),
        None => error,
    })
}

fn number(name: &str, text: &str) -> Result<u64> {
    // A number of SQL has a sign.
    let number = text.parse::<i64>().ok().map(u64::try_from);
    let number = number.and_then(Result::ok);
    number.ok_or_else(|| {
        let error = bad(format!("`{name}={text}` is not a number of rows"));
        match parse::filter(name, text) {
            Ok(_) => error.with_hint(format!(
                "a column of this name is filtered with `and=({name}.{text})`"
            )),
            Err(_) => error,
        }
    })
}

fn bad(message: String) -> Error {
    Error::new(Kind::BadRequest, message)
}

fn no_cursor() -> Error {
    bad("this answer has no pages to go on to".to_owned()).with_hint(format!(
        "`after` needs a `limit` of at most {PAGE_ROWS}, an `order` by columns with single values, \
         and no aggregates"
    ))
}

/// Whether the client wants one row instead of a list.
fn wants_object(headers: &HeaderMap) -> bool {
    let mut ranges = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    ranges.any(|range| {
        let media_type = range.split(';').next().unwrap_or_default().trim();
        media_type == OBJECT || Some(media_type) == OBJECT.strip_suffix("+json")
    })
}

/// `Prefer: count=exact`. Whoever would be content with less gets the same: the tables' own
/// statistics make it cheap where an estimate is.
fn wants_total(headers: &HeaderMap) -> bool {
    let mut preferences = headers
        .get_all(PREFER)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split([',', ';']));
    preferences.any(|preference| {
        let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
        name.trim() == "count" && matches!(value.trim(), "exact" | "planned" | "estimated")
    })
}

/// The same address without what says where the page begins, up to the cursor.
fn next_address(base: &str, request: &Request, limit: Option<u64>) -> String {
    let uri = request.uri();
    let mut address = format!("{base}{}?", uri.path());
    for part in uri.query().unwrap_or_default().split('&') {
        let name = part.split('=').next().unwrap_or_default();
        if !matches!(name, "" | "after" | "offset" | "limit") {
            address.push_str(part);
            address.push('&');
        }
    }
    // It may come from a header, which the next request need not repeat.
    if let Some(limit) = limit {
        address.push_str(&format!("limit={limit}&"));
    }
    address
}
