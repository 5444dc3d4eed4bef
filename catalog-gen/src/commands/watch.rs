//! Waits for files to change.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, SystemTime};

use notify::event::{EventKind, ModifyKind};
use notify::{Config, Event, RecommendedWatcher, RecursiveMode, Watcher};

use super::Failure;

/// Editors write a file in several steps; what comes within this time belongs together.
const SETTLE: Duration = Duration::from_millis(15);
/// An event storm (a checkout, a formatter) is cut into pieces of at most this length.
const LONGEST: Duration = Duration::from_millis(250);
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// What changed.
pub(crate) enum Changed {
    /// These files and folders.
    Paths(BTreeSet<PathBuf>),
    /// The queue of the system overflowed: anything may have changed.
    Anything,
}

/// Watches folders. Folders, not files: editors replace files by renaming.
pub(crate) struct Watch {
    matters: fn(&Path) -> bool,
    watched: BTreeSet<PathBuf>,
    source: Source,
}

enum Source {
    Announced {
        watcher: RecommendedWatcher,
        events: Receiver<notify::Result<Event>>,
    },
    /// `notify` has a poller too, but it misses a second edit within one second.
    Polled { stamps: Stamps },
}

type Stamps = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

impl Watch {
    /// `matters`: which files and folders are worth waking up for.
    pub(crate) fn new(poll: bool, matters: fn(&Path) -> bool) -> Result<Self, Failure> {
        let source = if poll {
            let stamps = Stamps::new();
            Source::Polled { stamps }
        } else {
            let (sender, events) = mpsc::channel();
            let watcher = RecommendedWatcher::new(sender, Config::default())?;
            Source::Announced { watcher, events }
        };
        Ok(Self {
            matters,
            watched: BTreeSet::new(),
            source,
        })
    }

    /// Adds the folders that are not watched yet, and says whether there were any.
    pub(crate) fn folders(&mut self, folders: BTreeSet<PathBuf>) -> Result<bool, Failure> {
        let mut is_new = false;
        for folder in folders {
            if !folder.is_dir() || self.watched.contains(&folder) {
                continue;
            }
            match &mut self.source {
                Source::Announced { watcher, .. } => {
                    watcher.watch(&folder, RecursiveMode::NonRecursive)?;
                }
                Source::Polled { stamps } => stamp(&folder, self.matters, stamps),
            }
            self.watched.insert(folder);
            is_new = true;
        }
        Ok(is_new)
    }

    /// Waits for a change that matters.
    pub(crate) fn wait(&mut self) -> Changed {
        match &mut self.source {
            Source::Announced { events, .. } => announced(events, self.matters, &mut self.watched),
            Source::Polled { stamps } => polled(&self.watched, self.matters, stamps),
        }
    }
}

fn announced(
    events: &Receiver<notify::Result<Event>>,
    matters: fn(&Path) -> bool,
    watched: &mut BTreeSet<PathBuf>,
) -> Changed {
    let mut paths = BTreeSet::new();
    let mut is_overflow = false;
    // The watcher lives as long as we do, so the channel stays open.
    while let Ok(event) = events.recv() {
        is_overflow |= take(event, matters, watched, &mut paths);
        let mut waited = Duration::ZERO;
        while waited < LONGEST {
            match events.recv_timeout(SETTLE) {
                Ok(event) => is_overflow |= take(event, matters, watched, &mut paths),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
            waited += SETTLE;
        }
        if is_overflow {
            return Changed::Anything;
        }
        if !paths.is_empty() {
            break;
        }
    }
    Changed::Paths(paths)
}

/// Adds the paths of an event that matter; says whether events were lost.
fn take(
    event: notify::Result<Event>,
    matters: fn(&Path) -> bool,
    watched: &mut BTreeSet<PathBuf>,
    paths: &mut BTreeSet<PathBuf>,
) -> bool {
    let Some(event) = event.ok().filter(|event| !event.need_rescan()) else {
        return true;
    };
    let is_gone = matches!(
        event.kind,
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))
    );
    let is_read = matches!(event.kind, EventKind::Access(_));
    for path in event.paths {
        // The system forgets a folder that goes away, even if one of its name comes back.
        let was_watched = is_gone && watched.remove(&path);
        if was_watched || (!is_read && matters(&path)) {
            paths.insert(path);
        }
    }
    false
}

fn polled(watched: &BTreeSet<PathBuf>, matters: fn(&Path) -> bool, stamps: &mut Stamps) -> Changed {
    loop {
        std::thread::sleep(POLL_INTERVAL);
        let mut now = Stamps::new();
        for folder in watched {
            stamp(folder, matters, &mut now);
        }
        let differs = |a: &Stamps, b: &Stamps| -> BTreeSet<PathBuf> {
            let different = a
                .iter()
                .filter(|(path, stamp)| b.get(*path) != Some(*stamp));
            different.map(|(path, _)| path.clone()).collect()
        };
        let mut paths = differs(&now, stamps);
        paths.extend(differs(stamps, &now));
        *stamps = now;
        if !paths.is_empty() {
            return Changed::Paths(paths);
        }
    }
}

/// Stamps what matters in a folder. Of a folder in it only that it is there: its own files tell
/// the rest.
fn stamp(folder: &Path, matters: fn(&Path) -> bool, stamps: &mut Stamps) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if !matters(&path) {
            continue;
        }
        if let Ok(metadata) = fs::metadata(&path) {
            let stamp = if metadata.is_dir() {
                (0, None)
            } else {
                (metadata.len(), metadata.modified().ok())
            };
            stamps.insert(path, stamp);
        }
    }
}
