//! The aggregator: folds ledger entries into gold and writes gold out.
//!
//! Owns the gold cells, their documents and the checkpoint. A [`ShardCommitted`](AggregatorMsg::Fold) message is only a
//! hint: what counts is the ledger. If it dies, the next one begins with the checkpoint and the entries that are not in
//! it, and ends with the same bits.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use ensemble_gold::{CellId, GoldRow};
use ensemble_store::{JobNumber, LedgerEntry, StoreError};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::task::JoinHandle;

use crate::{Collection, JobRecord, Office, SupervisorError, collection::fold_job, list_jobs};

/// How long a caller waits for gold to be written.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a reader waits.
const READ_TIMEOUT: Duration = Duration::from_secs(20);
/// Writing gold out may take a tenth of the time; more, and it is written less often...
const WRITE_SHARE: u32 = 10;
/// ...as long as what is settled is written within this time.
const LAG: Duration = Duration::from_millis(450);

/// What the aggregator is told.
#[derive(Debug)]
pub(crate) enum AggregatorMsg {
    /// From the supervisor, before a job's first shard: which collection its shards belong to. From a job that has read
    /// its ledger: fold in what is there. Harmless when repeated.
    Register(Box<JobRecord>, RpcReplyPort<Result<(), SupervisorError>>),
    /// From a session or a job: this entry is in the ledger. Harmless when repeated.
    Fold(Arc<LedgerEntry>),
    /// From a job that ends, or at shutdown: write everything out, with a checkpoint.
    Flush(RpcReplyPort<Result<(), SupervisorError>>),
    /// From a reader: the rows of a collection's view as they are now; `None` where the collection is not known here.
    Read { silver: String, view: String, reply: RpcReplyPort<Option<Vec<GoldRow>>> },
    /// From the aggregator's own timer.
    Write,
    /// From the write of this number: it is through.
    Written(u64),
}

/// Speaks to the aggregator.
#[derive(Debug, Clone)]
pub struct AggregatorHandle(ActorRef<AggregatorMsg>);

impl AggregatorHandle {
    pub(crate) async fn spawn(office: Office, flush_interval: Duration) -> Result<Self, SupervisorError> {
        let (actor, _) = Actor::spawn(None, Aggregator, AggregatorArgs { office, flush_interval }).await?;
        Ok(Self(actor))
    }

    /// Says which collection a job's shards belong to.
    pub(crate) async fn register(&self, job: &JobRecord) -> Result<(), SupervisorError> {
        let reply = self.0.call(|r| AggregatorMsg::Register(Box::new(job.clone()), r), Some(FLUSH_TIMEOUT)).await;
        answer(reply)
    }

    /// Hints at a ledger entry.
    pub(crate) fn fold(&self, entry: Arc<LedgerEntry>) {
        // A stopped aggregator loses nothing: its successor reads the ledger.
        let _ = self.0.cast(AggregatorMsg::Fold(entry));
    }

    /// Waits until all that was folded before is written, with a checkpoint.
    ///
    /// # Errors
    /// Those of the store; [`SupervisorError::NoAnswer`] where the aggregator is gone or slow.
    pub async fn flush(&self) -> Result<(), SupervisorError> {
        answer(self.0.call(AggregatorMsg::Flush, Some(FLUSH_TIMEOUT)).await)
    }

    /// The rows of a view; `None` where nothing is known of the collection or the view.
    pub(crate) async fn rows(&self, silver: &str, view: &str) -> Result<Option<Vec<GoldRow>>, SupervisorError> {
        let (silver, view) = (silver.to_owned(), view.to_owned());
        match self.0.call(|reply| AggregatorMsg::Read { silver, view, reply }, Some(READ_TIMEOUT)).await {
            Ok(ractor::rpc::CallResult::Success(rows)) => Ok(rows),
            _ => Err(SupervisorError::NoAnswer("aggregator")),
        }
    }

    pub(crate) fn stop(&self) {
        self.0.stop(None);
    }
}

fn answer<E>(reply: Result<ractor::rpc::CallResult<Result<(), SupervisorError>>, E>) -> Result<(), SupervisorError> {
    match reply {
        Ok(ractor::rpc::CallResult::Success(result)) => result,
        _ => Err(SupervisorError::NoAnswer("aggregator")),
    }
}

/// How long to wait before cells are written, where the last time took so long.
fn pause_before(last_write_took: Duration) -> Duration {
    (last_write_took * WRITE_SHARE).min(LAG.saturating_sub(last_write_took))
}

struct Aggregator;

struct AggregatorArgs {
    office: Office,
    flush_interval: Duration,
}

struct AggregatorState {
    office: Office,
    flush_interval: Duration,
    collections: BTreeMap<String, Collection>,
    silver_of: BTreeMap<JobNumber, String>,
    write_due: bool,
    writing: Option<Writing>,
    /// Since when something has been folded that is not being written.
    stale_since: Option<Instant>,
    writes: u64,
    last_write_took: Duration,
    /// Gold could not be written; every later flush says so.
    failure: Option<String>,
}

/// Cells on their way to the store, which readers need not wait for.
struct Writing {
    number: u64,
    begun: Instant,
    /// Since when what it writes had been folded.
    stale_since: Option<Instant>,
    /// The collections and the cells.
    changed: Vec<(String, BTreeSet<CellId>)>,
    task: JoinHandle<Result<(), StoreError>>,
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
            stale_since: None,
            writes: 0,
            last_write_took: Duration::ZERO,
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
            AggregatorMsg::Register(job, reply) => {
                let _ = reply.send(state.register(*job).await);
            }
            AggregatorMsg::Fold(entry) => state.fold(&myself, &entry),
            AggregatorMsg::Flush(reply) => {
                let _ = reply.send(state.flush().await);
            }
            AggregatorMsg::Read { silver, view, reply } => {
                let collection = state.collections.get(&silver);
                let _ = reply.send(collection.and_then(|c| c.state.views().rows(&view, c.state.cells())));
            }
            AggregatorMsg::Write => state.begin_write(&myself),
            AggregatorMsg::Written(number) if state.writing.as_ref().is_some_and(|w| w.number == number) => {
                if state.end_write().await && state.stale_since.is_some() {
                    state.write_soon(&myself);
                }
            }
            // A flush did not wait to be told.
            AggregatorMsg::Written(_) => {}
        }
        Ok(())
    }
}

impl AggregatorState {
    async fn register(&mut self, job: JobRecord) -> Result<(), SupervisorError> {
        let silver = job.contract.silver.clone();
        match self.collections.get_mut(&silver) {
            Some(collection) => fold_job(&**self.office.store(), &mut collection.state, job.number).await?,
            None => {
                let jobs = list_jobs(&**self.office.store()).await?.into_iter().map(|(_, j)| j).collect::<Vec<_>>();
                self.collections.insert(silver.clone(), Collection::open(&self.office, &job, &jobs).await?);
            }
        }
        self.silver_of.insert(job.number, silver);
        Ok(())
    }

    fn fold(&mut self, myself: &ActorRef<AggregatorMsg>, entry: &LedgerEntry) {
        let collection = self.silver_of.get(&entry.plan.shard.job).and_then(|s| self.collections.get_mut(s));
        let Some(collection) = collection else { return };
        if let Err(e) = collection.state.fold(entry) {
            tracing::error!(shard = %entry.plan.shard, error = %e, "cannot fold a ledger entry into gold");
            self.failure.get_or_insert(e.to_string());
        }
        self.stale_since.get_or_insert_with(Instant::now);
        self.write_soon(myself);
    }

    /// Sees to it that what has been folded is written, a little later, with what comes until then.
    fn write_soon(&mut self, myself: &ActorRef<AggregatorMsg>) {
        if self.writing.is_none() && !std::mem::replace(&mut self.write_due, true) {
            let pause = pause_before(self.last_write_took).max(self.flush_interval);
            drop(myself.send_after(pause, || AggregatorMsg::Write));
        }
    }

    fn begin_write(&mut self, myself: &ActorRef<AggregatorMsg>) {
        self.write_due = false;
        let (mut changed, mut cells) = (Vec::new(), Vec::new());
        for (silver, collection) in &mut self.collections {
            let (of_collection, some) = collection.take_changed(&self.office);
            changed.push((silver.clone(), of_collection));
            cells.extend(some);
        }
        if cells.is_empty() {
            self.stale_since = None;
            return;
        }
        self.writes += 1;
        let (number, store, myself) = (self.writes, Arc::clone(self.office.store()), myself.clone());
        let task = tokio::spawn(async move {
            let written = store.write_cells(cells).await;
            // An aggregator that has ended has flushed, or its successor writes every cell again.
            let _ = myself.cast(AggregatorMsg::Written(number));
            written
        });
        let stale_since = self.stale_since.take();
        self.writing = Some(Writing { number, begun: Instant::now(), stale_since, changed, task });
    }

    /// Waits for the write that is under way, if one is; whether nothing of it is left to be written.
    async fn end_write(&mut self) -> bool {
        let Some(Writing { begun, stale_since, changed, task, .. }) = self.writing.take() else { return true };
        let written = task.await.map_err(|e| e.to_string()).and_then(|written| written.map_err(|e| e.to_string()));
        self.last_write_took = begun.elapsed();
        let Err(error) = written else {
            if let Some(since) = stale_since {
                metrics::histogram!("ensemble_gold_lag_seconds").record(since.elapsed());
            }
            return true;
        };
        tracing::error!(error, "cannot write gold");
        self.stale_since = stale_since.or(self.stale_since);
        for (silver, changed) in changed {
            if let Some(collection) = self.collections.get_mut(&silver) {
                collection.state.put_back(changed);
            }
        }
        false
    }

    async fn flush(&mut self) -> Result<(), SupervisorError> {
        if let Some(reason) = &self.failure {
            return Err(SupervisorError::Document { what: "gold".to_owned(), reason: reason.clone() });
        }
        // A checkpoint follows on the cells: those that are gone are not in it.
        self.end_write().await;
        for (silver, collection) in &mut self.collections {
            collection.write_cells(&self.office).await?;
            collection.checkpoint(&self.office, silver).await?;
        }
        self.stale_since = None;
        Ok(())
    }
}
