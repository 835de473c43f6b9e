//! What is delivered for one shard.

use bytes::Bytes;
use ensemble_store::{JobId, Position, Rank, ShardId};

/// The events of one shard. A repeat of the shard delivers the same ids again; of two events with one id or one key the
/// one with the lower rank is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardEvents {
    /// The job's public name.
    pub job: JobId,
    /// The shard.
    pub shard: ShardId,
    /// The contract's name; it stands in the shard's own event.
    pub contract: String,
    /// The contract's column names in order: the names of the values in each row.
    pub columns: Vec<String>,
    /// The source file's name, as the user gave it.
    pub source: String,
    /// When the shard was decided, in microseconds since the Unix epoch.
    pub time_us: i64,
    /// The rows whose claim stands in the shard's ledger entry, in the order of their positions.
    pub accepted: Vec<AcceptedRow>,
    /// The rows in the dead letters, in the order of their positions.
    pub rejected: Vec<RejectedRow>,
}

/// One accepted row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedRow {
    /// Where the row stands: with the job's name the event's id.
    pub position: Position,
    /// The claim's rank.
    pub rank: Rank,
    /// The key's text.
    pub key: Bytes,
    /// The standardised row as it is stored, encoded as `ensemble_contract::row` says.
    pub fields: Bytes,
}

/// One rejected row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedRow {
    /// Where the row stands: with the job's name the event's id.
    pub position: Position,
    /// The record's first line.
    pub line: u64,
    /// The first rule that failed.
    pub rule: String,
    /// All rules that failed.
    pub rules: Vec<String>,
}

/// Some of the events of one shard, from a log that keeps them one by one. A row that was delivered more than once may
/// be in it, and in other parts, more than once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardPart {
    /// The job's public name.
    pub job: JobId,
    /// The shard's number in its job.
    pub number: u32,
    /// Accepted rows, in the order of the log.
    pub accepted: Vec<AcceptedRow>,
    /// Rejected rows, in the order of the log.
    pub rejected: Vec<RejectedRow>,
    /// How often it is said here that the shard is through.
    pub committed: u64,
}

impl ShardEvents {
    /// The id of the event for the row at `position`: `JOB/FILE:OFFSET`. The same whenever the row is delivered.
    pub fn event_id(job: JobId, position: Position) -> String {
        // Made for each row, so without the machinery of `format!`.
        let (mut name, mut file, mut offset) = (uuid::Uuid::encode_buffer(), itoa::Buffer::new(), itoa::Buffer::new());
        let name = job.0.hyphenated().encode_lower(&mut name);
        [&*name, "/", file.format(position.file()), ":", offset.format(position.offset())].concat()
    }
}
