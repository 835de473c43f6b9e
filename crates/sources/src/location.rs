//! Where the bytes of a source are.

use std::{
    fmt,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    str::FromStr,
};

use bytes::Bytes;
use ensemble_store::ShardPlan;
use serde::{Deserialize, Serialize};

use crate::{ObjectUrl, SourceError, objects::ObjectReader};

/// Where the bytes of a source are, for every process that can reach the place. As text it is the path or the URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Location {
    /// A file: its absolute path without links; UTF-8.
    File(PathBuf),
    /// An object.
    Object(ObjectUrl),
}

/// Why a part of a source is not to be had from where it was planned.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    /// It could not be read.
    #[error("cannot read {location} at offset {offset}: {source}")]
    Read {
        /// The source.
        location: Location,
        /// Where the part begins.
        offset: u64,
        /// Why not.
        source: io::Error,
    },
    /// There are other bytes, or fewer.
    #[error("{location} does not hold at offset {offset} what was planned")]
    Other {
        /// The source.
        location: Location,
        /// Where the part begins.
        offset: u64,
    },
}

impl Location {
    /// Whether an argument is meant as a URL, and not as a path.
    pub fn is_url(text: &str) -> bool {
        text.split_once("://").is_some_and(|(scheme, _)| {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
        })
    }

    /// A place that others lie below: a folder, by its absolute path without links, or a bucket with or without the
    /// first parts of keys.
    ///
    /// # Errors
    /// Where it is a URL, and none of an object store's.
    pub fn root(text: &str) -> Result<Self, SourceError> {
        if Self::is_url(text) { ObjectUrl::root(text).map(Self::Object) } else { Ok(Self::File(text.into())) }
    }

    /// Whether it lies below one of these roots.
    pub fn is_below_any(&self, roots: &[Self]) -> bool {
        roots.iter().any(|root| self.is_below(root))
    }

    /// Whether it lies below `root`.
    pub fn is_below(&self, root: &Self) -> bool {
        match (self, root) {
            (Self::File(path), Self::File(root)) => path.starts_with(root),
            (Self::Object(url), Self::Object(root)) => url.is_below(root),
            _ => false,
        }
    }

    /// Reads the bytes of a planned shard. Blocking.
    ///
    /// # Errors
    /// Where they cannot be read, or are not those that were planned: somebody else may have them still.
    pub fn read_shard(&self, plan: &ShardPlan) -> Result<Bytes, PartError> {
        let (offset, mut bytes) = (plan.offset, Vec::new());
        let read = self.open_part(offset, plan.length).and_then(|mut part| part.read_to_end(&mut bytes));
        read.map_err(|source| PartError::Read { location: self.clone(), offset, source })?;
        if ShardPlan::digest_of(&bytes) != plan.digest {
            return Err(PartError::Other { location: self.clone(), offset });
        }
        Ok(bytes.into())
    }

    fn open_part(&self, offset: u64, length: u64) -> io::Result<Box<dyn Read>> {
        Ok(match self {
            Self::File(path) => Box::new(open_file(path, offset)?.take(length)),
            // Whatever version is there now: the digest decides.
            Self::Object(url) => Box::new(ObjectReader::part(url, offset..offset.saturating_add(length))?),
        })
    }
}

/// Opens a file for reading from `offset` on.
pub(crate) fn open_file(path: &Path, offset: u64) -> io::Result<File> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    Ok(file)
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Object(url) => url.fmt(f),
        }
    }
}

impl FromStr for Location {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        if Self::is_url(text) { text.parse().map(Self::Object) } else { Ok(Self::File(text.into())) }
    }
}

impl TryFrom<String> for Location {
    type Error = SourceError;

    fn try_from(text: String) -> Result<Self, SourceError> {
        text.parse()
    }
}

impl From<Location> for String {
    fn from(location: Location) -> Self {
        location.to_string()
    }
}
