//! The brokers that `ENSEMBLE_TEST_KAFKA_BROKERS` names, and topics of a test's own.

// Each test binary uses its own part of this.
#![allow(dead_code)]

use std::time::Duration;

use ensemble_events::KafkaOptions;
use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    config::ClientConfig,
};

fn brokers() -> String {
    let message = "ENSEMBLE_TEST_KAFKA_BROKERS is not set: name brokers (host:port,host:port), such as the ones that \
                   scripts/servers/kafka-up.sh prints";
    std::env::var("ENSEMBLE_TEST_KAFKA_BROKERS").expect(message)
}

/// Options with a prefix that nobody else has, for topics of so many partitions.
pub(crate) fn options(partitions: u16) -> KafkaOptions {
    let url = format!("kafka://{}/test-{}", brokers(), uuid::Uuid::now_v7().simple());
    KafkaOptions { partitions: Some(partitions), ..KafkaOptions::new(url.parse().unwrap()) }
}

/// What any client of the brokers is configured with.
pub(crate) fn client() -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", brokers());
    client
}

pub(crate) fn admin() -> AdminClient<DefaultClientContext> {
    client().create().unwrap()
}

/// A topic of this name with one partition, made as asked.
pub(crate) async fn make_topic(name: &str, settings: &[(&str, &str)]) {
    let topic = settings
        .iter()
        .fold(NewTopic::new(name, 1, TopicReplication::Fixed(1)), |topic, (key, value)| topic.set(key, value));
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)));
    admin().create_topics([&topic], &options).await.unwrap().remove(0).unwrap();
}
