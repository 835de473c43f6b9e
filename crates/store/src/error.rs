//! What a store can answer instead of a result.

use std::{io, path::PathBuf};

/// What a caller does about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// The request itself is wrong; the same request fails again.
    Invalid,
    /// It may pass: try again with back-off until the lease's deadline.
    Transient,
    /// Nothing that this process does will mend it.
    Fatal,
}

/// An error of a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the embedded store open.
    #[error("the store {path} is in use by another process; wait for it to end, or name another store with --store")]
    Locked {
        /// The store's directory.
        path: PathBuf,
    },
    /// The store was written by a version that this one cannot read.
    #[error(
        "the store {path} has format {found}, and this version reads format {known}; use the version that wrote it"
    )]
    UnknownVersion {
        /// The store's directory or address.
        path: PathBuf,
        /// The format that was found.
        found: String,
        /// The format that this version reads and writes.
        known: u32,
    },
    /// The directory holds something that is not a store.
    #[error("{path} is not a store of this program: {reason}; name an empty or new directory with --store")]
    NotAStore {
        /// The directory.
        path: PathBuf,
        /// What was found instead.
        reason: String,
    },
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
    /// The embedded database refused.
    #[error("the embedded database failed: {0}")]
    Database(String),
    /// The disk is full.
    #[error("no space left on the device of {path}; free some space and run the same command again")]
    Full {
        /// The store's directory.
        path: PathBuf,
    },
    /// Stored bytes are not what was written.
    #[error("{what} is damaged: {reason}")]
    Corrupt {
        /// Which record.
        what: String,
        /// How it shows.
        reason: String,
    },
    /// Something is longer than this backend can hold.
    #[error("{what} has {length} bytes, and this store holds {limit}; bound its length in the contract")]
    TooLarge {
        /// What is too long.
        what: String,
        /// Its bytes.
        length: usize,
        /// The most that fit.
        limit: usize,
    },
    /// A silver collection is not declared, is declared with other columns, or its rows do not have these columns.
    #[error("the silver collection {silver} {problem}")]
    Silver {
        /// The collection.
        silver: String,
        /// What is wrong, and what to do about it.
        problem: String,
    },
    /// A collection cannot hold bronze.
    #[error("the bronze collection {bronze} {problem}")]
    Bronze {
        /// The collection.
        bronze: String,
        /// What is wrong, and what to do about it.
        problem: String,
    },
    /// A key or a name that has to be text is not UTF-8.
    #[error("{what} is not UTF-8 text, and this store keeps text only")]
    NotText {
        /// Which one.
        what: &'static str,
    },
    /// A setting is out of its range or contradicts another one.
    #[error("the store's setting {setting} {problem}")]
    Setting {
        /// The setting's name.
        setting: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The server does not let this program in, or not do what it has to: wrong address, password, rights or TLS.
    #[error("{server} {problem}")]
    Refused {
        /// The server's address, without secrets.
        server: String,
        /// What it refused, and what to do about it.
        problem: String,
    },
    /// The server answered an error that repeating does not mend.
    #[error("{server} failed to {action}: {reason}")]
    Server {
        /// The server's address, without secrets.
        server: String,
        /// What was tried.
        action: &'static str,
        /// The server's words.
        reason: String,
    },
    /// The store is gone or closing.
    #[error("the store is closed")]
    Closed,
    /// The store did not answer as it should; it may later.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// What was asked again and again, of the store or of another server, did not work before the caller's deadline.
    #[error("gave up at the deadline: {0}")]
    GaveUp(String),
}

impl StoreError {
    /// What the caller does about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Locked { .. }
            | Self::UnknownVersion { .. }
            | Self::NotAStore { .. }
            | Self::TooLarge { .. }
            | Self::Silver { .. }
            | Self::Bronze { .. }
            | Self::NotText { .. }
            | Self::Setting { .. } => ErrorClass::Invalid,
            Self::Unavailable(_) | Self::GaveUp(_) => ErrorClass::Transient,
            Self::Io { .. }
            | Self::Database(_)
            | Self::Full { .. }
            | Self::Corrupt { .. }
            | Self::Refused { .. }
            | Self::Server { .. }
            | Self::Closed => ErrorClass::Fatal,
        }
    }
}
