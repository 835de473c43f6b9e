//! An event log that fails and loses replies.

use std::sync::{Arc, Mutex};

use ensemble_events::{EventLog, EventsError, LogCursor, LogPage, ShardEvents};
use ensemble_store::JobId;

use super::{Random, Weather, clock::yield_now};
use crate::lock;

/// An event log in memory. What was appended stays, also where the answer was lost.
#[derive(Debug)]
pub struct SimEvents {
    log: Mutex<Log>,
}

#[derive(Debug)]
struct Log {
    records: Vec<ShardEvents>,
    random: Random,
    weather: Weather,
    lost_replies: u64,
    closed: bool,
}

impl SimEvents {
    /// An empty log.
    pub fn new(random: Random, weather: Weather) -> Self {
        let log = Log { records: Vec::new(), random, weather, lost_replies: 0, closed: false };
        Self { log: Mutex::new(log) }
    }

    /// From now on calls fail as often as this.
    pub fn set_weather(&self, weather: Weather) {
        lock(&self.log).weather = weather;
    }

    /// All that was appended, oldest first, with the repeats.
    pub fn records(&self) -> Vec<ShardEvents> {
        lock(&self.log).records.clone()
    }

    /// Appends whose answer was lost.
    pub fn lost_replies(&self) -> u64 {
        lock(&self.log).lost_replies
    }
}

#[async_trait::async_trait]
impl EventLog for SimEvents {
    fn describe(&self) -> String {
        "simulated".to_owned()
    }

    async fn append(&self, events: Arc<ShardEvents>) -> Result<(), EventsError> {
        yield_now().await;
        let lost = {
            let mut log = lock(&self.log);
            let Weather { refuse, lose_reply, .. } = log.weather;
            if log.closed {
                return Err(EventsError::Closed);
            }
            if log.random.chance(refuse) {
                return Err(EventsError::Unavailable("the call was refused".to_owned()));
            }
            log.records.push(Arc::unwrap_or_clone(events));
            let lost = log.random.chance(lose_reply);
            log.lost_replies += u64::from(lost);
            lost
        };
        yield_now().await;
        if lost { Err(EventsError::Unavailable("the answer was lost".to_owned())) } else { Ok(()) }
    }

    async fn scan(&self, after: LogCursor, limit: usize) -> Result<Option<LogPage>, EventsError> {
        let log = lock(&self.log);
        if log.closed {
            return Err(EventsError::Closed);
        }
        let from = usize::try_from(after.offset).unwrap_or(usize::MAX);
        let records: Vec<_> = log.records.iter().skip(from).take(limit).cloned().collect();
        let offset = after.offset + records.len() as u64;
        Ok(Some(LogPage { records, next: LogCursor { segment: 0, offset } }))
    }

    async fn retired(&self) -> Result<Vec<(JobId, u64)>, EventsError> {
        Ok(Vec::new())
    }

    async fn job_ended(&self, _: JobId) -> Result<(), EventsError> {
        if lock(&self.log).closed { Err(EventsError::Closed) } else { Ok(()) }
    }

    async fn close(&self) -> Result<(), EventsError> {
        lock(&self.log).closed = true;
        Ok(())
    }
}
