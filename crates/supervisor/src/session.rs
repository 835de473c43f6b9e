//! A worker's session: the supervisor's end of one link.
//!
//! Owns the worker's credit and the list of what it was given. It asks the supervisor for work while it has credit, and
//! hands results to the jobs. If it dies, or the link does, the worker's shards are leased to others at once; whatever
//! the worker still does is harmless.

mod offer;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use ensemble_contract::ENGINE_VERSION;
use ensemble_protocol::{
    SupervisorEnd, hello_mismatch,
    v1::{self, supervisor_message, worker_message},
};
use ensemble_sources::Location;
use ensemble_store::{Clock, JobNumber, Retry, ShardId, Store};
use ensemble_telemetry::{follow, traceparent};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::{sync::mpsc, task::JoinSet};
use tracing::{Instrument, Span};

pub(crate) use self::offer::{Offer, SessionRef};
use crate::{
    AggregatorHandle, Lease,
    job::{JobMsg, JobRef},
    supervisor::SupervisorMsg,
    table::SessionId,
};

/// How long a ledger entry that a worker reported may take to be read.
const LEDGER_TIMEOUT: Duration = Duration::from_secs(15);

pub(crate) struct SessionArgs {
    pub(crate) id: SessionId,
    pub(crate) link: SupervisorEnd,
    pub(crate) supervisor: ActorRef<SupervisorMsg>,
    pub(crate) aggregator: AggregatorHandle,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What a session is told.
#[derive(Debug)]
pub(crate) enum SessionMsg {
    /// From the link.
    FromWorker(v1::WorkerMessage),
    /// From the link: the worker is gone.
    LinkClosed,
    /// From a job, once for each offer.
    Assign { job: JobRef, spec: Arc<v1::JobSpec>, lease_ms: u64, leases: Vec<Lease> },
    /// From a job: nothing for this offer; for the sake of the named job it is to hold nothing before it asks again.
    PutOff(Option<JobNumber>),
    /// From an offer that nobody has answered.
    Unanswered,
    /// From the supervisor.
    JobEnded(JobNumber),
    /// From the supervisor: no more leases.
    Drain,
}

struct Session;

struct SessionState {
    me: SessionRef,
    worker: String,
    credit_bytes: u64,
    held: FxHashMap<ShardId, u64>,
    /// A shard that is not to have company.
    alone: Option<ShardId>,
    /// This job waits until the worker holds nothing.
    resting: Option<JobNumber>,
    jobs: FxHashMap<JobNumber, JobRef>,
    told: FxHashSet<JobNumber>,
    /// Where the worker reads files and objects itself.
    roots: Vec<Location>,
    /// Jobs whose files it could not read, whatever it said of its roots.
    unreadable: FxHashSet<JobNumber>,
    /// An offer is out and not answered.
    asked: bool,
    draining: bool,
    to_worker: mpsc::Sender<v1::SupervisorMessage>,
    supervisor: ActorRef<SupervisorMsg>,
    aggregator: AggregatorHandle,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    tasks: JoinSet<()>,
    counted: Option<Counted>,
}

/// A worker among those that are measured, as long as it is linked, however its session ends.
struct Counted(f64);

impl Counted {
    fn new(credit_bytes: u64) -> Self {
        let credit = credit_bytes as f64;
        metrics::gauge!("ensemble_workers").increment(1);
        metrics::gauge!("ensemble_worker_credit_bytes").increment(credit);
        Self(credit)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::gauge!("ensemble_workers").decrement(1);
        metrics::gauge!("ensemble_worker_credit_bytes").decrement(self.0);
    }
}

impl Actor for Session {
    type Msg = SessionMsg;
    type State = SessionState;
    type Arguments = SessionArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<SessionMsg>,
        args: SessionArgs,
    ) -> Result<SessionState, ActorProcessingErr> {
        let SupervisorEnd { outgoing, mut incoming } = args.link;
        let mut tasks = JoinSet::new();
        let reader = myself.clone();
        tasks.spawn(async move {
            while let Some(message) = incoming.recv().await {
                if reader.cast(SessionMsg::FromWorker(message)).is_err() {
                    return;
                }
            }
            let _ = reader.cast(SessionMsg::LinkClosed);
        });
        Ok(SessionState {
            me: SessionRef { id: args.id, actor: myself },
            worker: String::new(),
            credit_bytes: 0,
            held: FxHashMap::default(),
            alone: None,
            resting: None,
            jobs: FxHashMap::default(),
            told: FxHashSet::default(),
            roots: Vec::new(),
            unreadable: FxHashSet::default(),
            asked: false,
            draining: false,
            to_worker: outgoing,
            supervisor: args.supervisor,
            aggregator: args.aggregator,
            store: args.store,
            clock: args.clock,
            tasks,
            counted: None,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<SessionMsg>,
        message: SessionMsg,
        state: &mut SessionState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SessionMsg::FromWorker(message) => state.on_message(message).await?,
            SessionMsg::LinkClosed => myself.stop(Some("the link is closed".into())),
            SessionMsg::Assign { job, spec, lease_ms, leases } => state.assign(job, &spec, lease_ms, leases).await?,
            SessionMsg::PutOff(resting) => state.put_off(resting),
            SessionMsg::Unanswered => {
                state.asked = false;
                state.ask();
            }
            SessionMsg::JobEnded(job) => state.forget(job).await?,
            SessionMsg::Drain => state.drain().await?,
        }
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<SessionMsg>, state: &mut SessionState) -> Result<(), ActorProcessingErr> {
        state.tasks.shutdown().await;
        Ok(())
    }
}

impl SessionState {
    async fn on_message(&mut self, message: v1::WorkerMessage) -> Result<(), ActorProcessingErr> {
        match message.message {
            Some(worker_message::Message::Hello(hello)) => return self.on_hello(hello),
            Some(worker_message::Message::Finished(shard)) => {
                let span = tracing::info_span!("fold", shard = %ShardId::from(&shard));
                follow(&span, &shard.traceparent);
                self.on_finished(ShardId::from(&shard), span);
            }
            Some(worker_message::Message::Failed(failed)) => {
                let shard = ShardId { job: JobNumber(failed.job_number), number: failed.shard_number };
                let class = failed.class();
                tracing::warn!(worker = self.worker, %shard, ?class, reason = failed.reason, "a shard failed");
                if class == v1::FailureClass::Unreadable {
                    self.unreadable.insert(shard.job);
                }
                self.let_go(shard, |session| JobMsg::Failed {
                    session,
                    number: shard.number,
                    class,
                    reason: failed.reason,
                });
            }
            Some(worker_message::Message::HandBack(back)) => {
                for shard in back.shards.iter().map(ShardId::from) {
                    self.let_go(shard, |session| JobMsg::Released { session, numbers: vec![shard.number] });
                }
            }
            Some(worker_message::Message::Heartbeat(beat)) => self.on_heartbeat(&beat),
            Some(worker_message::Message::Leaving(_)) => return self.drain().await,
            None => tracing::warn!(worker = self.worker, "the worker sent a message of an unknown kind"),
        }
        self.ask();
        Ok(())
    }

    fn on_hello(&mut self, hello: v1::WorkerHello) -> Result<(), ActorProcessingErr> {
        if let Some(mismatch) = hello_mismatch(&hello, ENGINE_VERSION) {
            return Err(mismatch.into());
        }
        self.worker = hello.worker_id;
        self.credit_bytes = hello.credit_bytes;
        // A place that this version does not know is one that no job's file lies below.
        self.roots = hello.source_roots.iter().filter_map(|root| Location::root(root).ok()).collect();
        self.counted = Some(Counted::new(hello.credit_bytes));
        self.ask();
        Ok(())
    }

    /// The message is only a hint: what counts is the entry in the ledger.
    fn on_finished(&mut self, shard: ShardId, span: Span) {
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        let (aggregator, session) = (self.aggregator.clone(), self.me.id);
        let Some(job) = self.jobs.get(&shard.job).cloned() else { return };
        self.held.remove(&shard);
        while self.tasks.try_join_next().is_some() {}
        let read_and_fold = async move {
            let entry = Retry::within(&*clock, LEDGER_TIMEOUT).run(|| store.ledger(shard)).await;
            match entry {
                Ok(Some(entry)) => {
                    let entry = Arc::new(entry);
                    aggregator.fold(Arc::clone(&entry));
                    job.cast(JobMsg::Settled(entry));
                }
                Ok(None) => job.cast(JobMsg::Released { session, numbers: vec![shard.number] }),
                Err(e) => {
                    tracing::warn!(%shard, error = %e, "cannot read the ledger; the shard is leased again");
                    job.cast(JobMsg::Released { session, numbers: vec![shard.number] });
                }
            }
        };
        self.tasks.spawn(read_and_fold.instrument(span));
    }

    fn on_heartbeat(&mut self, beat: &v1::Heartbeat) {
        let mut by_job: FxHashMap<JobNumber, Vec<u32>> = FxHashMap::default();
        for shard in beat.shards.iter().map(ShardId::from) {
            by_job.entry(shard.job).or_default().push(shard.number);
        }
        for (job, numbers) in by_job {
            if let Some(job) = self.jobs.get(&job) {
                job.cast(JobMsg::Beat { session: self.me.id, numbers });
            }
        }
    }

    fn let_go(&mut self, shard: ShardId, message: impl FnOnce(SessionId) -> JobMsg) {
        self.held.remove(&shard);
        if let Some(job) = self.jobs.get(&shard.job) {
            job.cast(message(self.me.id));
        }
    }

    async fn assign(
        &mut self,
        job: JobRef,
        spec: &v1::JobSpec,
        lease_ms: u64,
        leases: Vec<Lease>,
    ) -> Result<(), ActorProcessingErr> {
        self.asked = false;
        let number = JobNumber(spec.job_number);
        if self.told.insert(number) {
            self.say(supervisor_message::Message::Job(spec.clone())).await?;
        }
        self.jobs.insert(number, job);
        metrics::counter!("ensemble_leases_total").increment(leases.len() as u64);
        for lease in leases {
            self.held.insert(lease.plan.shard, lease.bytes.len() as u64);
            self.alone = lease.alone.then_some(lease.plan.shard);
            let span =
                tracing::info_span!("lease", shard = %lease.plan.shard, attempt = lease.attempt, worker = self.worker);
            let traceparent = span.in_scope(traceparent).unwrap_or_default();
            let from_source = self.reads_itself(spec, lease.plan.file);
            if from_source {
                metrics::counter!("ensemble_leases_without_bytes_total").increment(1);
            }
            self.say(supervisor_message::Message::Lease(v1::Lease {
                plan: Some((&lease.plan).into()),
                bytes: if from_source { Bytes::new() } else { lease.bytes },
                lease_ms,
                attempt: lease.attempt,
                traceparent,
                from_source,
            }))
            .await?;
        }
        self.ask();
        Ok(())
    }

    /// Whether the worker reads this file of the job's itself.
    fn reads_itself(&self, spec: &v1::JobSpec, file: u32) -> bool {
        // Most workers name no roots: nothing is parsed for them.
        if self.roots.is_empty() || self.unreadable.contains(&JobNumber(spec.job_number)) {
            return false;
        }
        let location = spec.files.get(file as usize).and_then(|file| file.path.parse::<Location>().ok());
        location.is_some_and(|location| location.is_below_any(&self.roots))
    }

    /// The next result brings more credit, unless the last has come meanwhile.
    fn put_off(&mut self, resting: Option<JobNumber>) {
        self.asked = false;
        self.resting = resting;
        if self.held.is_empty() {
            self.ask();
        }
    }

    async fn forget(&mut self, job: JobNumber) -> Result<(), ActorProcessingErr> {
        self.jobs.remove(&job);
        self.unreadable.remove(&job);
        self.held.retain(|shard, _| shard.job != job);
        if self.told.remove(&job) {
            self.say(supervisor_message::Message::JobEnded(v1::JobEnded { job_number: job.0 })).await?;
        }
        Ok(())
    }

    async fn drain(&mut self) -> Result<(), ActorProcessingErr> {
        self.draining = true;
        self.say(supervisor_message::Message::Drain(v1::Drain {})).await
    }

    fn ask(&mut self) {
        let free = self.credit_bytes.saturating_sub(self.held.values().sum());
        let is_alone = self.alone.is_some_and(|shard| self.held.contains_key(&shard));
        let rests = self.resting.is_some() && !self.held.is_empty();
        if self.asked || self.draining || free == 0 || is_alone || rests {
            return;
        }
        self.asked = true;
        let offer = Offer {
            session: self.me.clone(),
            credit_bytes: free,
            whole: self.held.is_empty(),
            reserved: self.resting.take(),
            answered: false,
        };
        // A supervisor that is gone takes its sessions with it.
        self.draining |= self.supervisor.cast(SupervisorMsg::Offer(offer)).is_err();
    }

    /// The link is bounded; a worker that does not read holds its own session back and nobody else's.
    async fn say(&self, message: supervisor_message::Message) -> Result<(), ActorProcessingErr> {
        Ok(self.to_worker.send(v1::SupervisorMessage { message: Some(message) }).await?)
    }
}
