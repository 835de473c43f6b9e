//! Giving a shard up, as a job's supervisor does it.

use ensemble_store::{Decision, DecisionRecord, ShardId, ShardPlan, Store, StoreError};
use ensemble_supervisor::{Aside, set_aside};

use crate::sim::Sim;

/// Sets a shard aside, or finds that it must be finished.
pub(super) async fn give_up(
    sim: &Sim,
    shard: ShardId,
    plan: Option<ShardPlan>,
    reason: String,
) -> Result<Aside, StoreError> {
    let mut retry = sim.retry();
    let decided = retry.run(|| sim.store.decision(shard)).await?;
    let decided = decided.and_then(|record| match record.decision {
        Decision::Process { bytes, .. } => Some((record.plan, bytes)),
        Decision::Aside { .. } => None,
    });
    let (plan, bytes) = match (decided, plan) {
        (Some((plan, bytes)), None) => {
            let decision = Decision::Process { bytes, panicked: Vec::new() };
            return Ok(Aside::MustProcess(DecisionRecord { plan, decision }));
        }
        (Some((_, bytes)), Some(plan)) => (plan, Some(bytes)),
        (None, Some(plan)) => (plan, None),
        (None, None) => {
            sim.count("shards of earlier terms given up unseen");
            (ShardPlan::unknown(shard), None)
        }
    };
    set_aside(&*sim.store, &*sim.clock, &mut retry, plan, reason, bytes).await
}
