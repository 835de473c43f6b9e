//! What has to be true in the end.

mod rows;

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use ensemble_contract::Keep;
use ensemble_store::{DeadLetter, Decision, JobNumber, LedgerEntry, ShardId, SilverDoc, Store};
use ensemble_supervisor::{JobRecord, JobState, Totals, list_jobs, load_gold};
use futures::task::noop_waker_ref;

use self::rows::CountedRow;
use crate::{gold, scenario::SILVER, sim::Sim};

/// A store in calm weather answers within so many polls.
const POLLS: usize = 1_000;

type Result<T = ()> = std::result::Result<T, String>;

/// Everything that is left.
pub(crate) struct Remains<'a> {
    pub(crate) sim: &'a Sim,
    pub(crate) jobs: BTreeMap<JobNumber, JobRecord>,
    pub(crate) entries: Vec<LedgerEntry>,
    pub(crate) silver: BTreeMap<Bytes, SilverDoc>,
    pub(crate) letters: Vec<DeadLetter>,
    /// The rows of every shard that was processed, in the order in which one process reads them.
    pub(crate) rows: Vec<CountedRow<'a>>,
}

/// Compares what is left with what one process would have made of the same rows in order.
///
/// # Errors
/// The first thing that is not as it should be.
pub(crate) fn check(sim: &Sim) -> Result {
    let remains = Remains::read(sim)?;
    remains.check_ledger()?;
    remains.check_jobs()?;
    remains.check_silver()?;
    remains.check_counts()?;
    remains.check_gold()?;
    remains.check_dead_letters()?;
    remains.check_events()
}

/// Polls a call on a calm store to its end.
///
/// # Errors
/// Where it does not end.
pub(crate) fn drive<T>(future: impl Future<Output = T>) -> Result<T> {
    let mut future = pin!(future);
    for _ in 0..POLLS {
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(noop_waker_ref())) {
            return Ok(done);
        }
    }
    Err("the store does not answer in calm weather".to_owned())
}

pub(crate) fn explain(error: impl std::error::Error) -> String {
    error.to_string()
}

pub(crate) fn ensure(is_so: bool, reason: impl FnOnce() -> String) -> Result {
    if is_so { Ok(()) } else { Err(reason()) }
}

impl<'a> Remains<'a> {
    fn read(sim: &'a Sim) -> Result<Self> {
        let store = &*sim.store;
        let jobs = drive(list_jobs(store))?.map_err(explain)?;
        let jobs: BTreeMap<_, _> = jobs.into_iter().map(|(_, job)| (job.number, job)).collect();
        let silver = drive(store.scan_silver(SILVER, None, usize::MAX))?.map_err(explain)?;
        let letters = drive(store.scan_dead_letters(None, None, usize::MAX))?.map_err(explain)?;
        let entries = store.appeared();
        let rows = rows::counted(sim, &jobs, &entries)?;
        Ok(Self { sim, jobs, entries, silver: silver.into_iter().collect(), letters, rows })
    }

    fn check_ledger(&self) -> Result {
        let mut settled = BTreeSet::new();
        for entry in &self.entries {
            let shard = entry.plan.shard;
            ensure(settled.insert(shard), || format!("shard {shard} has two ledger entries"))?;
            let decision = drive(self.sim.store.decision(shard))?.map_err(explain)?;
            let is_aside = decision.map(|d| matches!(d.decision, Decision::Aside { .. }));
            ensure(is_aside == Some(entry.aside.is_some()), || format!("shard {shard} is not settled as decided"))?;
            let sum = entry.claims + entry.duplicates + entry.rejected();
            ensure(entry.rows == sum, || format!("the rows of shard {shard} are not conserved"))?;
            let rows = self.rows.iter().filter(|r| r.shard == shard).count() as u64;
            ensure(entry.rows == rows, || format!("shard {shard} has {rows} rows, and its entry {}", entry.rows))?;
        }
        let lost: Vec<ShardId> = self.sim.leased.borrow().difference(&settled).copied().collect();
        ensure(lost.is_empty(), || format!("leased shards are not settled: {lost:?}"))
    }

    fn check_jobs(&self) -> Result {
        let submitted = self.sim.scenario.submissions().count();
        ensure(self.jobs.len() == submitted, || format!("{} of {submitted} jobs are there", self.jobs.len()))?;
        for job in self.jobs.values() {
            let mut totals = Totals::default();
            self.entries.iter().filter(|e| e.plan.shard.job == job.number).for_each(|e| totals.add(e));
            ensure(job.state.is_terminal(), || format!("job {} is {:?}", job.number.0, job.state))?;
            ensure(job.totals.as_ref() == Some(&totals), || format!("the totals of job {} are wrong", job.number.0))?;
            let sum = totals.accepted() + totals.updated + totals.all_duplicates() + totals.rejected();
            ensure(totals.rows == sum, || format!("the rows of job {} are not conserved", job.number.0))?;
            let shards = self.sim.sources().get(&job.number).map_or(0, |s| s.shards.len() as u64);
            let is_whole = job.state != JobState::Succeeded || totals.shards == shards;
            ensure(is_whole, || format!("job {} succeeded without all its shards", job.number.0))?;
        }
        Ok(())
    }

    /// Silver is what one process makes of the rows in order, up to what another version makes of a row.
    fn check_silver(&self) -> Result {
        let mut expected: BTreeMap<&str, &CountedRow<'_>> = BTreeMap::new();
        for row in self.rows.iter().filter(|r| !r.is_rejected) {
            match self.sim.scenario.keep {
                Keep::First => {
                    expected.entry(&row.row.key).or_insert(row);
                }
                Keep::Last => {
                    expected.insert(&row.row.key, row);
                }
            }
        }
        ensure(self.silver.keys().eq(expected.keys().map(|k| k.as_bytes())), || "silver has other keys".to_owned())?;
        for (key, row) in expected {
            let live = self.silver.get(key.as_bytes()).map(|doc| &doc.live);
            let is_it = |live: &ensemble_store::Claim| {
                live.shard == row.shard
                    && live.rank == row.rank
                    && (live.fields == row.row.encode(false) || live.fields == row.row.encode(true))
            };
            ensure(live.is_some_and(is_it), || format!("silver differs at key {key}: {live:?}"))?;
        }
        Ok(())
    }

    fn check_counts(&self) -> Result {
        let sum = |count: fn(&LedgerEntry) -> u64| self.entries.iter().map(count).sum::<u64>();
        let displaced = sum(|e| e.displaced_same) + sum(|e| e.updated);
        let live = self.silver.len() as u64;
        ensure(sum(|e| e.claims) == displaced + live, || {
            format!("{} claims less {displaced} displaced ones are not {live} documents", sum(|e| e.claims))
        })
    }

    fn check_gold(&self) -> Result {
        let sources = self.sim.sources();
        let Some(views) = sources.values().next().map(|s| &s.context.views) else { return Ok(()) };
        let folded = gold::folded(views, &self.entries)?;
        ensure(folded == gold::recomputed(views, self.silver.values())?, || "gold differs from silver".to_owned())?;
        ensure(folded == gold::stored(views, &*self.sim.store)?, || "stored gold differs from gold".to_owned())?;
        let jobs: Vec<JobRecord> = self.jobs.values().cloned().collect();
        let loaded = drive(load_gold(&*self.sim.store, SILVER, views.clone(), &jobs))?.map_err(explain)?;
        ensure(folded == *loaded.cells(), || "gold from the checkpoint differs".to_owned())
    }

    fn check_dead_letters(&self) -> Result {
        let found: BTreeSet<_> = self.letters.iter().map(|l| (l.shard, l.position)).collect();
        let rejected: BTreeSet<_> = self.rows.iter().filter(|r| r.is_rejected).map(|r| (r.shard, r.position)).collect();
        ensure(found == rejected, || "the dead letters are not the rejected rows".to_owned())
    }

    /// A row that took a key has one event, however often it was delivered; so has a rejected row, and no other.
    fn check_events(&self) -> Result {
        let (mut accepted, mut rejected) = (BTreeMap::new(), BTreeSet::new());
        for events in self.sim.events.records() {
            for row in events.accepted {
                let at = (events.shard, row.position);
                let is_same = accepted.get(&at).is_none_or(|fields| *fields == row.fields);
                ensure(is_same, || format!("two events of one row of shard {} differ", events.shard))?;
                accepted.insert(at, row.fields);
            }
            rejected.extend(events.rejected.iter().map(|row| (events.shard, row.position)));
        }
        for entry in &self.entries {
            let shard = entry.plan.shard;
            let told = accepted.keys().filter(|(s, _)| *s == shard).count() as u64;
            ensure(told == entry.claims, || format!("shard {shard} has {} claims and {told} events", entry.claims))?;
        }
        for row in &self.rows {
            let at = (row.shard, row.position);
            ensure(rejected.contains(&at) == row.is_rejected, || {
                format!("a rejected row of {} has no event", row.shard)
            })?;
        }
        for doc in self.silver.values() {
            let told = accepted.values().any(|fields| *fields == doc.live.fields);
            ensure(told, || format!("a live row of shard {} has no event", doc.live.shard))?;
        }
        let processed: BTreeSet<_> = self.rows.iter().map(|r| (r.shard, r.position)).collect();
        let is_known = accepted.keys().chain(&rejected).all(|at| processed.contains(at));
        ensure(is_known, || "there are events of rows that do not count".to_owned())
    }
}
