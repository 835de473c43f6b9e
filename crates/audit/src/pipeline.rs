//! Work on blocking threads, a bounded number of pieces at a time, with the results in the order of the pieces.

use std::collections::VecDeque;

use tokio::task::{JoinHandle, spawn_blocking};

use crate::AuditError;

/// Pieces of work under way, oldest first.
pub(crate) struct InOrder<T> {
    limit: usize,
    running: VecDeque<JoinHandle<T>>,
}

impl<T: Send + 'static> InOrder<T> {
    /// At most `limit` pieces at a time (at least 1).
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), running: VecDeque::new() }
    }

    /// Takes a piece up. Where as many are under way as may be, it waits for the oldest first and returns its result.
    pub(crate) async fn submit(&mut self, work: impl FnOnce() -> T + Send + 'static) -> Result<Option<T>, AuditError> {
        let oldest = if self.running.len() >= self.limit { self.next().await? } else { None };
        self.running.push_back(spawn_blocking(work));
        Ok(oldest)
    }

    /// Waits for the oldest piece; `None` where none is under way.
    pub(crate) async fn next(&mut self) -> Result<Option<T>, AuditError> {
        match self.running.pop_front() {
            Some(oldest) => oldest.await.map(Some).map_err(|e| AuditError::Panicked(e.to_string())),
            None => Ok(None),
        }
    }
}

/// One piece of work on a blocking thread.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, AuditError> {
    spawn_blocking(work).await.map_err(|e| AuditError::Panicked(e.to_string()))
}
