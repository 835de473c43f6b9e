//! Opening a log that may have been cut off in the middle of a write.
//!
//! Only the last segment can have a torn tail: bytes of a write that was never acknowledged. They are told from damage
//! by what follows: a whole record that was written when the place was durable already proves that the place is
//! damaged, not torn. Damage is kept, and shows when it is read; a torn tail is cut off.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use super::{
    files,
    frame::{FrameReader, HEADER_BYTES, Header, MAGIC, Stop},
    index::{Index, Segment, State},
};
use crate::EventsError;

/// Reads what is there, finishes a retirement that was cut off and cuts off a torn tail.
pub(super) fn recover(dir: &Path) -> Result<Index, EventsError> {
    let mut state: State = files::read_json(&files::state_path(dir))?.unwrap_or_default();
    for number in &state.deleting {
        files::delete(&files::segment_path(dir, *number))?;
        files::delete(&files::index_path(dir, *number))?;
    }
    if !state.deleting.is_empty() {
        files::sync_dir(dir)?;
        state.deleting.clear();
    }
    let mut numbers = files::list_segments(dir)?;
    numbers.sort_unstable();
    let mut segments = BTreeMap::new();
    for number in &numbers {
        segments.insert(*number, recover_segment(dir, *number)?);
    }
    if let Some((number, segment)) = segments.last_key_value() {
        cut_tail(&files::segment_path(dir, *number), segment)?;
    }
    Ok(Index { segments, state })
}

/// Starts from the segment's index file where it has a sound one, and reads on behind it.
fn recover_segment(dir: &Path, number: u64) -> Result<Segment, EventsError> {
    let path = files::segment_path(dir, number);
    let len = fs::metadata(&path).map_err(|e| EventsError::io("open", &path, e))?.len();
    let index = files::index_path(dir, number);
    let mut segment = match files::read_json::<Segment>(&index) {
        Ok(known) => known.unwrap_or_default(),
        Err(EventsError::Corrupt { reason, .. }) => {
            tracing::warn!(file = %index.display(), reason, "reading a segment again: its index is damaged");
            Segment::default()
        }
        Err(e) => return Err(e),
    };
    if len < segment.bytes {
        tracing::error!(file = %path.display(), len, durable = segment.bytes, "a segment has lost its end");
        segment.damaged = true;
        return Ok(segment);
    }
    scan(&path, len, &mut segment)?;
    Ok(segment)
}

/// Counts the whole records behind `segment.bytes`.
fn scan(path: &Path, len: u64, segment: &mut Segment) -> Result<(), EventsError> {
    let io = |e| EventsError::io("read", path, e);
    loop {
        let mut reader = FrameReader::open(path, segment.bytes, len).map_err(io)?;
        let reason = loop {
            match reader.next() {
                Ok(Some((header, _))) => segment.add(header.job, reader.offset()),
                Ok(None) => return Ok(()),
                Err(Stop::Io(e)) => return Err(io(e)),
                Err(Stop::Bad(reason)) => break reason,
            }
        };
        let Some(next) = record_behind_damage(path, segment.bytes)? else { return Ok(()) };
        tracing::error!(file = %path.display(), offset = segment.bytes, reason, "a segment is damaged");
        segment.damaged = true;
        segment.bytes = next;
    }
}

/// Where the next whole record begins that was written when the bytes at `offset` were durable.
fn record_behind_damage(path: &Path, offset: u64) -> Result<Option<u64>, EventsError> {
    let mut rest = Vec::new();
    let mut read = || {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        // At most one segment: it is bounded by the setting, and this is no common path.
        file.read_to_end(&mut rest)
    };
    read().map_err(|e| EventsError::io("read", path, e))?;
    let found = (1..rest.len()).find(|at| {
        let tail = &rest[*at..];
        if !tail.starts_with(&MAGIC) {
            return false;
        }
        let Some((header, body)) = tail.split_first_chunk::<HEADER_BYTES>() else { return false };
        let Ok(header) = Header::parse(header) else { return false };
        let Some(stored) = body.get(..header.stored_len as usize) else { return false };
        header.durable > offset && header.check(stored).is_ok()
    });
    Ok(found.map(|at| offset + at as u64))
}

fn cut_tail(path: &Path, segment: &Segment) -> Result<(), EventsError> {
    let file = File::options().write(true).open(path).map_err(|e| EventsError::io("open", path, e))?;
    let len = file.metadata().map_err(|e| EventsError::io("open", path, e))?.len();
    if len > segment.bytes {
        tracing::info!(file = %path.display(), offset = segment.bytes, bytes = len - segment.bytes, "cutting off the end of a write that was not finished");
        file.set_len(segment.bytes).map_err(|e| EventsError::io("cut", path, e))?;
    }
    // Whole records of a write that nobody was told of: from here on they count, so they must be durable.
    file.sync_data().map_err(|e| EventsError::io("sync", path, e))
}
