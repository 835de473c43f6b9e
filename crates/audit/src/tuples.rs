//! The two sides of the join by key: tuples of a fixed size, in partitions that spill to disk where memory is short.

use std::{
    fs::{self, File},
    io::{Read, Write},
    path::{Path, PathBuf},
};

use ensemble_store::Rank;
use tempfile::TempDir;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

use crate::AuditError;

/// Bytes of an encoded tuple.
pub(crate) const TUPLE_BYTES: usize = 56;
/// Tuples that are read from a file at once.
const READ_TUPLES: usize = 4096;
/// More partitions than this take files too small to be worth it.
const MAX_PARTITIONS: usize = 4096;

/// The hash of a key in one silver collection.
pub(crate) type KeyHash = [u64; 2];

/// A claim, a live document or an event, without its texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tuple {
    pub(crate) key: KeyHash,
    pub(crate) rank: Rank,
    /// The job's index among the jobs that are verified.
    pub(crate) job: u32,
    /// The shard's number.
    pub(crate) shard: u32,
    /// The hash of the encoded row.
    pub(crate) fields: u64,
}

/// The hash of `key` in the collection with this index. At 128 bits no two of any number of keys that fit a disk collide.
pub(crate) fn key_hash(collection: usize, key: &[u8]) -> KeyHash {
    let hash = xxh3_128_with_seed(key, collection as u64);
    [hash as u64, (hash >> 64) as u64]
}

/// The hash of an encoded row; compared only between rows of one key and rank.
pub(crate) fn fields_hash(fields: &[u8]) -> u64 {
    xxh3_64(fields)
}

impl Tuple {
    fn encode(&self, out: &mut Vec<u8>) {
        let [a, b, c] = self.rank.0.map(|part| part as u64);
        let shard = u64::from(self.job) << 32 | u64::from(self.shard);
        for word in [self.key[0], self.key[1], a, b, c, shard, self.fields] {
            out.extend_from_slice(&word.to_le_bytes());
        }
    }

    fn decode(bytes: &[u8]) -> Self {
        let mut words = [0; TUPLE_BYTES / 8];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        let [k0, k1, a, b, c, shard, fields] = words;
        let rank = Rank([a, b, c].map(|part| part as i64));
        Self { key: [k0, k1], rank, job: (shard >> 32) as u32, shard: shard as u32, fields }
    }
}

/// What a tuple was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Silver,
    Bronze,
    Events,
}

const SIDES: usize = 3;

/// Tuples by the hash of their key. Kept in memory up to the budget; past it, all go to files.
#[derive(Debug)]
pub(crate) struct Partitions {
    scratch: PathBuf,
    dir: Option<TempDir>,
    budget_bytes: usize,
    buffered_bytes: usize,
    count: usize,
    /// One a side and partition.
    buffers: Vec<Buffer>,
}

#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    spilled: bool,
}

impl Partitions {
    /// As many partitions as it takes for `keys` silver tuples, evenly spread, to be `part_bytes` or less in each.
    pub(crate) fn new(scratch: &Path, budget_bytes: usize, keys: u64, part_bytes: usize) -> Self {
        let bytes = keys.saturating_mul(TUPLE_BYTES as u64);
        let count = usize::try_from(bytes.div_ceil(part_bytes.max(1) as u64)).unwrap_or(MAX_PARTITIONS);
        let count = count.clamp(1, MAX_PARTITIONS).next_power_of_two();
        Self {
            scratch: scratch.to_owned(),
            dir: None,
            budget_bytes,
            buffered_bytes: 0,
            count,
            buffers: (0..count * SIDES).map(|_| Buffer::default()).collect(),
        }
    }

    /// The number of partitions.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    fn index(&self, side: Side, partition: usize) -> usize {
        side as usize * self.count + partition
    }

    /// Adds tuples; `true` where it is time to [`spill`](Self::spill).
    pub(crate) fn push(&mut self, side: Side, tuples: &[Tuple]) -> bool {
        for tuple in tuples {
            let partition = tuple.key[0] as usize & (self.count - 1);
            let index = self.index(side, partition);
            tuple.encode(&mut self.buffers[index].bytes);
        }
        self.buffered_bytes += tuples.len() * TUPLE_BYTES;
        self.buffered_bytes >= self.budget_bytes
    }

    /// Writes everything that is in memory to files. Blocks.
    pub(crate) fn spill(&mut self) -> Result<(), AuditError> {
        let dir = match self.dir.take() {
            Some(dir) => dir,
            None => {
                let scratch = |source| AuditError::Scratch { action: "create", path: self.scratch.clone(), source };
                fs::create_dir_all(&self.scratch).map_err(scratch)?;
                tempfile::Builder::new().prefix("verify-").tempdir_in(&self.scratch).map_err(scratch)?
            }
        };
        for (index, buffer) in self.buffers.iter_mut().enumerate().filter(|(_, b)| !b.bytes.is_empty()) {
            let path = dir.path().join(index.to_string());
            let file = File::options().create(true).append(true).open(&path);
            file.and_then(|mut f| f.write_all(&buffer.bytes)).map_err(|source| AuditError::Scratch {
                action: "write",
                path,
                source,
            })?;
            buffer.bytes.clear();
            buffer.spilled = true;
        }
        self.buffered_bytes = 0;
        self.dir = Some(dir);
        Ok(())
    }

    /// Gives every tuple of one side of a partition to `take`, in the order in which they came. Blocks.
    pub(crate) fn read(&self, side: Side, partition: usize, mut take: impl FnMut(Tuple)) -> Result<(), AuditError> {
        let index = self.index(side, partition);
        let buffer = &self.buffers[index];
        if let Some(dir) = self.dir.as_ref().filter(|_| buffer.spilled) {
            let path = dir.path().join(index.to_string());
            let read = read_file(&path, &mut take);
            read.map_err(|source| AuditError::Scratch { action: "read", path, source })?;
        }
        buffer.bytes.chunks_exact(TUPLE_BYTES).for_each(|bytes| take(Tuple::decode(bytes)));
        Ok(())
    }
}

fn read_file(path: &Path, take: &mut impl FnMut(Tuple)) -> std::io::Result<()> {
    let mut file = File::open(path)?;
    let mut chunk = Vec::with_capacity(READ_TUPLES * TUPLE_BYTES);
    loop {
        chunk.clear();
        (&mut file).take((READ_TUPLES * TUPLE_BYTES) as u64).read_to_end(&mut chunk)?;
        if chunk.is_empty() {
            return Ok(());
        }
        chunk.chunks_exact(TUPLE_BYTES).for_each(|bytes| take(Tuple::decode(bytes)));
    }
}

#[cfg(test)]
mod tests;
