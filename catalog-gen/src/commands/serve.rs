//! `catalog-gen serve`: the preview.
//!
//! A state of the catalog lives on the stack of [`generation`] and is rendered by a few threads
//! until a file changes; then the next one takes over. Requests meanwhile wait in the listener's
//! queue, so nobody sees half of an edit. Pages are rendered when they are asked for.
//!
//! Those threads never talk to the network, where somebody may be slow: each answer, and each
//! browser that listens for changes, has a thread of its own that outlives the state.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
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
use super::watch::{Changed, Watch};
use super::{Failure, Outcome, Talk, load, print, read_options};
use crate::cli::{MessageFormat, Serve};

/// Address of the event stream; see `site/assets/live.js`.
const EVENTS: &str = "live-events";
const LIVE_JS: &str = include_str!("../../../site/assets/live.js");
/// Threads that render.
const THREADS: usize = 2;
/// A silent connection would be cut by proxies, and its end would go unnoticed.
const HEARTBEAT: Duration = Duration::from_secs(15);

pub(crate) fn run(arguments: &Serve, talk: &Talk) -> Result<Outcome, Failure> {
    let mut preview = Preview {
        reader: Reader::open(read_options(&arguments.source))?,
        arguments,
        old: arguments.since.as_deref().map(load).transpose()?,
        cargo: None,
    };
    let server = Server::http((&*arguments.bind, arguments.port)).map_err(|error| {
        Failure::Listen {
            address: format!("{}:{}", arguments.bind, arguments.port),
            error: error.to_string(),
        }
    })?;
    let browsers = Arc::new(Browsers::default());
    let mut watch = Watch::new(arguments.poll, matters)?;
    let mut reading = preview.read(&mut watch)?;
    let root = preview.reader.workspace().root.clone();
    talk.findings(&reading.findings, &root, MessageFormat::Human, Severity::Warning)?;
    talk.say(&format!(
        "{} in {}, reloading as you save; Ctrl-C ends it",
        count(reading.catalog.tables().count(), "table"),
        count(reading.catalog.databases.len(), "database"),
    ));
    print(&format!("http://{}/", server.server_addr()))?;
    loop {
        let changed = preview.generation(&server, &browsers, &reading, talk, &mut watch);
        if concerns_cargo(&changed, &reading) {
            preview.reopen(talk);
        }
        reading = preview.read(&mut watch)?;
        if !reading.is_good() {
            talk.findings(&reading.findings, &root, MessageFormat::Human, Severity::Error)?;
        }
    }
}

struct Preview<'a> {
    reader: Reader,
    arguments: &'a Serve,
    old: Option<Catalog>,
    /// Why cargo can't read the manifests at the moment.
    cargo: Option<String>,
}

impl Preview<'_> {
    /// Reads everything, and watches it from then on.
    fn read(&mut self, watch: &mut Watch) -> Result<Reading, Failure> {
        loop {
            let reading = self.reader.read(true);
            // What changed between the reading and the watching would go unnoticed.
            if !watch.folders(self.folders(&reading))? {
                return Ok(reading);
            }
        }
    }

    /// Reads the manifests again. One that doesn't parse at the moment leaves the last good state
    /// in force.
    fn reopen(&mut self, talk: &Talk) {
        self.cargo = None;
        if let Err(error) = self.reader.reopen() {
            let failure = Failure::from(error);
            talk.failure(&failure);
            self.cargo = Some(chain(&failure));
        }
    }

    /// Folders whose files decide what is shown.
    fn folders(&self, reading: &Reading) -> BTreeSet<PathBuf> {
        let workspace = self.reader.workspace();
        let parent = |path: &PathBuf| path.parent().map(Path::to_owned);
        let mut folders: BTreeSet<PathBuf> = reading.files.iter().filter_map(parent).collect();
        folders.extend(workspace.manifests.iter().filter_map(parent));
        // Where a module is declared before its file is written, no file leads to its folder yet.
        for package in &workspace.packages {
            let entries = walkdir::WalkDir::new(package.folder.join("src")).into_iter().flatten();
            let inner = entries.filter(|entry| entry.file_type().is_dir());
            folders.extend(inner.map(walkdir::DirEntry::into_path));
        }
        let look = look(&self.arguments.look, workspace);
        folders.extend([look.templates, look.snippets].into_iter().flatten());
        folders
    }

    /// Serves one state of the catalog until something changes.
    fn generation(
        &self,
        server: &Server,
        browsers: &Arc<Browsers>,
        reading: &Reading,
        talk: &Talk,
        watch: &mut Watch,
    ) -> Changed {
        let look = look(&self.arguments.look, self.reader.workspace());
        let changes = self.old.as_ref().map(|old| CatalogDiff::new(old, &reading.catalog));
        let options = SiteOptions {
            templates: look.templates,
            live: true,
            changes,
            ..SiteOptions::default()
        };
        let mut problems = self.problems(reading);
        let snippets = Snippets::load(look.snippets.as_deref()).map_err(Failure::from);
        let site = snippets.as_ref().ok().map(|snippets| {
            Site::new(&reading.catalog, options, snippets).map_err(Failure::from)
        });
        let failure = match (&snippets, &site) {
            (Err(failure), _) | (_, Some(Err(failure))) => Some(failure),
            _ => None,
        };
        if let Some(failure) = failure {
            talk.failure(failure);
            problems.push(chain(failure));
        }
        let site = site.as_ref().and_then(|site| site.as_ref().ok());
        browsers.update(&problems);
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    while !is_over.load(Ordering::Acquire) {
                        match server.recv_timeout(Duration::from_secs(1)) {
                            Ok(Some(request)) => answer(request, site, browsers),
                            Ok(None) => {}
                            // The listener has ended itself: nobody could connect any more.
                            Err(error) => {
                                talk.failure(&Failure::Accept(error));
                                std::process::exit(2);
                            }
                        }
                    }
                });
            }
            let changed = watch.wait();
            is_over.store(true, Ordering::Release);
            for _ in 0..THREADS {
                server.unblock();
            }
            changed
        })
    }

    fn problems(&self, reading: &Reading) -> Vec<String> {
        let mut reporter = Reporter::new(&self.reader.workspace().root, false);
        let findings = reading.findings.iter();
        let errors = findings.filter(|finding| finding.severity == Severity::Error);
        let mut problems: Vec<String> = self.cargo.iter().cloned().collect();
        problems.extend(errors.map(|finding| reporter.human(finding)));
        problems
    }
}

fn matters(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("rs" | "toml" | "html" | "j2")) || path.is_dir()
}

/// Whether what cargo says may be different now: manifests, and source files that came or went and
/// may be targets. Asking cargo takes longer than everything else.
fn concerns_cargo(changed: &Changed, reading: &Reading) -> bool {
    let Changed::Paths(paths) = changed else {
        return true;
    };
    paths.iter().any(|path| match path.extension().and_then(|e| e.to_str()) {
        Some("toml") => true,
        Some("rs") => path.exists() != reading.files.binary_search(path).is_ok(),
        _ => path.is_dir(),
    })
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

fn answer(request: Request, site: Option<&Site<'_>>, browsers: &Arc<Browsers>) {
    const HTML: &str = "text/html; charset=utf-8";
    if !matches!(request.method(), Method::Get | Method::Head) {
        respond(request, 405, "text/plain; charset=utf-8", b"only GET\n".to_vec());
        return;
    }
    let path = request.url().split(['?', '#']).next().unwrap_or_default();
    let mut path = decode(path.trim_start_matches('/'));
    if path == EVENTS && *request.method() == Method::Get {
        browsers.join(request);
        return;
    }
    if path == LIVE_SCRIPT {
        respond(request, 200, content_type(&path), LIVE_JS.as_bytes().to_vec());
        return;
    }
    let Some(site) = site else {
        respond(request, 503, HTML, apology("The site can't be made at the moment."));
        return;
    };
    if path.is_empty() || path.ends_with('/') {
        path.push_str("index.html");
    }
    match site.render(&path) {
        Ok(Some(bytes)) => respond(request, 200, content_type(&path), bytes),
        Ok(None) => match site.render("404.html") {
            Ok(Some(bytes)) => respond(request, 404, HTML, bytes),
            _ => respond(request, 404, HTML, apology("not found")),
        },
        Err(error) => respond(request, 500, HTML, apology(&chain(&Failure::from(error)))),
    }
}

/// A page for want of the right one, which reloads when that is there again.
fn apology(text: &str) -> Vec<u8> {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>No page</title><pre>{text}</pre><script src=\"/{LIVE_SCRIPT}\"></script>\n"
    )
    .into_bytes()
}

fn respond(request: Request, status: u16, content_type: &str, bytes: Vec<u8>) {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    let hash = format!("{:016x}", hasher.finish());
    let etag = format!("\"{hash}\"");
    let is_same = request.headers().iter().any(|header| {
        let known = header.value.as_str().split(',');
        header.field.equiv("if-none-match") && known.into_iter().any(|known| known.trim() == etag)
    });
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
    // A browser that went away is nothing to do anything about.
    aside(move || drop(request.respond(response)));
}

/// Does what may wait for somebody else. Without a thread for it the connection is cut.
fn aside(work: impl FnOnce() + Send + 'static) {
    let _ = std::thread::Builder::new().spawn(work);
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
        let digits = tail.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'%' => {
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

/// Tells browsers that listen what happens.
#[derive(Default)]
struct Browsers {
    news: Mutex<News>,
    changed: Condvar,
}

/// The newest event: a browser that joins late must not miss it, and a slow one needs no other.
#[derive(Default)]
struct News {
    number: u64,
    event: String,
}

impl Browsers {
    /// Tells everybody that pages may have changed, and what is wrong at the moment.
    fn update(&self, problems: &[String]) {
        let json = serde_json::json!({ "problems": problems });
        let mut news = self.lock();
        news.number += 1;
        news.event = format!("event: update\ndata: {json}\n\n");
        self.changed.notify_all();
    }

    fn join(self: &Arc<Self>, request: Request) {
        let browsers = self.clone();
        // It ends with the connection.
        aside(move || drop(browsers.tell(request.into_writer())));
    }

    fn tell(&self, mut stream: Box<dyn Write + Send>) -> io::Result<()> {
        stream.write_all(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\nconnection: close\r\n\r\nretry: 300\n\n",
        )?;
        let mut told = 0;
        loop {
            let (news, _) = self
                .changed
                .wait_timeout_while(self.lock(), HEARTBEAT, |news| news.number == told)
                .unwrap_or_else(PoisonError::into_inner);
            let text = if news.number == told {
                ": still here\n\n".to_owned()
            } else {
                told = news.number;
                news.event.clone()
            };
            drop(news);
            stream.write_all(text.as_bytes())?;
            stream.flush()?;
        }
    }

    fn lock(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
