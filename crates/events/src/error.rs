//! What an event log can answer instead of a result.

use std::{io, path::PathBuf};

use ensemble_store::ErrorClass;

/// An error of an event log.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// The file system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried: `open`, `write`, `sync`, …
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The disk is full.
    #[error("no space left on the device of {path}; free some space and run the same command again")]
    Full {
        /// The log's directory.
        path: PathBuf,
    },
    /// The log was written by a version that this one cannot read.
    #[error("the event log {path} has format {found}, and this version reads format {known}; use the version that wrote it")]
    UnknownVersion {
        /// The log's directory.
        path: PathBuf,
        /// The format that was found.
        found: String,
        /// The format that this version reads and writes.
        known: u32,
    },
    /// Stored bytes are not what was written.
    #[error("the event log's segment {path} is damaged at byte {offset}: {reason}")]
    Corrupt {
        /// The segment.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// How it shows.
        reason: String,
    },
    /// The log is gone or closing.
    #[error("the event log is closed")]
    Closed,
    /// The log did not answer as it should; it may later.
    #[error("the event log is not available: {0}")]
    Unavailable(String),
}

impl EventsError {
    /// What the caller does about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::UnknownVersion { .. } => ErrorClass::Invalid,
            Self::Unavailable(_) => ErrorClass::Transient,
            Self::Io { .. } | Self::Full { .. } | Self::Corrupt { .. } | Self::Closed => ErrorClass::Fatal,
        }
    }
}
