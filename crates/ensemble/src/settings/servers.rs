//! Settings of the servers: MongoDB and Kafka.

use std::time::Duration;

use ensemble_events::{KafkaOptions, KafkaUrl, kafka};
use ensemble_store::{MongoOptions, Secret};
use serde::{Deserialize, Serialize};

use super::{Settings, SettingsError};

/// The variables that hold secrets, and the settings that they are.
pub(super) const SECRETS: [(&str, &str); 2] =
    [("ENSEMBLE__MONGODB__PASSWORD", "mongodb.password"), ("ENSEMBLE__KAFKA__SASL_PASSWORD", "kafka.sasl_password")];

/// What a shown secret looks like.
const MASK: &str = "***";

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MongodbSettings {
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) password_file: String,
    pub(crate) connect_timeout_ms: u64,
    pub(crate) server_selection_timeout_ms: u64,
    pub(crate) operation_timeout_ms: u64,
    pub(crate) max_pool_size: u32,
    pub(crate) in_flight: usize,
    pub(crate) batch_documents: usize,
    pub(crate) batch_bytes: usize,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KafkaSettings {
    pub(crate) security_protocol: String,
    pub(crate) sasl_mechanism: String,
    pub(crate) sasl_username: String,
    pub(crate) sasl_password: String,
    pub(crate) sasl_password_file: String,
    pub(crate) connect_timeout_ms: u64,
    pub(crate) delivery_timeout_ms: u64,
    pub(crate) queue_bytes: u64,
    pub(crate) queue_messages: u32,
    pub(crate) max_message_bytes: u32,
    pub(crate) create_topics: bool,
    pub(crate) partitions: u16,
    pub(crate) replication: u16,
}

impl MongodbSettings {
    pub(super) fn mask(&mut self) {
        mask(&mut self.password);
    }
}

impl KafkaSettings {
    pub(super) fn mask(&mut self) {
        mask(&mut self.sasl_password);
    }
}

impl std::fmt::Debug for MongodbSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MongodbSettings").field("user", &self.user).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaSettings").field("sasl_username", &self.sasl_username).finish_non_exhaustive()
    }
}

impl Settings {
    /// How a MongoDB store is reached, checked against the lease.
    pub(crate) fn mongo_options(&self, uri: String) -> Result<MongoOptions, SettingsError> {
        let given = &self.mongodb;
        let password = secret(&given.password, &given.password_file)?;
        let options = MongoOptions {
            user: named(&given.user),
            password: password.map(Secret::new),
            connect_timeout: Duration::from_millis(given.connect_timeout_ms),
            server_selection_timeout: Duration::from_millis(given.server_selection_timeout_ms),
            operation_timeout: Duration::from_millis(given.operation_timeout_ms),
            max_pool_size: given.max_pool_size,
            in_flight: given.in_flight,
            batch_documents: given.batch_documents,
            batch_bytes: given.batch_bytes,
            ..MongoOptions::new(uri)
        };
        options.validate(self.lease())?;
        Ok(options)
    }

    /// How a Kafka event log is reached, checked against the lease.
    pub(crate) fn kafka_options(&self, url: KafkaUrl) -> Result<KafkaOptions, SettingsError> {
        let given = &self.kafka;
        let password = secret(&given.sasl_password, &given.sasl_password_file)?;
        let options = KafkaOptions {
            security: kafka::Security {
                protocol: given.security_protocol.parse()?,
                mechanism: named(&given.sasl_mechanism),
                username: named(&given.sasl_username),
                password: password.map(Secret::new),
                ca_location: None,
            },
            connect_timeout: Duration::from_millis(given.connect_timeout_ms),
            delivery_timeout: Duration::from_millis(given.delivery_timeout_ms),
            queue_bytes: given.queue_bytes,
            queue_messages: given.queue_messages,
            max_message_bytes: given.max_message_bytes,
            create_topics: given.create_topics,
            partitions: Some(given.partitions).filter(|n| *n > 0),
            replication: Some(given.replication).filter(|n| *n > 0),
            ..KafkaOptions::new(url)
        };
        options.validate()?;
        let lease_ms = self.leases.lapse_ms;
        if given.delivery_timeout_ms >= lease_ms {
            return Err(SettingsError::OutOfBounds {
                name: "kafka.delivery_timeout_ms",
                value: given.delivery_timeout_ms.to_string(),
                bounds: format!("shorter than a lease, leases.lapse_ms = {lease_ms}"),
            });
        }
        Ok(options)
    }
}

fn named(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// A password: as given, or the first line of a file.
fn secret(given: &str, file: &str) -> Result<Option<String>, SettingsError> {
    if !given.is_empty() || file.is_empty() {
        return Ok(named(given));
    }
    let text =
        std::fs::read_to_string(file).map_err(|source| SettingsError::Password { path: file.to_owned(), source })?;
    Ok(text.lines().next().and_then(named))
}

fn mask(secret: &mut String) {
    if !secret.is_empty() {
        MASK.clone_into(secret);
    }
}
