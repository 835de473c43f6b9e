//! The actor: owns the gold cells, their documents and the checkpoint.
//!
//! A [`Fold`](AggregatorMsg::Fold) message is only a hint: what counts is the ledger. If the actor dies, the next one begins
//! with the checkpoint and the entries that are not in it, and ends with the same bits.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use ensemble_gold::GoldRow;
use ensemble_store::{JobNumber, LedgerEntry};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::time::Instant;

use super::{AggregatorMsg, Flushed, Outcomes};
use crate::{Collection, Office, SupervisorError};

/// Writing gold out may take a tenth of the time; more, and it is written less often...
const WRITE_SHARE: u32 = 10;
/// ...as long as what is folded is written within this time, if no write is under way and the next takes as long as the
/// last one. It leaves something of half a second for what happens between a commit and the fold.
const LAG: Duration = Duration::from_millis(350);
/// The longest pause before cells that the store has refused are written again.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(30);

/// How long what has been folded waits for more before all is written, where the last write took so long.
pub(super) fn patience(last_write_took: Duration) -> Duration {
    (last_write_took * WRITE_SHARE).min(LAG.saturating_sub(last_write_took))
}

/// How long the store rests after a write of cells: one that is slow is not written to all the time, nor one that refuses.
pub(super) fn rest(last_write_took: Duration, interval: Duration, refusals: u32) -> Duration {
    match refusals {
        0 if last_write_took < LAG => Duration::ZERO,
        0 => interval,
        refusals => interval.saturating_mul(1 << refusals.min(16)).min(LONGEST_BACK_OFF),
    }
}

pub(super) struct Aggregator;

pub(super) struct AggregatorArgs {
    pub(super) office: Office,
    pub(super) flush_interval: Duration,
}

pub(super) struct AggregatorState {
    office: Office,
    flush_interval: Duration,
    collections: BTreeMap<String, Collection>,
    silver_of: BTreeMap<JobNumber, String>,
    write_due: bool,
    writing: Option<Writing>,
    /// Who waits for everything to be written; one write each.
    flushes: VecDeque<Flushed>,
    /// Since when something has been folded that is not being written.
    stale_since: Option<Instant>,
    last_write: Option<LastWrite>,
    /// How long the last write of cells alone took.
    cells_took: Duration,
    /// How many writes the store has refused since it took one.
    refusals: u32,
    /// Gold is not what it should be; every later flush says so.
    failure: Option<String>,
}

struct LastWrite {
    begun: Instant,
    ended: Instant,
}

/// Gold on its way to the store, which neither entries nor readers wait for.
struct Writing {
    begun: Instant,
    /// Since when what it writes had been folded.
    stale_since: Option<Instant>,
    flush: Option<Flushed>,
}

impl Actor for Aggregator {
    type Msg = AggregatorMsg;
    type State = AggregatorState;
    type Arguments = AggregatorArgs;

    async fn pre_start(
        &self,
        _: ActorRef<AggregatorMsg>,
        args: AggregatorArgs,
    ) -> Result<AggregatorState, ActorProcessingErr> {
        Ok(AggregatorState {
            office: args.office,
            flush_interval: args.flush_interval,
            collections: BTreeMap::new(),
            silver_of: BTreeMap::new(),
            write_due: false,
            writing: None,
            flushes: VecDeque::new(),
            stale_since: None,
            last_write: None,
            cells_took: Duration::ZERO,
            refusals: 0,
            failure: None,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<AggregatorMsg>,
        message: AggregatorMsg,
        state: &mut AggregatorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            AggregatorMsg::Register(job, silver, reply) => drop(reply.send(state.on_register(job, silver))),
            AggregatorMsg::Adopt(collection, reply) => state.on_adopt(&myself, *collection, reply),
            AggregatorMsg::Fold(entry) => state.on_fold(&myself, &entry),
            AggregatorMsg::FoldAll(entries, reply) => drop(reply.send(state.on_fold_all(&myself, &entries))),
            AggregatorMsg::Flush(reply) => state.on_flush(&myself, reply),
            AggregatorMsg::Read { silver, view, reply } => drop(reply.send(state.on_read(&silver, &view))),
            AggregatorMsg::Write => state.on_write(&myself),
            AggregatorMsg::Written(outcomes) => state.on_written(&myself, outcomes),
        }
        Ok(())
    }
}

impl AggregatorState {
    fn on_register(&mut self, job: JobNumber, silver: String) -> Option<u32> {
        let from = self.collections.get(&silver)?.state.covered().prefix(job);
        self.silver_of.insert(job, silver);
        Some(from)
    }

    /// What it has may be newer than what the last term has written.
    fn on_adopt(&mut self, myself: &ActorRef<AggregatorMsg>, collection: Collection, reply: RpcReplyPort<()>) {
        self.collections.entry(collection.silver().to_owned()).or_insert(collection);
        let _ = reply.send(());
        self.be_stale(myself);
    }

    fn on_fold(&mut self, myself: &ActorRef<AggregatorMsg>, entry: &LedgerEntry) {
        match self.fold(entry) {
            Ok(true) => self.be_stale(myself),
            Ok(false) => {}
            Err(error) => {
                tracing::error!(shard = %entry.plan.shard, %error, "cannot fold a ledger entry into gold");
                self.failure.get_or_insert(error.to_string());
            }
        }
    }

    fn on_fold_all(
        &mut self,
        myself: &ActorRef<AggregatorMsg>,
        entries: &[LedgerEntry],
    ) -> Result<(), SupervisorError> {
        for entry in entries {
            if self.fold(entry)? {
                self.be_stale(myself);
            }
        }
        Ok(())
    }

    fn on_flush(&mut self, myself: &ActorRef<AggregatorMsg>, reply: Flushed) {
        if let Some(reason) = &self.failure {
            let failure = SupervisorError::Document { what: "gold".to_owned(), reason: reason.clone() };
            let _ = reply.send(Err(failure));
            return;
        }
        self.flushes.push_back(reply);
        self.write(myself);
    }

    fn on_read(&self, silver: &str, view: &str) -> Option<Vec<GoldRow>> {
        let state = &self.collections.get(silver)?.state;
        state.views().rows(view, state.cells())
    }

    fn on_write(&mut self, myself: &ActorRef<AggregatorMsg>) {
        self.write_due = false;
        self.write(myself);
    }

    fn on_written(&mut self, myself: &ActorRef<AggregatorMsg>, outcomes: Outcomes) {
        let Some(Writing { begun, stale_since, flush }) = self.writing.take() else { return };
        let mut result = Ok(());
        for (silver, outcome) in outcomes {
            let written = match outcome {
                Ok(written) => self.collections.get_mut(&silver).map_or(Ok(()), |c| c.written(written)),
                // How far it came nobody knows, so nothing can follow on it.
                Err(panic) => {
                    self.collections.remove(&silver);
                    self.failure.get_or_insert(format!("writing {silver} went wrong: {panic}"));
                    Err(SupervisorError::Document { what: format!("gold of {silver}"), reason: panic.to_string() })
                }
            };
            result = result.and(written);
        }
        let ended = Instant::now();
        self.last_write = Some(LastWrite { begun, ended });
        match &result {
            Ok(()) => {
                self.refusals = 0;
                if flush.is_none() {
                    self.cells_took = ended - begun;
                }
                if let Some(since) = stale_since {
                    metrics::histogram!("ensemble_gold_lag_seconds").record(ended - since);
                }
            }
            Err(error) => {
                self.refusals += 1;
                tracing::error!(%error, refusals = self.refusals, "cannot write gold");
                self.stale_since = stale_since.or(Some(begun));
            }
        }
        if let Some(flush) = flush {
            let _ = flush.send(result);
        }
        if self.flushes.is_empty() {
            self.write_soon(myself);
        } else {
            self.write(myself);
        }
    }

    /// Whether the entry was not in yet.
    fn fold(&mut self, entry: &LedgerEntry) -> Result<bool, SupervisorError> {
        let collection = self.silver_of.get(&entry.plan.shard.job).and_then(|s| self.collections.get_mut(s));
        Ok(collection.map_or(Ok(false), |collection| collection.state.fold(entry))?)
    }

    /// Something is there that is not written.
    fn be_stale(&mut self, myself: &ActorRef<AggregatorMsg>) {
        self.stale_since.get_or_insert_with(Instant::now);
        self.write_soon(myself);
    }

    /// Sees to it that what has been folded is written, a little later, with what comes until then.
    fn write_soon(&mut self, myself: &ActorRef<AggregatorMsg>) {
        let Some(stale_since) = self.stale_since else { return };
        if self.writing.is_some() || std::mem::replace(&mut self.write_due, true) {
            return;
        }
        let mut at = stale_since + patience(self.cells_took);
        if let Some(LastWrite { begun, ended }) = self.last_write {
            let rested = ended + rest(self.cells_took, self.flush_interval, self.refusals);
            at = at.max(begun + self.flush_interval).max(rested);
        }
        drop(myself.send_after(at.saturating_duration_since(Instant::now()), || AggregatorMsg::Write));
    }

    /// Begins to write what has changed; for whoever waits for it, with a checkpoint. One write is under way at a time.
    fn write(&mut self, myself: &ActorRef<AggregatorMsg>) {
        if self.writing.is_some() {
            return;
        }
        let flush = self.flushes.pop_front();
        let mut tasks = Vec::new();
        for (silver, collection) in &mut self.collections {
            let draft = collection.draft(&self.office, flush.is_some());
            if !draft.is_empty() {
                let office = self.office.clone();
                tasks.push((silver.clone(), tokio::spawn(async move { draft.write(&office).await })));
            }
        }
        let stale_since = self.stale_since.take();
        if tasks.is_empty() && flush.is_none() {
            return;
        }
        self.writing = Some(Writing { begun: Instant::now(), stale_since, flush });
        let myself = myself.clone();
        tokio::spawn(async move {
            let mut outcomes = Vec::with_capacity(tasks.len());
            for (silver, task) in tasks {
                outcomes.push((silver, task.await));
            }
            // An aggregator that has ended has flushed, or its successor writes every cell again.
            let _ = myself.cast(AggregatorMsg::Written(outcomes));
        });
    }
}
