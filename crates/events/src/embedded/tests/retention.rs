//! What is retired, and when.

use std::collections::BTreeMap;

use super::*;

/// A log that keeps nothing that it need not.
fn greedy() -> EmbeddedPlace {
    EmbeddedPlace::with(EmbeddedLogOptions { retain_bytes: Some(0), segment_bytes: 1, ..EmbeddedLogOptions::default() })
}

fn job(number: u64) -> JobId {
    sample_shard(number, 0, 0).job
}

async fn held(place: &EmbeddedPlace, log: &EmbeddedLog) -> Vec<(u64, u32)> {
    place.read_all(log).await.iter().map(|e| (e.shard.job.0, e.shard.number)).collect()
}

#[tokio::test]
async fn only_segments_of_ended_jobs_are_retired() {
    let place = greedy();
    let log = place.open_embedded().unwrap();
    for number in 0..3 {
        for job in [1, 2] {
            log.append(sample_shard(job, number, 2).into()).await.unwrap();
        }
    }
    assert_eq!(log.retired().await.unwrap(), []);
    assert_eq!(held(&place, &log).await.len(), 6);
    log.job_ended(job(1)).await.unwrap();
    assert_eq!(log.retired().await.unwrap(), [(job(1), 3)]);
    assert_eq!(held(&place, &log).await, [(2, 0), (2, 1), (2, 2)]);
    log.job_ended(job(2)).await.unwrap();
    // The segment that is written stays.
    assert_eq!(held(&place, &log).await, [(2, 2)]);
    assert_eq!(log.retired().await.unwrap(), [(job(1), 3), (job(2), 2)]);
    assert_eq!(files::list_segments(place.dir.path()).unwrap().len(), 1);
    log.append(sample_shard(3, 0, 1).into()).await.unwrap();
    assert_eq!(held(&place, &log).await, [(3, 0)]);
}

#[tokio::test]
async fn a_segment_with_one_job_that_runs_stays() {
    let place = greedy();
    let options = EmbeddedLogOptions { segment_bytes: 1 << 20, ..place.options.clone() };
    let log = EmbeddedLog::open(place.dir.path(), options).unwrap();
    for job in [1, 2, 1] {
        log.append(sample_shard(job, 0, 2).into()).await.unwrap();
    }
    log.close().await.unwrap();
    drop(log);
    let log = place.open_embedded().unwrap();
    log.append(sample_shard(3, 0, 2).into()).await.unwrap();
    log.job_ended(job(1)).await.unwrap();
    assert_eq!(held(&place, &log).await.len(), 4);
    log.job_ended(job(2)).await.unwrap();
    assert_eq!(held(&place, &log).await, [(3, 0)]);
}

#[tokio::test]
async fn a_log_below_its_size_keeps_all() {
    let place = EmbeddedPlace::with(EmbeddedLogOptions { retain_bytes: Some(1 << 20), ..greedy().options });
    let log = place.open_embedded().unwrap();
    for number in 0..5 {
        log.append(sample_shard(1, number, 2).into()).await.unwrap();
    }
    log.job_ended(job(1)).await.unwrap();
    assert_eq!(held(&place, &log).await.len(), 5);
}

#[tokio::test]
async fn what_ended_and_what_was_retired_is_known_after_reopening() {
    let place = EmbeddedPlace::tiny_segments();
    let log = place.open_embedded().unwrap();
    for number in 0..4 {
        log.append(sample_shard(1, number, 2).into()).await.unwrap();
    }
    log.job_ended(job(1)).await.unwrap();
    assert_eq!(held(&place, &log).await.len(), 4);
    drop(log);
    let greedy = EmbeddedLogOptions { retain_bytes: Some(0), ..place.options.clone() };
    for _ in 0..2 {
        let log = EmbeddedLog::open(place.dir.path(), greedy.clone()).unwrap();
        assert_eq!(log.retired().await.unwrap(), [(job(1), 3)]);
        assert_eq!(held(&place, &log).await, [(1, 3)]);
    }
}

#[tokio::test]
async fn a_retirement_that_was_cut_off_is_finished_and_counted_once() {
    let place = EmbeddedPlace::tiny_segments();
    let log = place.open_embedded().unwrap();
    for number in 0..3 {
        log.append(sample_shard(1, number, 2).into()).await.unwrap();
    }
    drop(log);
    // It was counted, and then the power went.
    let state = index::State { ended: [job(1)].into(), retired: BTreeMap::from([(job(1), 1)]), deleting: [1].into() };
    files::replace_json(&files::state_path(place.dir.path()), &state).unwrap();
    let log = place.open_embedded().unwrap();
    assert_eq!(held(&place, &log).await, [(1, 1), (1, 2)]);
    assert_eq!(log.retired().await.unwrap(), [(job(1), 1)]);
    assert!(!files::segment_path(place.dir.path(), 1).exists());
}

#[tokio::test]
async fn a_cursor_into_a_retired_segment_leads_to_what_is_left() {
    let place = greedy();
    let log = place.open_embedded().unwrap();
    for number in 0..4 {
        log.append(sample_shard(1 + u64::from(number / 2), number, 2).into()).await.unwrap();
    }
    let page = log.scan(LogCursor::default(), 1).await.unwrap().unwrap();
    log.job_ended(job(1)).await.unwrap();
    let rest = log.scan(page.next, 10).await.unwrap().unwrap();
    assert_eq!(rest.shards().map(|s| s.number).collect::<Vec<_>>(), [2, 3]);
}

#[tokio::test]
async fn a_damaged_list_of_ended_jobs_is_refused() {
    let place = EmbeddedPlace::new();
    drop(place.open_embedded().unwrap());
    fs::write(files::state_path(place.dir.path()), "{").unwrap();
    assert!(matches!(place.open_embedded(), Err(EventsError::Corrupt { .. })));
}
