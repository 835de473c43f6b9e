//! What an append makes of faults.

use std::collections::BTreeSet;

use super::*;
use crate::conformance::large_shard;

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_user_is_fatal() {
    let brokers = Brokers::with_topics();
    let log = KafkaLog::open(brokers.options()).await.unwrap();
    brokers.refuse(RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    let error = log.append(sample_shard(1, 0, 1).into()).await.unwrap_err();
    assert!(matches!(error, EventsError::NotAuthorised(_)), "{error}");
    assert_eq!(error.class(), ErrorClass::Fatal);
    assert!(error.to_string().contains("allow it to describe and write this topic"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_may_not_write_in_order_is_told() {
    let brokers = Brokers::with_topics();
    let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
    brokers.tell(move |mock| mock.request_errors(RDKafkaApiKey::InitProducerId, &[denied; 20]));
    let log = KafkaLog::open(brokers.options()).await.unwrap();
    let error = log.append(sample_shard(1, 0, 1).into()).await.unwrap_err();
    assert!(matches!(&error, EventsError::NotAuthorised(what) if what.contains("IdempotentWrite")), "{error}");
    assert_eq!(error.class(), ErrorClass::Fatal);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_a_broker_finds_too_large_is_named() {
    let brokers = Brokers::with_topics();
    let log = KafkaLog::open(brokers.options()).await.unwrap();
    brokers.refuse(RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    let error = log.append(sample_shard(1, 7, 1).into()).await.unwrap_err();
    assert!(matches!(&error, EventsError::MessageTooLarge { shard, .. } if shard.number == 7), "{error}");
    assert_eq!(error.class(), ErrorClass::Invalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_has_ended_is_replaced() {
    let brokers = Brokers::with_topics();
    let log = KafkaLog::open(brokers.options()).await.unwrap();
    log.append(sample_shard(1, 0, 3).into()).await.unwrap();
    let before = log.session().await.unwrap();
    brokers.refuse(RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    let error = log.append(sample_shard(1, 1, 3).into()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    assert!(before.fatal_error().is_some());
    log.append(sample_shard(1, 1, 3).into()).await.unwrap();
    let place = brokers.place();
    assert_eq!(place.read_all(&*log).await, [sample_shard(1, 0, 3), sample_shard(1, 1, 3)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_are_away_for_long_are_not_available_and_then_are() {
    let brokers = Brokers::with_topics();
    let log = KafkaLog::open(brokers.options()).await.unwrap();
    log.append(sample_shard(1, 0, 3).into()).await.unwrap();
    brokers.tell(|mock| mock.broker_down(1).unwrap());
    let begun = Instant::now();
    let error = log.append(sample_shard(1, 1, 3).into()).await.unwrap_err();
    let waited = begun.elapsed();
    assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    assert!((Duration::from_secs(2)..Duration::from_secs(5)).contains(&waited), "{waited:?}: {error}");
    brokers.tell(|mock| mock.broker_up(1).unwrap());
    append_until(&log, sample_shard(1, 1, 3)).await;
    assert_eq!(brokers.place().read_all(&*log).await, [sample_shard(1, 0, 3), sample_shard(1, 1, 3)]);
}

/// Repeats an append as a committer does.
async fn append_until(log: &KafkaLog, shard: ShardEvents) {
    let shard = Arc::new(shard);
    for _ in 0..5 {
        match log.append(shard.clone()).await {
            Ok(()) => return,
            Err(error) => assert_eq!(error.class(), ErrorClass::Transient, "{error}"),
        }
    }
    panic!("the brokers are back, and the append still fails");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_loses_nothing() {
    let brokers = Brokers::with_topics();
    let log = KafkaLog::open(brokers.options()).await.unwrap();
    log.append(sample_shard(1, 0, 1).into()).await.unwrap();
    // The connection breaks where an answer should be. These brokers do not tell repeats by their numbers.
    brokers.refuse(RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT);
    log.append(sample_shard(1, 1, 50).into()).await.unwrap();
    assert_eq!(brokers.place().read_all(&*log).await, [sample_shard(1, 0, 1), sample_shard(1, 1, 50)]);
}

/// Two appends, one behind the other, of which the broker refuses the first one's first batch, as one does that is just
/// about to take a partition on. What has become of the first append.
async fn append_two(brokers: &Brokers, log: &Arc<KafkaLog>, number: u32) -> Result<(), EventsError> {
    // The second append is on its way before the first one's answer, and may be answered before that one is repeated.
    brokers.tell(|mock| mock.broker_round_trip_time(1, Duration::from_millis(300)).unwrap());
    brokers.refuse(RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
    let first = tokio::spawn({
        let log = log.clone();
        async move { log.append(sample_shard(1, number, 1).into()).await }
    });
    tokio::time::sleep(Duration::from_millis(30)).await;
    append_until(log, sample_shard(1, number + 1, 1)).await;
    let first = first.await.unwrap();
    brokers.tell(|mock| mock.broker_round_trip_time(1, Duration::ZERO).unwrap());
    first
}

async fn numbers(brokers: &Brokers, log: &KafkaLog) -> BTreeSet<u32> {
    brokers.place().read_all(log).await.iter().map(|events| events.shard.number).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_was_refused_is_sent_again_before_the_next_one() {
    let brokers = Brokers::with_topics();
    let log = KafkaLog::open(brokers.options()).await.unwrap();
    log.append(sample_shard(1, 0, 1).into()).await.unwrap();
    for number in [1, 3, 5] {
        append_two(&brokers, &log, number).await.unwrap();
    }
    assert_eq!(numbers(&brokers, &log).await, (0..7).collect());
}

/// With several batches on their way, as the library has it by default, what it says cannot be believed.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_was_refused_is_not_acknowledged_by_the_next_one() {
    let brokers = Brokers::with_topics();
    let log = KafkaLog::open(brokers.options()).await.unwrap();
    let mut config = config::producer(&log.options);
    config.set("max.in.flight.requests.per.connection", "5");
    for number in (0..60).step_by(3) {
        let session = Session::create(&config, Arc::clone(&log.trouble)).unwrap();
        *log.session.lock().await = Some(Arc::new(session));
        // So that it knows the brokers, and they know it.
        log.append(sample_shard(1, number, 1).into()).await.unwrap();
        let Err(error) = append_two(&brokers, &log, number + 1).await else { continue };
        assert_eq!(error.class(), ErrorClass::Transient, "{error}");
        append_until(&log, sample_shard(1, number + 1, 1)).await;
        assert_eq!(numbers(&brokers, &log).await, (0..number + 3).collect());
        if error.to_string().contains("acknowledged without a place") {
            return;
        }
    }
    panic!("the client library has never acknowledged a batch that was refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_waited_for() {
    let brokers = Brokers::with_topics();
    let options =
        KafkaOptions { queue_messages: 7, queue_bytes: 64 << 10, max_message_bytes: 10_000, ..brokers.options() };
    let log = KafkaLog::open(options).await.unwrap();
    let appends: Vec<_> = (0..6)
        .map(|n| {
            let log = log.clone();
            tokio::spawn(async move { log.append(sample_shard(1, n, 100).into()).await })
        })
        .collect();
    for append in appends {
        append.await.unwrap().unwrap();
    }
    assert_eq!(brokers.place().read_all(&*log).await.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_without_brokers_is_given_up_in_time() {
    let brokers = Brokers::with_topics();
    let options = KafkaOptions { queue_messages: 7, ..brokers.options() };
    let log = KafkaLog::open(options).await.unwrap();
    brokers.tell(|mock| mock.broker_down(1).unwrap());
    let begun = Instant::now();
    let appends: Vec<_> = (0..SENDERS as u32 + 2)
        .map(|n| {
            let log = log.clone();
            tokio::spawn(async move { log.append(sample_shard(1, n, 100).into()).await })
        })
        .collect();
    for append in appends {
        let error = append.await.unwrap().unwrap_err();
        assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    }
    let waited = begun.elapsed();
    assert!(waited < Duration::from_secs(3 * 2 + 2), "{waited:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_too_large_is_refused_with_the_limit() {
    let brokers = Brokers::with_topics();
    let log = KafkaLog::open(KafkaOptions { max_message_bytes: 1_000, ..brokers.options() }).await.unwrap();
    let mut shard = sample_shard(1, 0, 3);
    shard.rejected[0].rules = vec!["x".repeat(2_000)];
    let error = log.append(shard.into()).await.unwrap_err();
    let EventsError::MessageTooLarge { topic, limit: 1_000, .. } = &error else { panic!("{error}") };
    assert_eq!(topic, "ensemble.dead_letters");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_none_is_named() {
    let brokers = Brokers::with_topics();
    let log = KafkaLog::open(brokers.options()).await.unwrap();
    let mut shard = sample_shard(1, 3, 3);
    shard.accepted[1].fields = bytes::Bytes::from_static(&[4, 200]);
    let error = log.append(shard.into()).await.unwrap_err();
    assert!(matches!(&error, EventsError::BadRow { shard, .. } if shard.number == 3), "{error}");
    assert_eq!(error.class(), ErrorClass::Fatal);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_is_dropped_gives_its_turn_back() {
    let brokers = Brokers::with_topics();
    let log = KafkaLog::open(KafkaOptions { queue_messages: 7, ..brokers.options() }).await.unwrap();
    brokers.tell(|mock| mock.broker_down(1).unwrap());
    for n in 0..SENDERS as u32 * 2 {
        let append = log.append(large_shard(1, n).into());
        assert!(timeout(Duration::from_millis(50), append).await.is_err());
    }
    brokers.tell(|mock| mock.broker_up(1).unwrap());
    append_until(&log, sample_shard(1, 100, 3)).await;
    assert_eq!(log.turns.available_permits(), SENDERS);
    log.close().await.unwrap();
}
