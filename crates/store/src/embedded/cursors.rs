//! Where scans of silver stand that came to the end of a page.
//!
//! To begin a page means to find its first key in every run. A scan that goes on where the last page ended takes up
//! the iterator again, as long as its collection has not been written in between: an iterator sees what was there when
//! it began. It also keeps the database from forgetting what has been replaced since, so an iterator that nobody comes
//! back for is dropped after a while.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;

/// How many scans are remembered; the oldest is forgotten, and seeks again.
const KEPT: usize = 4;
/// How long a scan is remembered while there are writes.
const IDLE: Duration = Duration::from_secs(5);

/// The scans of a store.
#[derive(Default)]
pub(super) struct Cursors(Mutex<Vec<Cursor>>);

/// A scan between two pages.
pub(super) struct Cursor {
    /// The collection's keyspace.
    pub(super) collection: u64,
    /// The last key that it gave.
    pub(super) last: Bytes,
    pub(super) records: fjall::Iter,
    pub(super) since: Instant,
}

impl Cursors {
    /// The iterator that goes on behind `last`.
    pub(super) fn take(&self, collection: u64, last: &Bytes) -> Option<fjall::Iter> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|c| c.collection == collection && c.last == last)?;
        Some(kept.remove(at).records)
    }

    /// Keeps a scan that `is_current`, which is asked while nobody can [`forget`](Self::forget).
    pub(super) fn keep(&self, cursor: Cursor, is_current: impl FnOnce() -> bool) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_current() {
            if kept.len() >= KEPT {
                kept.remove(0);
            }
            kept.push(cursor);
        }
    }

    /// Forgets the scans of a collection. `written` makes them outdated for those that come to keep one later.
    pub(super) fn forget(&self, collection: u64, written: impl FnOnce()) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written();
        kept.retain(|c| c.collection != collection);
    }

    /// Forgets the scans that nobody has come back for.
    pub(super) fn forget_idle(&self) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|c| c.since.elapsed() < IDLE);
    }
}
