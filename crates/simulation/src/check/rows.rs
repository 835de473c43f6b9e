//! The rows that count: those of the shards that were processed.

use std::collections::BTreeMap;

use ensemble_store::{Decision, JobNumber, LedgerEntry, Position, Rank, ShardId, Store};
use ensemble_supervisor::JobRecord;

use super::{Result, drive, explain};
use crate::{scenario::Row, sim::Sim};

/// A row of a shard that was processed.
pub(crate) struct CountedRow<'a> {
    pub(crate) shard: ShardId,
    pub(crate) position: Position,
    pub(crate) rank: Rank,
    pub(crate) row: &'a Row,
    /// It breaks a rule, or was decided to be one that panics.
    pub(crate) is_rejected: bool,
}

/// The rows of the shards that were processed, in the order of jobs and positions.
pub(super) fn counted<'a>(
    sim: &'a Sim,
    jobs: &BTreeMap<JobNumber, JobRecord>,
    entries: &[LedgerEntry],
) -> Result<Vec<CountedRow<'a>>> {
    let mut rows = Vec::new();
    let sources = sim.sources();
    for entry in entries.iter().filter(|e| e.aside.is_none()) {
        let shard = entry.plan.shard;
        let context = sources.get(&shard.job).map(|s| &s.context).ok_or("an entry of a job that nobody worked on")?;
        let job = jobs.get(&shard.job).ok_or("an entry of a job that is not there")?;
        let submission = sim.scenario.submission(job.id).ok_or("a job that nobody submitted")?;
        let decision = drive(sim.store.decision(shard))?.map_err(explain)?.map(|d| d.decision);
        let panicked = match decision {
            Some(Decision::Process { panicked, .. }) => panicked,
            _ => Vec::new(),
        };
        let span = entry.plan.offset..entry.plan.offset + entry.plan.length;
        rows.extend(submission.rows.iter().filter(|r| span.contains(&r.offset)).map(|row| {
            let position = Position::new(0, row.offset);
            let is_rejected = row.is_bad || panicked.contains(&row.offset);
            CountedRow { shard, position, rank: context.rank(position), row, is_rejected }
        }));
    }
    rows.sort_by_key(|r| (r.shard.job, r.position));
    rows.dedup_by_key(|r| (r.shard, r.position));
    Ok(rows)
}
