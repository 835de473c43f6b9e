//! The event log on real brokers, named by `ENSEMBLE_TEST_KAFKA_BROKERS` (`host:port,host:port`). It leaves topics of its
//! own behind, under prefixes that nobody else has.
// Helpers of tests are tests as well.
#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use ensemble_events::{
    EventLog, EventType, EventsError, KafkaLog, KafkaOptions, LogCursor, ShardEvents,
    conformance::{Place, kafka::KafkaPlace, large_shard, sample_shard, shard_with_every_kind_of_text},
};
use ensemble_store::ErrorClass;

mod support;

use support::{make_topic, options};

fn place() -> KafkaPlace {
    KafkaPlace::new(options(1))
}

// The suite compares the order of shards of several jobs, which one partition keeps.
ensemble_events::conformance_tests!(conformance, place());

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_key_and_of_a_shard_share_a_partition() {
    let options = options(6);
    let place = KafkaPlace::new(options);
    let log = place.open().await;
    let shards = [sample_shard(1, 0, 200), sample_shard(1, 1, 200), shard_with_every_kind_of_text(2, 0)];
    for shard in shards.iter().chain(&shards) {
        log.append(shard.clone().into()).await.unwrap();
    }
    let mut partitions = BTreeMap::<_, BTreeSet<i32>>::new();
    let mut ids = BTreeMap::<String, u32>::new();
    for message in place.messages().await {
        *ids.entry(message.id).or_default() += 1;
        let key = message.key.expect("every sample has a key");
        partitions.entry((message.event_type.name(), key)).or_default().insert(message.partition);
    }
    assert!(partitions.values().all(|found| found.len() == 1), "{partitions:?}");
    let used: BTreeSet<_> = partitions
        .iter()
        .filter(|((name, _), _)| *name == EventType::RowAccepted.name())
        .flat_map(|(_, p)| p)
        .collect();
    assert_eq!(used.len(), 6);
    assert!(ids.values().all(|times| *times == 2), "each append delivers each event once");
    log.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_logs_make_the_same_topics_at_once() {
    let options = options(1);
    let opened = [(); 4].map(|()| tokio::spawn(KafkaLog::open(options.clone())));
    for log in opened {
        log.await.unwrap().unwrap().append(sample_shard(1, 0, 1).into()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tiny_queue_delivers_everything() {
    // Ten events at a time make many round trips.
    let delivery_timeout = Duration::from_secs(60);
    let options = KafkaOptions { delivery_timeout, queue_messages: 10, queue_bytes: 64 << 10, ..options(1) };
    let place = KafkaPlace::new(KafkaOptions { max_message_bytes: 4_000, ..options });
    let log = place.open().await;
    let appends: Vec<_> = (0..8)
        .map(|n| {
            let log = log.clone();
            tokio::spawn(async move { log.append(sample_shard(1, n, 100).into()).await })
        })
        .collect();
    for append in appends {
        append.await.unwrap().unwrap();
    }
    let mut all = place.read_all(&*log).await;
    all.sort_by_key(|shard| shard.shard.number);
    assert_eq!(all, (0..8).map(|n| sample_shard(1, n, 100)).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_large_shards_at_once_stay_within_the_delivery_time_out() {
    let place = place();
    let log = place.open().await;
    let begun = Instant::now();
    let appends: Vec<_> = (0..10)
        .map(|n| {
            let log = log.clone();
            tokio::spawn(async move { log.append(large_shard(1, n).into()).await })
        })
        .collect();
    for append in appends {
        append.await.unwrap().unwrap();
    }
    println!("200,000 events in {:?}", begun.elapsed());
    let found = place.messages().await;
    assert_eq!(found.len(), 10 * 20_002);
    log.close().await.unwrap();
}

fn with_long_rule(bytes: usize) -> ShardEvents {
    let mut shard = sample_shard(1, 0, 2);
    // Hard to compress, so that the broker sees a large batch too.
    let noise = (0u64..).flat_map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 8).to_string().into_bytes());
    shard.rejected[0].rules = vec![String::from_utf8(noise.take(bytes).collect()).unwrap()];
    shard
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_too_large_is_refused_with_the_limit() {
    let options = options(1);
    let topic = options.url.topic(EventType::RowRejected);
    let log = KafkaLog::open(options).await.unwrap();
    let error = log.append(with_long_rule(1_100_000).into()).await.unwrap_err();
    let EventsError::MessageTooLarge { topic: named, limit: 1_000_000, .. } = &error else { panic!("{error}") };
    assert_eq!(*named, topic);
    assert_eq!(error.class(), ErrorClass::Invalid);
    log.append(with_long_rule(990_000).into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_here_takes_events_as_large_as_asked() {
    let log = KafkaLog::open(KafkaOptions { max_message_bytes: 4_000_000, ..options(1) }).await.unwrap();
    log.append(with_long_rule(3_900_000).into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_the_topic_finds_too_large_is_refused() {
    let options = options(1);
    make_topic(&options.url.topic(EventType::RowRejected), &[("max.message.bytes", "10000")]).await;
    let log = KafkaLog::open(options).await.unwrap();
    let error = log.append(with_long_rule(50_000).into()).await.unwrap_err();
    assert!(matches!(error, EventsError::MessageTooLarge { .. }), "{error}");
    log.append(sample_shard(1, 0, 2).into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_topics_are_named_and_not_made() {
    let options = KafkaOptions { create_topics: false, ..options(1) };
    for _ in 0..2 {
        let error = KafkaLog::open(options.clone()).await.unwrap_err();
        let EventsError::TopicMissing { topics } = &error else { panic!("{error}") };
        assert!(EventType::ALL.iter().all(|t| topics.contains(&options.url.topic(*t))), "{topics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_cannot_be_used_say_why() {
    let asked = options(1);
    make_topic(&asked.url.topic(EventType::ShardCommitted), &[]).await;
    let compacted = options(1);
    make_topic(&compacted.url.topic(EventType::RowAccepted), &[("cleanup.policy", "compact")]).await;
    for (options, says) in [
        (KafkaOptions { partitions: Some(3), ..asked }, "it has 1 partitions, and 3 are asked for"),
        (compacted, "compacted"),
        (KafkaOptions { replication: Some(99), ..options(1) }, "cannot be created with 99 replicas"),
    ] {
        let error = KafkaLog::open(options).await.unwrap_err();
        assert!(matches!(error, EventsError::BadTopic { .. }), "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_that_are_dropped_may_be_repeated() {
    let place = place();
    let log = place.open().await;
    for n in 0..4 {
        let append = log.append(large_shard(1, n).into());
        let _ = tokio::time::timeout(Duration::from_millis(5 * u64::from(n)), append).await;
    }
    for n in 0..4 {
        log.append(large_shard(1, n).into()).await.unwrap();
    }
    let mut all = place.read_all(&*log).await;
    all.sort_by_key(|shard| shard.shard.number);
    assert!(all == (0..4).map(|n| large_shard(1, n)).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_ends_what_is_on_its_way() {
    let place = place();
    let log = place.open().await;
    let append = tokio::spawn({
        let log = log.clone();
        async move { log.append(large_shard(1, 0).into()).await }
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    log.close().await.unwrap();
    match append.await.unwrap() {
        Ok(()) => assert!(place.read_all(&*log).await == [large_shard(1, 0)]),
        Err(error) => assert!(matches!(error, EventsError::Closed), "{error}"),
    }
    assert!(matches!(log.scan(LogCursor::default(), 1).await, Err(EventsError::Closed)));
}
