//! Cuts journals off where they are damaged.
//!
//! The database discards a batch without an end by itself. But pages reach the disk in any order:
//! a loss of power can leave a batch whose beginning and end are there and whose middle isn't. It
//! then refuses to open, though nobody was told that this batch was kept. If a batch further
//! ahead is damaged, those before it can still be read, and the rest was lost anyway.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3Default;

use super::store::sync_folder;

/// Cuts the journals of a database off before their first damaged batch. Gives copies of those
/// that were cut, as they were.
pub(super) fn cut(database: &Path) -> io::Result<Vec<PathBuf>> {
    let mut copies = Vec::new();
    for file in fs::read_dir(database)? {
        let journal = file?.path();
        if journal.extension().is_none_or(|ending| ending != "jnl") {
            continue;
        }
        let content = fs::read(&journal)?;
        let sound = sound_bytes(&content);
        if content[sound..].iter().all(|byte| *byte == 0) {
            continue;
        }
        // The database overlooks files with other endings.
        let copy = journal.with_extension("damaged");
        fs::copy(&journal, &copy)?;
        copies.push(copy);
        let file = OpenOptions::new().write(true).open(&journal)?;
        file.set_len(sound as u64)?;
        file.sync_all()?;
    }
    sync_folder(database)?;
    Ok(copies)
}

/// How long the part is that has no damage.
fn sound_bytes(journal: &[u8]) -> usize {
    let mut sound = 0;
    while let Some(bytes) = batch_bytes(&journal[sound..]) {
        sound += bytes;
    }
    sound
}

/// How long the batch is that begins here, if it is sound: a start, items and an end, each with a
/// tag, as fjall 3 writes them (`journal/entry.rs`).
fn batch_bytes(journal: &[u8]) -> Option<usize> {
    const START: usize = 1 + 4 + 8;
    const ITEM: usize = 1 + 1 + 1 + 8 + 2 + 4 + 4;
    const CLEAR: usize = 1 + 8;
    const END: usize = 1 + 8 + 4;
    const TRAILER: &[u8] = b"FJL\x03";

    let start = journal.get(..START)?;
    if start[0] != 1 {
        return None;
    }
    let mut missing = u32::from_le_bytes(*start[1..].first_chunk()?);
    let mut sum = Xxh3Default::new();
    let mut at = START;
    loop {
        let rest = journal.get(at..)?;
        let bytes = match *rest.first()? {
            2 => {
                let lengths = rest.get(11..ITEM)?;
                let key = u16::from_le_bytes(*lengths.first_chunk()?);
                let value = u32::from_le_bytes(*lengths[6..].first_chunk()?);
                ITEM + usize::from(key) + usize::try_from(value).ok()?
            }
            4 => CLEAR,
            3 => {
                let end = rest.get(..END)?;
                let expected = u64::from_le_bytes(*end[1..].first_chunk()?);
                let is_sound = missing == 0 && expected == sum.digest() && end.ends_with(TRAILER);
                return is_sound.then_some(at + END);
            }
            _ => return None,
        };
        sum.update(rest.get(..bytes)?);
        missing = missing.checked_sub(1)?;
        at += bytes;
    }
}
