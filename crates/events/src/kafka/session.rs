//! One producer, for as long as it is good.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    config::ClientConfig,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    metadata::Metadata,
    producer::{BaseRecord, Producer, ThreadedProducer},
};

use super::{
    KafkaOptions, config,
    context::{Context, Trouble},
    deliveries::Deliveries,
    fault,
    message::Message,
    parting::Parting,
};
use crate::{EventType, EventsError, ShardEvents, expand};

/// An answer and the room that it makes in the queue are a moment apart, so a sender that was told of the last answer
/// may still find the queue full.
const ROOM_POLL: Duration = Duration::from_millis(20);

/// One producer.
pub(super) struct Session {
    producer: Parting<ThreadedProducer<Context>>,
    given_up: AtomicBool,
}

/// The topics' names.
#[derive(Debug, Clone)]
pub(super) struct Topics {
    names: [(EventType, String); 3],
}

impl Topics {
    pub(super) fn new(options: &KafkaOptions) -> Self {
        Self { names: EventType::ALL.map(|t| (t, options.url.topic(t))) }
    }

    pub(super) fn of(&self, event_type: EventType) -> &str {
        self.names.iter().find(|(t, _)| *t == event_type).map_or_else(|| event_type.topic(), |(_, name)| name)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|(_, name)| name.as_str())
    }
}

/// What one append sends.
pub(super) struct Sending<'a> {
    pub(super) events: &'a ShardEvents,
    pub(super) topics: &'a Topics,
    pub(super) deliveries: &'a Arc<Deliveries>,
    /// When to give up waiting for room.
    pub(super) deadline: Instant,
    pub(super) max_message_bytes: u64,
    /// The trace that the events are part of.
    pub(super) traceparent: Option<&'a str>,
}

impl Session {
    /// A new producer. It says nothing about the brokers, which it reaches by and by.
    pub(super) fn open(options: &KafkaOptions, trouble: Arc<Trouble>) -> Result<Self, EventsError> {
        Self::create(&config::producer(options), trouble)
    }

    pub(super) fn create(config: &ClientConfig, trouble: Arc<Trouble>) -> Result<Self, EventsError> {
        let context = Context { trouble, ..Context::default() };
        let producer = config.create_with_context(context).map_err(|e| fault::refused_config(&e))?;
        Ok(Self { producer: Parting::new(producer), given_up: AtomicBool::new(false) })
    }

    /// What the brokers say of one topic. Blocks, for `timeout` at most.
    pub(super) fn metadata(&self, topic: &str, timeout: Duration) -> KafkaResult<Metadata> {
        self.producer.client().fetch_metadata(Some(topic), timeout)
    }

    /// What makes this producer useless from now on, if anything does.
    pub(super) fn fatal_error(&self) -> Option<(RDKafkaErrorCode, String)> {
        self.producer.client().fatal_error()
    }

    /// Why another producer is to take this one's place, if it is.
    pub(super) fn end(&self) -> Option<String> {
        let is_given_up = self.given_up.load(Ordering::Relaxed);
        let silent = || is_given_up.then(|| "it delivers nothing any more".to_owned());
        self.fatal_error().map(|(_, reason)| reason).or_else(silent)
    }

    /// How many events the brokers have acknowledged so far.
    pub(super) fn acknowledged(&self) -> u64 {
        self.producer.context().acknowledged.load(Ordering::Relaxed)
    }

    /// An append has waited in vain, and nobody's event was acknowledged meanwhile. Where the brokers are away, a new
    /// producer does no better and no worse. Where they are not, this one is lost: one that was told of a cluster without
    /// brokers, by one that was just about to join it again, asks nobody any more (librdkafka, issue 5301).
    pub(super) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    /// What is behind an error: where the producer itself has come to an end, the reason of that.
    pub(super) fn cause(&self, code: RDKafkaErrorCode) -> RDKafkaErrorCode {
        self.fatal_error().map_or(code, |(code, _)| code)
    }

    /// Hands the events of a shard to the client library, one after the other as they are made, and waits for room where
    /// its queue is full. Ends early where an event was refused or nobody waits. Blocks, until the deadline at most.
    pub(super) fn send_all(&self, sending: &Sending<'_>) -> Result<(), EventsError> {
        for event in expand(sending.events).events() {
            if sending.deliveries.is_lost() {
                break;
            }
            let event = event.map_err(|source| EventsError::BadRow { shard: sending.events.shard, source })?;
            let topic = sending.topics.of(event.event_type);
            let message = Message::new(event, sending.events, sending.traceparent)
                .map_err(|e| EventsError::Unavailable(format!("an event cannot be written as JSON: {e}")))?;
            self.send(topic, message, sending)?;
        }
        Ok(())
    }

    fn send(&self, topic: &str, message: Message<'_>, sending: &Sending<'_>) -> Result<(), EventsError> {
        let Message { key, headers, body } = message;
        let mut record =
            BaseRecord::with_opaque_to(topic, Arc::clone(sending.deliveries)).payload(&body).headers(headers);
        record.key = key.as_deref();
        sending.deliveries.begin();
        loop {
            let room = &self.producer.context().room;
            let mark = room.mark();
            let (error, refused) = match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err(refused) => refused,
            };
            let full = matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull));
            let now = Instant::now();
            if full && now < sending.deadline && !sending.deliveries.is_lost() {
                record = refused;
                room.wait(mark, sending.deadline.min(now + ROOM_POLL));
                continue;
            }
            sending.deliveries.end();
            let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
            return Err(fault::not_sent(self.cause(code), topic, sending));
        }
    }

    /// Waits until everything is delivered or has failed. Blocks, for `timeout` at most.
    pub(super) fn flush(&self, timeout: Duration) -> Result<(), EventsError> {
        let flushed = self.producer.flush(timeout);
        flushed.map_err(|e| EventsError::Unavailable(format!("not everything was delivered before the end: {e}")))
    }
}
