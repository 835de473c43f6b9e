//! Reading the log back from real brokers, named by `ENSEMBLE_TEST_KAFKA_BROKERS`, as a verification does.
// Helpers of tests are tests as well.
#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use ensemble_events::{
    AcceptedRow, EventLog, EventType, KafkaLog, LogCursor, PartPage, RejectedRow, ShardEvents,
    conformance::{sample_shard, shard_with_every_kind_of_text, shard_without_rows},
};
use ensemble_store::{JobId, Position};
use rdkafka::{
    Offset, TopicPartitionList,
    admin::AdminOptions,
    producer::{BaseProducer, BaseRecord, Producer},
};

mod support;

use support::{admin, client, options};

/// What was read of one shard: each row with how often it was.
#[derive(Debug, Default, PartialEq)]
struct Shard {
    accepted: BTreeMap<Position, (AcceptedRow, usize)>,
    rejected: BTreeMap<Position, (RejectedRow, usize)>,
    committed: u64,
}

/// Everything, page by page, and what else the pages say.
async fn read(log: &KafkaLog, limit_bytes: usize) -> (HashMap<(JobId, u32), Shard>, PartPage) {
    let (mut shards, mut sums) = (HashMap::<_, Shard>::new(), PartPage::default());
    let (mut at, mut pages) = (Some(LogCursor::default()), 0u64);
    while let Some(from) = at {
        let page = log.scan_parts(from, limit_bytes).await.unwrap().unwrap();
        assert!(page.next.is_none_or(|next| next > from));
        for part in page.parts {
            let shard = shards.entry((part.job, part.number)).or_default();
            for row in part.accepted {
                shard.accepted.entry(row.position).or_insert((row, 0)).1 += 1;
            }
            for row in part.rejected {
                shard.rejected.entry(row.position).or_insert((row, 0)).1 += 1;
            }
            shard.committed += part.committed;
        }
        sums.foreign += page.foreign;
        sums.removed += page.removed;
        (at, pages) = (page.next, pages + 1);
    }
    println!("{pages} pages of {limit_bytes} bytes");
    (shards, sums)
}

/// What has to be read of a shard that was appended so often.
fn wanted(shard: &ShardEvents, times: usize) -> Shard {
    Shard {
        accepted: shard.accepted.iter().map(|row| (row.position, (row.clone(), times))).collect(),
        rejected: shard.rejected.iter().map(|row| (row.position, (row.clone(), times))).collect(),
        committed: times as u64,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_read_whatever_the_page() {
    let log = KafkaLog::open(options(3)).await.unwrap();
    assert!(read(&log, 1 << 20).await.0.is_empty());
    let shards = [sample_shard(1, 0, 300), shard_with_every_kind_of_text(2, 0), shard_without_rows(1, 1)];
    for shard in shards.iter().chain(&shards[..1]) {
        log.append(shard.clone().into()).await.unwrap();
    }
    for limit_bytes in [1, 10_000, 16 << 20] {
        let (found, sums) = read(&log, limit_bytes).await;
        assert_eq!((found.len(), sums.foreign, sums.removed), (3, 0, 0));
        for (shard, times) in shards.iter().zip([2, 1, 1]) {
            assert_eq!(found[&(shard.job, shard.shard.number)], wanted(shard, times));
        }
    }
    // A page may be asked for again, and by another log.
    let first = log.scan_parts(LogCursor::default(), 1_000).await.unwrap().unwrap();
    let cursor = first.next.unwrap();
    let second = log.scan_parts(cursor, 1_000).await.unwrap().unwrap();
    assert_eq!(log.scan_parts(cursor, 1_000).await.unwrap().unwrap().next, second.next);
    assert!(log.scan(LogCursor::default(), 1).await.unwrap().is_none());
    log.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_messages_and_removed_events_are_counted() {
    let options = options(3);
    let topic = options.url.topic(EventType::ShardCommitted);
    let log = KafkaLog::open(options).await.unwrap();
    for number in 0..5 {
        log.append(sample_shard(1, number, 2).into()).await.unwrap();
    }
    let producer: BaseProducer = client().create().unwrap();
    producer.send(BaseRecord::to(&topic).key("k").payload("hello")).unwrap();
    tokio::task::spawn_blocking(move || producer.flush(Duration::from_secs(10))).await.unwrap().unwrap();
    let (found, sums) = read(&log, 1 << 20).await;
    assert_eq!((found.len(), sums.foreign, sums.removed), (5, 1, 0));

    let mut before = TopicPartitionList::new();
    for partition in 0..3 {
        before.add_partition_offset(&topic, partition, Offset::End).unwrap();
    }
    admin().delete_records(&before, &AdminOptions::new()).await.unwrap();
    let (found, sums) = read(&log, 1 << 20).await;
    assert_eq!((sums.foreign, sums.removed), (0, 6));
    assert!(found.len() == 5 && found.values().all(|shard| shard.committed == 0), "{found:?}");
}
