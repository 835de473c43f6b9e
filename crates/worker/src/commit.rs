//! The committer: makes a validated shard count exactly once, whoever repeats it.
//!
//! Decision record → claims → dead letters → events → ledger entry, in this order, each acknowledged before the next.
//! It may be stopped anywhere and begun again by anybody: a repeat ends with the same claims and the same entry.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use ensemble_events::{AcceptedRow, EventLog, RejectedRow, ShardEvents};
use ensemble_gold::Folder;
use ensemble_store::{
    Clock, Decision, DecisionRecord, ErrorClass, LedgerEntry, NewClaim, Retry, ShardPlan, Store, decide, settle,
};
use ensemble_validation::{JobContext, ValidatedShard, validate};

use crate::{
    CommitError,
    claims::{Outcome, claim_all},
};

/// A shard that is ready to be committed.
#[derive(Debug)]
pub struct ShardWork {
    /// The shard's job.
    pub job: Arc<JobContext>,
    /// Where the bytes stand in the source.
    pub plan: ShardPlan,
    /// The bytes.
    pub bytes: Bytes,
    /// What [`validate`] made of them.
    pub validated: ValidatedShard,
    /// When to give up, in microseconds since the Unix epoch: the lease's end.
    pub deadline_us: i64,
}

/// Commits shards. Cheap to clone; holds no state of its own.
#[derive(Clone)]
pub struct Committer {
    store: Arc<dyn Store>,
    events: Arc<dyn EventLog>,
    clock: Arc<dyn Clock>,
}

impl Committer {
    /// Commits to `store` and `events`.
    pub fn new(store: Arc<dyn Store>, events: Arc<dyn EventLog>, clock: Arc<dyn Clock>) -> Self {
        Self { store, events, clock }
    }

    /// The clock that deadlines are told by.
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Commits one shard and returns the ledger entry that counts: this attempt's or an earlier one's.
    ///
    /// # Errors
    /// Those of store and event log; transient ones only at the deadline. Repeating it is harmless; dropping the future
    /// leaves the shard to whoever repeats it.
    pub async fn commit(&self, work: ShardWork) -> Result<LedgerEntry, CommitError> {
        let ShardWork { job, plan, bytes, validated, deadline_us } = work;
        let store = &*self.store;
        let mut retry = Retry::until(&*self.clock, deadline_us);
        let panicked = validated.panicked.clone();
        let mine = DecisionRecord { plan: plan.clone(), decision: Decision::Process { bytes, panicked } };
        let first = decide(store, &mut retry, mine).await?;
        let validated = match first.decision {
            Decision::Aside { reason, .. } => {
                let entry = LedgerEntry::set_aside(first.plan, reason, self.clock.now_us());
                return Ok(settle(store, &mut retry, entry).await?);
            }
            // The first decision is to be obeyed, also where it saw other bytes or other panics.
            Decision::Process { bytes, panicked } if panicked != validated.panicked || first.plan != plan => {
                validate(&job, &first.plan, bytes, &panicked)?
            }
            Decision::Process { .. } => validated,
        };
        let outcomes = claim_all(store, &mut retry, &job.contract.silver, &validated.claims).await?;
        let entry = self.entry(&job, first.plan, &validated, &outcomes)?;
        self.deliver(&job, &entry.plan, validated, outcomes, &mut retry).await?;
        Ok(settle(store, &mut retry, entry).await?)
    }

    /// Counts the shard and folds its gold delta: the rows that stand less the rows that they displaced.
    fn entry(
        &self,
        job: &JobContext,
        plan: ShardPlan,
        validated: &ValidatedShard,
        outcomes: &[Outcome],
    ) -> Result<LedgerEntry, CommitError> {
        let (mut claims, mut duplicates) = (0, validated.duplicates);
        let (mut displaced_same, mut updated) = (0, 0);
        let mut folder = Folder::new(&job.views);
        for outcome in outcomes {
            let Outcome::Claimed { fields, before } = outcome else {
                duplicates += 1;
                continue;
            };
            claims += 1;
            folder.add(fields)?;
            if let Some(before) = before {
                folder.subtract(&before.fields)?;
                if before.shard.job == plan.shard.job {
                    displaced_same += 1;
                } else {
                    updated += 1;
                }
            }
        }
        let mut rejected_by_rule = BTreeMap::new();
        for letter in &validated.dead_letters {
            *rejected_by_rule.entry(letter.rule.clone()).or_default() += 1;
        }
        Ok(LedgerEntry {
            plan,
            aside: None,
            rows: validated.rows,
            claims,
            duplicates,
            displaced_same,
            updated,
            rejected_by_rule,
            delta: folder.finish().encode().into(),
            settled_at_us: self.clock.now_us(),
        })
    }

    /// Step 4: dead letters, then events, acknowledged.
    async fn deliver(
        &self,
        job: &JobContext,
        plan: &ShardPlan,
        validated: ValidatedShard,
        outcomes: Vec<Outcome>,
        retry: &mut Retry<'_>,
    ) -> Result<(), CommitError> {
        let letters = &validated.dead_letters;
        if !letters.is_empty() {
            retry.run(|| self.store.put_dead_letters(letters.clone())).await?;
        }
        let events = ShardEvents {
            job: job.id,
            shard: plan.shard,
            contract: job.contract.name.clone(),
            columns: job.contract.columns.iter().map(|c| c.name.clone()).collect(),
            source: job.file(plan.file)?.name.clone(),
            time_us: self.clock.now_us(),
            accepted: accepted_rows(job, validated.claims, outcomes),
            rejected: letters
                .iter()
                .map(|l| RejectedRow {
                    position: l.position,
                    line: l.line,
                    rule: l.rule.clone(),
                    rules: l.rules.clone(),
                })
                .collect(),
        };
        while let Err(e) = self.events.append(events.clone()).await {
            if e.class() != ErrorClass::Transient {
                return Err(e.into());
            }
            retry.pause(&e.to_string()).await?;
        }
        Ok(())
    }
}

/// The rows whose claim stands, in the order of their positions, as stored.
fn accepted_rows(job: &JobContext, claims: Vec<NewClaim>, outcomes: Vec<Outcome>) -> Vec<AcceptedRow> {
    let mut rows: Vec<AcceptedRow> = claims
        .into_iter()
        .zip(outcomes)
        .filter_map(|(NewClaim { key, claim }, outcome)| match outcome {
            Outcome::Duplicate => None,
            Outcome::Claimed { fields, .. } => {
                Some(AcceptedRow { position: job.position(claim.rank), rank: claim.rank, key, fields })
            }
        })
        .collect();
    rows.sort_unstable_by_key(|r| r.position);
    rows
}
