//! The validators: a factory of actors that judge shards, one at a time each.
//!
//! Owns nothing but the shard in hand. The worker sends it [`ValidateShard`]; the verdicts go back to the worker. If a
//! validator dies, its shard is lost to this worker: the lease lapses and the shard is done again.

use std::{num::NonZeroUsize, sync::Arc, time::Instant};

use bytes::Bytes;
use ensemble_sources::Location;
use ensemble_store::{ShardId, ShardPlan};
use ensemble_validation::{Fold, JobContext, ValidatedShard, validate};
use ractor::{
    Actor, ActorProcessingErr, ActorRef, SpawnErr,
    factory::{Factory, FactoryArguments, FactoryRef, Job, Worker, WorkerId, queues, routing, worker_builder},
};

use tracing::Span;

use crate::worker::WorkerMsg;

/// A shard to judge.
#[derive(Debug)]
pub(crate) struct ValidateShard {
    pub(crate) job: Arc<JobContext>,
    pub(crate) plan: ShardPlan,
    pub(crate) bytes: ShardBytes,
    /// What the shard's work is traced under.
    pub(crate) span: Span,
}

/// Where a shard's bytes are.
#[derive(Debug, Clone)]
pub(crate) enum ShardBytes {
    /// In the memory that the planner took their digest from.
    Planned(Bytes),
    /// They came over a network.
    Sent(Bytes),
    /// In a file or an object that this machine can read as well as the supervisor's.
    At(Location),
}

/// What became of a shard in the validator.
#[derive(Debug)]
pub(crate) enum Judged {
    Valid(ValidatedShard, Bytes),
    /// The bytes are not those that were planned.
    Damaged,
    /// The bytes are not to be had from here.
    Unreadable(String),
    /// The validator panicked where no row is to blame, or shard and job do not belong together.
    Crashed(String),
}

pub(crate) type Validators = FactoryRef<ShardId, ValidateShard>;

/// Starts the factory.
pub(crate) async fn spawn_validators(worker: ActorRef<WorkerMsg>, count: NonZeroUsize) -> Result<Validators, SpawnErr> {
    let factory = Factory::<
        ShardId,
        ValidateShard,
        ActorRef<WorkerMsg>,
        Validator,
        routing::QueuerRouting<ShardId, ValidateShard>,
        queues::DefaultQueue<ShardId, ValidateShard>,
    >::default();
    let supervisor = worker.get_cell();
    let arguments = FactoryArguments::builder()
        .worker_builder(Box::new(worker_builder(move |_| (Validator, worker.clone()))))
        .queue(queues::DefaultQueue::default())
        .router(routing::QueuerRouting::default())
        .num_initial_workers(count.get())
        .build();
    let (factory, _) = Actor::spawn_linked(None, factory, arguments, supervisor).await?;
    Ok(factory)
}

struct Validator;

impl Worker for Validator {
    type Key = ShardId;
    type Message = ValidateShard;
    type Arguments = ActorRef<WorkerMsg>;
    type State = ActorRef<WorkerMsg>;

    async fn pre_start(
        &self,
        _: WorkerId,
        _: &FactoryRef<ShardId, ValidateShard>,
        worker: ActorRef<WorkerMsg>,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(worker)
    }

    async fn handle(
        &self,
        _: WorkerId,
        _: &FactoryRef<ShardId, ValidateShard>,
        Job { key, msg, .. }: Job<ShardId, ValidateShard>,
        worker: &mut Self::State,
    ) -> Result<ShardId, ActorProcessingErr> {
        let ValidateShard { job, plan, bytes, span } = msg;
        let begun = Instant::now();
        let message = {
            let (job, plan) = (Arc::clone(&job), plan.clone());
            let validate = tracing::info_span!(parent: &span, "validate");
            // Judging is work for a processor, not for the runtime's threads.
            let judge = move || validate.in_scope(|| judge(&job, &plan, bytes));
            tokio::task::spawn_blocking(judge).await
        };
        metrics::histogram!("ensemble_shard_stage_seconds", "stage" => "validate").record(begun.elapsed());
        let judged = message.unwrap_or_else(|e| Judged::Crashed(format!("the validator panicked: {e}")));
        worker.cast(WorkerMsg::Validated { job, plan, judged, span })?;
        Ok(key)
    }
}

fn judge(job: &JobContext, plan: &ShardPlan, bytes: ShardBytes) -> Judged {
    let bytes = match bytes {
        ShardBytes::Planned(bytes) => bytes,
        ShardBytes::Sent(bytes) if ShardPlan::digest_of(&bytes) == plan.digest => bytes,
        ShardBytes::Sent(_) => return Judged::Damaged,
        ShardBytes::At(location) => match location.read_shard(plan) {
            Ok(bytes) => bytes,
            Err(e) => return Judged::Unreadable(e.to_string()),
        },
    };
    match validate(job, plan, bytes.clone(), &[], Fold::Claims) {
        Ok(validated) => Judged::Valid(validated, bytes),
        Err(e) => Judged::Crashed(e.to_string()),
    }
}
