//! What an event log can answer instead of a result.

use std::{
    io,
    path::{Path, PathBuf},
};

use ensemble_contract::row::RowError;
use ensemble_store::{ErrorClass, ShardId};

/// An error of an event log.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// Another process has the embedded log open.
    #[error("the event log {path} is in use by another process; wait for it to end, or name another directory")]
    Locked {
        /// The log's directory.
        path: PathBuf,
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
    /// The disk is full.
    #[error("no space left on the device of {path}; free some space and run the same command again")]
    Full {
        /// The log's directory.
        path: PathBuf,
    },
    /// The log was written by a version that this one cannot read.
    #[error(
        "the event log {path} has format {found}, and this version reads format {known}; use the version that wrote it"
    )]
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
    /// The events of one shard are more than one record holds.
    #[error(
        "the events of shard {shard} take {bytes} bytes, and a record of the event log holds {limit}; use smaller shards"
    )]
    TooLarge {
        /// The shard.
        shard: ShardId,
        /// The encoded events' size.
        bytes: u64,
        /// The largest size.
        limit: u64,
    },
    /// The text that says where a log is, is wrong.
    #[error("the event log's URL is wrong: {reason}")]
    BadUrl {
        /// What is wrong with it. Does not repeat what may be a secret.
        reason: String,
    },
    /// An option has a value that it cannot have.
    #[error("the event log's option {option} is wrong: {reason}")]
    BadOption {
        /// The option.
        option: &'static str,
        /// Why, and what it may be.
        reason: String,
    },
    /// The brokers have no such topic, and none is to be made.
    #[error("there is no topic {topics}; create it, or let topics be created")]
    TopicMissing {
        /// The topics, joined by commas.
        topics: String,
    },
    /// A topic is there and not as it has to be, or cannot be made as it is wanted.
    #[error("the topic {topic} cannot be used: {reason}")]
    BadTopic {
        /// The topic.
        topic: String,
        /// What there is, and what was wanted.
        reason: String,
    },
    /// One event is larger than a topic takes.
    #[error(
        "an event of shard {shard} is larger than the {limit} bytes that topic {topic} takes; raise the limit, or          bound the length of columns in the contract"
    )]
    MessageTooLarge {
        /// The shard.
        shard: ShardId,
        /// The topic.
        topic: String,
        /// The largest size: the client's, or, where it let the event pass, the topic's as far as it is known.
        limit: u64,
    },
    /// A row of the shard cannot be made an event.
    #[error("a row of shard {shard} cannot be made an event: {source}")]
    BadRow {
        /// The shard.
        shard: ShardId,
        /// What is wrong with its bytes.
        source: RowError,
    },
    /// The brokers do not let this user in, or do not let it do what it has to.
    #[error("the event log refuses this user: {0}")]
    NotAuthorised(String),
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
            Self::Locked { .. }
            | Self::UnknownVersion { .. }
            | Self::TooLarge { .. }
            | Self::BadUrl { .. }
            | Self::BadOption { .. }
            | Self::TopicMissing { .. }
            | Self::BadTopic { .. }
            | Self::MessageTooLarge { .. } => ErrorClass::Invalid,
            Self::Unavailable(_) => ErrorClass::Transient,
            Self::Io { .. }
            | Self::Full { .. }
            | Self::Corrupt { .. }
            | Self::BadRow { .. }
            | Self::NotAuthorised(_)
            | Self::Closed => ErrorClass::Fatal,
        }
    }

    /// The error of a refused file operation; a full disk is told apart from the rest.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { path: path.parent().unwrap_or(path).to_path_buf() }
            }
            _ => Self::Io { action, path: path.to_path_buf(), source },
        }
    }

    /// The same error once more: one failed write answers every append that it carried.
    pub(crate) fn repeat(&self) -> Self {
        match self {
            Self::Locked { path } => Self::Locked { path: path.clone() },
            Self::Io { action, path, source } => {
                Self::Io { action, path: path.clone(), source: io::Error::new(source.kind(), source.to_string()) }
            }
            Self::Full { path } => Self::Full { path: path.clone() },
            Self::UnknownVersion { path, found, known } => {
                Self::UnknownVersion { path: path.clone(), found: found.clone(), known: *known }
            }
            Self::Corrupt { path, offset, reason } => {
                Self::Corrupt { path: path.clone(), offset: *offset, reason: reason.clone() }
            }
            Self::TooLarge { shard, bytes, limit } => Self::TooLarge { shard: *shard, bytes: *bytes, limit: *limit },
            Self::BadUrl { reason } => Self::BadUrl { reason: reason.clone() },
            Self::BadOption { option, reason } => Self::BadOption { option, reason: reason.clone() },
            Self::TopicMissing { topics } => Self::TopicMissing { topics: topics.clone() },
            Self::BadTopic { topic, reason } => Self::BadTopic { topic: topic.clone(), reason: reason.clone() },
            Self::MessageTooLarge { shard, topic, limit } => {
                Self::MessageTooLarge { shard: *shard, topic: topic.clone(), limit: *limit }
            }
            Self::BadRow { shard, source } => Self::BadRow { shard: *shard, source: *source },
            Self::NotAuthorised(reason) => Self::NotAuthorised(reason.clone()),
            Self::Closed => Self::Closed,
            Self::Unavailable(reason) => Self::Unavailable(reason.clone()),
        }
    }
}
