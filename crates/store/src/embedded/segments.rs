//! The bytes of shards, and of long deltas: append-only files of checksummed chunks.
//!
//! A chunk is a header of 20 bytes, {magic, raw length, stored length, checksum} in little-endian order, and the bytes
//! as LZ4 block, or as they are where that does not pay. Records elsewhere point at chunks, with the
//! lengths and the checksum, so what is behind the last record that survived a crash is cut off at the next opening.

mod recover;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{
    cached::forget_cached,
    codec::{Cursor, Damaged},
    compress::compress_if_it_pays,
    fault::io_error,
    layout::sync_dir,
};
use crate::StoreError;

pub(super) use recover::Recovered;

const MAGIC: [u8; 4] = *b"EBC1";
const HEADER: usize = 20;

/// Where a chunk is and how to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Location {
    /// The segment's number.
    pub(super) segment: u32,
    /// The chunk's first byte in the segment.
    pub(super) offset: u64,
    /// Bytes as they came.
    pub(super) raw: u32,
    /// Bytes as they are stored; equal to `raw` where they are stored as they came.
    pub(super) stored: u32,
    /// The checksum in the chunk's header.
    pub(super) checksum: u64,
}

impl Location {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.segment.to_le_bytes());
        out.extend_from_slice(&self.offset.to_le_bytes());
        out.extend_from_slice(&self.raw.to_le_bytes());
        out.extend_from_slice(&self.stored.to_le_bytes());
        out.extend_from_slice(&self.checksum.to_le_bytes());
    }

    pub(super) fn decode(cursor: &mut Cursor<'_>) -> Result<Self, Damaged> {
        Ok(Self {
            segment: u32::from_le_bytes(cursor.array()?),
            offset: u64::from_le_bytes(cursor.array()?),
            raw: u32::from_le_bytes(cursor.array()?),
            stored: u32::from_le_bytes(cursor.array()?),
            checksum: u64::from_le_bytes(cursor.array()?),
        })
    }

    /// The byte behind the chunk.
    fn end(&self) -> Mark {
        Mark { segment: self.segment, offset: self.offset + HEADER as u64 + u64::from(self.stored) }
    }
}

/// A place in the sequence of segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    pub(super) segment: u32,
    pub(super) offset: u64,
}

impl Mark {
    /// Where the first chunk goes.
    pub(super) const START: Self = Self { segment: 1, offset: 0 };

    pub(super) fn encode(self) -> Vec<u8> {
        [&self.segment.to_le_bytes()[..], &self.offset.to_le_bytes()].concat()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut cursor = Cursor::new(bytes);
        Ok(Self { segment: u32::from_le_bytes(cursor.array()?), offset: u64::from_le_bytes(cursor.array()?) })
    }
}

/// Bytes that are ready to be appended.
#[derive(Debug)]
pub(super) struct Packed {
    raw: u32,
    stored: Bytes,
    checksum: u64,
}

impl Packed {
    /// Compresses `bytes` where that pays. Costs up to 4 ms a MiB.
    pub(super) fn new(bytes: &Bytes) -> Result<Self, StoreError> {
        let raw = u32::try_from(bytes.len()).map_err(|_| StoreError::TooLarge {
            what: "the bytes of a shard".to_owned(),
            length: bytes.len(),
            limit: u32::MAX as usize,
        })?;
        let stored = compress_if_it_pays(bytes, 0).map_or_else(|| bytes.clone(), Bytes::from);
        let checksum = checksum(raw, &stored);
        Ok(Self { raw, stored, checksum })
    }

    /// Bytes in memory and on the disk.
    pub(super) fn len(&self) -> usize {
        HEADER + self.stored.len()
    }

    fn header(&self) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        header[..4].copy_from_slice(&MAGIC);
        header[4..8].copy_from_slice(&self.raw.to_le_bytes());
        header[8..12].copy_from_slice(&(self.stored.len() as u32).to_le_bytes());
        header[12..].copy_from_slice(&self.checksum.to_le_bytes());
        header
    }
}

fn checksum(raw: u32, stored: &[u8]) -> u64 {
    xxh3_64_with_seed(stored, u64::from(raw) << 32 | stored.len() as u64)
}

/// The segment files of a store. Any thread appends, reads and syncs.
pub(super) struct Segments {
    dir: PathBuf,
    /// The size at which the next segment is begun.
    limit: u64,
    tail: Mutex<Tail>,
    /// Held while files are synced, so that nobody takes another's unfinished sync for done.
    syncing: Mutex<()>,
}

struct Tail {
    end: Mark,
    file: Option<Arc<File>>,
    /// The file before, which is full.
    before: Option<Arc<File>>,
    /// Files with appends that are not synced.
    unsynced: Vec<Arc<File>>,
    /// Whether a file was created whose name is not synced.
    dir_unsynced: bool,
}

impl Segments {
    /// Goes on at `end`.
    fn new(dir: &Path, limit: u64, end: Mark) -> Self {
        let tail = Tail { end, file: None, before: None, unsynced: Vec::new(), dir_unsynced: false };
        Self { dir: dir.to_owned(), limit, tail: Mutex::new(tail), syncing: Mutex::new(()) }
    }

    /// Appends a chunk, not yet durably. After an error the file may hold a part of it, behind everything that records
    /// point at; the store is then to be opened anew.
    pub(super) fn append(&self, chunk: &Packed) -> Result<Location, StoreError> {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.end.offset > 0 && tail.end.offset + chunk.len() as u64 > self.limit {
            tail.end = Mark { segment: tail.end.segment + 1, offset: 0 };
            let full = tail.file.take();
            // The one that is full now stays cached for whoever reads a small store back.
            if let Some(before) = std::mem::replace(&mut tail.before, full) {
                forget_cached(&before);
            }
        }
        let path = segment_path(&self.dir, tail.end.segment);
        let file = match &tail.file {
            Some(file) => Arc::clone(file),
            None => {
                let file = File::options().create(true).append(true).open(&path);
                let file = Arc::new(file.map_err(|e| io_error("open", &path, e))?);
                tail.dir_unsynced |= tail.end.offset == 0;
                tail.file = Some(Arc::clone(&file));
                file
            }
        };
        if !tail.unsynced.iter().any(|f| Arc::ptr_eq(f, &file)) {
            tail.unsynced.push(Arc::clone(&file));
        }
        let mut out = &*file;
        out.write_all(&chunk.header())
            .and_then(|()| out.write_all(&chunk.stored))
            .map_err(|e| io_error("write", &path, e))?;
        let Mark { segment, offset } = tail.end;
        tail.end.offset += chunk.len() as u64;
        let stored = chunk.stored.len() as u32;
        Ok(Location { segment, offset, raw: chunk.raw, stored, checksum: chunk.checksum })
    }

    /// Makes everything durable that was appended before the call, and answers up to where that is.
    pub(super) fn sync(&self) -> Result<Mark, StoreError> {
        let _only_one = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let (end, files, dir_unsynced) = {
            let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
            (tail.end, std::mem::take(&mut tail.unsynced), std::mem::take(&mut tail.dir_unsynced))
        };
        for file in files {
            file.sync_data().map_err(|e| io_error("sync", &self.dir, e))?;
        }
        if dir_unsynced {
            sync_dir(&self.dir)?;
        }
        Ok(end)
    }

    /// The bytes of a chunk, verified.
    pub(super) fn read(&self, location: &Location) -> Result<Bytes, StoreError> {
        let path = segment_path(&self.dir, location.segment);
        let damaged = |reason: &str| StoreError::Corrupt {
            what: format!("the bronze chunk at byte {} of {}", location.offset, path.display()),
            reason: reason.to_owned(),
        };
        let mut file = File::open(&path).map_err(|e| io_error("open", &path, e))?;
        file.seek(SeekFrom::Start(location.offset)).map_err(|e| io_error("read", &path, e))?;
        let wanted = HEADER as u64 + u64::from(location.stored);
        let left = file.metadata().map_err(|e| io_error("read", &path, e))?.len().saturating_sub(location.offset);
        if left < wanted {
            return Err(damaged("the file ends inside it"));
        }
        let mut chunk = Vec::with_capacity(wanted as usize);
        file.take(wanted).read_to_end(&mut chunk).map_err(|e| io_error("read", &path, e))?;
        let mut stored = Bytes::from(chunk);
        let header = stored.split_to(HEADER.min(stored.len()));
        let expected = Packed { raw: location.raw, stored: stored.clone(), checksum: location.checksum }.header();
        if header[..] != expected || checksum(location.raw, &stored) != location.checksum {
            return Err(damaged("its checksum does not match"));
        }
        if location.stored == location.raw {
            return Ok(stored);
        }
        let bytes = lz4_flex::block::decompress(&stored, location.raw as usize).map_err(|e| damaged(&e.to_string()))?;
        if bytes.len() != location.raw as usize {
            return Err(damaged("it has another length than its record says"));
        }
        Ok(Bytes::from(bytes))
    }
}

fn segment_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:010}.seg"))
}

/// The numbers of the segment files in `dir`, ascending.
fn segment_numbers(dir: &Path) -> Result<Vec<u32>, StoreError> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir).map_err(|e| io_error("read", dir, e))? {
        let name = entry.map_err(|e| io_error("read", dir, e))?.file_name();
        let number = name.to_str().and_then(|n| n.strip_suffix(".seg")).and_then(|n| n.parse::<u32>().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}
