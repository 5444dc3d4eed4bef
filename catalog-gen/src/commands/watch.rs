//! Waits for files to change.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use notify::{Config, Event, EventKind, PollWatcher, RecommendedWatcher, RecursiveMode, Watcher};

use super::Failure;

/// Editors write a file in several steps; what comes within this time belongs together.
const SETTLE: Duration = Duration::from_millis(15);
/// An event storm (a checkout, a formatter) is cut into pieces of at most this length.
const LONGEST: Duration = Duration::from_millis(250);
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Watches folders. Folders, not files: editors replace files by renaming.
pub(crate) struct Watch {
    watcher: Box<dyn Watcher + Send>,
    events: Receiver<notify::Result<Event>>,
    watched: BTreeSet<PathBuf>,
}

impl Watch {
    pub(crate) fn new(poll: bool) -> Result<Self, Failure> {
        let (sender, events) = mpsc::channel();
        let watcher: Box<dyn Watcher + Send> = if poll {
            let config = Config::default().with_poll_interval(POLL_INTERVAL);
            Box::new(PollWatcher::new(sender, config)?)
        } else {
            Box::new(RecommendedWatcher::new(sender, Config::default())?)
        };
        Ok(Self {
            watcher,
            events,
            watched: BTreeSet::new(),
        })
    }

    /// Adds the folders that are not watched yet.
    pub(crate) fn folders(
        &mut self,
        folders: impl IntoIterator<Item = PathBuf>,
    ) -> Result<(), Failure> {
        for folder in folders {
            if folder.is_dir() && self.watched.insert(folder.clone()) {
                self.watcher.watch(&folder, RecursiveMode::NonRecursive)?;
            }
        }
        Ok(())
    }

    /// Waits for a change of a file that may matter.
    pub(crate) fn wait(&self, matters: impl Fn(&Path) -> bool) {
        let is_change = |event: &notify::Result<Event>| match event {
            Ok(event) => {
                !matches!(event.kind, EventKind::Access(_))
                    && event.paths.iter().any(|path| matters(path))
            }
            // The queue of the system overflowed: anything may have changed.
            Err(_) => true,
        };
        loop {
            match self.events.recv() {
                Ok(event) if is_change(&event) => break,
                Ok(_) => {}
                Err(_) => return,
            }
        }
        let mut waited = Duration::ZERO;
        while waited < LONGEST {
            match self.events.recv_timeout(SETTLE) {
                Ok(_) => waited += SETTLE,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}
