//! Against the client library's own mock brokers, which can be told to fail. What a real broker does is shown by
//! `tests/kafka.rs`.

use std::{sync::mpsc, thread};

use ensemble_store::ErrorClass;
use rdkafka::{
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};

use super::*;
use crate::{
    EventType,
    conformance::{Place, kafka::KafkaPlace, sample_shard},
};

mod faults;
mod opening;

type Mock = MockCluster<'static, DefaultProducerContext>;
type Command = Box<dyn FnOnce(&Mock) + Send>;

/// Mock brokers on a thread of their own, which they cannot leave. They end when it is dropped.
struct Brokers {
    commands: mpsc::SyncSender<Command>,
    addresses: String,
}

impl Brokers {
    /// One broker with the three topics.
    fn with_topics() -> Self {
        let brokers = Self::new();
        brokers.tell(|mock| {
            for event_type in EventType::ALL {
                mock.create_topic(event_type.topic(), 1, 1).unwrap();
            }
        });
        brokers
    }

    fn new() -> Self {
        let (commands, todo) = mpsc::sync_channel::<Command>(1);
        let (tell, told) = mpsc::sync_channel(1);
        thread::spawn(move || {
            let mock = MockCluster::new(1).unwrap();
            tell.send(mock.bootstrap_servers()).unwrap();
            todo.iter().for_each(|command| command(&mock));
        });
        Self { commands, addresses: told.recv().unwrap() }
    }

    /// Returns once it is done.
    fn tell(&self, command: impl FnOnce(&Mock) + Send + 'static) {
        let (done, wait) = mpsc::sync_channel(1);
        self.commands
            .send(Box::new(move |mock| {
                command(mock);
                done.send(()).unwrap();
            }))
            .unwrap();
        wait.recv().unwrap();
    }

    /// The next answers to events say this.
    fn refuse(&self, error: RDKafkaRespErr) {
        self.tell(move |mock| mock.request_errors(RDKafkaApiKey::Produce, &[error]));
    }

    fn options(&self) -> KafkaOptions {
        KafkaOptions {
            // All of it is spent on asking for the topics' settings, which these brokers never answer.
            connect_timeout: Duration::from_secs(1),
            delivery_timeout: Duration::from_secs(3),
            ..KafkaOptions::new(format!("kafka://{}", self.addresses).parse().unwrap())
        }
    }

    fn place(&self) -> KafkaPlace {
        KafkaPlace::new(self.options())
    }
}

/// Brokers and what is on them.
struct MockPlace {
    place: KafkaPlace,
    _brokers: Brokers,
}

impl MockPlace {
    fn new() -> Self {
        let brokers = Brokers::with_topics();
        Self { place: brokers.place(), _brokers: brokers }
    }
}

#[async_trait::async_trait]
impl Place for MockPlace {
    async fn open(&self) -> Arc<dyn EventLog> {
        self.place.open().await
    }

    async fn read_all(&self, log: &dyn EventLog) -> Vec<ShardEvents> {
        self.place.read_all(log).await
    }
}

crate::conformance_tests!(mock_brokers, MockPlace::new());

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_shown_without_secrets() {
    let brokers = Brokers::with_topics();
    let log = KafkaLog::open(brokers.options()).await.unwrap();
    assert_eq!(log.describe(), format!("kafka://{}", brokers.addresses));
}
