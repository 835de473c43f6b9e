//! Files, objects and standard input as a command line names them.

mod resolve;

#[cfg(test)]
mod tests;

use std::{
    fmt,
    fs::{File, Metadata},
    io::{self, Read},
    path::Path,
    time::UNIX_EPOCH,
};

use serde::{Deserialize, Serialize};

pub use resolve::resolve;
pub(crate) use resolve::{MATCH, WILD};

use crate::{
    Location, ObjectUrl, SourceError,
    location::open_file,
    objects::{self, ObjectInfo, ObjectReader},
};

/// One input of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// A file or an object, which can be read again from any offset.
    File(SourceFile),
    /// Standard input, which can be read once. Always a job's only input.
    Stdin,
}

impl Input {
    /// What errors and reports call it.
    pub fn name(&self) -> String {
        match self {
            Self::File(file) => file.path.clone(),
            Self::Stdin => "standard input".to_owned(),
        }
    }
}

/// A file, or an object of an object store, and what it was like when the job began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// The path or URL as given.
    pub path: String,
    /// Where it is, for other processes too.
    pub canonical: Location,
    /// The size in bytes.
    pub size: u64,
    /// When it was last modified, in microseconds since the Unix epoch; 0 where the file system does not say.
    pub modified_us: i64,
    /// What identifies an object's content, where its store says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
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
    /// Looks at the file or the object that a path or URL names, and whether it can be read. Blocking.
    pub fn inspect(name: &str) -> Result<Self, SourceError> {
        if Location::is_url(name) { Self::inspect_object(name.parse()?) } else { Self::inspect_file(name) }
    }

    fn inspect_file(name: &str) -> Result<Self, SourceError> {
        let refused = |e: io::Error| SourceError::open(name, e);
        // Looked at before it is opened: opening a pipe would wait for a writer.
        let metadata = std::fs::metadata(name).map_err(refused)?;
        if metadata.is_dir() {
            return Err(SourceError::Directory { path: name.trim_end_matches('/').to_owned() });
        }
        if !metadata.is_file() {
            return Err(SourceError::NotAFile { path: name.to_owned() });
        }
        let canonical = Path::new(name).canonicalize().map_err(refused)?;
        if canonical.to_str().is_none() {
            return Err(SourceError::PathNotUtf8 { path: canonical.display().to_string() });
        }
        let metadata = File::open(name).and_then(|file| file.metadata()).map_err(refused)?;
        Ok(Self {
            path: name.to_owned(),
            canonical: Location::File(canonical),
            size: metadata.len(),
            modified_us: modified_us(&metadata),
            etag: None,
        })
    }

    fn inspect_object(url: ObjectUrl) -> Result<Self, SourceError> {
        let info = objects::head(&url).map_err(|e| SourceError::open(&url.to_string(), e))?;
        Ok(Self::of_object(url, info))
    }

    fn of_object(url: ObjectUrl, info: ObjectInfo) -> Self {
        let ObjectInfo { size, modified_us, etag } = info;
        Self { path: url.to_string(), canonical: Location::Object(url), size, modified_us, etag }
    }

    /// What has changed since; `None` where nothing has. To be asked behind each file and at intervals. Blocking.
    pub fn changed(&self) -> Result<Option<Change>, SourceError> {
        let now = match &self.canonical {
            Location::File(path) => std::fs::metadata(path).map(|now| (now.len(), modified_us(&now), None)),
            Location::Object(url) => objects::head(url).map(|now| (now.size, now.modified_us, now.etag)),
        };
        let (size, now_us, etag) = match now {
            Ok(now) => now,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Some(Change::Gone)),
            Err(source) => return Err(SourceError::Read { file: self.path.clone(), offset: 0, source }),
        };
        Ok(if size != self.size {
            Some(Change::Size { was: self.size, now: size })
        } else if now_us != self.modified_us || etag != self.etag {
            Some(Change::Modified { was_us: self.modified_us, now_us })
        } else {
            None
        })
    }

    /// The error of a job whose file [`changed`](Self::changed).
    pub fn change_error(&self, change: Change) -> SourceError {
        SourceError::Changed { file: self.path.clone(), change }
    }

    /// Opens it for reading from `offset` on. A missing file is one that has changed. Blocking.
    pub fn open_at(&self, offset: u64) -> Result<Box<dyn Read + Send>, SourceError> {
        let opened: io::Result<Box<dyn Read + Send>> = match &self.canonical {
            Location::File(path) => open_file(path, offset).map(|file| Box::new(file) as _),
            Location::Object(url) => {
                ObjectReader::stream(url, self.etag.as_deref(), offset..self.size).map(|object| Box::new(object) as _)
            }
        };
        opened.map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => self.change_error(Change::Gone),
            _ => SourceError::open(&self.path, e),
        })
    }
}

fn modified_us(metadata: &Metadata) -> i64 {
    let Ok(modified) = metadata.modified() else { return 0 };
    match modified.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_micros() as i64,
        Err(before) => -(before.duration().as_micros() as i64),
    }
}
