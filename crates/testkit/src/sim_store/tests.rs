use std::{pin::pin, sync::Arc, task::Context, time::Duration};

use ensemble_store::{
    Document, DocumentKind, Epoch, JobNumber, LedgerEntry, Retry, ShardId, ShardPlan, Stamp, Store, StoreError, settle,
};
use futures::task::noop_waker_ref;

use super::{Broken, Random, SimClock, SimStore, Weather};

mod conformance {
    use super::{Arc, Broken, Random, SimStore, Store, Weather};

    struct Calm(Arc<SimStore>);

    impl Calm {
        fn new() -> Self {
            Self(Arc::new(SimStore::new(Random::new(1), Weather::CALM, Broken::default())))
        }
    }

    #[async_trait::async_trait]
    impl ensemble_store::conformance::Fixture for Calm {
        async fn open(&self) -> Arc<dyn Store> {
            self.0.reopen();
            Arc::clone(&self.0) as Arc<dyn Store>
        }
    }

    ensemble_store::conformance_tests!(Calm::new());
}

mod events {
    use std::sync::Arc;

    use ensemble_events::EventLog;

    use crate::sim_store::{Random, SimEvents, Weather};

    #[tokio::test]
    async fn a_lost_answer_leaves_the_events_behind() {
        let weather = Weather { lose_reply: 1.0, ..Weather::CALM };
        let log = Arc::new(SimEvents::new(Random::new(1), weather));
        let events = ensemble_events::conformance::sample_shard(1, 0, 3);
        assert!(log.append(events.clone().into()).await.is_err());
        assert_eq!(log.records(), [events]);
        assert_eq!(log.lost_replies(), 1);
    }
}

const QUIET: Weather = Weather { self_replicating: false, ..Weather::CALM };

fn document(version: u64) -> Document {
    let stamp = Stamp { epoch: Epoch(1), version };
    Document { id: "it".to_owned(), stamp, body: b"{}".as_slice().into() }
}

/// Polls until it is ready, at most this often.
fn poll<T>(future: impl Future<Output = T>, times: usize) -> Option<T> {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(noop_waker_ref());
    (0..times).find_map(|_| match future.as_mut().poll(&mut cx) {
        std::task::Poll::Ready(done) => Some(done),
        std::task::Poll::Pending => None,
    })
}

fn write(store: &SimStore, times: usize) -> Option<Result<bool, StoreError>> {
    poll(store.write_document(DocumentKind::Job, None, &document(1)), times)
}

fn read(store: &SimStore) -> Option<Document> {
    poll(store.document(DocumentKind::Job, "it"), 10).unwrap().unwrap()
}

#[test]
fn a_write_counts_once_a_majority_has_it() {
    let store = SimStore::new(Random::new(1), QUIET, Broken::default());
    assert!(write(&store, 10).is_none());
    assert_eq!(read(&store), None);
    assert_eq!(write(&store, 10).unwrap().ok(), Some(false), "refused by what no majority has");
    assert!(store.replicate());
    assert_eq!(read(&store), Some(document(1)));
    assert!(!store.replicate());
}

#[test]
fn a_fail_over_throws_away_what_no_majority_has() {
    let store = SimStore::new(Random::new(1), QUIET, Broken::default());
    let document = document(1);
    let mut writing = pin!(store.write_document(DocumentKind::Job, None, &document));
    assert!(poll(writing.as_mut(), 10).is_none());
    store.fail_over();
    assert!(matches!(poll(writing, 1), Some(Err(StoreError::Unavailable(_)))));
    assert!(!store.replicate());
    assert_eq!(read(&store), None);
    assert_eq!(store.counts().rolled_back_writes, 1);
    assert!(write(&store, 10).is_none(), "it was absent again");
}

#[test]
fn a_lost_answer_leaves_the_write_behind() {
    let store = SimStore::new(Random::new(1), Weather { lose_reply: 1.0, ..QUIET }, Broken::default());
    assert!(matches!(write(&store, 10), Some(Err(StoreError::Unavailable(_)))));
    assert!(store.replicate());
    assert_eq!(read(&store), Some(document(1)));
}

#[test]
fn an_entry_that_no_majority_has_settles_nothing() {
    let store = SimStore::new(Random::new(1), QUIET, Broken::default());
    let clock = SimClock::default();
    let plan = ShardPlan::unknown(ShardId { job: JobNumber(1), number: 0 });
    let entry = |settled_at_us| LedgerEntry::set_aside(plan.clone(), "given up".to_owned(), settled_at_us);
    let first = entry(1);
    let mut inserting = pin!(store.insert_ledger(&first));
    assert!(poll(inserting.as_mut(), 10).is_none());

    let mut retry = Retry::within(&clock, Duration::MAX);
    let mut settling = pin!(settle(&store, &mut retry, entry(2)));
    assert!(poll(settling.as_mut(), 10).is_none(), "refused, by what may be rolled back");
    store.fail_over();
    // Time passes, and the second one finds that the ledger has no entry.
    let settled = (0..100).find_map(|_| {
        clock.advance(1_000_000);
        store.replicate();
        poll(settling.as_mut(), 10)
    });
    assert_eq!(settled.unwrap().unwrap(), entry(2));
    assert_eq!(poll(store.ledger(plan.shard), 10).unwrap().unwrap(), Some(entry(2)));
}

#[test]
fn broken_rules_show() {
    let store = SimStore::new(Random::new(1), QUIET, Broken { read: true, ..Broken::default() });
    assert!(write(&store, 10).is_none());
    assert_eq!(read(&store), Some(document(1)), "read from the primary");
    let store = SimStore::new(Random::new(1), QUIET, Broken { concern: true, ..Broken::default() });
    assert_eq!(write(&store, 10).unwrap().ok(), Some(true), "counted without a majority");
}
