//! The validators: a factory of actors that judge shards, one at a time each.
//!
//! Owns nothing but the shard in hand. The worker sends it [`ValidateShard`]; the verdicts go back to the worker. If a
//! validator dies, its shard is lost to this worker: the lease lapses and the shard is done again.

use std::{num::NonZeroUsize, sync::Arc, time::Instant};

use bytes::Bytes;
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
    pub(crate) bytes: Bytes,
    /// Whether the bytes came over a network, so that their hash has to be checked.
    pub(crate) check_hash: bool,
    /// What the shard's work is traced under.
    pub(crate) span: Span,
}

/// What became of a shard in the validator.
#[derive(Debug)]
pub(crate) enum Judged {
    Valid(ValidatedShard),
    /// The bytes are not those that were planned.
    Damaged,
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
        let ValidateShard { job, plan, bytes, check_hash, span } = msg;
        let begun = Instant::now();
        let message = {
            let (job, plan, bytes) = (Arc::clone(&job), plan.clone(), bytes.clone());
            let validate = tracing::info_span!(parent: &span, "validate");
            // Judging is work for a processor, not for the runtime's threads.
            let judge = move || validate.in_scope(|| judge(&job, &plan, bytes, check_hash));
            tokio::task::spawn_blocking(judge).await
        };
        metrics::histogram!("ensemble_shard_stage_seconds", "stage" => "validate").record(begun.elapsed());
        let judged = message.unwrap_or_else(|e| Judged::Crashed(format!("the validator panicked: {e}")));
        worker.cast(WorkerMsg::Validated { job, plan, bytes, judged, span })?;
        Ok(key)
    }
}

fn judge(job: &JobContext, plan: &ShardPlan, bytes: Bytes, check_hash: bool) -> Judged {
    if check_hash && ShardPlan::digest_of(&bytes) != plan.digest {
        return Judged::Damaged;
    }
    match validate(job, plan, bytes, &[], Fold::Claims) {
        Ok(validated) => Judged::Valid(validated),
        Err(e) => Judged::Crashed(e.to_string()),
    }
}
