//! The REST door described for programs: OpenAPI 3.1 documents made from the catalog alone.
//!
//! The document of the catalog holds every table, or, where there are too many for one file, leads to
//! those of the databases, which the running platform makes when it is asked: the site of a large
//! catalog would be a third larger with them. Tables that are not on the site are in none of them. The grammar of filters is in `neurolake/serve/src/rest/parse.rs`.

mod schema;

use neurolake_model::{Catalog, Database, Source, Table, Type};
use serde_json::{Map, Value as Json, json};

use self::schema::{Family, described, plain, row};
use crate::site::percent_encoded;
use crate::snippets::RestExample;

/// The version of OpenAPI; its schemas are JSON Schema of 2020-12.
const VERSION: &str = "3.1.0";

/// Tables of one document at most: about 3 MB.
pub const MOST_TABLES: usize = 500;

/// Parameters that are no filters. A column of such a name is filtered in `and=(limit.eq.5)`.
pub(crate) const RESERVED: [&str; 9] = [
    "select", "order", "limit", "offset", "after", "and", "or", "not.and", "not.or",
];

/// Errors by status: name of the response, and what it means.
const ERRORS: [(&str, &str, &str); 9] = [
    (
        "400",
        "BadRequest",
        "A parameter is wrong, or names a column that is not there; the hint says what there is.",
    ),
    ("403", "NotAllowed", "Pages of other sites may not ask."),
    ("404", "NotFound", "There is no such table."),
    (
        "406",
        "NotAcceptable",
        "None of the media types can be served, or one row was asked for and there is another number.",
    ),
    ("408", "Timeout", "The query took too long."),
    (
        "413",
        "TooMuch",
        "The query or a page of rows needs too much memory. Ask for fewer rows or columns.",
    ),
    (
        "416",
        "RangeNotSatisfiable",
        "The range names no rows, or begins behind the last one.",
    ),
    (
        "429",
        "Busy",
        "Too many queries are running. Try again after the time in `Retry-After`.",
    ),
    (
        "502",
        "Broken",
        "The table is broken: its store, its files or its schema.",
    ),
];

/// The document of the whole catalog. Of more than [`MOST_TABLES`] tables it says only where the
/// running platform describes them.
pub fn document(catalog: &Catalog) -> Json {
    let is_whole = shown(catalog).count() <= MOST_TABLES;
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for (database, table) in shown(catalog) {
        let path = path(&database.name, &table.name);
        if is_whole {
            paths.insert(path, path_item(database, table));
            schemas.insert(key(database, table), row(database, table));
        } else {
            let pointer = path.replace('/', "~1");
            let http = &catalog.endpoints.http;
            let there = format!(
                "{http}/api/rest/{}#/paths/{pointer}",
                percent_encoded(&database.name)
            );
            paths.insert(path, json!({ "$ref": there }));
        }
    }
    whole(catalog, &catalog.databases, paths, schemas)
}

/// The document of one database. `None`: there is no such database.
pub fn database(catalog: &Catalog, name: &str) -> Option<Json> {
    let index = catalog
        .databases
        .iter()
        .position(|database| database.name == name)?;
    let databases = &catalog.databases[index..=index];
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for (database, table) in shown(catalog).filter(|(database, _)| database.name == name) {
        paths.insert(
            path(&database.name, &table.name),
            path_item(database, table),
        );
        schemas.insert(key(database, table), row(database, table));
    }
    Some(whole(catalog, databases, paths, schemas))
}

/// Tables on the site.
fn shown(catalog: &Catalog) -> impl Iterator<Item = (&Database, &Table)> {
    catalog.tables().filter(|(_, table)| !table.hidden)
}

/// Where the rows of a table are.
pub(crate) fn path(database: &str, table: &str) -> String {
    format!(
        "/api/rest/{}/{}",
        percent_encoded(database),
        percent_encoded(table)
    )
}

/// The name of a table's schema, in the letters that OpenAPI allows.
fn key(database: &Database, table: &Table) -> String {
    let mut key = String::new();
    for letter in format!("{}.{}", database.name, table.name).chars() {
        if letter.is_ascii_alphanumeric() || "._".contains(letter) {
            key.push(letter);
        } else {
            key.push_str(&format!("-{:x}-", u32::from(letter)));
        }
    }
    key
}

fn whole(
    catalog: &Catalog,
    databases: &[Database],
    paths: Map<String, Json>,
    mut schemas: Map<String, Json>,
) -> Json {
    let tags: Vec<Json> = databases
        .iter()
        .map(|database| json!({ "name": database.name, "description": described(&database.docs, &[]) }))
        .collect();
    schemas.insert("Error".to_owned(), error());
    for family in Family::ALL {
        schemas.insert(family.name().to_owned(), family.schema());
    }
    let mut document = json!({
        "openapi": VERSION,
        "info": {
            "title": catalog.display_title(),
            "version": env!("CARGO_PKG_VERSION"),
            "summary": plain(&catalog.docs),
            "description": "Rows of single tables, in PostgREST's words: a parameter is the name of a column and a condition, such as `implant_id=eq.7`. Every address also answers `HEAD`. A table as it was at an earlier time is `table@12` or `table@2026-03-01T00:00:00Z`.",
        },
        "servers": [{ "url": catalog.endpoints.http }],
        "tags": tags,
        "components": {
            "parameters": parameters(),
            "headers": headers(),
            "responses": error_responses(),
        },
    });
    // `json!` would copy them.
    document["paths"] = paths.into();
    document["components"]["schemas"] = schemas.into();
    document
}

fn reference(to: &str) -> Json {
    json!({ "$ref": format!("#/components/{to}") })
}

fn path_item(database: &Database, table: &Table) -> Json {
    let name = format!("{}.{}", database.name, table.name);
    let example = RestExample::new(table);
    let mut get = json!({
        "operationId": name,
        "tags": [database.name],
        "summary": format!("Rows of `{name}`"),
        "description": described(&table.docs, &facts(table)),
        "responses": responses(&key(database, table)),
    });
    if table.deprecated.is_some() {
        get["deprecated"] = true.into();
    }
    let path = path(&database.name, &table.name);
    get["x-example"] = format!("{path}?{}", example.query).into();
    get["parameters"] = parameters_of(table, &example).into();
    Json::Object(Map::from_iter([("get".to_owned(), get)]))
}

fn facts(table: &Table) -> Vec<String> {
    let deprecated = table.deprecated.as_ref().map(|deprecated| {
        let since = deprecated.since.as_ref();
        let since = since.map(|since| format!(" since {since}"));
        let note = plain(&deprecated.note);
        format!("Deprecated{}. {note}", since.unwrap_or_default())
            .trim_end()
            .to_owned()
    });
    let named = |what: &str, names: &[String]| {
        let names = names.join("`, `");
        (!names.is_empty()).then(|| format!("{what} `{names}`."))
    };
    let partitions: Vec<String> = table.partition_by.iter().map(|p| p.name.clone()).collect();
    let facts = [
        deprecated,
        named("Partitioned by", &partitions),
        named("Sorted by", &table.sort_by),
        named("A row is known by", &table.unique_by),
    ];
    facts.into_iter().flatten().collect()
}

/// A filter for each column, and what is there for every table.
fn parameters_of(table: &Table, example: &RestExample) -> Vec<Json> {
    let mut parameters = Vec::new();
    let mut push = |name: &str, data_type: Option<&Type>, docs: String, required: bool| {
        if RESERVED.contains(&name) {
            return;
        }
        let family = Family::of(data_type);
        let mut parameter = json!({
            "name": name,
            "in": "query",
            "description": docs,
            "schema": reference(&format!("schemas/{}", family.name())),
        });
        if required {
            parameter["required"] = true.into();
        }
        let example = example.conditions.get(name).map(String::as_str);
        if let Some(example) = example.or_else(|| family.example()) {
            parameter["example"] = example.into();
        }
        parameters.push(parameter);
    };
    let arguments = match &table.source {
        Source::Function { arguments } => &arguments[..],
        _ => &[],
    };
    for column in &table.columns {
        let required = arguments
            .iter()
            .any(|a| a.name == column.name && a.required);
        let facts = schema::facts(column);
        let docs = described(&column.docs, &facts);
        push(&column.name, Some(&column.data_type), docs, required);
    }
    let is_column = |name: &str| table.column(name).is_some();
    for partition in table.partition_by.iter().filter(|p| !is_column(&p.name)) {
        let data_type = partition.data_type.as_ref();
        push(&partition.name, data_type, "A partition.".to_owned(), false);
    }
    for argument in arguments.iter().filter(|a| !is_column(&a.name)) {
        let docs = format!(
            "An argument, given with `eq` or `in`: {}.",
            argument.data_type
        );
        // Several values are given as a list of them.
        let data_type = match &argument.data_type {
            Type::List { item, .. } => item,
            other => other,
        };
        push(&argument.name, Some(data_type), docs, argument.required);
    }
    let shared = [
        "select", "order", "limit", "offset", "after", "and", "or", "Range", "Prefer",
    ];
    parameters.extend(shared.map(|name| reference(&format!("parameters/{name}"))));
    parameters
}

fn parameters() -> Json {
    let parameter = |place: &str, name: &str, description: &str, schema: Json, example: Json| json!({ "name": name, "in": place, "description": description, "schema": schema, "example": example });
    let query =
        |name, description, schema, example| parameter("query", name, description, schema, example);
    let header = |name, description, schema, example| {
        parameter("header", name, description, schema, example)
    };
    let text = || json!({ "type": "string" });
    let number = || json!({ "type": "integer", "minimum": 0 });
    let logic = || json!({ "type": "string", "pattern": r"^\([\s\S]+\)$" });
    let mut limit = query(
        "limit",
        "Rows of the answer at most. An answer of at most 10000 is a page with `Content-Range`; without a limit, rows are sent as they come.",
        number(),
        json!(10),
    );
    // Whoever tries things out should not get a whole table.
    limit["schema"]["examples"] = json!([10, 100]);
    let mut after = query(
        "after",
        "Goes on behind an earlier page: the cursor of its `Link` header.",
        text(),
        Json::Null,
    );
    if let Some(after) = after.as_object_mut() {
        after.remove("example");
    }
    let mut and = query(
        "and",
        "Conditions that hold together, nested as `(a.eq.1,or(b.is.null,c.gt.2))`. `not.and` negates them.",
        logic(),
        Json::Null,
    );
    let mut or = query(
        "or",
        "Conditions one of which holds, nested as in `and`. `not.or` negates them.",
        logic(),
        Json::Null,
    );
    for condition in [&mut and, &mut or] {
        if let Some(condition) = condition.as_object_mut() {
            condition.remove("example");
        }
    }
    json!({
        "select": query("select", "Columns of the answer: `a,alias:b,c->field,d::text`. `count()`, `a.sum()`, `a.avg()`, `a.min()` and `a.max()` aggregate by the other columns.", text(), json!("*")),
        "order": query("order", "`a.desc.nullslast,b`: columns, each with `asc` or `desc`, `nullsfirst` or `nullslast`. A null is larger than every value.", text(), Json::Null),
        "limit": limit,
        "offset": query("offset", "Rows to skip.", number(), json!(0)),
        "after": after,
        "and": and,
        "or": or,
        "Range": header("Range", "`0-24`: the first 25 rows. Narrows `limit` and `offset`.", json!({ "type": "string", "pattern": "^(items=)?[0-9]{1,9}-[0-9]*$" }), json!("0-24")),
        "Prefer": header("Prefer", "`count=exact` counts the rows of all pages. `planned` and `estimated` are counted exactly as well.", text(), json!("count=exact")),
    })
}

fn headers() -> Json {
    let header =
        |description: &str| json!({ "description": description, "schema": { "type": "string" } });
    json!({
        "ContentRange": header("Which rows these are, and of how many, if that was asked for: `0-24/100`, `0-24/*`. Missing where rows are sent as they come."),
        "Link": header("`rel=\"next\"`: the next page, if rows are ordered and there are more."),
        "PreferenceApplied": header("`count=exact`, if rows were counted."),
    })
}

fn responses(schema: &str) -> Json {
    let row = reference(&format!("schemas/{schema}"));
    let text = || json!({ "schema": { "type": "string" } });
    let rows = |description: &str| {
        json!({
            "description": description,
            "headers": {
                "Content-Range": reference("headers/ContentRange"),
                "Link": reference("headers/Link"),
                "Preference-Applied": reference("headers/PreferenceApplied"),
            },
            "content": {
                "application/json": { "schema": { "type": "array", "items": row } },
                "application/vnd.pgrst.object+json": { "schema": row },
                "application/x-ndjson": text(),
                "text/csv": text(),
                "application/vnd.apache.arrow.stream": {},
                "application/vnd.apache.parquet": {},
            },
        })
    };
    let mut responses = Map::new();
    responses.insert("200".into(), rows("All rows, or those of a page."));
    responses.insert(
        "206".into(),
        rows("A part of the rows, where they were counted."),
    );
    for (status, name, _) in ERRORS {
        responses.insert(status.into(), reference(&format!("responses/{name}")));
    }
    responses.into()
}

fn error_responses() -> Json {
    let responses = ERRORS.map(|(status, name, description)| {
        let mut response = json!({
            "description": description,
            "content": { "application/json": { "schema": reference("schemas/Error") } },
        });
        if status == "429" {
            response["headers"] = json!({
                "Retry-After": {
                    "description": "Seconds after which to try again.",
                    "schema": { "type": "integer", "minimum": 1 },
                },
            });
        }
        (name.to_owned(), response)
    });
    Json::Object(responses.into_iter().collect())
}

fn error() -> Json {
    json!({
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "message", "request_id"],
                "properties": {
                    "code": { "type": "string" },
                    "message": { "type": "string" },
                    "hint": { "type": "string", "description": "What to do." },
                    "request_id": { "type": "string" },
                },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog(tables: usize) -> Catalog {
        let table = |number: usize| {
            json!({
                "name": format!("t{number}"), "rust_path": "x", "location": {"file": "a.rs", "line": 1},
                "source": {"kind": "delta", "uri": "s3://lake/t"},
                "hidden": number == 1,
                "docs": "Rows of [`u`](table:lab.u).\n\nMore.",
                "deprecated": {"since": "2", "note": "Use [`u`](table:lab.u)."},
                "unique_by": ["id"],
                "example": [["id", {"int": 7}]],
                "columns": [
                    {"name": "id", "type": "int32", "nullable": false, "docs": "Which.", "unit": "V"},
                    {"name": "limit", "type": "string", "nullable": true},
                    {"name": "tags", "type": {"list": {"item": "string", "nullable": true}}, "nullable": true},
                ],
            })
        };
        let tables: Vec<Json> = (0..tables).map(table).collect();
        let document = json!({
            "format_version": 1, "name": "demo",
            "databases": [{"name": "lab", "location": {"file": "a.rs", "line": 1}, "tables": tables}],
        });
        Catalog::from_json(&document.to_string()).expect("a catalog")
    }

    #[test]
    fn a_table_is_an_operation_with_a_filter_for_each_column() {
        let document = document(&catalog(2));
        let paths = document["paths"].as_object().expect("paths");
        assert_eq!(paths.keys().collect::<Vec<_>>(), ["/api/rest/lab/t0"]);
        let get = &paths["/api/rest/lab/t0"]["get"];
        assert_eq!(get["deprecated"], true);
        assert_eq!(get["x-example"], "/api/rest/lab/t0?id=eq.7&limit=10");
        assert_eq!(
            get["description"],
            "Rows of `u`.\n\nMore.\n\nDeprecated since 2. Use u.\n\nA row is known by `id`."
        );
        let parameters = get["parameters"].as_array().expect("parameters");
        assert_eq!(
            parameters[0],
            json!({
                "name": "id", "in": "query", "example": "eq.7",
                "description": "Which.\n\nUnit: V.\n\nStored as int32.",
                "schema": {"$ref": "#/components/schemas/IntegerFilter"},
            })
        );
        // `limit` is no filter, whatever columns there are.
        assert_eq!(parameters[1]["name"], "tags");
        let row = &document["components"]["schemas"]["lab.t0"]["properties"];
        assert_eq!(row["limit"]["type"], json!(["string", "null"]));
        assert_eq!(row["tags"]["items"]["type"], json!(["string", "null"]));
        assert_eq!(super::database(&catalog(2), "lab"), Some(document));
        assert_eq!(super::database(&catalog(2), "nowhere"), None);
    }

    #[test]
    fn a_large_catalog_is_described_by_database() {
        let catalog = catalog(MOST_TABLES + 2);
        let document = document(&catalog);
        let paths = document["paths"].as_object().expect("paths");
        assert_eq!(paths.len(), MOST_TABLES + 1);
        assert_eq!(
            paths["/api/rest/lab/t7"]["$ref"],
            "http://127.0.0.1:8080/api/rest/lab#/paths/~1api~1rest~1lab~1t7"
        );
        let part = super::database(&catalog, "lab").expect("a database");
        assert!(part["paths"]["/api/rest/lab/t7"]["get"].is_object());
    }
}
