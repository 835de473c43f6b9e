//! A place on Kafka: what the log wrote is read back by a consumer and put together again from the messages alone.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use ensemble_store::{JobNumber, Position, ShardId};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};

use super::Place;
use crate::{
    EventLog, EventType, KafkaLog, KafkaOptions, ShardEvents,
    expand::parse_rfc3339,
    kafka::{
        consumer,
        decode::{Committed, Event, What, decode},
    },
};

/// How long reading everything back may take.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Topics of their own on some brokers.
pub struct KafkaPlace {
    options: KafkaOptions,
}

/// Where a message was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundMessage {
    /// What it tells.
    pub event_type: EventType,
    /// Its partition.
    pub partition: i32,
    /// Its key.
    pub key: Option<String>,
    /// Its `ce_id`.
    pub id: String,
}

impl KafkaPlace {
    /// The place that these options name. Its topics' prefix should be nobody else's.
    pub fn new(options: KafkaOptions) -> Self {
        Self { options }
    }

    /// Every message, by topic, partition and offset.
    pub async fn messages(&self) -> Vec<FoundMessage> {
        self.read().await.into_iter().map(|(found, _)| found).collect()
    }

    async fn read(&self) -> Vec<(FoundMessage, Event)> {
        let options = self.options.clone();
        tokio::task::spawn_blocking(move || read(&options)).await.unwrap()
    }
}

#[async_trait::async_trait]
impl Place for KafkaPlace {
    async fn open(&self) -> Arc<dyn EventLog> {
        KafkaLog::open(self.options.clone()).await.unwrap()
    }

    /// One for each shard, in the order of the first event that says it is through; repeats have to say the same.
    async fn read_all(&self, _: &dyn EventLog) -> Vec<ShardEvents> {
        together(self.read().await.into_iter().map(|(_, event)| event))
    }
}

/// Reads up to where the topics ended when it began. Blocks.
fn read(options: &KafkaOptions) -> Vec<(FoundMessage, Event)> {
    let consumer = consumer::open(options).unwrap();
    let mut found = Vec::new();
    for event_type in EventType::ALL {
        let topic = options.url.topic(event_type);
        let metadata = consumer.fetch_metadata(Some(&topic), READ_TIMEOUT).unwrap();
        for partition in 0..metadata.topics()[0].partitions().len() as i32 {
            read_partition(&consumer, &topic, partition, |message, event, id| {
                let key = message.key().map(|key| String::from_utf8(key.to_vec()).unwrap());
                found.push((FoundMessage { event_type, partition, key, id }, event));
            });
        }
    }
    found
}

fn read_partition(
    consumer: &BaseConsumer,
    topic: &str,
    partition: i32,
    mut take: impl FnMut(&rdkafka::message::BorrowedMessage<'_>, Event, String),
) {
    let deadline = Instant::now() + READ_TIMEOUT;
    let end = loop {
        // A partition's leader may just be changing.
        match consumer.fetch_watermarks(topic, partition, READ_TIMEOUT) {
            Ok((_, end)) => break end,
            Err(error) => assert!(Instant::now() < deadline, "{topic} {partition}: {error}"),
        }
    };
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    consumer.assign(&assignment).unwrap();
    let mut next = 0;
    while next < end {
        assert!(Instant::now() < deadline, "{topic} {partition}: read up to {next} of {end}");
        // Errors pass, and an end may be told that belongs to the partition before.
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(500)) else { continue };
        // Nobody writes in transactions here, and nothing is compacted.
        assert_eq!(message.offset(), next, "{topic} {partition}: events are passed over");
        next += 1;
        let event = decode(&message).unwrap_or_else(|e| panic!("{topic} {partition} {next}: {}", e.0));
        let id = id(&event);
        take(&message, event, id);
    }
}

fn id(event: &Event) -> String {
    match &event.what {
        What::Accepted { row, .. } => ShardEvents::event_id(event.job, row.position),
        What::Rejected { row, .. } => ShardEvents::event_id(event.job, row.position),
        What::Committed(_) => format!("{}/shard/{}", event.job, event.shard),
    }
}

/// The events of one shard as they come.
#[derive(Default)]
struct Pieces {
    accepted: BTreeMap<Position, (crate::AcceptedRow, Vec<String>)>,
    rejected: BTreeMap<Position, (crate::RejectedRow, String)>,
    committed: Option<(Committed, String)>,
}

fn together(events: impl Iterator<Item = Event>) -> Vec<ShardEvents> {
    let (mut shards, mut order) = (HashMap::<_, Pieces>::new(), Vec::new());
    for Event { job, shard, time, what } in events {
        let pieces = shards.entry((job, shard)).or_default();
        match what {
            What::Accepted { row, columns } => {
                let first = pieces.accepted.entry(row.position).or_insert_with(|| (row.clone(), columns.clone()));
                assert_eq!(*first, (row, columns), "a repeat says something else");
            }
            What::Rejected { row, file } => {
                let first = pieces.rejected.entry(row.position).or_insert_with(|| (row.clone(), file.clone()));
                assert_eq!(*first, (row, file), "a repeat says something else");
            }
            What::Committed(committed) => {
                if pieces.committed.is_none() {
                    order.push((job, shard));
                }
                let first = pieces.committed.get_or_insert_with(|| (committed.clone(), time));
                assert_eq!(first.0, committed, "a repeat says something else");
            }
        }
    }
    order.into_iter().map(|(job, number)| shard_of(job, number, shards.remove(&(job, number)).unwrap())).collect()
}

fn shard_of(job: ensemble_store::JobId, number: u32, pieces: Pieces) -> ShardEvents {
    let (committed, time) = pieces.committed.unwrap();
    assert_eq!(committed.accepted, pieces.accepted.len() as u64, "events of accepted rows");
    assert_eq!(committed.rejected, pieces.rejected.len() as u64, "events of rejected rows");
    assert!(pieces.rejected.values().all(|(_, file)| *file == committed.file));
    ShardEvents {
        job,
        // The suite's jobs have their number in the upper half of their id.
        shard: ShardId { job: JobNumber((job.0.as_u128() >> 64) as u64), number },
        contract: committed.contract,
        columns: pieces.accepted.values().next().map(|(_, columns)| columns.clone()).unwrap_or_default(),
        source: committed.file,
        time_us: parse_rfc3339(&time).unwrap(),
        accepted: pieces.accepted.into_values().map(|(row, _)| row).collect(),
        rejected: pieces.rejected.into_values().map(|(row, _)| row).collect(),
    }
}
