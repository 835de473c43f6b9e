//! Giving a shard up: the supervisor's side of the decision record.

use bytes::Bytes;
use ensemble_store::{
    Clock, Decision, DecisionRecord, LedgerEntry, Retry, ShardId, ShardPlan, Store, StoreError, decide, settle,
};

/// What came of giving a shard up.
#[derive(Debug)]
pub enum Aside {
    /// It is settled: no row of it counts.
    Settled(LedgerEntry),
    /// A worker had decided to process it first: it must be finished, from these bytes.
    MustProcess(DecisionRecord),
}

/// Sets a shard aside, or finds that it must be finished: because a worker has decided so, or because its source is
/// gone and what the store has of it is all there is. `plan` is what the source gives, where there still is one.
///
/// # Errors
/// Those of the store; transient ones only once `retry` has given up. Repeating it is harmless.
pub async fn give_up(
    store: &dyn Store,
    clock: &dyn Clock,
    retry: &mut Retry<'_>,
    shard: ShardId,
    plan: Option<ShardPlan>,
    reason: String,
) -> Result<Aside, StoreError> {
    let (plan, bytes) = match (bytes_in_store(store, retry, shard).await?, plan) {
        (Some((plan, bytes)), None) => {
            let decision = Decision::Process { bytes, panicked: Vec::new() };
            return Ok(Aside::MustProcess(DecisionRecord { plan, decision }));
        }
        (Some((_, bytes)), Some(plan)) => (plan, Some(bytes)),
        (None, Some(plan)) => (plan, None),
        (None, None) => (ShardPlan::unknown(shard), None),
    };
    let mine = DecisionRecord { plan, decision: Decision::Aside { reason, bytes } };
    let first = decide(store, retry, mine).await?;
    match first.decision {
        Decision::Process { .. } => Ok(Aside::MustProcess(first)),
        Decision::Aside { reason, .. } => {
            let entry = LedgerEntry::set_aside(first.plan, reason, clock.now_us());
            Ok(Aside::Settled(settle(store, retry, entry).await?))
        }
    }
}

/// A shard's plan and bytes where bronze or the spool has them.
pub(crate) async fn bytes_in_store(
    store: &dyn Store,
    retry: &mut Retry<'_>,
    shard: ShardId,
) -> Result<Option<(ShardPlan, Bytes)>, StoreError> {
    if let Some(DecisionRecord { plan, decision: Decision::Process { bytes, .. } }) =
        retry.run(|| store.decision(shard)).await?
    {
        return Ok(Some((plan, bytes)));
    }
    let spooled = retry.run(|| store.spooled(shard)).await?;
    Ok(spooled.map(|s| (s.plan, s.bytes)))
}
