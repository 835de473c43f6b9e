//! The client library's configuration.

use std::time::Duration;

use ensemble_store::Secret;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};

use super::{KafkaOptions, SecurityProtocol};

/// How long a broken connection rests before it is tried again, at most: an outage should cost little more than itself.
const RECONNECT: Duration = Duration::from_secs(1);
/// A broker that says nothing for this long is given up.
const SOCKET_TIMEOUT: Duration = Duration::from_secs(30);

/// What every client here has in common.
pub(super) fn client(options: &KafkaOptions) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", options.url.brokers())
        .set("client.id", "ensemble")
        // Topics are made on purpose, in the shape that was asked for, or not at all.
        .set("allow.auto.create.topics", "false")
        .set("socket.keepalive.enable", "true")
        .set("socket.timeout.ms", millis(SOCKET_TIMEOUT.min(options.delivery_timeout)))
        .set("socket.connection.setup.timeout.ms", millis(options.connect_timeout.max(Duration::from_secs(1))))
        .set("reconnect.backoff.ms", "100")
        .set("reconnect.backoff.max.ms", millis(RECONNECT))
        .set("security.protocol", options.security.protocol.name())
        .set_log_level(RDKafkaLogLevel::Info);
    if options.security.protocol == SecurityProtocol::SaslPlaintext {
        config
            .set("sasl.mechanism", options.security.mechanism.as_deref().unwrap_or("PLAIN").to_ascii_uppercase())
            .set("sasl.username", options.security.username.as_deref().unwrap_or_default())
            .set("sasl.password", options.security.password.as_ref().map_or("", Secret::expose));
    }
    config
}

/// The producer's: what it acknowledges is on every in-sync replica, in order and once for each time it was appended.
pub(super) fn producer(options: &KafkaOptions) -> ClientConfig {
    let mut config = client(options);
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        // A broker that knows nothing of a producer accepts whichever batch comes first, also the second one where it has
        // just refused the first; so there is no second one before the first is through. What this costs: the partitions
        // that a broker leads take turns, a batch (of up to a megabyte) a round trip.
        .set("max.in.flight.requests.per.connection", "1")
        .set("compression.type", "lz4")
        // As Java's clients place keys, so that other producers' topics can be joined by partition.
        .set("partitioner", "murmur2_random")
        .set("message.timeout.ms", millis(options.delivery_timeout))
        .set("request.timeout.ms", millis(SOCKET_TIMEOUT.min(options.delivery_timeout)))
        .set("message.max.bytes", options.max_message_bytes.to_string())
        .set("queue.buffering.max.kbytes", options.queue_bytes.div_ceil(1024).to_string())
        .set("queue.buffering.max.messages", options.queue_messages.to_string());
    config
}

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}
