//! From the client library's errors to ours.

use std::time::Duration;

use ensemble_store::ShardId;
use rdkafka::{error::KafkaError, types::RDKafkaErrorCode};

use super::{context::Trouble, deliveries::Undelivered, session::Sending};
use crate::EventsError;

/// Whether the brokers refuse this user, which trying again does not mend.
pub(super) fn is_refusal(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::TransactionalIdAuthorizationFailed
            | RDKafkaErrorCode::SaslAuthenticationFailed
            | RDKafkaErrorCode::Authentication
            | RDKafkaErrorCode::IllegalSASLState
            | RDKafkaErrorCode::UnsupportedSASLMechanism
    )
}

/// A refusal, in words: what was refused, and what the brokers said.
pub(super) fn refusal(code: RDKafkaErrorCode, what: &str) -> EventsError {
    let advice = match code {
        RDKafkaErrorCode::TopicAuthorizationFailed => "allow it to describe and write this topic",
        RDKafkaErrorCode::ClusterAuthorizationFailed => {
            "allow it IdempotentWrite on the cluster, and Create where topics are to be created"
        }
        _ => "check sasl_mechanism, sasl_username and the password",
    };
    EventsError::NotAuthorised(format!("{what}: {code}; {advice}"))
}

/// The configuration was refused. Options are checked before, so this is what the library alone knows of.
pub(super) fn refused_config(error: &KafkaError) -> EventsError {
    match error {
        KafkaError::ClientConfig(_, reason, key, _) => {
            EventsError::BadOption { option: "kafka", reason: format!("{key}: {reason}") }
        }
        error => EventsError::BadOption { option: "kafka", reason: error.to_string() },
    }
}

/// The library did not take an event.
pub(super) fn not_sent(code: RDKafkaErrorCode, topic: &str, sending: &Sending<'_>) -> EventsError {
    if code == RDKafkaErrorCode::QueueFull {
        return EventsError::Unavailable("the brokers take events too slowly, so the queue stays full".to_owned());
    }
    let undelivered = Undelivered { topic: topic.to_owned(), code: Some(code) };
    not_delivered(&undelivered, sending.events.shard, sending.max_message_bytes)
}

/// The brokers did not take an event, or not in time.
pub(super) fn not_delivered(undelivered: &Undelivered, shard: ShardId, limit: u64) -> EventsError {
    let Undelivered { topic, code } = undelivered;
    let Some(code) = *code else {
        return EventsError::Unavailable(format!("topic {topic}: an event was acknowledged without a place"));
    };
    match code {
        RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize => {
            EventsError::MessageTooLarge { shard, topic: topic.clone(), limit }
        }
        code if is_refusal(code) => refusal(code, &format!("topic {topic}")),
        code => EventsError::Unavailable(format!("topic {topic}: {code}")),
    }
}

/// Adds what the brokers last said to an error that may pass.
pub(super) fn explain(error: EventsError, trouble: &Trouble, window: Duration) -> EventsError {
    match (error, trouble.within(window)) {
        (EventsError::Unavailable(what), Some((_, reason))) => EventsError::Unavailable(format!("{what} ({reason})")),
        (error, _) => error,
    }
}
