//! How a Kafka event log is reached and written.

use std::{path::PathBuf, time::Duration};

use ensemble_store::Secret;

use super::KafkaUrl;
use crate::EventsError;

/// The fewest and the most bytes that the queue may hold: what a few shards take, and what the client library takes.
const QUEUE_BYTES: std::ops::RangeInclusive<u64> = 64 << 10..=(2 << 30) - 1024;
const QUEUE_MESSAGES: std::ops::RangeInclusive<u32> = 1..=10_000_000;
const MESSAGE_BYTES: std::ops::RangeInclusive<u32> = 1_000..=1_000_000_000;
const TIMEOUT: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(900);

/// How a Kafka event log is reached and written. [`KafkaOptions::new`] has every default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaOptions {
    /// The brokers and the topics' prefix.
    pub url: KafkaUrl,
    /// How the brokers are spoken to. Default: plain text.
    pub security: Security,
    /// How long [`KafkaLog::open`](super::KafkaLog::open) tries; 0.1 to 900 s. Default 10 s.
    pub connect_timeout: Duration,
    /// How long an event may be on its way before its append fails; 0.1 to 900 s. It has to be shorter than the lease on
    /// a shard, so that a worker hears of it while the shard is still its own. Default 10 s.
    pub delivery_timeout: Duration,
    /// How many bytes of events may wait for the brokers, before compression and without headers; 64 KiB to 2 GiB. In
    /// memory an event takes two to three times as much. Default 16 MiB.
    pub queue_bytes: u64,
    /// How many events may wait for the brokers; 1 to 10,000,000. Default 20,000.
    pub queue_messages: u32,
    /// The largest event, with its key and headers, before compression; 1,000 to 1,000,000,000 bytes. Topics that are
    /// made here take it; other topics have to (`max.message.bytes`). Default 1,000,000.
    pub max_message_bytes: u32,
    /// Makes topics that are missing. Default true.
    pub create_topics: bool,
    /// How many partitions a topic has at least, and a new one exactly; `None`, the default, is what the brokers say.
    pub partitions: Option<u16>,
    /// How many brokers keep each partition at least, and of a new topic exactly; `None`, the default, is what the
    /// brokers say.
    pub replication: Option<u16>,
}

impl KafkaOptions {
    /// The defaults, for this place.
    pub fn new(url: KafkaUrl) -> Self {
        Self {
            url,
            security: Security::default(),
            connect_timeout: Duration::from_secs(10),
            delivery_timeout: Duration::from_secs(10),
            queue_bytes: 16 << 20,
            queue_messages: 20_000,
            max_message_bytes: 1_000_000,
            create_topics: true,
            partitions: None,
            replication: None,
        }
    }

    /// Checks each option, and that they fit together.
    ///
    /// # Errors
    /// `BadOption`, which names the first option that is wrong, and why.
    pub fn validate(&self) -> Result<(), EventsError> {
        in_range("connect_timeout", self.connect_timeout, TIMEOUT)?;
        in_range("delivery_timeout", self.delivery_timeout, TIMEOUT)?;
        in_range("queue_bytes", self.queue_bytes, QUEUE_BYTES)?;
        in_range("queue_messages", self.queue_messages, QUEUE_MESSAGES)?;
        in_range("max_message_bytes", self.max_message_bytes, MESSAGE_BYTES)?;
        if u64::from(self.max_message_bytes) > self.queue_bytes {
            let least = self.max_message_bytes;
            return Err(bad("queue_bytes", format!("it holds no event of max_message_bytes: at least {least}")));
        }
        for (option, value) in [("partitions", self.partitions), ("replication", self.replication)] {
            if value == Some(0) {
                return Err(bad(option, "at least 1; leave it out for what the brokers say"));
            }
        }
        self.security.validate()
    }
}

/// How the brokers are spoken to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Security {
    /// Whether there is encryption, and whether this side says who it is.
    pub protocol: SecurityProtocol,
    /// How this side says who it is, with `sasl_plaintext` and `sasl_ssl`. Only `PLAIN` is to be had; without one it is
    /// `PLAIN`.
    pub mechanism: Option<String>,
    /// The user, with `sasl_plaintext` and `sasl_ssl`.
    pub username: Option<String>,
    /// The user's password, with `sasl_plaintext` and `sasl_ssl`.
    pub password: Option<Secret>,
    /// The file of the authorities whose certificates are trusted, with `ssl` and `sasl_ssl`.
    pub ca_location: Option<PathBuf>,
}

/// The client's `security.protocol`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SecurityProtocol {
    /// Neither encryption nor a user.
    #[default]
    Plaintext,
    /// Encryption. Not in this build.
    Ssl,
    /// A user, without encryption.
    SaslPlaintext,
    /// A user, with encryption. Not in this build.
    SaslSsl,
}

impl SecurityProtocol {
    /// As settings and Kafka's own clients write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Ssl => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslSsl => "sasl_ssl",
        }
    }
}

impl std::str::FromStr for SecurityProtocol {
    type Err = EventsError;

    /// # Errors
    /// `BadOption` for any other text. Case does not count.
    fn from_str(text: &str) -> Result<Self, EventsError> {
        let all = [Self::Plaintext, Self::Ssl, Self::SaslPlaintext, Self::SaslSsl];
        all.into_iter().find(|p| p.name().eq_ignore_ascii_case(text)).ok_or_else(|| {
            bad("security_protocol", format!("{text:?} is none of plaintext, ssl, sasl_plaintext, sasl_ssl"))
        })
    }
}

impl Security {
    /// # Errors
    /// `BadOption` for what this build cannot do, what is missing, and what would have no effect.
    fn validate(&self) -> Result<(), EventsError> {
        if matches!(self.protocol, SecurityProtocol::Ssl | SecurityProtocol::SaslSsl) {
            let way_out = "let a proxy beside this process speak TLS to the brokers, or use a listener without it";
            let name = self.protocol.name();
            return Err(bad("security_protocol", format!("{name}: this build speaks no TLS to Kafka; {way_out}")));
        }
        if self.ca_location.is_some() {
            return Err(bad("ca_location", "it has no effect without TLS, which this build does not speak to Kafka"));
        }
        if self.protocol == SecurityProtocol::Plaintext {
            let given = [
                ("sasl_mechanism", self.mechanism.is_some()),
                ("sasl_username", self.username.is_some()),
                ("sasl_password", self.password.is_some()),
            ];
            return match given.into_iter().find(|(_, given)| *given) {
                Some((option, _)) => Err(bad(option, "it has no effect unless security_protocol is sasl_plaintext")),
                None => Ok(()),
            };
        }
        self.validate_sasl()
    }

    fn validate_sasl(&self) -> Result<(), EventsError> {
        if let Some(other) = self.mechanism.as_deref().filter(|m| !m.eq_ignore_ascii_case("PLAIN")) {
            return Err(bad("sasl_mechanism", format!("{other:?}: this build has PLAIN alone")));
        }
        if self.username.as_ref().is_none_or(String::is_empty) {
            return Err(bad("sasl_username", "sasl_plaintext needs a user"));
        }
        if self.password.as_ref().is_none_or(|password| password.expose().is_empty()) {
            return Err(bad("sasl_password", "sasl_plaintext needs a password, by the environment or by a file"));
        }
        Ok(())
    }
}

fn bad(option: &'static str, reason: impl Into<String>) -> EventsError {
    EventsError::BadOption { option, reason: reason.into() }
}

fn in_range<T: PartialOrd + std::fmt::Debug>(
    option: &'static str,
    value: T,
    range: std::ops::RangeInclusive<T>,
) -> Result<(), EventsError> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(bad(option, format!("{value:?} is not from {:?} to {:?}", range.start(), range.end())))
}

#[cfg(test)]
mod tests;
