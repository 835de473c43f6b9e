//! What every backend can do.

use std::sync::Arc;

use ensemble_store::{JobId, ShardId};

use crate::{EventsError, ShardEvents, ShardPart};

/// A log of events.
#[async_trait::async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// What the user called it, without secrets: `embedded:./ensemble-data/events`.
    fn describe(&self) -> String;

    /// Delivers the events of one shard. `Ok` means acknowledged: durable wherever the log is. A call that fails, times
    /// out or is dropped may or may not have delivered; repeating it is harmless, readers tell repeats by their ids.
    async fn append(&self, events: Arc<ShardEvents>) -> Result<(), EventsError>;

    /// Reads the log back, oldest first, at most `limit` records behind the cursor; `None` for a log that cannot be read
    /// back here. Begin with `LogCursor::default()`; a short page is the last one.
    async fn scan(&self, after: LogCursor, limit: usize) -> Result<Option<LogPage>, EventsError>;

    /// Reads a log back that keeps single events, at most about `limit_bytes` of them behind the cursor; `None` for a log
    /// that [`EventLog::scan`] reads, and for one that cannot be read back. Begin with `LogCursor::default()`; reading
    /// ends where the log ended when it came to each of its partitions. One reader at a time; repeating a call is fine.
    async fn scan_parts(&self, _after: LogCursor, _limit_bytes: usize) -> Result<Option<PartPage>, EventsError> {
        Ok(None)
    }

    /// Which shards' events have been retired (only jobs that have ended are): the jobs, and how many records.
    async fn retired(&self) -> Result<Vec<(JobId, u64)>, EventsError>;

    /// Says that a job has ended, so that its records may be retired once the log is over its size.
    async fn job_ended(&self, job: JobId) -> Result<(), EventsError>;

    /// Writes everything out and releases the log.
    async fn close(&self) -> Result<(), EventsError>;
}

/// A place in the log: behind a record, or an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub struct LogCursor {
    /// The segment's number; where the log has partitions, one that stands for one of them.
    pub segment: u64,
    /// The first byte behind the record; where the log counts events, how many are before the next one.
    pub offset: u64,
}

/// Some records of the log.
#[derive(Debug, Clone, Default)]
pub struct LogPage {
    /// The records.
    pub records: Vec<ShardEvents>,
    /// Where to read on.
    pub next: LogCursor,
}

impl LogPage {
    /// The shards of this page.
    pub fn shards(&self) -> impl Iterator<Item = ShardId> + '_ {
        self.records.iter().map(|r| r.shard)
    }
}

/// Some events of the log, put together by shard.
#[derive(Debug, Clone, Default)]
pub struct PartPage {
    /// At most one a shard.
    pub parts: Vec<ShardPart>,
    /// Messages that are none of our events.
    pub foreign: u64,
    /// Events that the log has removed, of the partitions that this page begins.
    pub removed: u64,
    /// Where to read on; `None` at the end.
    pub next: Option<LogCursor>,
}
