//! How far each stream was acknowledged, noted beside the database.
//!
//! The database can't tell a journal that was cut short from one that never was longer. A note is
//! written after its batch is durable, so it never promises too much; it isn't synced, so after a
//! loss of power it may promise too little.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::Stream;

/// The notes of a queue.
#[derive(Debug)]
pub(super) struct Notes {
    folder: PathBuf,
    files: HashMap<Stream, File>,
}

impl Notes {
    /// Opens the notes, and reads what they say.
    pub(super) fn open(folder: PathBuf) -> io::Result<(Self, HashMap<Stream, u64>)> {
        fs::create_dir_all(&folder)?;
        let mut acknowledged = HashMap::new();
        for file in fs::read_dir(&folder)? {
            let path = file?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let stream = name.and_then(|name| Stream::from_safe_name(name, '.'));
            match (stream, decode(&fs::read(&path)?)) {
                (Some(stream), Some(last)) => {
                    acknowledged.insert(stream, last);
                }
                _ => tracing::warn!(path = %path.display(), "overlooks a note that says nothing"),
            }
        }
        let files = HashMap::new();
        Ok((Self { folder, files }, acknowledged))
    }

    /// Notes the last acknowledged offset of a stream. A queue without notes still works; only
    /// damage may go unseen.
    pub(super) fn write(&mut self, stream: &Stream, last: u64) {
        if let Err(error) = self.try_write(stream, last) {
            self.files.remove(stream);
            tracing::warn!(%stream, %error, "can't note how far a stream is acknowledged");
        }
    }

    fn try_write(&mut self, stream: &Stream, last: u64) -> io::Result<()> {
        if !self.files.contains_key(stream) {
            let file = create(&self.folder, stream)?;
            self.files.insert(stream.clone(), file);
        }
        let Some(file) = self.files.get_mut(stream) else {
            return Ok(());
        };
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&encode(last))
    }
}

fn create(folder: &Path, stream: &Stream) -> io::Result<File> {
    let path = folder.join(stream.safe_name('.'));
    let mut options = File::options();
    options.create(true).truncate(false).write(true).open(path)
}

fn encode(last: u64) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&last.to_le_bytes());
    bytes[8..].copy_from_slice(&crc32fast::hash(&last.to_le_bytes()).to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<u64> {
    let (last, sum) = bytes.split_first_chunk::<8>()?;
    let sum = u32::from_le_bytes(*sum.first_chunk()?);
    (crc32fast::hash(last) == sum).then(|| u64::from_le_bytes(*last))
}
