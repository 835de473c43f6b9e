//! An event log for those who want none.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use ensemble_store::JobId;

use crate::{EventLog, EventsError, LogCursor, LogPage, ShardEvents};

/// Takes every shard's events and keeps nothing: `--events none`. It cannot be read back, so a verification says that
/// it did not look at events.
#[derive(Debug, Default)]
pub struct NoEvents {
    closed: AtomicBool,
}

impl NoEvents {
    /// An open log.
    pub fn new() -> Self {
        Self::default()
    }

    fn check_open(&self) -> Result<(), EventsError> {
        if self.closed.load(Ordering::Acquire) { Err(EventsError::Closed) } else { Ok(()) }
    }
}

#[async_trait::async_trait]
impl EventLog for NoEvents {
    fn describe(&self) -> String {
        "none".to_owned()
    }

    async fn append(&self, _: Arc<ShardEvents>) -> Result<(), EventsError> {
        self.check_open()
    }

    async fn scan(&self, _: LogCursor, _: usize) -> Result<Option<LogPage>, EventsError> {
        self.check_open().map(|()| None)
    }

    async fn retired(&self) -> Result<Vec<(JobId, u64)>, EventsError> {
        Ok(Vec::new())
    }

    async fn job_ended(&self, _: JobId) -> Result<(), EventsError> {
        self.check_open()
    }

    async fn close(&self) -> Result<(), EventsError> {
        self.closed.store(true, Ordering::Release);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::sample_shard;

    #[tokio::test]
    async fn nothing_is_kept_and_a_closed_log_says_so() {
        let log = NoEvents::new();
        let shard = Arc::new(sample_shard(1, 0, 3));
        log.append(shard.clone()).await.unwrap();
        log.job_ended(shard.job).await.unwrap();
        assert!(log.scan(LogCursor::default(), 10).await.unwrap().is_none());
        assert_eq!(log.retired().await.unwrap(), []);
        log.close().await.unwrap();
        log.close().await.unwrap();
        assert!(matches!(log.append(shard.clone()).await, Err(EventsError::Closed)));
        assert!(matches!(log.scan(LogCursor::default(), 10).await, Err(EventsError::Closed)));
        assert!(matches!(log.job_ended(shard.job).await, Err(EventsError::Closed)));
    }
}
