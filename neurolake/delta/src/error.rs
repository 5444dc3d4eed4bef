//! What can go wrong with a table.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::location::Location;

/// Result of this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure, with the table that it is about. Cloning is cheap: one failed attempt answers
/// everybody who waited for it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// There is no `_delta_log` with a version in it.
    #[error("there is no Delta table at {url}")]
    NotATable {
        /// Address of the folder.
        url: String,
    },
    /// The log could not be read.
    #[error("the log of the Delta table at {url} can't be read")]
    Log {
        /// Address of the folder.
        url: String,
        /// What deltalake says.
        #[source]
        source: Arc<deltalake::DeltaTableError>,
    },
    /// The bucket or folder could not be reached.
    #[error("the store of the Delta table at {url} can't be read")]
    Store {
        /// Address of the folder.
        url: String,
        /// What the store says.
        #[source]
        source: Arc<object_store::Error>,
    },
    /// The log says something about its files that makes no sense.
    #[error("the list of files of the Delta table at {url} is broken")]
    Files {
        /// Address of the folder.
        url: String,
        /// What doesn't fit.
        #[source]
        source: Arc<arrow::error::ArrowError>,
    },
    /// The table uses something that can't be read here.
    #[error("the Delta table at {url} can't be read: it uses {reason}")]
    Unsupported {
        /// Address of the folder.
        url: String,
        /// What it uses.
        reason: String,
        /// What deltalake says.
        #[source]
        source: Arc<datafusion::error::DataFusionError>,
    },
    /// Time travel to a version that never was, or is gone.
    #[error("the Delta table at {url} has no version {version}; it has {available}")]
    NoSuchVersion {
        /// Address of the folder.
        url: String,
        /// What was asked for.
        version: u64,
        /// What can be asked for.
        available: Available,
    },
    /// Time travel to a time before the first version.
    #[error("the Delta table at {url} has no version as old as {}; it has {available}", seconds(.time))]
    NoSuchTime {
        /// Address of the folder.
        url: String,
        /// What was asked for.
        time: DateTime<Utc>,
        /// What can be asked for.
        available: Available,
    },
    /// A table is to be created where one is already.
    #[error("there is a Delta table at {url} already")]
    Exists {
        /// Address of the folder.
        url: String,
    },
    /// A commit failed.
    #[error("the Delta table at {url} can't be written")]
    Write {
        /// Address of the folder.
        url: String,
        /// What deltalake says.
        #[source]
        source: Arc<deltalake::DeltaTableError>,
    },
    /// The table asks more of a writer than this one can do.
    #[error("the Delta table at {url} can't be written: {reason}")]
    CantWrite {
        /// Address of the folder.
        url: String,
        /// What it asks.
        reason: String,
    },
    /// Somebody else takes an application's steps.
    #[error(
        "the Delta table at {url} stands at {found:?} for `{application}`, not at {expected:?}: \
         somebody else writes it"
    )]
    Fenced {
        /// Address of the folder.
        url: String,
        /// Whose steps.
        application: String,
        /// Where the step was to begin.
        expected: Option<i64>,
        /// Where the table stands.
        found: Option<i64>,
    },
    /// What a commit was made for is no longer so. Nothing was committed.
    #[error("nothing was committed to the Delta table at {url}: {reason}")]
    Conflict {
        /// Address of the folder.
        url: String,
        /// What changed.
        reason: String,
    },
    /// Files would be deleted that somebody may still need.
    #[error(
        "{} s is too short a retention for the Delta table at {url}: at least {} s",
        retention.as_secs(),
        shortest.as_secs()
    )]
    ShortRetention {
        /// Address of the folder.
        url: String,
        /// What was asked for.
        retention: Duration,
        /// What is safe.
        shortest: Duration,
    },
    /// Nobody knows what is old.
    #[error(
        "the clock of the store of the Delta table at {url} is {seconds} s apart from this host's"
    )]
    ClockSkew {
        /// Address of the folder.
        url: String,
        /// The difference.
        seconds: u64,
    },
    /// The store failed in the middle of a commit, which may have happened or may happen later.
    #[error("whether the commit to the Delta table at {url} happened is not known")]
    Unclear {
        /// Address of the folder.
        url: String,
        /// What the store says.
        #[source]
        source: Arc<object_store::Error>,
    },
}

/// The versions that time travel can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Available {
    /// The oldest version, and when it was committed.
    pub first: (u64, DateTime<Utc>),
    /// The newest version, and when it was committed.
    pub last: (u64, DateTime<Utc>),
}

impl fmt::Display for Available {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, first_time) = &self.first;
        let (last, last_time) = &self.last;
        if first == last {
            return write!(f, "version {first} of {}", seconds(first_time));
        }
        write!(
            f,
            "versions {first} (of {}) to {last} (of {})",
            seconds(first_time),
            seconds(last_time)
        )
    }
}

fn seconds(time: &DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

impl Error {
    pub(crate) fn store(location: &Location, source: object_store::Error) -> Self {
        Self::Store {
            url: location.url.to_string(),
            source: Arc::new(source),
        }
    }

    /// Whether it is the question that is wrong, not the table.
    pub fn is_question(&self) -> bool {
        matches!(self, Self::NoSuchVersion { .. } | Self::NoSuchTime { .. })
    }

    /// Whether the store failed: the same may work later.
    pub fn is_store(&self) -> bool {
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = next {
            if error.is::<object_store::Error>() || error.is::<Arc<object_store::Error>>() {
                return true;
            }
            next = error.source();
        }
        false
    }

    /// A way out.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotATable { .. } => Some(
                "check the address and the store in the declaration; a table that is written \
                 later is found without a restart",
            ),
            Self::Store { .. } => {
                Some("check the endpoint, the bucket and the credentials of the store")
            }
            Self::NoSuchVersion { .. } | Self::NoSuchTime { .. } => {
                Some("older versions disappear when the log is cleaned up")
            }
            Self::Exists { .. } => Some("choose another folder"),
            Self::CantWrite { .. } => Some("write it with the engine that made it"),
            Self::Fenced { .. } => Some("let only one process write each table"),
            Self::ShortRetention { .. } => {
                Some("choose a longer one, or force it when nobody reads or writes the table")
            }
            Self::ClockSkew { .. } => Some("let a time service set the clocks"),
            Self::Unclear { .. } => Some("try again: what happened will be seen then"),
            Self::Conflict { .. }
            | Self::Log { .. }
            | Self::Files { .. }
            | Self::Unsupported { .. }
            | Self::Write { .. } => None,
        }
    }
}
