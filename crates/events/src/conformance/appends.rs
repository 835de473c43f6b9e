//! What an acknowledged append means.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{Place, large_shard, sample_shard, shard_with_every_kind_of_text, shard_without_rows};
use crate::{EventLog, EventsError, LogCursor, ShardEvents};

fn ids(events: &ShardEvents) -> BTreeSet<String> {
    let accepted = events.accepted.iter().map(|r| r.position);
    let rejected = events.rejected.iter().map(|r| r.position);
    accepted.chain(rejected).map(|position| ShardEvents::event_id(events.job, position)).collect()
}

/// Rows of every kind, none and very many come back as they were.
pub async fn what_was_appended_is_read_back(place: &dyn Place) {
    let log = place.open().await;
    let shards =
        [sample_shard(1, 0, 10), shard_without_rows(1, 1), shard_with_every_kind_of_text(2, 0), large_shard(1, 2)];
    for shard in &shards {
        log.append(shard.clone().into()).await.unwrap();
    }
    assert!(place.read_all(&*log).await == shards, "the log holds something else than was appended");
    log.close().await.unwrap();
}

/// A shard that is appended again is fine, and its events have the same ids.
pub async fn a_repeat_keeps_its_ids(place: &dyn Place) {
    let log = place.open().await;
    let first = sample_shard(1, 0, 10);
    // Decided again by another worker, a moment later.
    let again = ShardEvents { time_us: first.time_us + 5, ..first.clone() };
    for shard in [&first, &first, &again] {
        log.append(shard.clone().into()).await.unwrap();
    }
    let all = place.read_all(&*log).await;
    assert!(!all.is_empty());
    for events in &all {
        assert_eq!(events.shard, first.shard);
        assert_eq!(ids(events), ids(&first));
    }
    log.close().await.unwrap();
}

/// One append after the other: so they are read.
pub async fn appends_of_one_caller_keep_their_order(place: &dyn Place) {
    let log = place.open().await;
    let order: Vec<u32> = (0..40).map(|n| (n * 17) % 40).collect();
    for number in &order {
        log.append(sample_shard(1, *number, 3).into()).await.unwrap();
    }
    let read: Vec<u32> = place.read_all(&*log).await.iter().map(|e| e.shard.number).collect();
    assert_eq!(read, order);
    log.close().await.unwrap();
}

/// An append that times out, or whose answer is lost, may have delivered all, some or none; repeated, it is all there.
pub async fn an_append_that_is_dropped_may_be_repeated(place: &dyn Place) {
    let log = place.open().await;
    let shards: Vec<ShardEvents> = (0..12).map(|number| sample_shard(1, number, 400)).collect();
    let mut dropped = 0;
    for (shard, waits_us) in shards.iter().zip((0u64..).step_by(150)) {
        let append = log.append(shard.clone().into());
        // The shortest wait of all ends before any log has its answer.
        let timed_out = tokio::time::timeout(Duration::from_micros(waits_us), append).await.is_err();
        dropped += u32::from(timed_out);
        log.append(shard.clone().into()).await.unwrap();
    }
    assert!(dropped > 0, "no append was dropped before its answer");
    let all = place.read_all(&*log).await;
    assert_eq!(all.iter().map(|e| e.shard.number).collect::<BTreeSet<_>>(), (0..12).collect());
    for events in all {
        assert!(events == shards[events.shard.number as usize], "a record is not what was appended");
    }
    log.close().await.unwrap();
}

/// Whatever is said twice is as if it had been said once.
pub async fn every_call_may_be_repeated(place: &dyn Place) {
    let log = place.open().await;
    let shards = [sample_shard(1, 0, 5), shard_without_rows(1, 1), shard_with_every_kind_of_text(2, 0)];
    for shard in shards.iter().flat_map(|shard| [shard, shard]) {
        log.append(shard.clone().into()).await.unwrap();
        log.job_ended(shard.job).await.unwrap();
        assert_eq!(log.retired().await.unwrap(), []);
    }
    let all = place.read_all(&*log).await;
    assert!(shards.iter().all(|shard| all.contains(shard)));
    assert!(all.iter().all(|events| shards.contains(events)));
    assert!(place.read_all(&*log).await == all, "reading again reads something else");
    for _ in 0..2 {
        log.close().await.unwrap();
    }
}

async fn append_a_hundred(log: &Arc<dyn EventLog>) {
    let mut tasks = Vec::new();
    for number in 0..100 {
        let log = log.clone();
        tasks.push(tokio::spawn(async move { log.append(sample_shard(1, number, 20).into()).await }));
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}

async fn assert_the_hundred(place: &dyn Place, log: &dyn EventLog) {
    let all = place.read_all(log).await;
    let found: BTreeSet<u32> = all.iter().map(|e| e.shard.number).collect();
    assert_eq!(found, (0..100).collect());
    for events in all {
        assert_eq!(events, sample_shard(1, events.shard.number, 20));
    }
}

/// Appends at the same time do not mix, and each is there once or more.
pub async fn a_hundred_concurrent_appends_are_all_there(place: &dyn Place) {
    let log = place.open().await;
    append_a_hundred(&log).await;
    assert_the_hundred(place, &*log).await;
    log.close().await.unwrap();
}

/// A log that is dropped without being closed holds everything that it acknowledged, and can be written again.
pub async fn what_was_acknowledged_is_there_again(place: &dyn Place) {
    let log = place.open().await;
    append_a_hundred(&log).await;
    drop(log);
    let log = place.open().await;
    assert_the_hundred(place, &*log).await;
    log.append(sample_shard(2, 0, 1).into()).await.unwrap();
    log.close().await.unwrap();
    let log = place.open().await;
    assert!(place.read_all(&*log).await.contains(&sample_shard(2, 0, 1)));
    log.close().await.unwrap();
}

/// Once closed, a log does nothing more, and says so; closing it again is fine.
pub async fn a_closed_log_answers_closed(place: &dyn Place) {
    let log = place.open().await;
    let shard = sample_shard(1, 0, 1);
    log.append(shard.clone().into()).await.unwrap();
    log.close().await.unwrap();
    assert!(matches!(log.append(shard.clone().into()).await, Err(EventsError::Closed)));
    assert!(matches!(log.scan(LogCursor::default(), 1).await, Err(EventsError::Closed) | Ok(None)));
    assert!(matches!(log.job_ended(shard.job).await, Err(EventsError::Closed)));
    log.close().await.unwrap();
    assert!(!log.describe().is_empty());
}

/// That a job has ended may be said again, also of a job without records; it retires nothing by itself.
pub async fn an_ended_job_may_be_named_again(place: &dyn Place) {
    let log = place.open().await;
    let shard = sample_shard(1, 0, 1);
    log.append(shard.clone().into()).await.unwrap();
    for job in [shard.job, shard.job, sample_shard(9, 0, 0).job] {
        log.job_ended(job).await.unwrap();
    }
    assert_eq!(log.retired().await.unwrap(), []);
    assert_eq!(place.read_all(&*log).await, [shard]);
    log.close().await.unwrap();
}
