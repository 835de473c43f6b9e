//! The aggregator: folds ledger entries into gold and writes gold out.
//!
//! Owns the gold cells, their documents and the checkpoint. A [`ShardCommitted`](AggregatorMsg::Fold) message is only a
//! hint: what counts is the ledger. If it dies, the next one begins with the checkpoint and the entries that are not in
//! it, and ends with the same bits.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use ensemble_gold::GoldRow;
use ensemble_store::{JobNumber, LedgerEntry};
use futures::future::join_all;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, rpc::CallResult};
use tokio::{sync::Mutex, task::JoinError};

use crate::{Collection, JobRecord, Office, SupervisorError, Written, ledger::Pages, list_jobs};

/// How long a caller waits for gold to be written.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a caller waits for what takes no time.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// Writing gold out may take a tenth of the time; more, and it is written less often...
const WRITE_SHARE: u32 = 10;
/// ...as long as what is folded is written within this time, if the write takes as long as the last one. It leaves
/// something of half a second for what happens between a commit and the fold, and for a write that takes longer.
const LAG: Duration = Duration::from_millis(350);

/// What the aggregator is told.
#[derive(Debug)]
pub(crate) enum AggregatorMsg {
    /// From a job, before its first shard: into which silver collection they go. Harmless when repeated.
    Register(JobNumber, String, RpcReplyPort<Registered>),
    /// A collection's gold, which nobody asks for before it is here.
    Adopt(Box<Collection>, RpcReplyPort<()>),
    /// From a session or a job: this entry is in the ledger. Harmless when repeated.
    Fold(Arc<LedgerEntry>),
    /// From whoever reads a ledger: so are these.
    FoldAll(Vec<LedgerEntry>, RpcReplyPort<Result<(), SupervisorError>>),
    /// From a job that ends, or at shutdown: write everything out, with a checkpoint.
    Flush(RpcReplyPort<Result<(), SupervisorError>>),
    /// From a reader: the rows of a collection's view as they are now; `None` where the collection is not known here.
    Read { silver: String, view: String, reply: RpcReplyPort<Option<Vec<GoldRow>>> },
    /// From the aggregator's own timer.
    Write,
    /// From the write that was under way: what became of each collection's draft.
    Written(Result<Vec<(String, Written)>, JoinError>),
}

/// What is known of the collection of a job that registers.
#[derive(Debug)]
pub(crate) enum Registered {
    /// Its gold is here, with the job's entries below this shard.
    From(u32),
    /// Its gold is to be read first.
    Unknown,
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
        let mut registered = self.registered(job).await?;
        if let Registered::Unknown = registered {
            let _one_at_a_time = self.opening.lock().await;
            registered = self.registered(job).await?;
            if let Registered::Unknown = registered {
                let jobs = list_jobs(&**self.office.store()).await?.into_iter().map(|(_, j)| j).collect::<Vec<_>>();
                let collection = Box::new(Collection::open(&self.office, job, &jobs).await?);
                self.call(|reply| AggregatorMsg::Adopt(collection, reply)).await?;
                registered = self.registered(job).await?;
            }
        }
        let Registered::From(shard) = registered else { return Err(SupervisorError::NoAnswer("aggregator")) };
        let mut pages = Pages::from(&**self.office.store(), job.number, shard);
        while let Some(page) = pages.next().await? {
            self.call(|reply| AggregatorMsg::FoldAll(page, reply)).await??;
        }
        Ok(())
    }

    async fn registered(&self, job: &JobRecord) -> Result<Registered, SupervisorError> {
        self.call(|reply| AggregatorMsg::Register(job.number, job.contract.silver.clone(), reply)).await
    }

    /// Hints at a ledger entry.
    pub(crate) fn fold(&self, entry: Arc<LedgerEntry>) {
        // A stopped aggregator loses nothing: its successor reads the ledger.
        let _ = self.actor.cast(AggregatorMsg::Fold(entry));
    }

    /// Waits until all that was folded before is written, with a checkpoint.
    ///
    /// # Errors
    /// Those of the store; [`SupervisorError::NoAnswer`] where the aggregator is gone or slow.
    pub async fn flush(&self) -> Result<(), SupervisorError> {
        match self.actor.call(AggregatorMsg::Flush, Some(FLUSH_TIMEOUT)).await {
            Ok(CallResult::Success(flushed)) => flushed,
            _ => Err(SupervisorError::NoAnswer("aggregator")),
        }
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
        match self.actor.call(message, Some(CALL_TIMEOUT)).await {
            Ok(CallResult::Success(reply)) => Ok(reply),
            _ => Err(SupervisorError::NoAnswer("aggregator")),
        }
    }
}

/// How long what has been folded waits for more before all is written, where the last write took so long.
fn patience(last_write_took: Duration) -> Duration {
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
    /// Who waits for everything to be written; one write each.
    flushes: VecDeque<RpcReplyPort<Result<(), SupervisorError>>>,
    /// Since when something has been folded that is not being written.
    stale_since: Option<Instant>,
    last_write_begun: Option<Instant>,
    last_write_took: Duration,
    /// An entry could not be folded; every later flush says so.
    failure: Option<String>,
}

/// Gold on its way to the store, which neither entries nor readers wait for.
struct Writing {
    begun: Instant,
    /// Since when what it writes had been folded.
    stale_since: Option<Instant>,
    flush: Option<RpcReplyPort<Result<(), SupervisorError>>>,
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
            last_write_begun: None,
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
            AggregatorMsg::Register(job, silver, reply) => {
                let _ = reply.send(state.register(job, silver));
            }
            AggregatorMsg::Adopt(collection, reply) => {
                state.collections.insert(collection.silver().to_owned(), *collection);
                let _ = reply.send(());
            }
            AggregatorMsg::Fold(entry) => {
                if let Err(e) = state.fold(&entry) {
                    tracing::error!(shard = %entry.plan.shard, error = %e, "cannot fold a ledger entry into gold");
                    state.failure.get_or_insert(e.to_string());
                }
                state.write_soon(&myself);
            }
            AggregatorMsg::FoldAll(entries, reply) => {
                let _ = reply.send(entries.iter().try_for_each(|entry| state.fold(entry)));
                state.write_soon(&myself);
            }
            AggregatorMsg::Flush(reply) => match &state.failure {
                Some(reason) => {
                    let failure = SupervisorError::Document { what: "gold".to_owned(), reason: reason.clone() };
                    let _ = reply.send(Err(failure));
                }
                None => {
                    state.flushes.push_back(reply);
                    state.write(&myself);
                }
            },
            AggregatorMsg::Read { silver, view, reply } => {
                let collection = state.collections.get(&silver);
                let _ = reply.send(collection.and_then(|c| c.state.views().rows(&view, c.state.cells())));
            }
            AggregatorMsg::Write => {
                state.write_due = false;
                state.write(&myself);
            }
            AggregatorMsg::Written(written) => {
                state.written(written);
                if state.flushes.is_empty() {
                    state.write_soon(&myself);
                } else {
                    state.write(&myself);
                }
            }
        }
        Ok(())
    }
}

impl AggregatorState {
    fn register(&mut self, job: JobNumber, silver: String) -> Registered {
        let Some(collection) = self.collections.get(&silver) else { return Registered::Unknown };
        self.silver_of.insert(job, silver);
        Registered::From(collection.state.covered().prefix(job))
    }

    fn fold(&mut self, entry: &LedgerEntry) -> Result<(), SupervisorError> {
        let collection = self.silver_of.get(&entry.plan.shard.job).and_then(|s| self.collections.get_mut(s));
        if collection.map_or(Ok(false), |collection| collection.state.fold(entry))? {
            self.stale_since.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    /// Sees to it that what has been folded is written, a little later, with what comes until then.
    fn write_soon(&mut self, myself: &ActorRef<AggregatorMsg>) {
        let Some(stale_since) = self.stale_since else { return };
        if self.writing.is_none() && !std::mem::replace(&mut self.write_due, true) {
            let wanted = stale_since + patience(self.last_write_took);
            let at = self.last_write_begun.map_or(wanted, |begun| wanted.max(begun + self.flush_interval));
            drop(myself.send_after(at.saturating_duration_since(Instant::now()), || AggregatorMsg::Write));
        }
    }

    /// Begins to write what has changed; for whoever waits for it, with a checkpoint. One write is under way at a time.
    fn write(&mut self, myself: &ActorRef<AggregatorMsg>) {
        if self.writing.is_some() {
            return;
        }
        // Who waits no more has asked again, if need be.
        self.flushes.retain(|flush| !flush.is_closed());
        let flush = self.flushes.pop_front();
        let mut drafts = Vec::new();
        for (silver, collection) in &mut self.collections {
            let draft = collection.draft(&self.office, flush.is_some());
            if !draft.is_empty() {
                drafts.push((silver.clone(), draft));
            }
        }
        let stale_since = self.stale_since.take();
        if drafts.is_empty() && flush.is_none() {
            return;
        }
        let writes = drafts.into_iter().map(|(silver, draft)| {
            let office = self.office.clone();
            async move { (silver, draft.write(&office).await) }
        });
        let writes = tokio::spawn(join_all(writes));
        let myself = myself.clone();
        tokio::spawn(async move {
            // An aggregator that has ended has flushed, or its successor writes every cell again.
            let _ = myself.cast(AggregatorMsg::Written(writes.await));
        });
        let begun = Instant::now();
        self.last_write_begun = Some(begun);
        self.writing = Some(Writing { begun, stale_since, flush });
    }

    /// Takes note of what became of a write.
    fn written(&mut self, written: Result<Vec<(String, Written)>, JoinError>) {
        let Some(Writing { begun, stale_since, flush }) = self.writing.take() else { return };
        self.last_write_took = begun.elapsed();
        let mut result = Ok(());
        match written {
            Ok(written) => {
                for (silver, written) in written {
                    let written = self.collections.get_mut(&silver).map_or(Ok(()), |c| c.written(written));
                    result = result.and(written);
                }
            }
            // Its drafts are no longer told of, so they are written again.
            Err(e) => result = Err(SupervisorError::Document { what: "gold".to_owned(), reason: e.to_string() }),
        }
        match &result {
            Ok(()) => {
                if let Some(since) = stale_since {
                    metrics::histogram!("ensemble_gold_lag_seconds").record(since.elapsed());
                }
            }
            Err(error) => {
                tracing::error!(%error, "cannot write gold");
                self.stale_since = stale_since.or(self.stale_since);
            }
        }
        if let Some(flush) = flush {
            let _ = flush.send(result);
        }
    }
}
