//! Where rows go: standard output, or a file that appears when it is complete.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::failure::Failure;

/// A sink of bytes. Dropped without [`Output::commit`], a file never appears.
pub(super) enum Output {
    Standard(io::Stdout),
    File {
        file: BufWriter<File>,
        temporary: Temporary,
    },
}

/// A file beside the real one.
pub(super) struct Temporary {
    path: PathBuf,
    target: PathBuf,
    is_done: bool,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.is_done {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Output {
    pub(super) fn open(target: Option<&Path>) -> Result<Self, Failure> {
        let Some(target) = target else {
            return Ok(Self::Standard(io::stdout()));
        };
        let temporary = temporary(target);
        let file =
            File::create_new(&temporary.path).map_err(|error| Failure::write(target, error))?;
        Ok(Self::File {
            file: BufWriter::new(file),
            temporary,
        })
    }

    /// A failed write as the person sees it.
    pub(super) fn failure(&self, error: io::Error) -> Failure {
        match self {
            Self::Standard(_) => Failure::print(error),
            Self::File { temporary, .. } => Failure::write(&temporary.target, error),
        }
    }

    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.write_all(bytes).map_err(|error| self.failure(error))
    }

    /// Everything was written: the file takes its name.
    pub(super) fn commit(mut self) -> Result<(), Failure> {
        self.flush().map_err(|error| self.failure(error))?;
        match &mut self {
            Self::Standard(_) => Ok(()),
            Self::File { temporary, .. } => temporary.commit(),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Standard(out) => out.write(bytes),
            Self::File { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Standard(out) => out.flush(),
            Self::File { file, .. } => file.flush(),
        }
    }
}

impl Temporary {
    fn commit(&mut self) -> Result<(), Failure> {
        fs::rename(&self.path, &self.target)
            .map_err(|error| Failure::write(&self.target, error))?;
        self.is_done = true;
        Ok(())
    }
}

fn temporary(target: &Path) -> Temporary {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    Temporary {
        path: target.with_file_name(format!(".{name}.{}.part", std::process::id())),
        target: target.to_owned(),
        is_done: false,
    }
}

/// Writes a small file so that nobody ever sees half of it.
pub(super) fn write_atomically(target: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut output = Output::open(Some(target))?;
    output.put(bytes)?;
    output.commit()
}
