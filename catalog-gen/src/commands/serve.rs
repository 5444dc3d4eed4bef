//! `catalog-gen serve`: the preview.
//!
//! A state of the catalog lives on the stack of [`Preview::generation`] and is rendered by a few
//! threads until a file changes; then the next one takes over. Pages are rendered when they are
//! asked for. Requests wait in a queue meanwhile, so nobody sees half of an edit.
//!
//! Those threads never talk to the network, where somebody may be slow: connections have threads of
//! their own, which outlive the state.

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use catalog_gen::diff::CatalogDiff;
use catalog_gen::reader::{Reader, Reading};
use catalog_gen::report::Reporter;
use catalog_gen::site::{LIVE_SCRIPT, Site, SiteOptions};
use catalog_gen::snippets::Snippets;
use neurolake_declare::diagnostic::Severity;
use neurolake_model::Catalog;

use super::build::look;
use super::check::count;
use super::http::{self, Answer, Request};
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
    let listener = TcpListener::bind((&*arguments.bind, arguments.port));
    let refused = |error| Failure::Listen {
        address: format!("{}:{}", arguments.bind, arguments.port),
        error,
    };
    let listener = listener.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let (pages, browsers) = (Arc::new(Pages::default()), Arc::new(Browsers::default()));
    let mut watch = Watch::new(arguments.poll, matters)?;
    let mut reading = preview.read(&mut watch)?;
    let root = preview.reader.workspace().root.clone();
    talk.findings(
        &reading.findings,
        &root,
        MessageFormat::Human,
        Severity::Warning,
    )?;
    talk.say(&format!(
        "{} in {}, reloading as you save; Ctrl-C ends it",
        count(reading.catalog.tables().count(), "table"),
        count(reading.catalog.databases.len(), "database"),
    ));
    let (asked, listening) = (pages.clone(), browsers.clone());
    std::thread::spawn(move || {
        http::listen(&listener, move |request, stream| {
            if request.path == EVENTS && request.method == "GET" {
                // It ends with the connection.
                let _ = listening.tell(stream);
                return None;
            }
            asked.ask(request)
        });
    });
    print(&format!("http://{address}/"))?;
    loop {
        let changed = preview.generation(&pages, &browsers, &reading, talk, &mut watch);
        if concerns_cargo(&changed, &reading) {
            preview.reopen(talk);
        }
        let old = std::mem::replace(&mut reading, preview.read(&mut watch)?);
        // Freeing a large catalog takes long, and somebody waits for the new one.
        std::thread::spawn(move || drop(old));
        if !reading.is_good() {
            talk.findings(
                &reading.findings,
                &root,
                MessageFormat::Human,
                Severity::Error,
            )?;
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
            let entries = walkdir::WalkDir::new(package.folder.join("src"))
                .into_iter()
                .flatten();
            let inner = entries.filter(|entry| entry.file_type().is_dir());
            folders.extend(inner.map(walkdir::DirEntry::into_path));
        }
        let look = look(&self.arguments.look, workspace);
        folders.extend(look.folders().cloned());
        folders
    }

    /// Serves one state of the catalog until something changes.
    fn generation(
        &self,
        pages: &Pages,
        browsers: &Browsers,
        reading: &Reading,
        talk: &Talk,
        watch: &mut Watch,
    ) -> Changed {
        let look = look(&self.arguments.look, self.reader.workspace());
        let changes = self
            .old
            .as_ref()
            .map(|old| CatalogDiff::new(old, &reading.catalog));
        let options = SiteOptions {
            templates: look.templates,
            grafana: self.reader.workspace().settings.grafana.clone(),
            grafana_templates: look.grafana_templates,
            live: true,
            changes,
            ..SiteOptions::default()
        };
        let mut problems = self.problems(reading);
        let snippets = Snippets::load(look.snippets.as_deref()).map_err(Failure::from);
        let site = snippets
            .as_ref()
            .ok()
            .map(|snippets| Site::new(&reading.catalog, options, snippets).map_err(Failure::from));
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
        pages.open();
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    while let Some((path, answer)) = pages.next() {
                        // A browser may go away before its answer.
                        let _ = answer.send(render(site, &path));
                    }
                });
            }
            let changed = watch.wait();
            pages.close();
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
    paths
        .iter()
        .any(|path| match path.extension().and_then(|e| e.to_str()) {
            Some("toml") => true,
            Some("rs") => path.exists() != reading.files.binary_search(path).is_ok(),
            _ => path.is_dir(),
        })
}

fn chain(failure: &Failure) -> String {
    format!("error: {}", failure.with_causes())
}

/// Requests on their way from connections to the threads that render.
#[derive(Default)]
struct Pages {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(String, Sender<Answer>)>,
    is_open: bool,
}

impl Pages {
    fn ask(&self, request: &Request) -> Option<Answer> {
        if !matches!(request.method.as_str(), "GET" | "HEAD") {
            return Some(Answer::new(
                405,
                "text/plain; charset=utf-8",
                b"only GET\n".to_vec(),
            ));
        }
        let (sender, answer) = mpsc::channel();
        self.lock()
            .waiting
            .push_back((request.path.clone(), sender));
        self.changed.notify_one();
        answer.recv().ok()
    }

    /// The next request, or `None` when the state is over.
    fn next(&self) -> Option<(String, Sender<Answer>)> {
        let mut queue = self
            .changed
            .wait_while(self.lock(), |queue| {
                queue.is_open && queue.waiting.is_empty()
            })
            .unwrap_or_else(PoisonError::into_inner);
        if queue.is_open {
            queue.waiting.pop_front()
        } else {
            None
        }
    }

    fn open(&self) {
        self.lock().is_open = true;
    }

    fn close(&self) {
        self.lock().is_open = false;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn render(site: Option<&Site<'_>>, path: &str) -> Answer {
    const HTML: &str = "text/html; charset=utf-8";
    if path == LIVE_SCRIPT {
        return Answer::new(200, content_type(path), LIVE_JS.as_bytes().to_vec());
    }
    let Some(site) = site else {
        return page(503, apology("The site can't be made at the moment."));
    };
    let path = if path.is_empty() || path.ends_with('/') {
        format!("{path}index.html")
    } else {
        path.to_owned()
    };
    match site.render(&path) {
        Ok(Some(bytes)) if content_type(&path) == HTML => page(200, bytes),
        Ok(Some(bytes)) => Answer::new(200, content_type(&path), bytes),
        Ok(None) => match site.render("404.html") {
            Ok(Some(bytes)) => page(404, bytes),
            _ => page(404, apology("not found")),
        },
        Err(error) => page(500, apology(&chain(&Failure::from(error)))),
    }
}

/// Tells the live script which state of the page it was loaded with.
fn page(status: u16, bytes: Vec<u8>) -> Answer {
    let mut answer = Answer::new(status, "text/html; charset=utf-8", bytes);
    let text = String::from_utf8_lossy(&answer.bytes);
    let script = format!("{LIVE_SCRIPT}?page={}", answer.etag);
    answer.bytes = text.replacen(LIVE_SCRIPT, &script, 1).into_bytes();
    answer
}

/// A page for want of the right one, which reloads when that is there again.
fn apology(text: &str) -> Vec<u8> {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>No page</title><pre>{text}</pre><script src=\"/{LIVE_SCRIPT}\"></script>\n"
    )
    .into_bytes()
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

    /// Tells one browser, until it goes away.
    fn tell(&self, stream: &mut impl Write) -> io::Result<()> {
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
