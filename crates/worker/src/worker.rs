//! The worker: takes leases from the link, has them judged, commits them and says so.
//!
//! Owns the link's end and the list of the shards that it holds. Never decides anything about a shard: the decision
//! record, the claims and the ledger do. If it dies, its leases lapse and others repeat its shards, harmlessly.

use std::{num::NonZeroUsize, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use ensemble_contract::ENGINE_VERSION;
use ensemble_protocol::{
    PROTOCOL_VERSION, WorkerEnd,
    v1::{self, supervisor_message, worker_message},
};
use ensemble_store::{ErrorClass, JobNumber, ShardId, ShardPlan};
use ensemble_telemetry::{follow, traceparent};
use ensemble_validation::JobContext;
use futures::FutureExt;
use ractor::{Actor, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent, concurrency::JoinHandle};
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::{sync::mpsc, task::JoinSet};
use tracing::{Instrument, Span};

use crate::{
    Committer, ShardWork,
    validator::{Judged, ShardBytes, ValidateShard, Validators, spawn_validators},
};

/// Until the first lease says how long leases hold.
const FIRST_HEARTBEAT: Duration = Duration::from_secs(5);

/// What a worker is made of.
pub struct WorkerArgs {
    /// The worker's name, unique among the supervisor's workers.
    pub id: String,
    /// How many bytes of shards it may hold at once.
    pub credit_bytes: u64,
    /// How many shards are judged at the same time.
    pub validators: NonZeroUsize,
    /// Whether the bytes of shards come over a network, so that their hash has to be checked.
    pub check_hashes: bool,
    /// Where it reads files and objects itself: folders that are the same here and on the supervisor's machine, by
    /// absolute paths, and buckets.
    pub source_roots: Vec<String>,
    /// Commits what has been judged.
    pub committer: Committer,
    /// The link to the supervisor.
    pub link: WorkerEnd,
}

/// Why a worker could not be started.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The actor did not start.
    #[error("cannot start the worker: {0}")]
    Spawn(#[from] SpawnErr),
}

/// A running worker.
#[derive(Debug)]
pub struct WorkerHandle {
    actor: ActorRef<WorkerMsg>,
    ended: JoinHandle<()>,
}

impl WorkerHandle {
    /// Starts a worker on its link.
    ///
    /// # Errors
    /// Where its actors cannot be started.
    pub async fn spawn(args: WorkerArgs) -> Result<Self, WorkerError> {
        let (actor, ended) = Actor::spawn(None, Worker, args).await?;
        Ok(Self { actor, ended })
    }

    /// Waits until the worker has ended: it was drained, or the link is closed, and all that it held is finished or
    /// given up.
    pub async fn ended(&mut self) {
        // An actor's join handle fails only where its task was aborted: it has ended all the same.
        let _ = (&mut self.ended).await;
    }

    /// Lets the worker finish what it holds and end; it wants nothing more.
    pub fn leave(&self) {
        // A worker that is gone has left.
        let _ = self.actor.cast(WorkerMsg::Leave);
    }

    /// Ends the worker at once, wherever it is; what it holds goes to others when its leases lapse.
    pub fn kill(&self) {
        self.actor.kill();
    }
}

/// What a worker is told.
#[derive(Debug)]
pub(crate) enum WorkerMsg {
    /// From the link.
    FromSupervisor(v1::SupervisorMessage),
    /// From the link: the supervisor is gone. What is held is finished all the same, as its successor reads the ledger.
    LinkClosed,
    /// From the process, which is to end.
    Leave,
    /// From a validator, once for each shard.
    Validated { job: Arc<JobContext>, plan: ShardPlan, judged: Judged, span: Span },
    /// From a commit's task, once for each shard.
    Committed { shard: ShardId, traceparent: Option<String>, failure: Option<(v1::FailureClass, String)> },
    /// From the worker's own timer.
    Beat,
}

struct Worker;

struct WorkerState {
    validators: Validators,
    committer: Committer,
    check_hashes: bool,
    to_supervisor: mpsc::Sender<v1::WorkerMessage>,
    jobs: FxHashMap<JobNumber, Result<Arc<JobContext>, String>>,
    held: FxHashSet<ShardId>,
    commits: JoinSet<()>,
    tasks: JoinSet<()>,
    lease: Duration,
    /// No more leases come.
    draining: bool,
    /// Nobody hears what is said.
    alone: bool,
}

impl Actor for Worker {
    type Msg = WorkerMsg;
    type State = WorkerState;
    type Arguments = WorkerArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<WorkerMsg>,
        args: WorkerArgs,
    ) -> Result<WorkerState, ActorProcessingErr> {
        let WorkerEnd { outgoing, mut incoming } = args.link;
        let hello = v1::WorkerHello {
            worker_id: args.id,
            credit_bytes: args.credit_bytes,
            protocol_version: PROTOCOL_VERSION,
            engine_version: ENGINE_VERSION,
            source_roots: args.source_roots,
        };
        outgoing.send(say(worker_message::Message::Hello(hello))).await?;
        let validators = spawn_validators(myself.clone(), args.validators).await?;
        let mut tasks = JoinSet::new();
        let reader = myself.clone();
        tasks.spawn(async move {
            while let Some(message) = incoming.recv().await {
                if reader.cast(WorkerMsg::FromSupervisor(message)).is_err() {
                    return;
                }
            }
            let _ = reader.cast(WorkerMsg::LinkClosed);
        });
        drop(myself.send_after(FIRST_HEARTBEAT, || WorkerMsg::Beat));
        Ok(WorkerState {
            validators,
            committer: args.committer,
            check_hashes: args.check_hashes,
            to_supervisor: outgoing,
            jobs: FxHashMap::default(),
            held: FxHashSet::default(),
            commits: JoinSet::new(),
            tasks,
            lease: FIRST_HEARTBEAT * 3,
            draining: false,
            alone: false,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<WorkerMsg>,
        message: WorkerMsg,
        state: &mut WorkerState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            WorkerMsg::FromSupervisor(message) => state.on_message(message).await?,
            WorkerMsg::LinkClosed => (state.draining, state.alone) = (true, true),
            WorkerMsg::Leave => state.say(worker_message::Message::Leaving(v1::Leaving {})).await?,
            WorkerMsg::Validated { job, plan, judged, span } => {
                state.on_validated(&myself, job, plan, judged, span).await?;
            }
            WorkerMsg::Committed { shard, traceparent, failure } => {
                state.on_committed(shard, traceparent, failure).await?;
            }
            WorkerMsg::Beat => {
                state.beat().await?;
                drop(myself.send_after(state.lease / 3, || WorkerMsg::Beat));
            }
        }
        if state.draining && state.held.is_empty() {
            myself.stop(Some("drained".into()));
        }
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<WorkerMsg>, state: &mut WorkerState) -> Result<(), ActorProcessingErr> {
        metrics::gauge!("ensemble_held_shards").decrement(state.held.len() as f64);
        state.tasks.shutdown().await;
        state.commits.shutdown().await;
        state.validators.stop(None);
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<WorkerMsg>,
        event: SupervisionEvent,
        state: &mut WorkerState,
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorFailed(who, reason) = event {
            tracing::error!(actor = %who.get_id(), %reason, "the validators failed, starting others");
            state.validators = spawn_validators(myself, NonZeroUsize::MIN).await?;
            // Nobody will ever say what became of their shards. What is being committed may be done again, too.
            state.hand_back().await?;
        }
        Ok(())
    }
}

impl WorkerState {
    async fn on_message(&mut self, message: v1::SupervisorMessage) -> Result<(), ActorProcessingErr> {
        match message.message {
            Some(supervisor_message::Message::Job(spec)) => {
                let context = JobContext::new(&spec).map(Arc::new).map_err(|e| e.to_string());
                self.jobs.insert(JobNumber(spec.job_number), context);
            }
            Some(supervisor_message::Message::Lease(lease)) => self.on_lease(lease).await?,
            Some(supervisor_message::Message::JobEnded(ended)) => {
                self.jobs.remove(&JobNumber(ended.job_number));
            }
            Some(supervisor_message::Message::Drain(_)) => self.draining = true,
            None => tracing::warn!("the supervisor sent a message of a kind that this version does not know"),
        }
        Ok(())
    }

    async fn on_lease(&mut self, lease: v1::Lease) -> Result<(), ActorProcessingErr> {
        self.lease = Duration::from_millis(lease.lease_ms.max(3));
        let plan = lease.plan.ok_or("a lease without a plan")?;
        let plan = ShardPlan::try_from(plan)?;
        let shard = plan.shard;
        let job = match self.jobs.get(&shard.job) {
            Some(Ok(job)) => Arc::clone(job),
            Some(Err(reason)) => {
                let reason = reason.clone();
                return self.say_failed(shard, v1::FailureClass::Fatal, reason).await;
            }
            None => {
                let reason = "the lease came before its job's specification".to_owned();
                return self.say_failed(shard, v1::FailureClass::Transient, reason).await;
            }
        };
        let bytes = match job.file(plan.file).ok().and_then(|file| file.location.clone()) {
            Some(location) if lease.from_source => ShardBytes::At(location),
            None if lease.from_source => {
                let reason = "the lease is without bytes, and its file is nowhere that this worker can read".to_owned();
                return self.say_failed(shard, v1::FailureClass::Unreadable, reason).await;
            }
            _ if self.check_hashes => ShardBytes::Sent(lease.bytes),
            _ => ShardBytes::Planned(lease.bytes),
        };
        self.hold(shard);
        let span = tracing::info_span!("shard", %shard, attempt = lease.attempt);
        follow(&span, &lease.traceparent);
        let work = ValidateShard { job, plan, bytes, span };
        Ok(self.validators.dispatch(shard, work)?)
    }

    async fn on_validated(
        &mut self,
        myself: &ActorRef<WorkerMsg>,
        job: Arc<JobContext>,
        plan: ShardPlan,
        judged: Judged,
        span: Span,
    ) -> Result<(), ActorProcessingErr> {
        let shard = plan.shard;
        let (validated, bytes) = match judged {
            Judged::Valid(validated, bytes) => (validated, bytes),
            Judged::Damaged => {
                let reason = "the shard's bytes arrived damaged: their hash differs".to_owned();
                return self.give_up(shard, v1::FailureClass::Transient, reason).await;
            }
            Judged::Unreadable(reason) => return self.give_up(shard, v1::FailureClass::Unreadable, reason).await,
            Judged::Crashed(reason) => return self.give_up(shard, v1::FailureClass::Crashed, reason).await,
        };
        let work = ShardWork { job, plan, bytes, validated, patience: self.lease };
        let (committer, worker) = (self.committer.clone(), myself.clone());
        let commit = async move {
            let failure = match AssertUnwindSafe(committer.commit(work)).catch_unwind().await {
                Ok(Ok(_)) => None,
                Ok(Err(e)) => Some((failure_class(e.class()), e.to_string())),
                Err(_) => Some((v1::FailureClass::Crashed, "the committer panicked".to_owned())),
            };
            let _ = worker.cast(WorkerMsg::Committed { shard, traceparent: traceparent(), failure });
        };
        self.commits.spawn(commit.instrument(span));
        Ok(())
    }

    async fn on_committed(
        &mut self,
        shard: ShardId,
        traceparent: Option<String>,
        failure: Option<(v1::FailureClass, String)>,
    ) -> Result<(), ActorProcessingErr> {
        while self.commits.try_join_next().is_some() {}
        if let Some((class, reason)) = failure {
            return self.give_up(shard, class, reason).await;
        }
        self.let_go(shard);
        let traceparent = traceparent.unwrap_or_default();
        self.say(worker_message::Message::Finished(v1::ShardFinished { traceparent, ..shard.into() })).await
    }

    fn hold(&mut self, shard: ShardId) {
        if self.held.insert(shard) {
            metrics::gauge!("ensemble_held_shards").increment(1);
        }
    }

    fn let_go(&mut self, shard: ShardId) {
        if self.held.remove(&shard) {
            metrics::gauge!("ensemble_held_shards").decrement(1);
        }
    }

    /// Gives everything back that is held.
    async fn hand_back(&mut self) -> Result<(), ActorProcessingErr> {
        metrics::gauge!("ensemble_held_shards").decrement(self.held.len() as f64);
        let shards = self.held.drain().map(Into::into).collect();
        self.say(worker_message::Message::HandBack(v1::HandBack { shards })).await
    }

    async fn give_up(
        &mut self,
        shard: ShardId,
        class: v1::FailureClass,
        reason: String,
    ) -> Result<(), ActorProcessingErr> {
        self.let_go(shard);
        metrics::counter!("ensemble_shard_failures_total", "class" => class.as_str_name()).increment(1);
        self.say_failed(shard, class, reason).await
    }

    async fn say_failed(
        &mut self,
        shard: ShardId,
        class: v1::FailureClass,
        reason: String,
    ) -> Result<(), ActorProcessingErr> {
        self.say(worker_message::Message::Failed(v1::ShardFailed {
            job_number: shard.job.0,
            shard_number: shard.number,
            class: class.into(),
            reason,
        }))
        .await
    }

    async fn beat(&mut self) -> Result<(), ActorProcessingErr> {
        if self.held.is_empty() {
            return Ok(());
        }
        let shards = self.held.iter().map(|s| (*s).into()).collect();
        self.say(worker_message::Message::Heartbeat(v1::Heartbeat { shards })).await
    }

    /// A link that is full holds the worker back. One that is gone has said so, or will.
    async fn say(&mut self, message: worker_message::Message) -> Result<(), ActorProcessingErr> {
        if !self.alone {
            self.alone = self.to_supervisor.send(say(message)).await.is_err();
        }
        Ok(())
    }
}

fn say(message: worker_message::Message) -> v1::WorkerMessage {
    v1::WorkerMessage { message: Some(message) }
}

fn failure_class(class: ErrorClass) -> v1::FailureClass {
    match class {
        ErrorClass::Transient => v1::FailureClass::Transient,
        ErrorClass::Invalid | ErrorClass::Fatal => v1::FailureClass::Fatal,
    }
}
