//! One record of a segment: a header of 56 bytes, then the encoded events, compressed where that saves a third.
//!
//! | bytes | header |
//! |---|---|
//! | 0..4 | magic `ENSL` |
//! | 4 | format version: 1 |
//! | 5 | 1 where the body is an LZ4 block, 0 where it is plain |
//! | 6..8 | 0 |
//! | 8..12 | length of the stored body |
//! | 12..16 | length of the plain body |
//! | 16..24 | durable: the segment's length when its bytes were last synced before this record was written |
//! | 24..32 | XXH3 of the stored body |
//! | 32..48 | the job |
//! | 48..56 | XXH3 of the bytes before |
//!
//! Numbers are little endian. The header has a checksum of its own, so that a damaged length is never believed.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::Path,
};

use bytes::Bytes;
use ensemble_store::{JobId, compress_if_it_pays};
use lz4_flex::block;
use xxhash_rust::xxh3::xxh3_64;

use crate::{EventsError, ShardEvents, codec};

pub(super) const HEADER_BYTES: usize = 56;
pub(super) const MAGIC: [u8; 4] = *b"ENSL";
const VERSION: u8 = 1;
/// The largest plain body. A shard is about a megabyte; this only bounds what a reader allocates.
const MAX_BODY_BYTES: u64 = 1 << 30;

/// A record that is ready to be written but for its place.
pub(super) struct Frame {
    job: JobId,
    bytes: Vec<u8>,
}

impl Frame {
    /// Encodes and compresses: all of the work that needs no disk.
    pub(super) fn encode(events: &ShardEvents) -> Result<Self, EventsError> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + codec::size_hint(events));
        bytes.resize(HEADER_BYTES, 0);
        codec::encode(events, &mut bytes);
        let plain_len = (bytes.len() - HEADER_BYTES) as u64;
        if plain_len > MAX_BODY_BYTES {
            return Err(EventsError::TooLarge { shard: events.shard, bytes: plain_len, limit: MAX_BODY_BYTES });
        }
        let compressed = compress_if_it_pays(&bytes[HEADER_BYTES..], HEADER_BYTES);
        let is_compressed = compressed.is_some();
        let mut bytes = compressed.unwrap_or(bytes);
        let header = Header {
            compressed: is_compressed,
            stored_len: (bytes.len() - HEADER_BYTES) as u32,
            plain_len: plain_len as u32,
            durable: 0,
            body_sum: xxh3_64(&bytes[HEADER_BYTES..]),
            job: events.job,
        };
        bytes[..HEADER_BYTES].copy_from_slice(&header.to_bytes());
        Ok(Self { job: events.job, bytes })
    }

    pub(super) fn job(&self) -> JobId {
        self.job
    }

    /// The whole record.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Writes into the header how much of the segment is durable.
    pub(super) fn set_durable(&mut self, durable: u64) {
        self.bytes[16..24].copy_from_slice(&durable.to_le_bytes());
        let sum = xxh3_64(&self.bytes[..48]);
        self.bytes[48..HEADER_BYTES].copy_from_slice(&sum.to_le_bytes());
    }
}

/// What stands before a record's body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    compressed: bool,
    pub(super) stored_len: u32,
    plain_len: u32,
    pub(super) durable: u64,
    body_sum: u64,
    pub(super) job: JobId,
}

impl Header {
    fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[..4].copy_from_slice(&MAGIC);
        out[4] = VERSION;
        out[5] = u8::from(self.compressed);
        out[8..12].copy_from_slice(&self.stored_len.to_le_bytes());
        out[12..16].copy_from_slice(&self.plain_len.to_le_bytes());
        out[16..24].copy_from_slice(&self.durable.to_le_bytes());
        out[24..32].copy_from_slice(&self.body_sum.to_le_bytes());
        out[32..48].copy_from_slice(self.job.0.as_bytes());
        let sum = xxh3_64(&out[..48]);
        out[48..].copy_from_slice(&sum.to_le_bytes());
        out
    }

    /// Reads and checks a header.
    pub(super) fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<Self, &'static str> {
        if bytes[..4] != MAGIC {
            return Err("no record begins here");
        }
        if u64::from_le_bytes(array(&bytes[48..])) != xxh3_64(&bytes[..48]) {
            return Err("the record's header does not match its checksum");
        }
        if bytes[4] != VERSION || bytes[5] > 1 {
            return Err("the record has a format that this version does not know");
        }
        Ok(Self {
            compressed: bytes[5] == 1,
            stored_len: u32::from_le_bytes(array(&bytes[8..12])),
            plain_len: u32::from_le_bytes(array(&bytes[12..16])),
            durable: u64::from_le_bytes(array(&bytes[16..24])),
            body_sum: u64::from_le_bytes(array(&bytes[24..32])),
            job: JobId(uuid::Uuid::from_bytes(array(&bytes[32..48]))),
        })
    }

    /// Whether the stored body is what was written.
    pub(super) fn check(&self, stored: &[u8]) -> Result<(), &'static str> {
        if xxh3_64(stored) == self.body_sum { Ok(()) } else { Err("the record does not match its checksum") }
    }

    /// The events of a body that has been checked.
    pub(super) fn decode(&self, stored: Vec<u8>) -> Result<ShardEvents, String> {
        let plain = if self.compressed {
            let mut plain = vec![0; self.plain_len as usize];
            let len = block::decompress_into(&stored, &mut plain).map_err(|e| e.to_string())?;
            if len != plain.len() {
                return Err(format!("the record holds {len} bytes and says {}", plain.len()));
            }
            plain
        } else {
            stored
        };
        codec::decode(&Bytes::from(plain)).map_err(|bad| bad.0.to_owned())
    }
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(bytes);
    out
}

/// Why a reader stops before its end.
pub(super) enum Stop {
    /// The file system refused.
    Io(io::Error),
    /// The bytes at the reader's offset are not a whole record.
    Bad(&'static str),
}

/// Reads a segment record by record; holds one in memory.
pub(super) struct FrameReader {
    input: BufReader<File>,
    offset: u64,
    end: u64,
}

impl FrameReader {
    /// Reads from `offset`, where a record begins, to `end`.
    pub(super) fn open(path: &Path, offset: u64, end: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self { input: BufReader::with_capacity(1 << 16, file), offset, end })
    }

    /// Behind the last record that was read.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next record's header and stored body, both checked; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(Header, Vec<u8>)>, Stop> {
        let rest = self.end.saturating_sub(self.offset);
        if rest == 0 {
            return Ok(None);
        }
        if rest < HEADER_BYTES as u64 {
            return Err(Stop::Bad("the file ends inside a record's header"));
        }
        let mut header = [0; HEADER_BYTES];
        self.fill(&mut header)?;
        let header = Header::parse(&header).map_err(Stop::Bad)?;
        if rest - (HEADER_BYTES as u64) < u64::from(header.stored_len) {
            return Err(Stop::Bad("the file ends inside a record"));
        }
        let mut stored = vec![0; header.stored_len as usize];
        self.fill(&mut stored)?;
        header.check(&stored).map_err(Stop::Bad)?;
        self.offset += (HEADER_BYTES + stored.len()) as u64;
        Ok(Some((header, stored)))
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Stop> {
        self.input.read_exact(buffer).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => Stop::Bad("the file is shorter than it was"),
            _ => Stop::Io(e),
        })
    }
}
