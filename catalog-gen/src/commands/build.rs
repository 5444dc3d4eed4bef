//! `catalog-gen build`

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use catalog_gen::diff::CatalogDiff;
use catalog_gen::output;
use catalog_gen::reader::workspace::{self, Workspace};
use catalog_gen::reader::{Reader, Reading};
use catalog_gen::site::{Site, SiteOptions};
use catalog_gen::snippets::Snippets;
use neurolake_declare::diagnostic::Severity;
use rayon::prelude::*;

use super::check::count;
use super::state::State;
use super::{Failure, Outcome, Talk, load, read_options};
use crate::cli::{Build, Look};

pub(crate) fn run(arguments: &Build, talk: &Talk) -> Result<Outcome, Failure> {
    let started = SystemTime::now();
    let clock = Instant::now();
    let commit = commit(arguments);
    let manifest = workspace::find_manifest(&read_options(&arguments.source))?;
    let key = key(arguments, commit.as_deref(), &manifest);
    let state_file = state_file(&manifest, &key);
    if let Some(summary) = State::unchanged(&state_file, &key) {
        talk.say(&format!("{summary}: nothing changed"));
        return Ok(Outcome::Done);
    }
    let mut timings = Timings::new(arguments.timings);
    let mut reader = Reader::open(read_options(&arguments.source))?;
    timings.phase("cargo");
    let reading = reader.read(false);
    reader.forget();
    timings.phase("read");
    let workspace = reader.workspace();
    let out = match (&arguments.out, &workspace.settings.out) {
        (Some(out), _) => out.clone(),
        (None, Some(out)) => workspace.root.join(out),
        (None, None) => workspace.target.join("catalog"),
    };
    talk.findings(
        &reading.findings,
        &workspace.root,
        arguments.message_format,
        Severity::Warning,
    )?;
    if !reading.is_good() && !arguments.keep_going {
        talk.say("no site was written; `--keep-going` makes one of the tables that are in order");
        return Ok(Outcome::NotInOrder);
    }
    output::check(&out)?;
    let look = look(&arguments.look, workspace);
    let snippets = Snippets::load(look.snippets.as_deref())?;
    let changes = match &arguments.since {
        Some(old) => Some(CatalogDiff::new(&load(old)?, &reading.catalog)),
        None => None,
    };
    let options = SiteOptions {
        templates: look.templates.clone(),
        grafana: workspace.settings.grafana.clone(),
        grafana_templates: look.grafana_templates.clone(),
        commit,
        source_url: arguments.source_url.clone(),
        base_path: arguments.base_path.clone(),
        live: false,
        changes,
    };
    let site = Site::new(&reading.catalog, options, &snippets)?;
    timings.phase("site");
    let paths = site.paths();
    if look.folders().next().is_some() {
        // Templates of others may fail on any page: better before the first is written.
        paths
            .par_iter()
            .try_for_each(|path| site.render(path).map(drop))?;
        timings.phase("try templates");
    }
    let progress = Progress::new(talk, paths.len());
    let written = output::write(
        &out,
        &paths,
        |path| -> Result<Vec<u8>, Failure> {
            let clock = Instant::now();
            let bytes = site.render(path)?.unwrap_or_default();
            timings.rendered(path, clock.elapsed());
            Ok(bytes)
        },
        |done| progress.show(done),
    );
    progress.end();
    let written = written?;
    timings.phase("write");
    let committed = workspace.settings.catalog_json.as_ref();
    let committed = committed.map(|file| workspace.root.join(file));
    if let Some(file) = &committed
        && reading.is_good()
    {
        output::write_if_changed(file, reading.catalog.to_json().as_bytes())?;
    }
    let summary = format!(
        "{} in {} -> {}",
        count(reading.catalog.tables().count(), "table"),
        count(reading.catalog.databases.len(), "database"),
        shown(&out),
    );
    talk.say(&format!(
        "{summary}: {} written, {} unchanged, {} removed in {:.2} s",
        count(written.written, "file"),
        written.unchanged,
        written.removed,
        clock.elapsed().as_secs_f64(),
    ));
    if reading
        .findings
        .iter()
        .all(|finding| finding.severity == Severity::Note)
    {
        let outputs = paths.iter().map(|path| out.join(path)).chain(committed);
        let inputs = inputs(arguments, workspace, &reading, &look);
        let homes: BTreeSet<PathBuf> = workspace
            .manifests
            .iter()
            .filter_map(|manifest| manifest.ancestors().nth(2))
            .filter(|home| home.starts_with(&workspace.root))
            .map(Path::to_owned)
            .collect();
        if let Some(state) = State::take(key, summary, started, inputs, outputs, homes) {
            state.save(&state_file);
        }
    }
    timings.phase("state");
    timings.show(talk);
    Ok(if reading.is_good() {
        Outcome::Done
    } else {
        Outcome::NotInOrder
    })
}

/// Arguments win over settings.
pub(crate) fn look(arguments: &Look, workspace: &Workspace) -> Look {
    let setting = |setting: &Option<String>| setting.as_ref().map(|dir| workspace.root.join(dir));
    Look {
        templates: arguments
            .templates
            .clone()
            .or_else(|| setting(&workspace.settings.templates)),
        snippets: arguments
            .snippets
            .clone()
            .or_else(|| setting(&workspace.settings.snippets)),
        grafana_templates: arguments
            .grafana_templates
            .clone()
            .or_else(|| setting(&workspace.settings.grafana_templates)),
    }
}

fn commit(arguments: &Build) -> Option<String> {
    arguments.commit.clone().or_else(|| {
        ["GITHUB_SHA", "CI_COMMIT_SHA"]
            .iter()
            .find_map(|name| std::env::var(name).ok())
            .filter(|commit| !commit.is_empty())
    })
}

/// Everything but files that decides what a build makes.
fn key(arguments: &Build, commit: Option<&str>, manifest: &Path) -> String {
    let program = std::env::current_exe()
        .and_then(std::fs::metadata)
        .map(|metadata| (metadata.len(), metadata.modified().ok()));
    format!(
        "{} {program:?} {arguments:?} {commit:?} {} {:?}",
        env!("CARGO_PKG_VERSION"),
        manifest.display(),
        std::env::current_dir().ok(),
    )
}

/// Found without running cargo, which takes longer than looking at every file.
fn state_file(manifest: &Path, key: &str) -> PathBuf {
    let target = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => PathBuf::from(target),
        None => manifest.with_file_name("target"),
    };
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    target.join(format!("catalog-gen/{:016x}.json", hasher.finish()))
}

fn inputs(
    arguments: &Build,
    workspace: &Workspace,
    reading: &Reading,
    look: &Look,
) -> BTreeSet<PathBuf> {
    let mut inputs: BTreeSet<PathBuf> = reading.files.iter().cloned().collect();
    // A folder's time changes with the files that come and go in it.
    let folders: Vec<PathBuf> = reading
        .files
        .iter()
        .filter_map(|file| file.parent().map(Path::to_owned))
        .collect();
    inputs.extend(folders);
    inputs.extend(workspace.manifests.iter().cloned());
    inputs.extend(arguments.since.clone());
    for folder in look.folders() {
        let files = walkdir::WalkDir::new(folder).into_iter().flatten();
        inputs.extend(files.map(walkdir::DirEntry::into_path));
    }
    inputs
}

/// How long phases took, for the benchmark: wall and processor time of all threads.
struct Timings {
    is_on: bool,
    last: (Instant, Duration),
    lines: Vec<String>,
    /// Within the writing, summed over threads.
    pages: AtomicU64,
    index: AtomicU64,
}

impl Timings {
    fn new(is_on: bool) -> Self {
        Self {
            is_on,
            last: (Instant::now(), processor_time()),
            lines: Vec::new(),
            pages: AtomicU64::new(0),
            index: AtomicU64::new(0),
        }
    }

    fn phase(&mut self, name: &str) {
        if !self.is_on {
            return;
        }
        let now = (Instant::now(), processor_time());
        self.lines.push(format!(
            "timing: {name}: {:.0} ms wall, {:.0} ms of processor time",
            (now.0 - self.last.0).as_secs_f64() * 1e3,
            now.1.saturating_sub(self.last.1).as_secs_f64() * 1e3,
        ));
        self.last = now;
    }

    fn rendered(&self, path: &str, took: Duration) {
        let sum = if path.starts_with("assets/search-") {
            &self.index
        } else {
            &self.pages
        };
        sum.fetch_add(took.as_micros() as u64, Ordering::Relaxed);
    }

    fn show(&self, talk: &Talk) {
        for line in &self.lines {
            talk.say(line);
        }
        if self.is_on {
            for (name, sum) in [("pages", &self.pages), ("index", &self.index)] {
                let ms = sum.load(Ordering::Relaxed) / 1000;
                talk.say(&format!(
                    "timing: of writing, {name}: {ms} ms over all threads"
                ));
            }
        }
    }
}

/// Of all threads so far; zero where the system doesn't tell.
fn processor_time() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    let nanoseconds = threads.filter_map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// The path as a person would write it from here.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here)
        .unwrap_or(path)
        .display()
        .to_string()
}

/// Progress of writing, shown once it takes long enough for somebody to wonder.
struct Progress<'a> {
    talk: &'a Talk,
    total: usize,
    last: Mutex<(Instant, bool)>,
}

impl<'a> Progress<'a> {
    fn new(talk: &'a Talk, total: usize) -> Self {
        Self {
            talk,
            total,
            last: Mutex::new((Instant::now(), false)),
        }
    }

    fn show(&self, done: usize) {
        // Whoever finds the lock taken has nothing newer to say.
        if let Ok(mut last) = self.last.try_lock()
            && last.0.elapsed() > Duration::from_millis(200)
        {
            *last = (Instant::now(), true);
            self.talk
                .progress(&format!("writing {done} of {} files", self.total));
        }
    }

    fn end(&self) {
        if self.last.lock().is_ok_and(|last| last.1) {
            self.talk.progress("");
        }
    }
}
