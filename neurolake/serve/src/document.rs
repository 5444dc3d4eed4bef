//! `/catalog.json`, and `/api/stores`: how a client may read files itself. No secret leaves here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use axum::Json;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use neurolake_query::{ObjectStoreSettings, Store};
use serde::Serialize;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::accounts::Client;
use crate::doors::Doors;
use crate::guard::is_local;

/// Options of a store that clients may see: what they need to find it. Whoever put a secret among
/// the others doesn't read it here.
const PUBLIC_OPTIONS: [&str; 8] = [
    "endpoint",
    "region",
    "allow_http",
    "virtual_hosted_style_request",
    "skip_signature",
    "aws_endpoint",
    "aws_region",
    "s3_express",
];

pub(crate) async fn catalog(State(doors): State<Doors>, headers: HeaderMap) -> Response {
    let text = &doors.shared.catalog;
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let tag = format!("W/\"{:016x}\"", hasher.finish());
    let known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|known| known.to_str().ok());
    let is_known = known.is_some_and(|known| known.split(',').any(|one| one.trim() == tag));
    let status = if is_known {
        StatusCode::NOT_MODIFIED
    } else {
        StatusCode::OK
    };
    let body = if is_known {
        String::new()
    } else {
        text.clone()
    };
    let tag = HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("W/\"\""));
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::ETAG, tag),
    ];
    (status, headers, body).into_response()
}

#[derive(Serialize)]
struct Document<'a> {
    stores: BTreeMap<&'a str, Described<'a>>,
}

#[derive(Serialize)]
struct Described<'a> {
    kind: &'static str,
    direct: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    local: Option<&'a Path>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    options: BTreeMap<&'a str, &'a str>,
}

pub(crate) async fn stores(client: Client, request: Request) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let is_local = is_local(request.headers(), peer.map(|ConnectInfo(peer)| *peer));
    // A file doesn't know roles.
    let may_read_files = client.principal.lake.role().is_none();
    let stores = &client.principal.lake.stores().by_name;
    let stores = stores
        .iter()
        .map(|(name, store)| {
            let described = match may_read_files {
                true => describe(store, is_local),
                false => through_server(kind(store)),
            };
            (name.as_str(), described)
        })
        .collect();
    Json(Document { stores }).into_response()
}

fn describe(store: &Store, is_local: bool) -> Described<'_> {
    match store {
        Store::Objects(settings) => objects(settings, is_local),
        store => through_server(kind(store)),
    }
}

fn kind(store: &Store) -> &'static str {
    match store {
        Store::Objects(_) => "objects",
        Store::Postgres(_) => "postgres",
        Store::Sheets(_) => "sheets",
        Store::Copies { .. } => "copies",
    }
}

fn through_server(kind: &'static str) -> Described<'static> {
    Described {
        kind,
        direct: false,
        local: None,
        options: BTreeMap::new(),
    }
}

fn objects(settings: &ObjectStoreSettings, is_local: bool) -> Described<'_> {
    let options = settings.options.iter();
    Described {
        kind: "objects",
        direct: match &settings.local {
            // A folder of this machine is of no use to others.
            Some(_) => is_local,
            None => settings.secrets.is_empty(),
        },
        local: settings.local.as_deref().filter(|_| is_local),
        options: options
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| PUBLIC_OPTIONS.contains(&name.to_ascii_lowercase().as_str()))
            .collect(),
    }
}
