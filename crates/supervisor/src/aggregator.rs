//! The aggregator: folds ledger entries into gold and writes gold out.
//!
//! Owns the gold cells, their documents and the checkpoint. A [`Fold`](AggregatorMsg::Fold) message is only a hint: what
//! counts is the ledger. It never waits for the store itself: whoever registers a job reads what is stored, and what has
//! changed is written beside it. So gold is read and folded whatever the store does. If it dies, the next one begins with
//! the checkpoint and the entries that are not in it, and ends with the same bits.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use ensemble_gold::GoldRow;
use ensemble_store::{JobNumber, LedgerEntry};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, rpc::CallResult};
use tokio::{sync::Mutex, task::JoinError, time::Instant};

use crate::{Collection, CurrentHead, JobRecord, Office, SupervisorError, ledger::Pages, list_jobs};

/// How long a caller waits for what takes no time.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// Writing gold out may take a tenth of the time; more, and it is written less often...
const WRITE_SHARE: u32 = 10;
/// ...as long as what is folded is written within this time, if no write is under way and the next takes as long as the
/// last one. It leaves something of half a second for what happens between a commit and the fold.
const LAG: Duration = Duration::from_millis(350);
/// The longest pause before cells that the store has refused are written again.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(30);

/// Where the answer to a flush goes.
type Flushed = RpcReplyPort<Result<(), SupervisorError>>;
/// What became of the drafts of a write, by the collections' names.
type Outcomes = Vec<(String, Result<Result<Option<CurrentHead>, SupervisorError>, JoinError>)>;

/// What the aggregator is told.
#[derive(Debug)]
pub(crate) enum AggregatorMsg {
    /// From [`AggregatorHandle::register`]: into which silver collection a job's shards go. The answer is the first of
    /// the job's shards that need not be in its gold yet; `None` where the collection is to be opened first. Harmless
    /// when repeated.
    Register(JobNumber, String, RpcReplyPort<Option<u32>>),
    /// From [`AggregatorHandle::register`]: a collection's gold as it is stored. Once a collection.
    Adopt(Box<Collection>, RpcReplyPort<()>),
    /// From a session or a job: this entry is in the ledger. Harmless when repeated.
    Fold(Arc<LedgerEntry>),
    /// From [`AggregatorHandle::register`]: so are these. Harmless when repeated.
    FoldAll(Vec<LedgerEntry>, RpcReplyPort<Result<(), SupervisorError>>),
    /// From a job that ends, or at shutdown: write everything out, with a checkpoint. Harmless when repeated.
    Flush(Flushed),
    /// From a reader: the rows of a collection's view as they are now; `None` where the collection is not known here.
    Read { silver: String, view: String, reply: RpcReplyPort<Option<Vec<GoldRow>>> },
    /// From the aggregator's own timer. Harmless when repeated.
    Write,
    /// From the write that was under way, once.
    Written(Outcomes),
}

/// Speaks to the aggregator.
#[derive(Debug, Clone)]
pub struct AggregatorHandle {
    actor: ActorRef<AggregatorMsg>,
    office: Office,
    /// One collection is opened at a time: two that open the same one would take each other for a successor.
    opening: Arc<Mutex<()>>,
}

impl AggregatorHandle {
    pub(crate) async fn spawn(office: Office, flush_interval: Duration) -> Result<Self, SupervisorError> {
        let args = AggregatorArgs { office: office.clone(), flush_interval };
        let (actor, _) = Actor::spawn(None, Aggregator, args).await?;
        Ok(Self { actor, office, opening: Arc::default() })
    }

    /// Says which collection a job's shards belong to, and has what is in the job's ledger folded in. All that takes time
    /// is done here: the aggregator goes on folding meanwhile.
    ///
    /// # Errors
    /// Those of the store, or where something stored cannot be read; [`SupervisorError::NoAnswer`].
    pub(crate) async fn register(&self, job: &JobRecord) -> Result<(), SupervisorError> {
        let from = match self.registered(job).await? {
            Some(from) => from,
            None => self.open(job).await?,
        };
        let mut pages = Pages::from(&**self.office.store(), job.number, from);
        while let Some(page) = pages.next().await? {
            self.call(|reply| AggregatorMsg::FoldAll(page, reply)).await??;
        }
        Ok(())
    }

    async fn registered(&self, job: &JobRecord) -> Result<Option<u32>, SupervisorError> {
        self.call(|reply| AggregatorMsg::Register(job.number, job.contract.silver.clone(), reply)).await
    }

    /// Opens the collection of a job, unless another job has come first, and registers the job.
    async fn open(&self, job: &JobRecord) -> Result<u32, SupervisorError> {
        let _one_at_a_time = self.opening.lock().await;
        if let Some(from) = self.registered(job).await? {
            return Ok(from);
        }
        let jobs = list_jobs(&**self.office.store()).await?.into_iter().map(|(_, j)| j).collect::<Vec<_>>();
        let collection = Box::new(Collection::open(&self.office, job, &jobs).await?);
        // However long it takes: nobody may open the collection once more meanwhile.
        answer(self.actor.call(|reply| AggregatorMsg::Adopt(collection, reply), None).await)?;
        self.registered(job).await?.ok_or(SupervisorError::NoAnswer("aggregator"))
    }

    /// Hints at a ledger entry.
    pub(crate) fn fold(&self, entry: Arc<LedgerEntry>) {
        // A stopped aggregator loses nothing: its successor reads the ledger.
        let _ = self.actor.cast(AggregatorMsg::Fold(entry));
    }

    /// Waits until all that was folded before is written, with a checkpoint, for as long as the store takes.
    ///
    /// # Errors
    /// Those of the store; where an entry could not be folded; [`SupervisorError::NoAnswer`] where the aggregator is gone.
    pub async fn flush(&self) -> Result<(), SupervisorError> {
        answer(self.actor.call(AggregatorMsg::Flush, None).await)?
    }

    /// The rows of a view; `None` where nothing is known of the collection or the view.
    ///
    /// # Errors
    /// [`SupervisorError::NoAnswer`] where the aggregator is gone.
    pub(crate) async fn rows(&self, silver: &str, view: &str) -> Result<Option<Vec<GoldRow>>, SupervisorError> {
        let (silver, view) = (silver.to_owned(), view.to_owned());
        self.call(|reply| AggregatorMsg::Read { silver, view, reply }).await
    }

    pub(crate) fn stop(&self) {
        self.actor.stop(None);
    }

    /// For what the aggregator answers at once.
    async fn call<T: Send + 'static>(
        &self,
        message: impl FnOnce(RpcReplyPort<T>) -> AggregatorMsg,
    ) -> Result<T, SupervisorError> {
        answer(self.actor.call(message, Some(CALL_TIMEOUT)).await)
    }
}

fn answer<T, E>(reply: Result<CallResult<T>, E>) -> Result<T, SupervisorError> {
    match reply {
        Ok(CallResult::Success(reply)) => Ok(reply),
        _ => Err(SupervisorError::NoAnswer("aggregator")),
    }
}

/// How long what has been folded waits for more before all is written, where the last write took so long.
fn patience(last_write_took: Duration) -> Duration {
    (last_write_took * WRITE_SHARE).min(LAG.saturating_sub(last_write_took))
}

/// How long the store rests after a write of cells: one that is slow is not written to all the time, nor one that refuses.
fn rest(last_write_took: Duration, interval: Duration, refusals: u32) -> Duration {
    match refusals {
        0 if last_write_took < LAG => Duration::ZERO,
        0 => interval,
        refusals => interval.saturating_mul(1 << refusals.min(16)).min(LONGEST_BACK_OFF),
    }
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

#[cfg(test)]
mod tests;
