//! The door described for programs: an OpenAPI 3.1 document made from the declared tables.

use neurolake_model::{Column, Table, Type, Value};
use serde_json::{Map, Value as Json, json};

use crate::door::{Declared, MAX_TIMEOUT, Settings, Tables};
use crate::validate::{blob, range};

/// The version of OpenAPI; its schemas are JSON Schema of 2020-12.
const VERSION: &str = "3.1.0";

/// Errors by status: name of the response, and what it means.
const ERRORS: [(&str, &str, &str); 10] = [
    (
        "400",
        "BadRequest",
        "A header, a parameter or the syntax of the body is wrong.",
    ),
    (
        "404",
        "NotFound",
        "There is no such table, or it takes no events.",
    ),
    (
        "408",
        "Timeout",
        "The body came too slowly. Nothing was kept.",
    ),
    ("409", "KeyReused", "The key was used for other content."),
    (
        "413",
        "TooLarge",
        "The body is too large, as it was sent or uncompressed.",
    ),
    (
        "415",
        "UnsupportedMediaType",
        "The body's type, charset or encoding isn't taken.",
    ),
    (
        "422",
        "InvalidRows",
        "Rows don't fit the table; `rows` says which, where and why. Nothing was kept.",
    ),
    (
        "429",
        "Busy",
        "Too much at once. Nothing was kept; try again after the time in `Retry-After`.",
    ),
    (
        "503",
        "Unavailable",
        "The queue doesn't answer. Whether the rows are kept is unknown: repeat the request with the same key.",
    ),
    (
        "507",
        "Full",
        "The server has no room for more events. Nothing was kept.",
    ),
];

/// The document. Tables that are not on the site are not in it.
pub fn document(tables: &Tables, settings: &Settings) -> Json {
    let shown = || tables.iter().filter(|declared| !declared.table.hidden);
    let mut paths = Map::new();
    let mut schemas = shared_schemas();
    for declared in shown() {
        let path = format!(
            "/v1/ingest/{}/{}",
            declared.stream.database(),
            declared.stream.table()
        );
        paths.insert(path, table_path(declared, settings));
        schemas.insert(declared.stream.to_string(), row(&declared.table));
    }
    paths.insert("/v1/ingest".into(), overview_path());
    let tags: Vec<Json> = databases(shown())
        .into_iter()
        .map(|name| json!({ "name": name }))
        .collect();
    json!({
        "openapi": VERSION,
        "info": {
            "title": "NeuroLake ingestion",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Rows for tables that take events. A request is kept as a whole or not at all, unless `invalid` says otherwise; what is acknowledged is durable, readable at once, and in the table a moment later, each row once.",
        },
        "servers": [{ "url": "/", "description": "The server that this was read from." }],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas,
            "parameters": parameters(),
            "responses": error_responses(),
        },
    })
}

fn databases<'a>(tables: impl Iterator<Item = &'a std::sync::Arc<Declared>>) -> Vec<&'a str> {
    let mut names: Vec<&str> = tables.map(|table| table.stream.database()).collect();
    // Tables come sorted.
    names.dedup();
    names
}

fn reference(to: &str) -> Json {
    json!({ "$ref": format!("#/components/{to}") })
}

fn table_path(declared: &Declared, settings: &Settings) -> Json {
    let (table, stream) = (&declared.table, &declared.stream);
    let name = format!("{}_{}", stream.database(), stream.table());
    let mut post = json!({
        "operationId": format!("ingest_{name}"),
        "tags": [stream.database()],
        "summary": format!("Send rows of `{stream}`"),
        "description": described(&table.docs, &[]),
        "parameters": parameter_references(),
        "requestBody": body(declared, settings),
        "responses": post_responses(),
    });
    if table.deprecated.is_some() {
        post["deprecated"] = true.into();
    }
    json!({
        "post": post,
        "get": {
            "operationId": format!("status_{name}"),
            "tags": [stream.database()],
            "summary": format!("How far `{stream}` is"),
            "responses": {
                "200": answer("The newest accepted and committed offsets.", "schemas/Status"),
                "404": reference("responses/NotFound"),
                "503": reference("responses/Unavailable"),
            },
        },
    })
}

fn overview_path() -> Json {
    json!({
        "get": {
            "operationId": "tables",
            "summary": "The tables that take events, and how far they are",
            "responses": {
                "200": answer("The tables, by name.", "schemas/Statuses"),
                "503": reference("responses/Unavailable"),
            },
        },
    })
}

fn body(declared: &Declared, settings: &Settings) -> Json {
    let row = reference(&format!("schemas/{}", declared.stream));
    let example = example(&declared.table);
    let limit = settings.body_bytes;
    json!({
        "required": true,
        "description": format!("At most {limit} bytes uncompressed; `Content-Encoding: gzip` and `zstd` are taken."),
        "content": {
            "application/json": {
                "schema": { "oneOf": [row, { "type": "array", "items": row }] },
                "example": [example],
            },
            "application/x-ndjson": {
                "schema": { "type": "string", "description": "An object a line." },
                "example": format!("{example}\n"),
            },
            "application/vnd.apache.arrow.stream": {
                "schema": {
                    "description": "An Arrow IPC stream: columns by name, types that widen without loss, buffers not compressed.",
                },
            },
        },
    })
}

fn parameters() -> Json {
    let header = |name: &str, description: &str, schema: Json| json!({ "name": name, "in": "header", "description": description, "schema": schema });
    let query = |name: &str, description: &str, schema: Json| json!({ "name": name, "in": "query", "description": description, "schema": schema });
    let text = || json!({ "type": "string", "pattern": "^[!-~]{1,200}$" });
    json!({
        "IdempotencyKey": header("Idempotency-Key", "Names the request: the same again is acknowledged again and not kept twice. Not together with a producer.", text()),
        "ProducerId": header("Producer-Id", "With `Producer-Sequence`: names the request as well.", text()),
        "ProducerSequence": header("Producer-Sequence", "The producer's number of the request.", json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX })),
        "Ack": query("ack", "When to answer: when the rows are durable, or when they are in the table.", json!({ "type": "string", "enum": ["queued", "committed"], "default": "queued" })),
        "Invalid": query("invalid", "What becomes of rows that don't fit: keep none of the request, leave them out, or set them aside as dead letters.", json!({ "type": "string", "enum": ["reject", "skip", "quarantine"], "default": "reject" })),
        "Timeout": query("timeout", "Seconds to wait for `ack=committed`.", json!({ "type": "integer", "minimum": 0, "maximum": MAX_TIMEOUT, "default": 30 })),
    })
}

fn parameter_references() -> Vec<Json> {
    [
        "Ack",
        "Invalid",
        "Timeout",
        "IdempotencyKey",
        "ProducerId",
        "ProducerSequence",
    ]
    .map(|name| reference(&format!("parameters/{name}")))
    .to_vec()
}

fn answer(description: &str, schema: &str) -> Json {
    json!({
        "description": description,
        "content": { "application/json": { "schema": reference(schema) } },
    })
}

fn post_responses() -> Json {
    let mut responses = Map::new();
    let committed = "The rows are in the table.";
    let queued = "The rows are durable, and not yet in the table.";
    responses.insert("200".into(), answer(committed, "schemas/Accepted"));
    responses.insert("202".into(), answer(queued, "schemas/Accepted"));
    for (status, name, _) in ERRORS {
        responses.insert(status.into(), reference(&format!("responses/{name}")));
    }
    responses.into()
}

fn error_responses() -> Json {
    let responses = ERRORS.map(|(status, name, description)| {
        let mut response = answer(description, "schemas/Error");
        if matches!(status, "429" | "503") {
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

fn shared_schemas() -> Map<String, Json> {
    let offset = json!({ "type": "integer", "minimum": 0 });
    let version = json!({ "type": ["integer", "null"], "minimum": 0 });
    let row_error = json!({
        "type": "object",
        "required": ["path", "message"],
        "properties": {
            "row": { "type": "integer", "minimum": 0, "description": "Number of the row in the body, counted from 0. Missing where all rows are meant." },
            "line": { "type": "integer", "minimum": 1, "description": "Its line, in bodies of lines." },
            "path": { "type": "string", "description": "The value, such as `target.x` or `band_power[3]`; empty for the row itself." },
            "message": { "type": "string", "description": "What was expected, what was found." },
        },
    });
    let row_errors = json!({ "type": "array", "maxItems": crate::validate::REPORTED_ERRORS, "items": reference("schemas/RowError") });
    let accepted = json!({
        "type": "object",
        "required": ["accepted", "offset", "duplicate"],
        "properties": {
            "accepted": { "type": "integer", "minimum": 0, "description": "Rows that are kept." },
            "offset": { "type": ["integer", "null"], "minimum": 1, "description": "Where they stand in the table's queue; null if there was nothing to keep." },
            "duplicate": { "type": "boolean", "description": "Whether the same request was kept before." },
            "committed": { "type": "boolean", "description": "With `ack=committed`: whether the rows are in the table." },
            "version": { "type": "integer", "minimum": 0, "description": "A version of the table that holds them." },
            "rejected": { "type": "integer", "minimum": 0, "description": "With `invalid=skip|quarantine`: rows that don't fit." },
            "errors": row_errors,
        },
    });
    let error = json!({
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "message"],
                "properties": {
                    "code": { "type": "string" },
                    "message": { "type": "string" },
                    "hint": { "type": "string", "description": "What to do." },
                    "request_id": { "type": "string" },
                    "rows": row_errors,
                },
            },
        },
    });
    let status = json!({
        "type": "object",
        "required": ["database", "table", "accepted", "committed", "version", "lag_seconds"],
        "properties": {
            "database": { "type": "string" },
            "table": { "type": "string" },
            "accepted": offset,
            "committed": offset,
            "version": version,
            "lag_seconds": { "type": "number", "minimum": 0 },
        },
    });
    let statuses = json!({
        "type": "object",
        "required": ["tables"],
        "properties": { "tables": { "type": "array", "items": reference("schemas/Status") } },
    });
    Map::from_iter([
        ("Accepted".to_owned(), accepted),
        ("Error".to_owned(), error),
        ("RowError".to_owned(), row_error),
        ("Status".to_owned(), status),
        ("Statuses".to_owned(), statuses),
    ])
}

fn row(table: &Table) -> Json {
    let mut schema = object(&table.columns);
    schema["description"] = described(&table.docs, &[]).into();
    schema["examples"] = json!([example(table)]);
    schema
}

fn object(columns: &[Column]) -> Json {
    let properties: Map<String, Json> = columns
        .iter()
        .map(|column| (column.name.clone(), property(column)))
        .collect();
    let required: Vec<&str> = columns
        .iter()
        .filter(|column| !column.nullable)
        .map(|column| column.name.as_str())
        .collect();
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": required,
        "properties": properties,
    })
}

fn property(column: &Column) -> Json {
    let mut schema = nullable(schema(&column.data_type), column.nullable);
    let unit = column.unit.as_ref().map(|unit| format!("Unit: {unit}."));
    let pii = column.pii.then(|| "Holds personal data.".to_owned());
    let stored = Some(format!("Stored as {}.", column.data_type));
    let facts: Vec<String> = [unit, pii, stored].into_iter().flatten().collect();
    schema["description"] = described(&column.docs, &facts).into();
    if column.deprecated.is_some() {
        schema["deprecated"] = true.into();
    }
    schema
}

/// Documentation without its links, which lead to pages of the catalog.
fn described(docs: &str, facts: &[String]) -> String {
    let mut text = docs.trim().to_owned();
    for fact in facts {
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        text.push_str(fact);
    }
    text
}

fn nullable(schema: Json, is_nullable: bool) -> Json {
    if is_nullable {
        json!({ "anyOf": [schema, { "type": "null" }] })
    } else {
        schema
    }
}

fn schema(declared: &Type) -> Json {
    match declared {
        Type::Bool => json!({ "type": "boolean" }),
        Type::Int64 | Type::UInt64 => {
            let (first, last) = range(declared);
            let sign = if first < 0 { "-?" } else { "" };
            let text = json!({ "type": "string", "pattern": format!("^{sign}[0-9]+$") });
            json!({ "anyOf": [integer(first, last), text] })
        }
        declared if declared.is_integer() => {
            let (first, last) = range(declared);
            integer(first, last)
        }
        Type::Float32 | Type::Float64 => json!({
            "anyOf": [{ "type": "number" }, { "enum": ["NaN", "Infinity", "-Infinity"] }],
        }),
        Type::Binary => json!({ "type": "string", "contentEncoding": "base64" }),
        Type::Date => json!({ "type": "string", "format": "date" }),
        Type::Timestamp => json!({
            "anyOf": [
                { "type": "string", "format": "date-time" },
                { "type": "integer", "description": "Microseconds since 1970." },
            ],
        }),
        Type::Decimal { .. } => json!({
            "anyOf": [
                { "type": "number" },
                { "type": "string", "pattern": "^-?[0-9]+(\\.[0-9]+)?$" },
            ],
        }),
        Type::Blob => object(&blob()),
        Type::Struct { fields } => object(fields),
        Type::List { item, nullable: is } => json!({
            "type": "array",
            "items": nullable(schema(item), *is),
        }),
        Type::Map {
            key,
            value,
            nullable: is,
        } => {
            let value = nullable(schema(value), *is);
            let required: &[&str] = if *is { &["key"] } else { &["key", "value"] };
            json!({
                "anyOf": [
                    { "type": "object", "additionalProperties": value },
                    {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "additionalProperties": false,
                            "required": required,
                            "properties": { "key": schema(key), "value": value },
                        },
                    },
                ],
            })
        }
        _ => json!({ "type": "string" }),
    }
}

/// Bounds of 64 bits don't fit the numbers of most readers of JSON.
fn integer(first: i128, last: i128) -> Json {
    match (i32::try_from(first), u32::try_from(last)) {
        (Ok(first), Ok(last)) => {
            json!({ "type": "integer", "minimum": first, "maximum": last })
        }
        (Ok(0), _) => json!({ "type": "integer", "minimum": 0 }),
        _ => json!({ "type": "integer" }),
    }
}

/// A row that fits: the declared example where there is one.
fn example(table: &Table) -> Json {
    let columns = table.columns.iter().map(|column| {
        let declared = table.example.iter().find(|(name, _)| *name == column.name);
        let value = match declared.and_then(|(_, value)| declared_value(value)) {
            Some(value) => value,
            None => made_up(&column.data_type),
        };
        (column.name.clone(), value)
    });
    Json::Object(columns.collect())
}

/// A declared example as JSON. `None`: made up, because it has no form of its own here.
fn declared_value(value: &Value) -> Option<Json> {
    match value {
        Value::Bool(value) => Some((*value).into()),
        Value::Int(value) => Some((*value).into()),
        Value::Float(text) => {
            let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
            number.map(Json::from)
        }
        Value::String(text) | Value::Date(text) | Value::Timestamp(text) | Value::Decimal(text) => {
            Some(text.as_str().into())
        }
        Value::List(values) => values.iter().map(declared_value).collect(),
        Value::Null | Value::Binary(_) => None,
    }
}

fn made_up(declared: &Type) -> Json {
    match declared {
        Type::Bool => true.into(),
        declared if declared.is_integer() => 1.into(),
        Type::Float32 | Type::Float64 => 0.5.into(),
        Type::String => "text".into(),
        Type::Binary => "bmV1cmFs".into(),
        Type::Date => "2026-03-01".into(),
        Type::Timestamp => "2026-03-01T09:30:00.015Z".into(),
        Type::Decimal { precision, scale } if scale < precision => "1".into(),
        Type::Decimal { .. } => "0".into(),
        Type::List { item, .. } => json!([made_up(item)]),
        Type::Map { key, value, .. } => {
            json!([{ "key": made_up(key), "value": made_up(value) }])
        }
        Type::Blob => {
            json!({ "uri": "s3://bucket/image.png", "media_type": "image/png", "bytes": 1024 })
        }
        Type::Struct { fields } => {
            let fields = fields
                .iter()
                .map(|field| (field.name.clone(), made_up(&field.data_type)));
            Json::Object(fields.collect())
        }
        _ => Json::Null,
    }
}
