//! The event log on Kafka: one message an event, acknowledged by every in-sync replica.
//!
//! An append makes its events on a blocking thread and hands them to the producer's queue as they are made (see
//! `session`); their answers are counted (see `deliveries`), and the append waits for the count, so that any number of
//! events and appends are on their way at once. What waits for the brokers is bounded in bytes and in events: where the
//! queue is full, senders wait, and behind them appends wait for their turn, in order.
//!
//! Delivery is at least once. An append that fails, times out or is dropped may have delivered any part of its events;
//! whoever repeats it delivers the same ids again. `docs/events.md` says what readers can rely on.
//!
//! How long events are kept is the brokers' business: that a job has ended changes nothing here, and nothing is known to
//! be retired.

mod config;
pub(crate) mod consumer;
mod context;
pub(crate) mod decode;
mod deliveries;
mod fault;
mod message;
mod options;
mod parting;
mod reader;
mod session;
mod topic_settings;
mod topics;
mod url;

use std::{
    fmt,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use ensemble_store::JobId;
use ensemble_telemetry::traceparent;
use rdkafka::types::RDKafkaErrorCode;
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
    time::timeout,
};

use self::{
    context::Trouble,
    deliveries::{Abandon, Deliveries, Undelivered},
    reader::Reader,
    session::{Sending, Session, Topics},
    topics::Preparation,
};
pub use self::{
    options::{KafkaOptions, Security, SecurityProtocol},
    url::KafkaUrl,
};
use crate::{EventLog, EventsError, LogCursor, LogPage, PartPage, ShardEvents};

/// How many appends make and queue their events at the same time.
const SENDERS: usize = 4;

/// An event log on Kafka. [`KafkaLog::open`] makes one; it is meant to be shared.
///
/// Dropping it without [`EventLog::close`] loses nothing that was acknowledged.
pub struct KafkaLog {
    options: KafkaOptions,
    topics: Topics,
    trouble: Arc<Trouble>,
    /// Appends that make and queue events hold a permit. Fair, so that no append waits for ever behind others.
    turns: Arc<Semaphore>,
    /// `None` once closed.
    session: Mutex<Option<Arc<Session>>>,
    /// What reads the log back, from where it left off.
    reader: Arc<std::sync::Mutex<Option<Reader>>>,
}

impl fmt::Debug for KafkaLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaLog").field("options", &self.options).finish_non_exhaustive()
    }
}

impl KafkaLog {
    /// Reaches the brokers and sees to the topics, within `connect_timeout`. Cancel-safe; topics that were made stay.
    ///
    /// # Errors
    /// `BadOption` before anything is tried; `Unavailable` where no broker answers in time or a topic is not ready, which
    /// may pass; `NotAuthorised`; `TopicMissing` where topics are not to be made; `BadTopic` where one has too few
    /// partitions or replicas, is compacted, or cannot be made.
    pub async fn open(options: KafkaOptions) -> Result<Arc<Self>, EventsError> {
        options.validate()?;
        let (topics, trouble) = (Topics::new(&options), Arc::<Trouble>::default());
        let session = Arc::new(Session::open(&options, Arc::clone(&trouble))?);
        let deadline = Instant::now() + options.connect_timeout;
        let preparation = Preparation {
            session: Arc::clone(&session),
            trouble: &trouble,
            options: &options,
            topics: &topics,
            deadline,
        };
        preparation.run().await?;
        Ok(Arc::new(Self {
            options,
            topics,
            trouble,
            turns: Arc::new(Semaphore::new(SENDERS)),
            session: Mutex::new(Some(session)),
            reader: Arc::default(),
        }))
    }

    /// The producer to send with; a new one where the last one has come to an end, or delivers nothing.
    async fn session(&self) -> Result<Arc<Session>, EventsError> {
        let mut current = self.session.lock().await;
        let session = current.as_mut().ok_or(EventsError::Closed)?;
        if let Some(reason) = session.end() {
            tracing::warn!(reason, "another kafka producer takes the last one's place");
            *session = Arc::new(Session::open(&self.options, Arc::clone(&self.trouble))?);
        }
        Ok(Arc::clone(session))
    }

    async fn check_open(&self) -> Result<(), EventsError> {
        if self.session.lock().await.is_some() { Ok(()) } else { Err(EventsError::Closed) }
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, EventsError> {
        match timeout(self.options.delivery_timeout, Arc::clone(&self.turns).acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) => Err(EventsError::Closed),
            Err(_) => {
                Err(EventsError::Unavailable("other appends wait, and the brokers take no events from them".to_owned()))
            }
        }
    }

    /// Makes and queues the events on a blocking thread, which gives the turn back when it is through.
    async fn send(
        &self,
        session: Arc<Session>,
        events: Arc<ShardEvents>,
        deliveries: Arc<Deliveries>,
        deadline: Instant,
        turn: OwnedSemaphorePermit,
    ) -> Result<(), EventsError> {
        let (topics, max_message_bytes) = (self.topics.clone(), u64::from(self.options.max_message_bytes));
        let traceparent = traceparent();
        let sent = spawn_blocking(move || {
            let (deliveries, traceparent) = (&deliveries, traceparent.as_deref());
            let sending =
                Sending { events: &events, topics: &topics, deliveries, deadline, max_message_bytes, traceparent };
            let sent = session.send_all(&sending);
            deliveries.end();
            drop(turn);
            sent
        });
        sent.await.unwrap_or_else(|e| Err(EventsError::Unavailable(format!("the events were not all sent: {e}"))))
    }

    async fn deliver(&self, events: Arc<ShardEvents>) -> Result<(), EventsError> {
        let turn = self.turn().await?;
        let session = self.session().await?;
        let acknowledged = session.acknowledged();
        let deadline = Instant::now() + self.options.delivery_timeout;
        let (shard, deliveries) = (events.shard, Arc::new(Deliveries::new()));
        let _abandon = Abandon(&deliveries);
        let sent = self.send(Arc::clone(&session), events, Arc::clone(&deliveries), deadline, turn).await;
        let answered = match sent {
            Ok(()) => tokio::time::timeout_at(deadline.into(), deliveries.all_answered()).await,
            Err(_) => Ok(()),
        };
        let timed_out = |u: &Undelivered| u.code == Some(RDKafkaErrorCode::MessageTimedOut);
        // A queue that stays full, answers that do not come, or events that were never taken.
        let in_vain = matches!(sent, Err(EventsError::Unavailable(_)))
            || answered.is_err()
            || deliveries.undelivered().is_some_and(timed_out);
        if in_vain && session.acknowledged() == acknowledged {
            session.give_up();
        }
        sent?;
        if let Some(undelivered) = deliveries.undelivered() {
            let code = undelivered.code.map(|code| session.cause(code));
            let undelivered = Undelivered { code, ..undelivered.clone() };
            return Err(fault::not_delivered(&undelivered, shard, u64::from(self.options.max_message_bytes)));
        }
        answered.map_err(|_| {
            let (open, waited) = (deliveries.unanswered(), self.options.delivery_timeout);
            EventsError::Unavailable(format!("{open} events of shard {shard} were not acknowledged within {waited:?}"))
        })
    }
}

#[async_trait::async_trait]
impl EventLog for KafkaLog {
    fn describe(&self) -> String {
        self.options.url.to_string()
    }

    /// Takes at most twice the delivery time-out: one for its turn, which the appends before it hold, one for its events.
    async fn append(&self, events: Arc<ShardEvents>) -> Result<(), EventsError> {
        let window = self.options.delivery_timeout + Duration::from_secs(1);
        self.deliver(events).await.map_err(|error| fault::explain(error, &self.trouble, window))
    }

    async fn scan(&self, _: LogCursor, _: usize) -> Result<Option<LogPage>, EventsError> {
        self.check_open().await.map(|()| None)
    }

    /// Waits as long as the delivery time-out for brokers that say nothing, then fails as `Unavailable`.
    async fn scan_parts(&self, after: LogCursor, limit_bytes: usize) -> Result<Option<PartPage>, EventsError> {
        self.check_open().await?;
        let (reader, options) = (Arc::clone(&self.reader), self.options.clone());
        let read = spawn_blocking(move || Reader::page(&reader, &options, after, limit_bytes)).await;
        read.unwrap_or_else(|e| Err(EventsError::Unavailable(format!("reading ended early: {e}")))).map(Some)
    }

    async fn retired(&self) -> Result<Vec<(JobId, u64)>, EventsError> {
        Ok(Vec::new())
    }

    async fn job_ended(&self, _: JobId) -> Result<(), EventsError> {
        self.check_open().await
    }

    /// Takes the delivery time-out at most.
    async fn close(&self) -> Result<(), EventsError> {
        self.turns.close();
        let Some(session) = self.session.lock().await.take() else { return Ok(()) };
        let (timeout, reader) = (self.options.delivery_timeout, Arc::clone(&self.reader));
        let flushed = spawn_blocking(move || {
            drop(reader.lock().unwrap_or_else(PoisonError::into_inner).take());
            session.flush(timeout)
        });
        let flushed = flushed.await;
        flushed.unwrap_or_else(|e| Err(EventsError::Unavailable(format!("the log was not closed properly: {e}"))))
    }
}

#[cfg(test)]
mod tests;
