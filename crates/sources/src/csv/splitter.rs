//! Cuts a source into shards of whole records.

use std::{io::Read, sync::Arc};

use bytes::Bytes;
use ensemble_store::{ShardId, ShardKind, ShardPlan};
use serde::{Deserialize, Serialize};

use super::{
    Dialect, HEAD_BYTES, RECORD_LIMIT_BYTES,
    buffer::Buffer,
    cut::{Cut, Scanner},
    lines,
    long::{LongRecord, LongScan},
};
use crate::SourceError;

/// How a source is cut. All but `name`, `expected_size` and `read_bytes` decide where the cuts are, so a job pins them.
#[derive(Debug, Clone)]
pub struct SplitOptions {
    /// What errors call the source.
    pub name: Arc<str>,
    /// What separates fields.
    pub dialect: Dialect,
    /// A shard ends at the first record's end that is at least so many bytes behind its start; at least 1.
    pub shard_bytes: usize,
    /// The most bytes that a record can have without its line end; at least 1.
    pub record_limit_bytes: usize,
    /// The bytes of the byte order mark and the header ([`super::Preamble::header_bytes`]).
    pub header_bytes: u32,
    /// The size that the source had when the job began, where it has one: a source that is shorter or longer is an error.
    pub expected_size: Option<u64>,
    /// The most bytes that one read asks for.
    pub read_bytes: usize,
}

impl SplitOptions {
    /// The defaults: shards of 1 MiB, records of at most 1 MiB, no header, any size.
    pub fn new(name: impl Into<Arc<str>>, dialect: Dialect) -> Self {
        Self {
            name: name.into(),
            dialect,
            shard_bytes: 1 << 20,
            record_limit_bytes: RECORD_LIMIT_BYTES,
            header_bytes: 0,
            expected_size: None,
            read_bytes: 256 << 10,
        }
    }

    /// Pieces are about as large as shards, but a record past the limit has at least two of them.
    fn piece_bytes(&self) -> usize {
        self.shard_bytes.max(HEAD_BYTES).min(self.record_limit_bytes)
    }
}

/// A place between two shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The file's number in the job.
    pub file: u32,
    /// The next shard's first byte in the file.
    pub offset: u64,
    /// The line of that byte, counted from 1.
    pub line: u64,
    /// The next shard's name.
    pub next_shard: ShardId,
}

impl Cursor {
    /// The beginning of file `file`.
    pub fn start_of(file: u32, next_shard: ShardId) -> Self {
        Self { file, offset: 0, line: 1, next_shard }
    }

    /// The place behind a planned shard; `None` behind a piece that is not its record's last, where no reading can
    /// begin: go back to the last plan that has a cursor and [`Splitter::skip_to`] the shard that is wanted. `None` as
    /// well behind a job's very last shard number.
    pub fn after(plan: &ShardPlan) -> Option<Self> {
        let number = plan.shard.number.checked_add(1)?;
        (plan.kind != ShardKind::Piece).then(|| Self {
            file: plan.file,
            offset: plan.offset + plan.length,
            line: plan.next_line,
            next_shard: ShardId { number, ..plan.shard },
        })
    }
}

/// A shard and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedShard {
    /// Where the bytes stand in the source.
    pub plan: ShardPlan,
    /// The bytes; they keep nothing else alive.
    pub bytes: Bytes,
}

impl PlannedShard {
    /// Whether reading can begin behind this shard ([`Cursor::after`]).
    pub fn resumable_after(&self) -> bool {
        self.plan.kind != ShardKind::Piece
    }
}

/// A shard whose digest is still to be computed, which takes longer than the cutting: any thread can do it.
#[derive(Debug)]
pub struct UnsealedShard {
    plan: ShardPlan,
    bytes: Bytes,
}

impl UnsealedShard {
    /// Computes the digest.
    pub fn seal(self) -> PlannedShard {
        let Self { mut plan, bytes } = self;
        plan.digest = ShardPlan::digest_of(&bytes);
        PlannedShard { plan, bytes }
    }

    /// How many bytes the shard has.
    pub fn length(&self) -> u64 {
        self.plan.length
    }
}

/// Gives a source's shards one after the other.
///
/// Where a shard ends is a function of the bytes from its start on, of the shard size and of the limit alone. So a
/// splitter that begins at [`Cursor::after`] a shard gives the same shards as the one that gave that shard. Holds at
/// most about a shard, a record of the limit and one read.
///
/// An error leaves it as it was: a failed read may be tried again by calling again.
#[derive(Debug)]
pub struct Splitter<R> {
    buffer: Buffer<R>,
    scanner: Scanner,
    options: SplitOptions,
    at: Cursor,
    long: Option<LongRecord>,
}

impl<R: Read> Splitter<R> {
    /// Begins at `start`, where `reader` has to stand.
    pub fn new(reader: R, options: SplitOptions, start: Cursor) -> Self {
        let options = SplitOptions {
            shard_bytes: options.shard_bytes.max(1),
            record_limit_bytes: options.record_limit_bytes.max(1),
            ..options
        };
        let header_bytes = if start.offset == 0 { options.header_bytes as usize } else { 0 };
        let (shard, limit, read) = (options.shard_bytes, options.record_limit_bytes, options.read_bytes);
        let capacity = shard.max(header_bytes).saturating_add(limit).saturating_add(read).saturating_add(2);
        let mut scanner = Scanner::new(options.dialect.delimiter, shard, limit);
        scanner.skip_header(header_bytes);
        let buffer = Buffer::new(reader, options.name.clone(), start.offset, capacity)
            .read_bytes(read)
            .expect(options.expected_size);
        Self { buffer, scanner, options, at: start, long: None }
    }

    /// The next shard; `None` at the end of the source.
    pub fn next_shard(&mut self) -> Result<Option<PlannedShard>, SourceError> {
        Ok(self.next_unsealed()?.map(UnsealedShard::seal))
    }

    /// Passes by the shards that are numbered below `number`.
    pub fn skip_to(&mut self, number: u32) -> Result<(), SourceError> {
        while self.at.next_shard.number < number && self.next_unsealed()?.is_some() {}
        Ok(())
    }

    /// The place behind the shards that were given. Inside an over-long record no splitter can begin there.
    pub fn cursor(&self) -> Cursor {
        self.at
    }

    /// How many bytes are held at the moment, read or reserved, beside the shards that were given.
    pub fn held_bytes(&self) -> usize {
        self.buffer.capacity()
    }

    /// The next shard without its digest; `None` at the end of the source.
    pub fn next_unsealed(&mut self) -> Result<Option<UnsealedShard>, SourceError> {
        if self.long.is_some() {
            return self.next_piece().map(Some);
        }
        if self.buffer.bytes().is_empty() && !self.buffer.read_more()? {
            return Ok(None);
        }
        loop {
            match self.scanner.scan(self.buffer.bytes(), self.buffer.is_whole()) {
                Cut::NeedMore => {
                    self.buffer.read_more()?;
                }
                Cut::At(length) => return self.give(length, false).map(Some),
                Cut::Long { record: 0, scanned, state } => {
                    self.begin_long(scanned, state);
                    return self.next_piece().map(Some);
                }
                // The record is found again from its own start, as it is after a restart.
                Cut::Long { record, .. } => return self.give(record, false).map(Some),
            }
        }
    }

    fn begin_long(&mut self, scanned: usize, state: super::cut::State) {
        let seen = &self.buffer.bytes()[..scanned];
        let scan = LongScan::new(self.options.dialect.delimiter, self.options.record_limit_bytes, seen, state);
        self.long = Some(LongRecord::new(self.at.offset, self.at.line, scanned, scan));
    }

    fn next_piece(&mut self) -> Result<UnsealedShard, SourceError> {
        let least = self.options.piece_bytes();
        loop {
            let bytes = self.buffer.bytes();
            // A line end of two bytes stays in one piece.
            let straddles = bytes.get(least - 1..=least) == Some(b"\r\n");
            let piece_bytes = if straddles { least + 1 } else { least };
            let line_end = self.long.as_mut().and_then(|long| long.find_line_end(bytes, piece_bytes));
            if let Some(line_end) = line_end {
                if let Some(end) = lines::end_of(bytes, line_end, self.buffer.is_whole()) {
                    return self.give(end, true);
                }
            } else if bytes.len() > piece_bytes {
                return self.give(piece_bytes, false);
            } else if self.buffer.is_whole() {
                return self.give(bytes.len(), true);
            }
            self.buffer.read_more()?;
        }
    }

    /// Gives out the first `length` bytes of the buffer; `ends_long` where they end an over-long record.
    fn give(&mut self, length: usize, ends_long: bool) -> Result<UnsealedShard, SourceError> {
        let last_of_file = self.buffer.bytes().len() <= length && !self.buffer.read_more()?;
        let next_number = self.at.next_shard.number.checked_add(1);
        let next_number =
            next_number.ok_or_else(|| SourceError::TooManyShards { file: self.options.name.to_string() })?;
        let (bytes, rest) = self.buffer.bytes().split_at(length.min(self.buffer.bytes().len()));
        let next_line = self.at.line + lines::count(bytes, rest.first().copied());
        let bytes = Bytes::copy_from_slice(bytes);
        let kind = self.note_piece(&bytes, ends_long);
        let plan = ShardPlan {
            shard: self.at.next_shard,
            file: self.at.file,
            offset: self.at.offset,
            length: bytes.len() as u64,
            first_line: self.at.line,
            next_line,
            header_bytes: if self.at.offset == 0 { self.options.header_bytes } else { 0 },
            last_of_file,
            kind,
            digest: [0; 32],
        };
        self.at.offset += plan.length;
        self.at.line = next_line;
        self.at.next_shard.number = next_number;
        self.buffer.take(bytes.len());
        self.scanner.next_shard(bytes.len());
        Ok(UnsealedShard { plan, bytes })
    }

    fn note_piece(&mut self, bytes: &[u8], ends_long: bool) -> ShardKind {
        let Some(long) = &mut self.long else { return ShardKind::Records };
        long.take(bytes, ends_long);
        if !ends_long {
            return ShardKind::Piece;
        }
        self.long.take().map_or(ShardKind::Records, |long| ShardKind::LastPiece {
            record_offset: long.offset,
            record_length: long.given,
            record_line: long.line,
            head: long.into_head(),
        })
    }
}
