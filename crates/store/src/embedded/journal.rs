//! Mending the database's journal where the loss of power tore its end.
//!
//! The database drops an unfinished batch at the end of its journal, but refuses to open where the end marker of a
//! batch reached the disk before its middle did. Whatever was synced lies before the first batch that is not whole, so
//! the journal is cut there, as an unfinished batch would be.

#[cfg(test)]
mod tests;

use std::{
    fs::{self, File},
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use xxhash_rust::xxh3::Xxh3;

use super::fault::io_error;
use crate::StoreError;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
/// What ends the end marker.
const TRAILER: [u8; 4] = [b'F', b'J', b'L', 3];

/// Cuts the newest journal in `dir` off behind its last whole batch.
pub(super) fn cut_torn_end(dir: &Path) -> Result<(), StoreError> {
    let Some(path) = newest(dir)? else { return Ok(()) };
    let cut = || -> io::Result<()> {
        let end = last_whole(&mut BufReader::new(File::open(&path)?))?;
        tracing::warn!(file = %path.display(), at = end, "cut off a torn end");
        let file = File::options().write(true).open(&path)?;
        file.set_len(end)?;
        file.sync_all()
    };
    cut().map_err(|e| io_error("cut", &path, e))
}

fn newest(dir: &Path) -> Result<Option<PathBuf>, StoreError> {
    let mut newest = None;
    for entry in fs::read_dir(dir).map_err(|e| io_error("read", dir, e))? {
        let path = entry.map_err(|e| io_error("read", dir, e))?.path();
        let number = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".jnl"));
        if let Some(number) = number.and_then(|n| n.parse::<u64>().ok()) {
            newest = newest.max(Some((number, path)));
        }
    }
    Ok(newest.map(|(_, path)| path))
}

/// The byte behind the last batch that is whole and follows only whole ones.
fn last_whole(journal: &mut impl Read) -> io::Result<u64> {
    let mut end = 0;
    loop {
        match batch(journal) {
            Ok(Some(length)) => end += length,
            Ok(None) => return Ok(end),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(end),
            Err(e) => return Err(e),
        }
    }
}

/// Reads one batch: a start with the number of items, the items, and an end with their checksum. `None`: not whole.
fn batch(journal: &mut impl Read) -> io::Result<Option<u64>> {
    let [tag, count @ .., _, _, _, _, _, _, _, _] = array::<13>(journal)?;
    if tag != START {
        return Ok(None);
    }
    let mut length = 13;
    let mut hasher = Xxh3::new();
    for _ in 0..u32::from_le_bytes(count) {
        let Some(item) = item(journal, &mut hasher)? else { return Ok(None) };
        length += item;
    }
    let [tag, checksum @ .., a, b, c, d] = array::<13>(journal)?;
    let whole = tag == END && u64::from_le_bytes(checksum) == hasher.digest() && [a, b, c, d] == TRAILER;
    Ok(whole.then_some(length + 13))
}

/// Reads one item: tag, type, compression, keyspace, the lengths of key, value and stored value; key and value.
fn item(journal: &mut impl Read, hasher: &mut Xxh3) -> io::Result<Option<u64>> {
    let head = array::<21>(journal)?;
    let [ITEM, _, _, _, _, _, _, _, _, _, _, k0, k1, _, _, _, _, v0, v1, v2, v3] = head else { return Ok(None) };
    hasher.update(&head);
    let length = u64::from(u16::from_le_bytes([k0, k1])) + u64::from(u32::from_le_bytes([v0, v1, v2, v3]));
    let mut body = Vec::new();
    if journal.take(length).read_to_end(&mut body)? as u64 != length {
        return Ok(None);
    }
    hasher.update(&body);
    Ok(Some(head.len() as u64 + length))
}

fn array<const N: usize>(journal: &mut impl Read) -> io::Result<[u8; N]> {
    let mut array = [0; N];
    journal.read_exact(&mut array)?;
    Ok(array)
}
