//! `catalog-gen serve`: the preview.
//!
//! A state of the catalog lives on the stack of [`generation`] and is served by a few threads until
//! a file changes; then the next one takes over. Requests meanwhile wait in the listener's queue,
//! so nobody sees half of an edit. Pages are rendered when they are asked for.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use catalog_gen::diff::CatalogDiff;
use catalog_gen::reader::{Reader, Reading};
use catalog_gen::report::Reporter;
use catalog_gen::site::{LIVE_SCRIPT, Site, SiteOptions};
use catalog_gen::snippets::Snippets;
use neurolake_declare::diagnostic::Severity;
use neurolake_model::Catalog;
use tiny_http::{Header, Method, Request, Response, Server, StatusCode};

use super::build::look;
use super::check::count;
use super::watch::Watch;
use super::{Failure, Outcome, Talk, load, print, read_options};
use crate::cli::{MessageFormat, Serve};

/// Address of the event stream; see `site/assets/live.js`.
const EVENTS: &str = "live-events";
const LIVE_JS: &str = include_str!("../../../site/assets/live.js");
/// Threads that answer requests: rendering is the only work, and it takes microseconds.
const THREADS: usize = 2;
/// A silent connection would be cut by proxies, and its end would go unnoticed.
const HEARTBEAT: Duration = Duration::from_secs(15);

pub(crate) fn run(arguments: &Serve, talk: &Talk) -> Result<Outcome, Failure> {
    let mut reader = Reader::open(read_options(&arguments.source))?;
    let old = match &arguments.since {
        Some(old) => Some(load(old)?),
        None => None,
    };
    let address = format!("{}:{}", arguments.bind, arguments.port);
    let server = Server::http(&address).map_err(|error| Failure::Listen {
        address: address.clone(),
        error: error.to_string(),
    })?;
    let browsers = Arc::new(Browsers::default());
    let heartbeat = browsers.clone();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(HEARTBEAT);
            heartbeat.send(": still here\n\n");
        }
    });
    let mut watch = Watch::new(arguments.poll)?;
    let mut reading = reader.read(true);
    let root = reader.workspace().root.clone();
    talk.findings(&reading.findings, &root, MessageFormat::Human, Severity::Warning)?;
    talk.say(&format!(
        "{} in {}, reloading as you save; Ctrl-C ends it",
        count(reading.catalog.tables().count(), "table"),
        count(reading.catalog.databases.len(), "database"),
    ));
    print(&format!("http://{}/", server.server_addr()))?;
    loop {
        watch.folders(folders(&reader, &reading, arguments))?;
        generation(&server, &browsers, &reader, &reading, arguments, old.as_ref(), talk, &watch);
        // A manifest that doesn't parse at the moment leaves the last good one in force.
        if let Err(error) = reader.reopen() {
            talk.say(&format!("error: {error}"));
        }
        reading = reader.read(true);
        if !reading.is_good() {
            talk.findings(&reading.findings, &root, MessageFormat::Human, Severity::Error)?;
        }
    }
}

/// Serves one state of the catalog until something changes.
#[expect(clippy::too_many_arguments, reason = "everything that one state is made of")]
fn generation(
    server: &Server,
    browsers: &Browsers,
    reader: &Reader,
    reading: &Reading,
    arguments: &Serve,
    old: Option<&Catalog>,
    talk: &Talk,
    watch: &Watch,
) {
    let look = look(&arguments.look, reader.workspace());
    let options = SiteOptions {
        templates: look.templates,
        live: true,
        changes: old.map(|old| CatalogDiff::new(old, &reading.catalog)),
        ..SiteOptions::default()
    };
    let mut problems = problems(reader, reading);
    let snippets = Snippets::load(look.snippets.as_deref()).map_err(Failure::from);
    let site = match &snippets {
        Ok(snippets) => Site::new(&reading.catalog, options, snippets).map_err(Failure::from),
        Err(_) => Err(Failure::Closed),
    };
    for failure in [snippets.as_ref().err(), site.as_ref().err()].into_iter().flatten() {
        if !matches!(failure, Failure::Closed) {
            talk.failure(failure);
            problems.push(chain(failure));
        }
    }
    browsers.update(&problems);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while !is_over.load(Ordering::Acquire) {
                    if let Ok(Some(request)) = server.recv_timeout(Duration::from_secs(1)) {
                        answer(request, site.as_ref().ok(), browsers);
                    }
                }
            });
        }
        watch.wait(matters);
        is_over.store(true, Ordering::Release);
        for _ in 0..THREADS {
            server.unblock();
        }
    });
}

/// Folders whose files decide what is shown.
fn folders(reader: &Reader, reading: &Reading, arguments: &Serve) -> BTreeSet<PathBuf> {
    let workspace = reader.workspace();
    let parent = |path: &PathBuf| path.parent().map(Path::to_owned);
    let mut folders: BTreeSet<PathBuf> = reading.files.iter().filter_map(parent).collect();
    folders.extend(workspace.manifests.iter().filter_map(parent));
    folders.extend(workspace.packages.iter().map(|package| package.folder.join("src")));
    let look = look(&arguments.look, workspace);
    folders.extend([look.templates, look.snippets].into_iter().flatten());
    folders
}

fn matters(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("rs" | "toml" | "html" | "j2" | "css" | "js" | "md"))
}

fn problems(reader: &Reader, reading: &Reading) -> Vec<String> {
    let mut reporter = Reporter::new(&reader.workspace().root, false);
    reading
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| reporter.human(finding))
        .collect()
}

fn chain(failure: &Failure) -> String {
    let mut text = format!("error: {failure}");
    let mut source = std::error::Error::source(failure);
    while let Some(cause) = source {
        text.push_str("\n  caused by: ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn answer(request: Request, site: Option<&Site<'_>>, browsers: &Browsers) {
    if !matches!(request.method(), Method::Get | Method::Head) {
        respond(request, 405, "text/plain; charset=utf-8", b"only GET\n".to_vec());
        return;
    }
    let url = request.url().to_owned();
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let mut path = decode(path.trim_start_matches('/'));
    if path == EVENTS {
        browsers.join(request);
        return;
    }
    if path == LIVE_SCRIPT {
        respond(request, 200, content_type(&path), LIVE_JS.as_bytes().to_vec());
        return;
    }
    let Some(site) = site else {
        let page = format!(
            "<!doctype html><html lang=en><meta charset=utf-8><title>No site</title><p>The site can't be made at the moment.<script src=\"/{LIVE_SCRIPT}\"></script>"
        );
        respond(request, 503, "text/html; charset=utf-8", page.into_bytes());
        return;
    };
    if path.is_empty() || path.ends_with('/') {
        path.push_str("index.html");
    }
    match site.render(&path) {
        Ok(Some(bytes)) => respond(request, 200, content_type(&path), bytes),
        Ok(None) => match site.render("404.html") {
            Ok(Some(bytes)) => respond(request, 404, "text/html; charset=utf-8", bytes),
            _ => respond(request, 404, "text/plain; charset=utf-8", b"not found\n".to_vec()),
        },
        Err(error) => {
            let text = format!("{}\n", chain(&Failure::from(error)));
            respond(request, 500, "text/plain; charset=utf-8", text.into_bytes());
        }
    }
}

fn respond(request: Request, status: u16, content_type: &str, bytes: Vec<u8>) {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    let hash = format!("{:016x}", hasher.finish());
    let etag = format!("\"{hash}\"");
    let is_same = request
        .headers()
        .iter()
        .any(|header| header.field.equiv("if-none-match") && header.value.as_str() == etag);
    let (status, bytes) = if is_same && status == 200 {
        (304, Vec::new())
    } else {
        (status, with_hash(bytes, content_type, &hash))
    };
    let mut response = Response::from_data(bytes).with_status_code(StatusCode(status));
    for (name, value) in [
        ("content-type", content_type),
        ("cache-control", "no-cache"),
        ("etag", &etag),
    ] {
        if let Ok(header) = Header::from_bytes(name, value) {
            response.add_header(header);
        }
    }
    // The browser went away: nothing to do about it.
    let _ = request.respond(response);
}

/// Tells the live script which state of the page it was loaded with.
fn with_hash(bytes: Vec<u8>, content_type: &str, hash: &str) -> Vec<u8> {
    if !content_type.starts_with("text/html") {
        return bytes;
    }
    let text = String::from_utf8_lossy(&bytes);
    let script = format!("{LIVE_SCRIPT}?page={hash}");
    text.replacen(LIVE_SCRIPT, &script, 1).into_bytes()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("md") => "text/markdown; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}

/// Percent-decodes a path.
fn decode(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.map(|digits| u8::from_str_radix(digits, 16)) {
            Some(Ok(byte)) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Browsers that listen for changes.
#[derive(Default)]
struct Browsers {
    inner: Mutex<Listeners>,
}

#[derive(Default)]
struct Listeners {
    streams: Vec<Box<dyn Write + Send>>,
    /// The newest event: a browser that joins late must not miss it.
    event: String,
}

impl Browsers {
    /// Tells everybody that pages may have changed, and what is wrong at the moment.
    fn update(&self, problems: &[String]) {
        let json = serde_json::json!({ "problems": problems });
        let event = format!("event: update\ndata: {json}\n\n");
        self.lock().event.clone_from(&event);
        self.send(&event);
    }

    fn send(&self, text: &str) {
        self.lock()
            .streams
            .retain_mut(|stream| stream.write_all(text.as_bytes()).and_then(|()| stream.flush()).is_ok());
    }

    fn join(&self, request: Request) {
        let mut stream = request.into_writer();
        let mut listeners = self.lock();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\nconnection: close\r\n\r\nretry: 300\n\n";
        let hello = format!("{head}{}", listeners.event);
        if stream.write_all(hello.as_bytes()).and_then(|()| stream.flush()).is_ok() {
            listeners.streams.push(stream);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Listeners> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

