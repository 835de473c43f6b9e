//! Where scans stand that came to the end of a page.
//!
//! To begin a page means to find its first key in every run. A scan that goes on where the last page ended takes up
//! the iterator again, as long as nothing has been written in between: an iterator sees what was there when it began.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;

/// How many scans are remembered; the oldest is forgotten, and seeks again.
const KEPT: usize = 4;

/// The scans of one collection.
#[derive(Default)]
pub(super) struct Cursors {
    /// How many runs have been written.
    written: AtomicU64,
    kept: Mutex<Vec<Cursor>>,
}

struct Cursor {
    /// The last key that it gave.
    last: Bytes,
    records: fjall::Iter,
    /// What `written` was before it began.
    written: u64,
}

impl Cursors {
    /// What a new iterator is to be kept with; to be asked before it begins.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Forgets all scans: a run was written. To be called before it is acknowledged.
    pub(super) fn forget(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        self.written.fetch_add(1, Ordering::AcqRel);
        kept.clear();
    }

    /// The iterator that goes on behind `last`.
    pub(super) fn take(&self, last: &Bytes) -> Option<(fjall::Iter, u64)> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|c| c.last == last)?;
        let cursor = kept.remove(at);
        Some((cursor.records, cursor.written))
    }

    /// Keeps an iterator that gave `last`, if it still sees everything.
    pub(super) fn keep(&self, last: Bytes, records: fjall::Iter, written: u64) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if written == self.written() {
            if kept.len() >= KEPT {
                kept.remove(0);
            }
            kept.push(Cursor { last, records, written });
        }
    }
}
