//! A log that keeps single events, as Kafka does: parts of shards, in any order, some of them again.
// Helpers of tests are tests as well.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use ensemble_audit::{Check, Outcome, Report, Scope, VerifyOptions, verify};
use ensemble_events::{EventLog, EventsError, LogCursor, LogPage, PartPage, ShardEvents, ShardPart};
use ensemble_store::JobId;
use support::{Hooks, SONGS, World, songs};

/// Gives the events of another log back in parts.
struct Singles {
    inner: Arc<dyn EventLog>,
    removed: u64,
    change: fn(&mut Vec<ShardPart>),
}

#[async_trait::async_trait]
impl EventLog for Singles {
    fn describe(&self) -> String {
        "singles".to_owned()
    }

    async fn append(&self, events: Arc<ShardEvents>) -> Result<(), EventsError> {
        self.inner.append(events).await
    }

    async fn scan(&self, _: LogCursor, _: usize) -> Result<Option<LogPage>, EventsError> {
        Ok(None)
    }

    async fn scan_parts(&self, after: LogCursor, _: usize) -> Result<Option<PartPage>, EventsError> {
        let page = self.inner.scan(after, 1).await?.unwrap();
        let mut parts = Vec::new();
        for ShardEvents { job, shard, accepted, rejected, .. } in &page.records {
            let part = |accepted, rejected, committed| ShardPart {
                job: *job,
                number: shard.number,
                accepted,
                rejected,
                committed,
            };
            let (some, others) = accepted.split_at(accepted.len() / 3);
            parts.push(part(Vec::new(), rejected.clone(), 1));
            parts.push(part(others.to_vec(), Vec::new(), 0));
            parts.push(part(some.to_vec(), Vec::new(), 0));
        }
        (self.change)(&mut parts);
        let next = (!page.records.is_empty()).then_some(page.next);
        let removed = if after == LogCursor::default() { self.removed } else { 0 };
        Ok(Some(PartPage { parts, foreign: 0, removed, next }))
    }

    async fn retired(&self) -> Result<Vec<(JobId, u64)>, EventsError> {
        Ok(Vec::new())
    }

    async fn job_ended(&self, _: JobId) -> Result<(), EventsError> {
        Ok(())
    }

    async fn close(&self) -> Result<(), EventsError> {
        Ok(())
    }
}

async fn report(removed: u64, change: fn(&mut Vec<ShardPart>)) -> Report {
    let world = World::new().await;
    world.load(SONGS, &[&songs(0, 120)], Hooks::default()).await;
    world.load(SONGS, &[&songs(60, 150)], Hooks { backwards: true, ..Hooks::default() }).await;
    let log: Arc<dyn EventLog> = Arc::new(Singles { inner: world.log.clone(), removed, change });
    let options = VerifyOptions::new(world.scratch());
    verify(world.store.clone(), Some(log), Scope::All, options, |_| {}).await.unwrap()
}

fn events(report: &Report) -> &Check {
    report.checks.iter().find(|check| check.id == "I6").unwrap()
}

fn assert_broken(report: &Report, says: &str) {
    let check = events(report);
    assert_eq!(check.outcome, Outcome::Broken, "{check:#?}");
    assert!(check.examples.iter().any(|example| example.contains(says)), "{check:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_and_repeats_hold() {
    for change in [|_: &mut Vec<ShardPart>| {}, |parts: &mut Vec<ShardPart>| parts.extend(parts.clone())] {
        let report = report(0, change).await;
        assert!(report.holds(), "{report:#?}");
        let check = events(&report);
        assert_eq!(check.outcome, Outcome::Holds, "{check:#?}");
        assert!(check.detail.contains("events of rows in"), "{check:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partial_repeat_holds_and_is_said() {
    let report = report(0, |parts| {
        if let Some(mut again) = parts.iter().find(|part| part.rejected.len() > 1).cloned() {
            again.rejected.truncate(1);
            parts.push(again);
        }
    })
    .await;
    assert!(report.holds(), "{report:#?}");
    assert!(events(&report).detail.contains("delivered again in part"), "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_events_break_i6() {
    assert_broken(&report(0, |parts| parts.retain(|part| part.number != 2)).await, "is settled, and has no events");
    let few = |parts: &mut Vec<ShardPart>| parts.iter_mut().for_each(|part| drop(part.accepted.pop()));
    assert_broken(&report(0, few).await, "have an event");
    let few = |parts: &mut Vec<ShardPart>| parts.iter_mut().for_each(|part| drop(part.rejected.pop()));
    assert_broken(&report(0, few).await, "the events of its rejected rows are not those");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_events_break_i6() {
    let other = |parts: &mut Vec<ShardPart>| {
        parts.iter_mut().flat_map(|part| &mut part.accepted).for_each(|row| row.rank.0[2] += 1);
    };
    assert_broken(&report(0, other).await, "its rank is");
    let other = |parts: &mut Vec<ShardPart>| {
        parts.iter_mut().flat_map(|part| &mut part.rejected).for_each(|row| row.line += 1);
    };
    assert_broken(&report(0, other).await, "the events of its rejected rows are not those");
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_events_are_named_and_break_nothing() {
    let report = report(7, |parts| parts.clear()).await;
    assert!(report.holds(), "{report:#?}");
    assert!(
        matches!(&events(&report).outcome, Outcome::Skipped(why) if why.contains("removed 7 events")),
        "{report:#?}"
    );
}
