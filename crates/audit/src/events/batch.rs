//! Judging a batch: what it says by itself, and one tuple an accepted row.

use std::sync::Arc;

use ensemble_events::ShardEvents;
use ensemble_validation::JobContext;

use crate::{
    replay::RejectedSum,
    report::{Findings, Invariant},
    tuples::{Tuple, fields_hash, key_hash},
};

/// A batch to be judged.
pub(super) struct Batch {
    pub(super) context: Arc<JobContext>,
    pub(super) job: usize,
    pub(super) collection: usize,
    /// All events of one append. Otherwise some events of a shard, which may be in it more than once.
    pub(super) is_whole: bool,
    pub(super) batch: ShardEvents,
}

/// A batch that was judged.
pub(super) struct Judged {
    pub(super) findings: Findings,
    pub(super) job: usize,
    pub(super) shard: u32,
    pub(super) tuples: Vec<Tuple>,
    pub(super) rows: u64,
    pub(super) rejected: RejectedSum,
}

impl Batch {
    pub(super) fn run(self) -> Judged {
        let Self { context, job, collection, is_whole, batch } = self;
        let mut findings = Findings::default();
        if is_whole {
            check_ids(&mut findings, &batch);
        }
        let mut tuples = Vec::with_capacity(batch.accepted.len());
        for row in &batch.accepted {
            let rank = context.rank(row.position);
            if rank != row.rank {
                findings.broken(Invariant::Events, || {
                    let id = ShardEvents::event_id(batch.job, row.position);
                    format!("event {id}: its rank is {:?}, expected {:?}", row.rank.0, rank.0)
                });
            }
            tuples.push(Tuple {
                key: key_hash(collection, &row.key),
                rank: row.rank,
                job: job as u32,
                shard: batch.shard.number,
                fields: fields_hash(&row.fields),
            });
        }
        let rejected = batch.rejected.iter().map(|r| (r.position, r.line, r.rule.as_str(), r.rules.as_slice()));
        Judged {
            findings,
            job,
            shard: batch.shard.number,
            tuples,
            rows: (batch.accepted.len() + batch.rejected.len()) as u64,
            rejected: RejectedSum::of(rejected),
        }
    }
}

/// Inside a batch no id stands twice.
fn check_ids(findings: &mut Findings, batch: &ShardEvents) {
    let mut positions: Vec<_> = batch.accepted.iter().map(|r| r.position).collect();
    positions.extend(batch.rejected.iter().map(|r| r.position));
    positions.sort_unstable();
    for twice in positions.windows(2).filter(|pair| pair[0] == pair[1]) {
        findings.broken(Invariant::Events, || {
            let id = ShardEvents::event_id(batch.job, twice[0]);
            format!("event {id} stands twice in one batch of shard {}", batch.shard)
        });
    }
}
