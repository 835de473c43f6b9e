//! What a topic's own settings do to events.

use std::time::Duration;

use rdkafka::{
    admin::{AdminClient, AdminOptions, ConfigResource, NewTopic, OwnedResourceSpecifier, ResourceSpecifier},
    client::DefaultClientContext,
};

use super::KafkaOptions;
use crate::EventsError;

/// What Kafka takes without being asked: its own default of `max.message.bytes`.
const DEFAULT_LIMIT: u32 = 1_048_588;
const COMPACTED: &str =
    "it is compacted (cleanup.policy), which drops events that readers need; set cleanup.policy=delete";

/// Lets a new topic take messages as large as the producer sends, where that is more than the default.
pub(super) fn with_message_limit<'a>(topic: NewTopic<'a>, limit: u32, text: &'a str) -> NewTopic<'a> {
    if limit > DEFAULT_LIMIT { topic.set("max.message.bytes", text) } else { topic }
}

/// Refuses topics that lose events, and warns of those that may.
///
/// # Errors
/// `BadTopic` for a compacted topic: of two events with one key the later one is not the right one, and the dead
/// letters of a shard have one key. Pass each topic with the number of its replicas.
pub(super) async fn check(
    admin: &AdminClient<DefaultClientContext>,
    topics: &[(&str, usize)],
    options: &KafkaOptions,
    timeout: Duration,
) -> Result<(), EventsError> {
    let timeout = timeout.max(Duration::from_millis(500));
    let asked: Vec<_> = topics.iter().map(|(topic, _)| ResourceSpecifier::Topic(topic)).collect();
    let admin_options = AdminOptions::new().request_timeout(Some(timeout));
    let described = match admin.describe_configs(&asked, &admin_options).await {
        Ok(described) => described,
        Err(error) => {
            tracing::warn!(%error, "the settings of the topics cannot be read, so they were not checked");
            return Ok(());
        }
    };
    for resource in described {
        match resource {
            Ok(resource) => check_one(&resource, topics, options)?,
            Err(code) => tracing::warn!(%code, "the settings of a topic cannot be read, so they were not checked"),
        }
    }
    Ok(())
}

fn check_one(resource: &ConfigResource, topics: &[(&str, usize)], options: &KafkaOptions) -> Result<(), EventsError> {
    let OwnedResourceSpecifier::Topic(topic) = &resource.specifier else { return Ok(()) };
    let value = |name: &str| resource.entries.iter().find(|e| e.name == name).and_then(|e| e.value.as_deref());
    if value("cleanup.policy").is_some_and(|policy| policy.contains("compact")) {
        return Err(EventsError::BadTopic { topic: topic.clone(), reason: COMPACTED.to_owned() });
    }
    let number = |name| value(name).and_then(|text| text.parse::<u64>().ok());
    if let Some(limit) = number("max.message.bytes").filter(|limit| *limit < u64::from(options.max_message_bytes)) {
        let ours = options.max_message_bytes;
        tracing::warn!(topic, limit, ours, "the topic takes smaller messages than max_message_bytes lets through");
    }
    let replicas = topics.iter().find(|(name, _)| name == topic).map_or(0, |(_, replicas)| *replicas as u64);
    match number("min.insync.replicas") {
        Some(least) if least > replicas => {
            tracing::warn!(
                topic,
                replicas,
                least,
                "min.insync.replicas is more than there are: nothing can be delivered"
            );
        }
        Some(1) if replicas > 1 => {
            tracing::warn!(topic, replicas, "min.insync.replicas is 1: what one broker has counts as delivered");
        }
        _ if replicas == 1 => {
            tracing::warn!(topic, "the topic has one replica: events are lost with its broker's disk");
        }
        _ => {}
    }
    Ok(())
}
