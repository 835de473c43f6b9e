//! What the client library tells: answers to events, trouble with brokers, and its log.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    Message as _,
    client::ClientContext,
    config::RDKafkaLogLevel,
    error::KafkaError,
    message::DeliveryResult,
    producer::{NoCustomPartitioner, ProducerContext},
    types::RDKafkaErrorCode,
};

use super::deliveries::{Deliveries, Room, Undelivered};

/// What the brokers last had against this client. The producers of a log, one after the other, share it.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    last: Mutex<Option<Last>>,
}

#[derive(Debug)]
struct Last {
    code: RDKafkaErrorCode,
    reason: String,
    at: Instant,
}

impl Trouble {
    fn note(&self, code: RDKafkaErrorCode, reason: &str) {
        // What is said of how long it took differs each time.
        let reason = reason.split(" (after ").next().unwrap_or_default();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_none_or(|last| last.reason != reason) {
            tracing::warn!(?code, reason, "trouble with kafka");
        }
        *last = Some(Last { code, reason: reason.to_owned(), at: Instant::now() });
    }

    /// What was wrong within the last `window`; empty where nothing was.
    pub(super) fn within(&self, window: Duration) -> Option<(RDKafkaErrorCode, String)> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|last| last.at.elapsed() <= window).map(|last| (last.code, last.reason.clone()))
    }
}

/// The client library calls this from its own threads.
#[derive(Debug, Default)]
pub(super) struct Context {
    pub(super) trouble: Arc<Trouble>,
    pub(super) room: Room,
    /// How many events the brokers have acknowledged.
    pub(super) acknowledged: AtomicU64,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        // What matters of it comes as an error too. During an outage it says the same thing every second.
        tracing::debug!(target: "ensemble_events::kafka", ?level, facility, "{text}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        // It follows each broker's own error, and says less.
        if code != RDKafkaErrorCode::AllBrokersDown {
            self.trouble.note(code, reason);
        }
    }
}

impl ProducerContext<NoCustomPartitioner> for Context {
    type DeliveryOpaque = Arc<Deliveries>;

    fn delivery(&self, result: &DeliveryResult<'_>, deliveries: Arc<Deliveries>) {
        let undelivered = |topic: &str, code| deliveries.fail(Undelivered { topic: topic.to_owned(), code });
        match result {
            // To the client library a batch that was refused counts as delivered once a later one of the partition is
            // accepted, which does not follow (confluent-kafka-go, issue 921): only what has a place is there.
            Ok(message) if message.offset() < 0 => undelivered(message.topic(), None),
            Ok(_) => {
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Err((error, message)) => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
                undelivered(message.topic(), Some(code));
            }
        }
        deliveries.end();
        self.room.freed();
    }
}
