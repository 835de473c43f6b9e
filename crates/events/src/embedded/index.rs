//! What the log knows of itself: its segments, the jobs in them, the jobs that have ended and what has been retired.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use ensemble_store::JobId;
use serde::{Deserialize, Serialize};

/// One segment; as a document it is the segment's index file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Segment {
    /// The length that is known to be durable, up to the end of a record. Readers go no further.
    pub(super) bytes: u64,
    /// How many records of which jobs lie below.
    pub(super) jobs: BTreeMap<JobId, u64>,
    /// Whether some bytes below are not what was written. Whose they are is unknown, so the segment is never retired.
    pub(super) damaged: bool,
}

impl Segment {
    /// Counts one more record, which ends at `end`.
    pub(super) fn add(&mut self, job: JobId, end: u64) {
        *self.jobs.entry(job).or_default() += 1;
        self.bytes = end;
    }
}

/// What must outlive the segments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// The jobs that have ended.
    pub(super) ended: BTreeSet<JobId>,
    /// How many records of which jobs have been retired.
    pub(super) retired: BTreeMap<JobId, u64>,
    /// Segments that are counted as retired and whose files may still be there.
    pub(super) deleting: BTreeSet<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) segments: BTreeMap<u64, Segment>,
    pub(super) state: State,
}

impl Index {
    /// The segments to retire, oldest first, until the log takes at most `retain_bytes`: those whose jobs have all
    /// ended, never the one that is written.
    pub(super) fn retirable(&self, retain_bytes: u64, current: u64) -> Vec<u64> {
        let mut total: u64 = self.segments.values().map(|s| s.bytes).sum();
        let mut chosen = Vec::new();
        for (number, segment) in &self.segments {
            if total <= retain_bytes {
                break;
            }
            let ended = segment.jobs.keys().all(|job| self.state.ended.contains(job));
            if *number != current && ended && !segment.damaged {
                total -= segment.bytes;
                chosen.push(*number);
            }
        }
        chosen
    }

    /// The state once `segments` are retired.
    pub(super) fn state_without(&self, segments: &[u64]) -> State {
        let mut state = self.state.clone();
        for number in segments {
            state.deleting.insert(*number);
            for (job, records) in self.segments.get(number).into_iter().flat_map(|s| &s.jobs) {
                *state.retired.entry(*job).or_default() += records;
            }
        }
        state
    }
}

/// The index, shared by the writer, which alone changes it, and the readers.
#[derive(Debug, Default)]
pub(super) struct SharedIndex(Mutex<Index>);

impl SharedIndex {
    pub(super) fn new(index: Index) -> Self {
        Self(Mutex::new(index))
    }

    /// Every change is made whole under the lock, so what a panicked thread leaves is sound.
    pub(super) fn lock(&self) -> MutexGuard<'_, Index> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first segment from `number` on and its durable length.
    pub(super) fn segment_from(&self, number: u64) -> Option<(u64, u64)> {
        self.lock().segments.range(number..).next().map(|(n, s)| (*n, s.bytes))
    }
}
