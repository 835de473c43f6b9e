//! What has become of the events of one append.

use std::{
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Instant,
};

use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::Notify;

/// An event that was not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Undelivered {
    pub(super) topic: String,
    /// What was said of it; `None`: that it was delivered, and not where to.
    pub(super) code: Option<RDKafkaErrorCode>,
}

/// Counts the events of one append that are on their way. The sender and the client library's callback share it; the
/// append waits for it once, however many events there are.
#[derive(Debug)]
pub(super) struct Deliveries {
    /// Events without an answer, and one for the sender until it has sent all.
    open: AtomicUsize,
    /// Nobody waits any more: the sender may stop.
    abandoned: AtomicBool,
    undelivered: OnceLock<Undelivered>,
    all_answered: Notify,
}

impl Deliveries {
    pub(super) fn new() -> Self {
        Self {
            open: AtomicUsize::new(1),
            abandoned: AtomicBool::new(false),
            undelivered: OnceLock::new(),
            all_answered: Notify::new(),
        }
    }

    /// An event is about to be sent.
    pub(super) fn begin(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    /// An event has its answer or was not sent after all, or the sender is through.
    pub(super) fn end(&self) {
        // Release and acquire: whoever sees zero sees every failure.
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.all_answered.notify_one();
        }
    }

    /// An event was not delivered; the first one counts.
    pub(super) fn fail(&self, undelivered: Undelivered) {
        // A later one has nothing to add.
        let _ = self.undelivered.set(undelivered);
    }

    pub(super) fn undelivered(&self) -> Option<&Undelivered> {
        self.undelivered.get()
    }

    /// How many events have no answer yet, once the sender is through.
    pub(super) fn unanswered(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Waits until every event has its answer. One caller.
    pub(super) async fn all_answered(&self) {
        while self.unanswered() > 0 {
            self.all_answered.notified().await;
        }
    }

    /// Whether there is no use in sending more.
    pub(super) fn is_lost(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed) || self.undelivered.get().is_some()
    }
}

/// Tells the sender, when dropped, that nobody waits for the append any more.
pub(super) struct Abandon<'a>(pub(super) &'a Deliveries);

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        self.0.abandoned.store(true, Ordering::Relaxed);
    }
}

/// Where senders wait while the queue is full.
#[derive(Debug, Default)]
pub(super) struct Room {
    state: Mutex<RoomState>,
    answered: std::sync::Condvar,
}

#[derive(Debug, Default)]
struct RoomState {
    answers: u64,
    /// Each answer wakes them; mostly there are none, and it costs no call to the system.
    waiting: usize,
}

impl Room {
    /// An event has left the queue.
    pub(super) fn freed(&self) {
        let mut state = self.state();
        state.answers = state.answers.wrapping_add(1);
        if state.waiting > 0 {
            self.answered.notify_all();
        }
    }

    /// What [`Room::wait`] compares with; to be taken before the queue is found full.
    pub(super) fn mark(&self) -> u64 {
        self.state().answers
    }

    /// Waits until an event has left the queue since `mark`. Blocks, until the deadline at most; `false` says that it has
    /// come.
    pub(super) fn wait(&self, mark: u64, deadline: Instant) -> bool {
        let mut state = self.state();
        state.waiting += 1;
        while state.answers == mark {
            let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
                break;
            };
            (state, _) = self.answered.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting -= 1;
        state.answers != mark
    }

    fn state(&self) -> MutexGuard<'_, RoomState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
