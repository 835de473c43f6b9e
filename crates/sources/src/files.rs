//! Files and standard input as a command line names them.

mod resolve;

#[cfg(test)]
mod tests;

use std::{
    fmt,
    fs::{File, Metadata},
    io::{self, Seek, SeekFrom},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use serde::{Deserialize, Serialize};

pub use resolve::resolve;

use crate::SourceError;

/// One input of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// A file, which can be read again from any offset.
    File(SourceFile),
    /// Standard input, which can be read once. Always a job's only input.
    Stdin,
}

impl Input {
    /// What errors and reports call it.
    pub fn name(&self) -> String {
        match self {
            Self::File(file) => file.path.display().to_string(),
            Self::Stdin => "standard input".to_owned(),
        }
    }
}

/// A file and what it was like when the job began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// The path as given; UTF-8.
    pub path: PathBuf,
    /// The absolute path without links, which other processes on the machine can open; UTF-8.
    pub canonical: PathBuf,
    /// The size in bytes.
    pub size: u64,
    /// When it was last modified, in microseconds since the Unix epoch; 0 where the file system does not say.
    pub modified_us: i64,
}

/// What shows that a file has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Its size is another one. While a source is being read, `now` is how far it was read, so it may still be larger.
    Size {
        /// In bytes, when the job began.
        was: u64,
        /// In bytes.
        now: u64,
    },
    /// It was written to.
    Modified {
        /// In microseconds since the Unix epoch, when the job began.
        was_us: i64,
        /// In microseconds since the Unix epoch.
        now_us: i64,
    },
    /// It is not there any more.
    Gone,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size { was, now } => write!(f, "it had {was} bytes and has {now}"),
            Self::Modified { .. } => f.write_str("it was written to"),
            Self::Gone => f.write_str("it is gone"),
        }
    }
}

impl SourceFile {
    /// Looks at a file, and whether it can be opened.
    pub fn inspect(path: &Path) -> Result<Self, SourceError> {
        let name = path.to_str().ok_or_else(|| SourceError::PathNotUtf8 { path: path.display().to_string() })?;
        let refused = |e: io::Error| open_error(name, e);
        // Looked at before it is opened: opening a pipe would wait for a writer.
        let metadata = std::fs::metadata(path).map_err(refused)?;
        if metadata.is_dir() {
            return Err(SourceError::Directory { path: name.trim_end_matches('/').to_owned() });
        }
        if !metadata.is_file() {
            return Err(SourceError::NotAFile { path: name.to_owned() });
        }
        let canonical = path.canonicalize().map_err(refused)?;
        if canonical.to_str().is_none() {
            return Err(SourceError::PathNotUtf8 { path: canonical.display().to_string() });
        }
        let metadata = File::open(path).and_then(|file| file.metadata()).map_err(refused)?;
        let modified_us = modified_us(&metadata);
        Ok(Self { path: path.to_owned(), canonical, size: metadata.len(), modified_us })
    }

    /// What has changed since; `None` where nothing has. To be asked behind each file and at intervals.
    pub fn changed(&self) -> Result<Option<Change>, SourceError> {
        let metadata = match std::fs::metadata(&self.canonical) {
            Ok(metadata) => metadata,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Some(Change::Gone)),
            Err(source) => return Err(SourceError::Read { file: self.name(), offset: 0, source }),
        };
        let (size, now_us) = (metadata.len(), modified_us(&metadata));
        Ok(if size != self.size {
            Some(Change::Size { was: self.size, now: size })
        } else if now_us != self.modified_us {
            Some(Change::Modified { was_us: self.modified_us, now_us })
        } else {
            None
        })
    }

    /// The error of a job whose file [`changed`](Self::changed).
    pub fn change_error(&self, change: Change) -> SourceError {
        SourceError::Changed { file: self.name(), change }
    }

    /// Opens it for reading from `offset` on. A missing file is one that has changed.
    pub fn open_at(&self, offset: u64) -> Result<File, SourceError> {
        let mut file = File::open(&self.canonical).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => self.change_error(Change::Gone),
            _ => open_error(&self.name(), e),
        })?;
        match file.seek(SeekFrom::Start(offset)) {
            Ok(_) => Ok(file),
            Err(source) => Err(SourceError::Read { file: self.name(), offset, source }),
        }
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }
}

fn open_error(path: &str, source: io::Error) -> SourceError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => SourceError::Missing { path },
        _ => SourceError::Unreadable { path, source },
    }
}

fn modified_us(metadata: &Metadata) -> i64 {
    let Ok(modified) = metadata.modified() else { return 0 };
    match modified.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_micros() as i64,
        Err(before) => -(before.duration().as_micros() as i64),
    }
}
