//! What is folded is written, once, whoever asks and whatever the store says.

use ensemble_gold::{Cell, Cells, GoldValue};
use ensemble_store::{GoldCell, Insert, JobId, ShardId, ShardPlan, Store};
use ensemble_testkit::sim_store::{Broken, Random, SimStore, Weather};
use futures::future::join_all;

use super::{
    actor::{patience, rest},
    *,
};
use crate::{
    gold_state::tests::{CONTRACT, folded, views},
    load_gold, samples,
};

const SILVER: &str = "songs";
const INTERVAL: Duration = Duration::from_millis(10);
/// Nothing that is asked of it works.
const STORM: Weather = Weather { refuse: 1.0, ..Weather::CALM };

/// An aggregator and the jobs 1 to 4, which fill the same collection.
struct Bench {
    store: Arc<SimStore>,
    office: Office,
    aggregator: AggregatorHandle,
    jobs: Vec<JobRecord>,
}

impl Bench {
    async fn new() -> Self {
        let store = Arc::new(SimStore::new(Random::new(1), Weather::CALM, Broken::default()));
        let office = Office::take(Arc::<SimStore>::clone(&store)).await.unwrap();
        let aggregator = AggregatorHandle::spawn(office.clone(), INTERVAL).await.unwrap();
        let job = |n: u64| samples::job(JobId(uuid::Uuid::from_u128(n.into())), n, CONTRACT);
        let jobs: Vec<JobRecord> = (1..=4).map(job).collect();
        for job in &jobs {
            samples::put(&*store, job).await;
        }
        Self { store, office, aggregator, jobs }
    }

    /// Puts an entry of one song into the ledger.
    async fn settle(&self, job: u64, number: u32) -> Arc<LedgerEntry> {
        let entry = entry(job, number, folded(&[("a", "pop", 10, 1)]).encode());
        assert_eq!(self.store.insert_ledger(&entry).await.unwrap(), Insert::Inserted);
        Arc::new(entry)
    }

    /// How many songs the aggregator tells of.
    async fn songs(&self) -> i64 {
        let rows = self.aggregator.rows(SILVER, "by_genre").await.unwrap().unwrap_or_default();
        rows.iter().map(|row| if let Some(GoldValue::Int(n)) = row.get("count") { *n } else { 0 }).sum()
    }

    /// How many songs the cells of the store tell of.
    async fn stored(&self) -> i64 {
        let cells: Vec<GoldCell> = self.store.scan_cells("by_genre", None, 10).await.unwrap();
        cells.iter().map(|cell| Cell::decode(&cell.cell).unwrap().count).sum()
    }

    /// What a successor would begin with, checkpoint and ledger: the same as what is told.
    async fn assert_whole(&self, songs: i64) {
        let gold = load_gold(&*self.store, SILVER, views(), &self.jobs).await.unwrap();
        let mut expected = Cells::new();
        for _ in 0..songs {
            expected.merge(&folded(&[("a", "pop", 10, 1)])).unwrap();
        }
        assert_eq!(gold.cells().encode(), expected.encode());
        assert_eq!((self.songs().await, self.stored().await), (songs, songs));
        assert!(!self.office.is_deposed());
    }
}

fn entry(job: u64, number: u32, delta: Vec<u8>) -> LedgerEntry {
    let plan = ShardPlan::unknown(ShardId { job: JobNumber(job), number });
    LedgerEntry { aside: None, delta: delta.into(), ..LedgerEntry::set_aside(plan, String::new(), 0) }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..2000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what} did not come about");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_register_at_once_share_one_collection() {
    let bench = Bench::new().await;
    for job in 1..=4 {
        for number in 0..3 {
            bench.settle(job, number).await;
        }
    }
    for registered in join_all(bench.jobs.iter().map(|job| bench.aggregator.register(job))).await {
        registered.unwrap();
    }
    assert_eq!(bench.songs().await, 12);
    // Told once more, by whomever.
    bench.aggregator.fold(Arc::new(entry(1, 0, folded(&[("a", "pop", 10, 1)]).encode())));
    bench.aggregator.register(&bench.jobs[2]).await.unwrap();
    bench.aggregator.flush().await.unwrap();
    bench.assert_whole(12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_term_before_has_left_is_written_without_anything_new() {
    let bench = Bench::new().await;
    bench.settle(1, 0).await;
    bench.aggregator.register(&bench.jobs[0]).await.unwrap();
    until("it is stored", async || bench.stored().await == 1).await;
    bench.assert_whole(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flushes_wait_for_what_was_folded_before_them_and_hold_nobody_up() {
    let bench = Bench::new().await;
    bench.aggregator.register(&bench.jobs[0]).await.unwrap();
    for number in 0..20 {
        bench.aggregator.fold(bench.settle(1, number).await);
        if number % 5 == 4 {
            let flushes = join_all((0..3).map(|_| bench.aggregator.flush()));
            let (flushed, ()) = tokio::join!(flushes, async {
                bench.aggregator.fold(bench.settle(2, number).await);
                bench.aggregator.register(&bench.jobs[1]).await.unwrap();
            });
            flushed.into_iter().for_each(|flushed| flushed.unwrap());
            assert!(bench.stored().await > i64::from(number), "all that was folded before is stored");
        }
    }
    bench.aggregator.flush().await.unwrap();
    bench.assert_whole(24).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_refuses_is_read_meanwhile_and_written_later() {
    let bench = Bench::new().await;
    bench.aggregator.register(&bench.jobs[0]).await.unwrap();
    let entries = [bench.settle(1, 0).await, bench.settle(1, 1).await];
    bench.store.set_weather(STORM);
    let refused = bench.store.counts().refused_calls;
    bench.aggregator.fold(Arc::clone(&entries[0]));
    until("a write is refused", async || bench.store.counts().refused_calls > refused).await;
    assert!(bench.aggregator.flush().await.is_err());
    assert_eq!(bench.songs().await, 1);
    bench.store.set_weather(Weather::CALM);
    // Nothing is folded and nobody asks.
    until("it is stored", async || bench.stored().await == 1).await;
    bench.aggregator.fold(Arc::clone(&entries[1]));
    bench.aggregator.flush().await.unwrap();
    bench.assert_whole(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_cannot_be_folded_fails_whoever_needs_gold_to_be_whole() {
    let bench = Bench::new().await;
    bench.aggregator.register(&bench.jobs[0]).await.unwrap();
    bench.aggregator.register(&bench.jobs[1]).await.unwrap();
    bench.store.insert_ledger(&entry(1, 0, b"no cells".to_vec())).await.unwrap();
    assert!(matches!(bench.aggregator.register(&bench.jobs[0]).await, Err(SupervisorError::Gold(_))));
    bench.aggregator.flush().await.unwrap();
    bench.aggregator.fold(Arc::new(entry(2, 0, b"no cells".to_vec())));
    assert!(matches!(bench.aggregator.flush().await, Err(SupervisorError::Document { .. })));
}

#[test]
fn quick_stores_are_written_to_often_and_slow_ones_rest() {
    let ms = Duration::from_millis;
    let interval = ms(250);
    for (took, waits, rests) in [(0, 0, 0), (10, 100, 0), (100, 250, 0), (349, 1, 0), (350, 0, 250), (900, 0, 250)] {
        assert_eq!((patience(ms(took)), rest(ms(took), interval, 0)), (ms(waits), ms(rests)), "{took} ms");
    }
    for (refusals, rests) in [(1, 500), (3, 2000), (7, 30_000), (u32::MAX, 30_000)] {
        assert_eq!(rest(ms(10), interval, refusals), ms(rests));
    }
}
