//! The committer: makes a validated shard count exactly once, whoever repeats it.
//!
//! Decision record → claims → dead letters → events → ledger entry, in this order, each acknowledged before the next.
//! It may be stopped anywhere and begun again by anybody: a repeat ends with the same claims and the same entry.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use ensemble_events::{AcceptedRow, EventLog, RejectedRow, ShardEvents};
use ensemble_gold::{Cells, Folder};
use ensemble_store::{
    Claim, Clock, Decision, DecisionRecord, ErrorClass, LedgerEntry, NewClaim, Retry, ShardPlan, Store, decide, settle,
};
use ensemble_validation::{Fold, JobContext, ValidatedShard, validate};

use tracing::{Instrument, info_span};

use crate::{
    CommitError,
    claims::{Outcome, Standing, claim_all},
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
    /// How long to go on without progress: as long as a lease holds.
    pub patience: Duration,
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
    /// Those of store and event log; transient ones only once there was no progress for as long as its patience. Repeating
    /// it is harmless; dropping the future leaves the shard to whoever repeats it.
    pub async fn commit(&self, work: ShardWork) -> Result<LedgerEntry, CommitError> {
        let ShardWork { job, plan, bytes, validated, patience } = work;
        let store = &*self.store;
        let mut stages = Stages::begin();
        let mut retry = Retry::within(&*self.clock, patience);
        let panicked = validated.panicked.clone();
        let mine = DecisionRecord { plan: plan.clone(), decision: Decision::Process { bytes, panicked } };
        // The first decision is to be obeyed, also where it saw another plan, other bytes or other panics.
        let DecisionRecord { plan: first, decision } =
            decide(store, &mut retry, mine).instrument(info_span!("decide")).await?;
        let mut validated = match decision {
            Decision::Aside { reason, .. } => {
                let entry = LedgerEntry::set_aside(first, reason, self.clock.now_us());
                return Ok(settle(store, &mut retry, entry).await?);
            }
            Decision::Process { bytes, panicked } if panicked != validated.panicked || first != plan => {
                validate(&job, &first, bytes, &panicked, Fold::Claims)?
            }
            Decision::Process { bytes, .. } => {
                // Many shards wait for their claims at once. Their bytes are in bronze and need not wait with them.
                drop(bytes);
                validated
            }
        };
        retry.progressed();
        stages.done("decide");
        let outcomes = claim_all(store, &mut retry, &job.contract.silver, &validated.claims)
            .instrument(info_span!("claim"))
            .await?;
        retry.progressed();
        stages.done("claim");
        let gold = std::mem::take(&mut validated.gold);
        let entry = self.entry(&job, first, &validated, gold, &outcomes)?;
        self.deliver(&job, &entry.plan, validated, outcomes, &mut retry).instrument(info_span!("deliver")).await?;
        retry.progressed();
        stages.done("deliver");
        let entry = settle(store, &mut retry, entry).instrument(info_span!("settle")).await?;
        stages.done("settle");
        count(&entry);
        Ok(entry)
    }

    /// Counts the shard and corrects its gold to the delta: the rows that stand less those that they displaced.
    fn entry(
        &self,
        job: &JobContext,
        plan: ShardPlan,
        validated: &ValidatedShard,
        mut gold: Cells,
        outcomes: &[Outcome],
    ) -> Result<LedgerEntry, CommitError> {
        let (mut claims, mut duplicates) = (0, validated.duplicates);
        let (mut displaced_same, mut updated) = (0, 0);
        // Nearly always every claim stands, and their sum is known; so only what differs from it is folded here.
        let mut differs = Folder::new(&job.views);
        for (mine, outcome) in validated.claims.iter().zip(outcomes) {
            let before = match outcome {
                Outcome::Duplicate => {
                    duplicates += 1;
                    differs.subtract(&mine.claim.fields)?;
                    continue;
                }
                Outcome::New => None,
                Outcome::Stands(standing) => {
                    let Standing { fields, before } = &**standing;
                    if *fields != mine.claim.fields {
                        differs.subtract(&mine.claim.fields)?;
                        differs.add(fields)?;
                    }
                    before.as_ref()
                }
            };
            claims += 1;
            if let Some(before) = before {
                differs.subtract(&before.fields)?;
                if before.shard.job == plan.shard.job {
                    displaced_same += 1;
                } else {
                    updated += 1;
                }
            }
        }
        gold.merge(&differs.finish())?;
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
            delta: gold.encode().into(),
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
        let events = Arc::new(ShardEvents {
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
        });
        while let Err(e) = self.events.append(Arc::clone(&events)).await {
            if e.class() != ErrorClass::Transient {
                return Err(e.into());
            }
            retry.pause(&e.to_string()).await?;
        }
        Ok(())
    }
}

/// Counts what became of the rows; a shard that is repeated counts again.
fn count(entry: &LedgerEntry) {
    let accepted = entry.claims.saturating_sub(entry.displaced_same + entry.updated);
    for (verdict, rows) in [
        ("accepted", accepted),
        ("updated", entry.updated),
        ("duplicate", entry.duplicates + entry.displaced_same),
        ("rejected", entry.rejected()),
    ] {
        metrics::counter!("ensemble_rows_total", "verdict" => verdict).increment(rows);
    }
}

/// Measures how long the stages of a shard take.
struct Stages(Instant);

impl Stages {
    fn begin() -> Self {
        Self(Instant::now())
    }

    fn done(&mut self, stage: &'static str) {
        metrics::histogram!("ensemble_shard_stage_seconds", "stage" => stage).record(self.0.elapsed());
        self.0 = Instant::now();
    }
}

/// The rows whose claim stands, in the order of their positions, as stored.
fn accepted_rows(job: &JobContext, claims: Arc<Vec<NewClaim>>, outcomes: Vec<Outcome>) -> Vec<AcceptedRow> {
    let mut rows: Vec<AcceptedRow> = Arc::unwrap_or_clone(claims)
        .into_iter()
        .zip(outcomes)
        .filter_map(|(NewClaim { key, claim: Claim { rank, fields, .. } }, outcome)| {
            let fields = match outcome {
                Outcome::Duplicate => return None,
                Outcome::New => fields,
                Outcome::Stands(standing) => standing.fields,
            };
            Some(AcceptedRow { position: job.position(rank), rank, key, fields })
        })
        .collect();
    rows.sort_by_cached_key(|row| row.position);
    rows
}
