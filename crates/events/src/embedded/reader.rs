//! Reading the log back, page by page.

use std::{io, path::Path};

use super::{
    files,
    frame::{FrameReader, Stop},
    index::SharedIndex,
};
use crate::{EventsError, LogCursor, LogPage};

/// The records behind `after`, at most `limit`. Holds the page and one record's stored bytes in memory.
pub(super) fn read_page(
    dir: &Path,
    index: &SharedIndex,
    after: LogCursor,
    limit: usize,
) -> Result<LogPage, EventsError> {
    let mut page = LogPage { records: Vec::new(), next: after };
    let mut at = after;
    while let Some((number, end)) = index.segment_from(at.segment) {
        let offset = if number == at.segment { at.offset } else { 0 };
        if offset < end {
            read_segment(dir, index, (number, offset, end), limit, &mut page)?;
        }
        if page.records.len() >= limit {
            break;
        }
        at = LogCursor { segment: number + 1, offset: 0 };
    }
    Ok(page)
}

/// Reads segment `number` from `offset` to `end` until the page is full.
fn read_segment(
    dir: &Path,
    index: &SharedIndex,
    (number, offset, end): (u64, u64, u64),
    limit: usize,
    page: &mut LogPage,
) -> Result<(), EventsError> {
    let path = files::segment_path(dir, number);
    let mut reader = match FrameReader::open(&path, offset, end) {
        Ok(reader) => reader,
        Err(e) if e.kind() == io::ErrorKind::NotFound && !index.lock().segments.contains_key(&number) => {
            // Retired since it was looked up.
            return Ok(());
        }
        Err(e) => return Err(EventsError::io("open", &path, e)),
    };
    while page.records.len() < limit {
        let offset = reader.offset();
        let corrupt = |reason: String| EventsError::Corrupt { path: path.clone(), offset, reason };
        match reader.next() {
            Ok(Some((header, stored))) => page.records.push(header.decode(stored).map_err(corrupt)?),
            Ok(None) => break,
            Err(Stop::Bad(reason)) => return Err(corrupt(reason.to_owned())),
            Err(Stop::Io(e)) => return Err(EventsError::io("read", &path, e)),
        }
        page.next = LogCursor { segment: number, offset: reader.offset() };
    }
    Ok(())
}
