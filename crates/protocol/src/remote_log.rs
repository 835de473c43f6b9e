//! An event log that is read through a server.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use ensemble_events::{EventLog, EventsError, LogCursor, LogPage, PartPage, ShardEvents, ShardPart};
use ensemble_store::{JobId, JobNumber, ShardId};
use tonic::{Code, Status, transport::Channel};

use crate::{
    remote_store::{TIMEOUT, layer_client},
    v1::{self, layer_service_client::LayerServiceClient},
};

type Result<T> = std::result::Result<T, EventsError>;

/// The reading half of an event log, over `LayerService`. Whatever writes answers [`EventsError::Closed`].
pub struct RemoteLog {
    layers: LayerServiceClient<Channel>,
    address: String,
    name: String,
    retired: Vec<(JobId, u64)>,
}

impl RemoteLog {
    /// The event log of the server at this address.
    ///
    /// # Errors
    /// [`EventsError::Unavailable`] where the server does not answer; it may later.
    pub async fn open(channel: Channel, address: &str) -> Result<Arc<Self>> {
        let layers = layer_client(channel);
        let mut log = Self { layers, address: address.to_owned(), name: String::new(), retired: Vec::new() };
        let described = log.call(log.layers().describe_events(v1::DescribeEventsRequest {})).await?;
        let retired = |one: v1::RetiredEvents| Some((one.job_id.parse().ok()?, one.batches));
        let retired: Option<_> = described.retired.into_iter().map(retired).collect();
        log.retired = retired.ok_or_else(|| log.damaged("a job's id cannot be read"))?;
        log.name = described.log;
        Ok(Arc::new(log))
    }

    fn layers(&self) -> LayerServiceClient<Channel> {
        self.layers.clone()
    }

    async fn call<T>(&self, call: impl Future<Output = std::result::Result<tonic::Response<T>, Status>>) -> Result<T> {
        match tokio::time::timeout(TIMEOUT, call).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) if status.code() == Code::DataLoss => Err(self.damaged(status.message())),
            Ok(Err(status)) => Err(EventsError::Unavailable(format!("{}: {}", self.address, status.message()))),
            Err(_) => Err(EventsError::Unavailable(format!("{}: no answer within {TIMEOUT:?}", self.address))),
        }
    }

    fn damaged(&self, reason: impl ToString) -> EventsError {
        EventsError::Corrupt { path: PathBuf::from(&self.address), offset: 0, reason: reason.to_string() }
    }

    async fn page(&self, after: LogCursor, limit: usize, single: bool) -> Result<v1::ReadEventsResponse> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        self.call(self.layers().read_events(v1::ReadEventsRequest { after: Some(after.into()), limit, single })).await
    }

    fn events(&self, batch: &v1::EventBatch) -> Result<ShardEvents> {
        ShardEvents::from_bytes(&batch.events).map_err(|e| self.damaged(e))
    }
}

impl From<LogCursor> for v1::LogPlace {
    fn from(at: LogCursor) -> Self {
        Self { segment: at.segment, offset: at.offset }
    }
}

impl From<v1::LogPlace> for LogCursor {
    fn from(place: v1::LogPlace) -> Self {
        Self { segment: place.segment, offset: place.offset }
    }
}

impl From<ShardEvents> for v1::EventBatch {
    fn from(events: ShardEvents) -> Self {
        Self { events: events.to_bytes(), committed: 0 }
    }
}

impl From<ShardPart> for v1::EventBatch {
    /// As the events of a shard of which only the number is known.
    fn from(part: ShardPart) -> Self {
        let events = ShardEvents {
            job: part.job,
            shard: ShardId { job: JobNumber(0), number: part.number },
            contract: String::new(),
            columns: Vec::new(),
            source: String::new(),
            time_us: 0,
            accepted: part.accepted,
            rejected: part.rejected,
        };
        Self { events: events.to_bytes(), committed: part.committed }
    }
}

#[async_trait]
impl EventLog for RemoteLog {
    fn describe(&self) -> String {
        self.name.clone()
    }

    async fn append(&self, _: Arc<ShardEvents>) -> Result<()> {
        Err(EventsError::Closed)
    }

    async fn scan(&self, after: LogCursor, limit: usize) -> Result<Option<LogPage>> {
        let mut page = LogPage { records: Vec::new(), next: after };
        // A page of the server's may be shorter than what is asked for.
        while page.records.len() < limit {
            let found = self.page(page.next, limit - page.records.len(), false).await?;
            if !found.readable {
                return Ok(None);
            }
            for batch in &found.batches {
                page.records.push(self.events(batch)?);
            }
            page.next = found.next.map_or(page.next, Into::into);
            if !found.more {
                break;
            }
        }
        Ok(Some(page))
    }

    async fn scan_parts(&self, after: LogCursor, _: usize) -> Result<Option<PartPage>> {
        let found = self.page(after, usize::MAX, true).await?;
        if !found.readable {
            return Ok(None);
        }
        let part = |batch: &v1::EventBatch| {
            let ShardEvents { job, shard, accepted, rejected, .. } = self.events(batch)?;
            Ok(ShardPart { job, number: shard.number, accepted, rejected, committed: batch.committed })
        };
        Ok(Some(PartPage {
            parts: found.batches.iter().map(part).collect::<Result<_>>()?,
            foreign: found.foreign,
            removed: found.removed,
            next: found.next.filter(|_| found.more).map(Into::into),
        }))
    }

    async fn retired(&self) -> Result<Vec<(JobId, u64)>> {
        Ok(self.retired.clone())
    }

    async fn job_ended(&self, _: JobId) -> Result<()> {
        Err(EventsError::Closed)
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}
