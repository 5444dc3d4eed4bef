//! Proves that a version has one commit.
//!
//! Of two writers that put the same version at the same time one must be told that it lost. Some
//! stores ignore the condition; some check it and write a moment later, so that two win now and
//! then. Neither can be seen from the outside but by trying.

use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::Error;
use tokio::task::JoinSet;

use crate::commits::{Put, read_commit};
use crate::location::Location;

/// How a store kept its promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// Commits that were made.
    pub commits: u64,
    /// How many tried to make each of them at the same time.
    pub writers: usize,
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum Disproof {
    /// Of the writers of a version not exactly one was told that it made it, or what is stored is
    /// not the winner's.
    #[error(
        "{winners} of {writers} writers of the same version were told that they made it, or it \
         holds what another one wrote"
    )]
    Lies {
        /// How many were told that they made it.
        winners: usize,
        /// How many tried.
        writers: usize,
    },
    /// The store can't be written or read.
    #[error("the store fails")]
    Store(#[from] Error),
}

/// A store that checks and writes a moment later is caught when two requests fall into that moment,
/// so many commits with few writers each find more than the reverse. moto 5.2.5 lets two win for
/// about one object in 800; one that does so for one in 200 is caught in 99 of 100 proofs.
const COMMITS: u64 = 1_000;
const WRITERS: usize = 4;
/// Versions that are fought over at the same time: a busy server is slower between check and write.
const FIGHTS: usize = 32;

/// How much is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trial {
    /// Commits to make.
    pub commits: u64,
    /// How many of them at the same time. A lock wants them one after the other.
    pub at_once: usize,
}

impl Default for Trial {
    fn default() -> Self {
        Self {
            commits: COMMITS,
            at_once: FIGHTS,
        }
    }
}

/// Makes commits of a table that is none, each tried by several writers at once, and deletes them
/// again. The folder should be fresh.
///
/// # Errors
/// The store broke the promise, or it fails.
pub async fn prove(table: &Location, trial: Trial) -> Result<Proof, Disproof> {
    let fought = fight(table, trial).await;
    let cleaned = clean(table).await;
    let proof = fought?;
    cleaned?;
    Ok(proof)
}

async fn fight(table: &Location, trial: Trial) -> Result<Proof, Disproof> {
    // One after the other first: whoever ignores the condition is found out by two requests.
    for writers in [1, WRITERS] {
        let winners = usize::from(writers == 1);
        judge(table, 0, writers, winners).await?;
    }
    let mut fights = stream::iter(1..=trial.commits)
        .map(|version| judge(table, version, WRITERS, 1))
        .buffer_unordered(trial.at_once);
    while let Some(judged) = fights.next().await {
        judged?;
    }
    Ok(Proof {
        commits: trial.commits,
        writers: WRITERS,
    })
}

async fn judge(
    table: &Location,
    version: u64,
    writers: usize,
    expected: usize,
) -> Result<(), Disproof> {
    let mut attempts = JoinSet::new();
    for writer in 0..writers {
        let table = table.clone();
        attempts.spawn(async move {
            let content = content(writer).into();
            let put = table.commits.put(&table, version, content).await?;
            Ok::<_, Error>((put == Put::Done).then_some(writer))
        });
    }
    let mut winners = Vec::new();
    while let Some(attempt) = attempts.join_next().await {
        let attempt = attempt.map_err(|source| Error::JoinError { source })?;
        winners.extend(attempt?);
    }
    let stored = read_commit(table, version).await?;
    let is_winners = match winners.as_slice() {
        [winner] => stored.is_some_and(|stored| stored == content(*winner)),
        _ => true,
    };
    if winners.len() == expected && is_winners {
        return Ok(());
    }
    Err(Disproof::Lies {
        winners: winners.len(),
        writers,
    })
}

fn content(writer: usize) -> String {
    format!("made by writer {writer}")
}

async fn clean(table: &Location) -> Result<(), Error> {
    let store = &table.store;
    let paths = store.list(Some(&table.path()));
    let paths = paths.map_ok(|object| object.location);
    let deleted = store.delete_stream(paths.boxed());
    deleted.try_for_each(|_| async { Ok(()) }).await
}
