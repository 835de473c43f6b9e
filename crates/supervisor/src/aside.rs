//! Giving a shard up: the supervisor's side of the decision record.

use bytes::Bytes;
use ensemble_store::{
    Clock, Decision, DecisionRecord, LedgerEntry, Retry, ShardPlan, Store, StoreError, decide, settle,
};

/// What came of giving a shard up.
#[derive(Debug)]
pub enum Aside {
    /// It is settled: no row of it counts.
    Settled(LedgerEntry),
    /// A worker had decided to process it first: it must be finished, from these bytes.
    MustProcess(DecisionRecord),
}

/// Inserts the decision `aside` and the ledger entry; obeys a decision that came first.
///
/// # Errors
/// Those of the store; transient ones only once `retry` has given up. Repeating it is harmless.
pub async fn set_aside(
    store: &dyn Store,
    clock: &dyn Clock,
    retry: &mut Retry<'_>,
    plan: ShardPlan,
    reason: String,
    bytes: Option<Bytes>,
) -> Result<Aside, StoreError> {
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
