//! What opening a log finds wrong.

use super::*;

async fn refused(options: KafkaOptions) -> EventsError {
    KafkaLog::open(options).await.map(|log| log.describe()).unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_are_not_there_are_named_within_the_deadline() {
    for (url, says) in [("kafka://127.0.0.1:1", "refused"), ("kafka://nowhere.invalid:9092", "nowhere.invalid")] {
        let connect_timeout = Duration::from_secs(2);
        let options = KafkaOptions { connect_timeout, ..KafkaOptions::new(url.parse().unwrap()) };
        let begun = Instant::now();
        let error = refused(options).await;
        assert!(begun.elapsed() < connect_timeout + Duration::from_secs(2), "{:?}", begun.elapsed());
        assert_eq!(error.class(), ErrorClass::Transient);
        let error = error.to_string();
        assert!(error.contains("no broker of") && error.contains("within 2s") && error.contains(says), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_are_missing_are_named() {
    let brokers = Brokers::new();
    brokers.tell(|mock| mock.create_topic("ensemble.shards", 1, 1).unwrap());
    let error = refused(KafkaOptions { create_topics: false, ..brokers.options() }).await;
    let EventsError::TopicMissing { topics } = &error else { panic!("{error}") };
    assert_eq!(topics, "spotify.tracks, ensemble.dead_letters");
    assert_eq!(error.class(), ErrorClass::Invalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_with_too_little_says_what_there_is() {
    let brokers = Brokers::with_topics();
    for (options, says) in [
        (KafkaOptions { partitions: Some(6), ..brokers.options() }, "it has 1 partitions, and 6 are asked for"),
        (KafkaOptions { replication: Some(3), ..brokers.options() }, "it has 1 replicas, and 3 are asked for"),
    ] {
        let error = refused(options).await;
        assert!(matches!(&error, EventsError::BadTopic { topic, .. } if topic == "spotify.tracks"), "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_without_a_leader_is_waited_for() {
    let brokers = Brokers::with_topics();
    brokers.tell(|mock| mock.partition_leader("ensemble.shards", 0, None).unwrap());
    let options = KafkaOptions { connect_timeout: Duration::from_secs(3), ..brokers.options() };
    let error = refused(options.clone()).await.to_string();
    assert!(error.contains("ensemble.shards"), "{error}");
    let opening = tokio::spawn(KafkaLog::open(options));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!opening.is_finished());
    brokers.tell(|mock| mock.partition_leader("ensemble.shards", 0, Some(1)).unwrap());
    opening.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_may_not_see_a_topic_is_told() {
    let brokers = Brokers::with_topics();
    let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    brokers.tell(move |mock| mock.topic_error("ensemble.dead_letters", denied).unwrap());
    let error = refused(brokers.options()).await;
    assert!(matches!(&error, EventsError::NotAuthorised(what) if what.contains("ensemble.dead_letters")), "{error}");
    assert_eq!(error.class(), ErrorClass::Fatal);
}

#[tokio::test]
async fn wrong_options_are_refused_before_anything_is_tried() {
    let options = KafkaOptions::new("kafka://127.0.0.1:1".parse().unwrap());
    let error = refused(KafkaOptions { queue_messages: 0, ..options }).await;
    assert!(matches!(error, EventsError::BadOption { option: "queue_messages", .. }), "{error}");
}
