//! Names of things, one type each.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A job's public name: a UUIDv7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub uuid::Uuid);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for JobId {
    type Err = uuid::Error;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        s.parse().map(Self)
    }
}

/// A job's number: from a fenced counter, 1 for a store's first job, never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobNumber(pub u64);

/// A shard's name: its job and its number in the job, from 0 without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ShardId {
    /// The job.
    pub job: JobNumber,
    /// The number in the job.
    pub number: u32,
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.job.0, self.number)
    }
}

/// Where a row stands in its job: the file's number in the high 16 bits, the record's first byte in the low 48.
/// Grows strictly from row to row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub u64);

impl Position {
    /// The most files that one job can have.
    pub const MAX_FILES: usize = 1 << 15;

    /// The record that begins at byte `offset` of file `file`.
    pub fn new(file: u32, offset: u64) -> Self {
        debug_assert!((file as usize) < Self::MAX_FILES && offset < 1 << 48);
        Self((u64::from(file) << 48) | offset)
    }

    /// The file's number in the job.
    pub fn file(self) -> u32 {
        (self.0 >> 48) as u32
    }

    /// The record's first byte in the file.
    pub fn offset(self) -> u64 {
        self.0 & ((1 << 48) - 1)
    }
}

/// A claim's rank: compared lexicographically, the lowest is live. A pure function of the planned row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rank(pub [i64; 3]);

impl Rank {
    /// `keep = "first"`: the first row of the first job is live.
    pub fn first(job: JobNumber, position: Position) -> Self {
        Self([job.0 as i64, position.0 as i64, 0])
    }

    /// `keep = "last"`: the latest observation is live, and within one observation the last row.
    pub fn last(observed_at_us: i64, partition: u32, position: Position) -> Self {
        Self([-observed_at_us, i64::from(partition), -(position.0 as i64)])
    }
}

/// The number of a supervisor's term of office; a higher one fences the lower ones out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// What a fenced document carries: who wrote it and which time. A document gives way only to a write that names the
/// stamp that it has, under the same or a higher epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Stamp {
    /// The writer's term of office.
    pub epoch: Epoch,
    /// Grows with each write.
    pub version: u64,
}

/// The first eight bytes of a key as a number: it orders keys as their bytes do but for those that share it, and is
/// compared without touching them.
pub fn key_prefix(key: &[u8]) -> u64 {
    let mut prefix = [0; 8];
    prefix.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    u64::from_be_bytes(prefix)
}
