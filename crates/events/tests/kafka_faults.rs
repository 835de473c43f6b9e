//! What becomes of appends when a broker dies or refuses. Each test starts a broker of its own with
//! `scripts/servers/kafka-up.sh` and kills it with `kill -9`; `scripts/servers/kafka-install.sh` has to have been run.
// Helpers of tests are tests as well.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use ensemble_events::{
    EventLog, EventsError, KafkaLog, KafkaOptions, ShardEvents,
    conformance::{Place, kafka::KafkaPlace, large_shard, sample_shard},
    kafka::{Security, SecurityProtocol},
};
use ensemble_store::{ErrorClass, Secret};

#[path = "kafka_faults/broker.rs"]
mod broker;

use broker::Broker;

const LEASE: Duration = Duration::from_secs(15);

fn options(broker: &Broker) -> KafkaOptions {
    KafkaOptions { partitions: Some(1), ..KafkaOptions::new(format!("kafka://{}", broker.address()).parse().unwrap()) }
}

/// Repeats an append as a committer does, and counts the attempts that failed.
async fn append_until(log: &Arc<dyn EventLog>, shard: Arc<ShardEvents>) -> usize {
    let mut reasons = Vec::new();
    for failed in 0..20 {
        match log.append(Arc::clone(&shard)).await {
            Ok(()) => return failed,
            Err(error) => {
                assert_eq!(error.class(), ErrorClass::Transient, "{error}");
                reasons.push(error.to_string());
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("the append fails again and again: {reasons:#?}");
}

/// A caller that appends one shard after the other until it is told to stop.
#[derive(Default)]
struct Caller {
    shards: AtomicU32,
    stop: AtomicBool,
}

impl Caller {
    /// Answers how many attempts failed.
    async fn run(&self, log: &Arc<dyn EventLog>) -> usize {
        let mut failed = 0;
        while !self.stop.load(Ordering::Acquire) {
            failed += append_until(log, sample_shard(1, self.shards.load(Ordering::Acquire), 2_000).into()).await;
            self.shards.fetch_add(1, Ordering::AcqRel);
        }
        failed
    }

    /// Waits until that many more shards are appended.
    async fn more(&self, shards: u32) {
        let enough = self.shards.load(Ordering::Acquire) + shards;
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.shards.load(Ordering::Acquire) < enough {
            assert!(Instant::now() < deadline, "no shard is appended any more");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_killed_during_appends_loses_nothing() {
    let broker = Arc::new(Broker::start(21_100));
    let delivery_timeout = Duration::from_secs(2);
    let place = KafkaPlace::new(KafkaOptions { delivery_timeout, ..options(&broker) });
    let log = place.open().await;
    let caller = Arc::new(Caller::default());
    let appending = tokio::spawn({
        let (caller, log) = (Arc::clone(&caller), Arc::clone(&log));
        async move { caller.run(&log).await }
    });
    for _ in 0..3 {
        caller.more(10).await;
        let killing = Arc::clone(&broker);
        tokio::task::spawn_blocking(move || killing.kill()).await.unwrap();
        assert!(!broker.answers(), "the broker has not been killed");
        tokio::time::sleep(delivery_timeout + Duration::from_secs(1)).await;
        let starting = Arc::clone(&broker);
        tokio::task::spawn_blocking(move || starting.start_again()).await.unwrap();
    }
    caller.more(10).await;
    caller.stop.store(true, Ordering::Release);
    let failed = appending.await.unwrap();
    let shards = caller.shards.load(Ordering::Acquire);
    println!("{shards} shards, {failed} appends failed and were repeated");
    assert!(failed > 0, "the broker was away for longer than the delivery time-out, and no append has noticed");
    let mut all = place.read_all(&*log).await;
    all.sort_by_key(|shard| shard.shard.number);
    assert_eq!(all.len(), shards as usize);
    for (shard, number) in all.iter().zip(0..) {
        assert!(*shard == sample_shard(1, number, 2_000), "events of shard {number} are missing or changed");
    }
    log.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_for_long_is_not_available_and_then_is() {
    let broker = Broker::start(21_200);
    let place = KafkaPlace::new(options(&broker));
    let log = place.open().await;
    log.append(sample_shard(1, 0, 50).into()).await.unwrap();
    broker.kill();
    assert!(!broker.answers(), "the broker has not been killed");
    let begun = Instant::now();
    let error = log.append(sample_shard(1, 1, 50).into()).await.unwrap_err();
    let waited = begun.elapsed();
    assert!(matches!(error, EventsError::Unavailable(_)), "{error}");
    assert!(waited < LEASE, "{waited:?}");
    assert!(error.to_string().contains("refused"), "{error}");
    broker.start_again();
    append_until(&log, sample_shard(1, 1, 50).into()).await;
    assert_eq!(place.read_all(&*log).await, [sample_shard(1, 0, 50), sample_shard(1, 1, 50)]);
    log.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_hangs_is_not_available_and_then_is() {
    let broker = Broker::start(21_600);
    let delivery_timeout = Duration::from_secs(3);
    let place = KafkaPlace::new(KafkaOptions { delivery_timeout, ..options(&broker) });
    let log = place.open().await;
    log.append(sample_shard(1, 0, 50).into()).await.unwrap();
    broker.freeze();
    assert!(broker.answers(), "a frozen broker still has its port");
    let begun = Instant::now();
    let error = log.append(sample_shard(1, 1, 50).into()).await.unwrap_err();
    let waited = begun.elapsed();
    broker.thaw();
    assert!(matches!(error, EventsError::Unavailable(_)), "{error}");
    assert!(waited < delivery_timeout + Duration::from_secs(2), "{waited:?}");
    append_until(&log, sample_shard(1, 1, 50).into()).await;
    assert_eq!(place.read_all(&*log).await, [sample_shard(1, 0, 50), sample_shard(1, 1, 50)]);
    log.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_restarted_within_the_time_out_is_not_noticed() {
    let broker = Broker::start(21_300);
    let delivery_timeout = Duration::from_secs(60);
    let place = KafkaPlace::new(KafkaOptions { delivery_timeout, ..options(&broker) });
    let log = place.open().await;
    log.append(sample_shard(1, 0, 5).into()).await.unwrap();
    broker.kill();
    assert!(!broker.answers(), "the broker has not been killed");
    let append = tokio::spawn({
        let log = Arc::clone(&log);
        async move { log.append(large_shard(1, 1).into()).await }
    });
    let broker = tokio::task::spawn_blocking(move || {
        broker.start_again();
        broker
    });
    let broker = broker.await.unwrap();
    append.await.unwrap().unwrap();
    let ids: Vec<String> = place.messages().await.into_iter().map(|m| m.id).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "an idempotent producer doubles nothing");
    drop(broker);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_closed_in_time_without_its_broker() {
    let broker = Broker::start(21_400);
    let delivery_timeout = Duration::from_secs(3);
    let log = KafkaLog::open(KafkaOptions { delivery_timeout, ..options(&broker) }).await.unwrap();
    broker.kill();
    assert!(!broker.answers(), "the broker has not been killed");
    let append = tokio::spawn({
        let log = log.clone();
        async move { log.append(large_shard(1, 1).into()).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let begun = Instant::now();
    let _ = log.close().await;
    assert!(begun.elapsed() < delivery_timeout + Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(append.await.unwrap().is_err());
    assert!(matches!(log.append(sample_shard(1, 0, 1).into()).await, Err(EventsError::Closed)));
}

fn secure(broker: &Broker, username: &str, password: &str) -> KafkaOptions {
    let url = format!("kafka://{}/secure", broker.sasl_address()).parse().unwrap();
    let security = Security {
        protocol: SecurityProtocol::SaslPlaintext,
        mechanism: Some("PLAIN".into()),
        username: Some(username.into()),
        password: Some(Secret::new(password)),
        ..Security::default()
    };
    KafkaOptions { security, ..KafkaOptions::new(url) }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_let_in_or_told_why_not() {
    let broker = Broker::start_secure(21_500);
    let log = KafkaLog::open(secure(&broker, "admin", "admin-secret")).await.unwrap();
    log.append(sample_shard(1, 0, 3).into()).await.unwrap();
    for (user, password, says) in [
        ("admin", "wrong-secret", "check sasl_mechanism, sasl_username and the password"),
        ("guest", "guest-secret", "allow it to describe and write this topic"),
    ] {
        let begun = Instant::now();
        let error = KafkaLog::open(secure(&broker, user, password)).await.unwrap_err();
        assert!(begun.elapsed() < LEASE, "{:?}", begun.elapsed());
        assert!(matches!(error, EventsError::NotAuthorised(_)), "{error}");
        assert_eq!(error.class(), ErrorClass::Fatal);
        let error = error.to_string();
        assert!(error.contains(says) && !error.contains(password), "{error}");
    }
    // Neither side speaks what the other expects.
    let plain = KafkaOptions::new(format!("kafka://{}", broker.sasl_address()).parse().unwrap());
    let error = KafkaLog::open(plain).await.unwrap_err();
    assert!(matches!(error, EventsError::Unavailable(_)), "{error}");
    println!("plain text to a SASL port: {error}");
}
