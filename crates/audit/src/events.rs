//! The pass over the event log (I6): what each batch says by itself, and one tuple an accepted row.
//!
//! A log that keeps the events of an append together is read append by append, and each append is held against its
//! shard. Of a log that keeps single events, in which repeats cannot be told from what they repeat, the parts of a shard
//! are added up.

mod batch;
mod shards;

use std::sync::Arc;

use ensemble_events::{EventLog, EventsError, LogCursor, ShardEvents, ShardPart};
use ensemble_store::ShardId;

use self::{
    batch::{Batch, Judged},
    shards::Batches,
};
use crate::{
    AuditError,
    audit::Audit,
    jobs::{Bronze, Jobs},
    pipeline::InOrder,
    report::Invariant,
    tuples::{Partitions, Side},
};

/// What the log was found to hold.
#[derive(Debug, Default)]
pub(crate) struct Announced {
    /// By job and shard; empty where the log could not be read, or the job is not to be looked for in it.
    shards: Vec<Vec<Batches>>,
}

impl Announced {
    /// Whether events of this job's shards are to be looked for.
    pub(crate) fn covers(&self, job: usize) -> bool {
        self.shards.get(job).is_some_and(|shards| !shards.is_empty())
    }
}

/// Goes over the log. Without one, or where it cannot be read back, nothing is looked for in it.
pub(crate) async fn scan(
    audit: &mut Audit<'_>,
    jobs: &Arc<Jobs>,
    log: Option<&dyn EventLog>,
    partitions: &mut Partitions,
) -> Result<Announced, AuditError> {
    let Some(log) = log else {
        audit.findings.skip(Invariant::Events, "there is no event log to be read");
        return Ok(Announced::default());
    };
    let announced = Announced { shards: covered(audit, jobs, log).await? };
    let mut pass = Pass { audit, jobs, partitions, announced, counts: Counts::default(), last_shard: None };
    let is_whole = if pass.run(log).await? {
        true
    } else if pass.run_parts(log).await? {
        false
    } else {
        pass.audit.findings.skip(Invariant::Events, format!("the event log {} cannot be read back", log.describe()));
        return Ok(Announced::default());
    };
    let Pass { announced, counts, .. } = pass;
    let Counts { batches, rows, foreign, strange, removed } = counts;
    let of = if is_whole { "batches" } else { "parts" };
    audit.findings.note(Invariant::Events, format!("{rows} events of rows in {batches} {of}"));
    if foreign > 0 {
        audit.findings.note(Invariant::Events, format!("{foreign} {of} of jobs that this store does not have"));
    }
    if strange > 0 {
        audit.findings.note(Invariant::Events, format!("{strange} messages that are no events"));
    }
    if removed > 0 {
        let reason = format!("the event log has removed {removed} events, so none is looked for in it");
        audit.findings.skip(Invariant::Events, reason);
        return Ok(Announced::default());
    }
    shards::check(&mut audit.findings, jobs, &announced, is_whole);
    Ok(announced)
}

/// The shards of the jobs in scope whose events are all still there.
async fn covered(audit: &mut Audit<'_>, jobs: &Jobs, log: &dyn EventLog) -> Result<Vec<Vec<Batches>>, AuditError> {
    let retired = log.retired().await?;
    let mut covered = vec![Vec::new(); jobs.list.len()];
    let (mut in_scope, mut left) = (0, 0);
    for (index, job) in jobs.in_scope() {
        in_scope += 1;
        match retired.iter().find(|(id, _)| *id == job.record.id) {
            Some((id, n)) => {
                audit.findings.note(Invariant::Events, format!("not checked: {n} batches of job {id} are retired"));
            }
            None => {
                left += 1;
                covered[index] = vec![Batches::default(); job.shards.len()];
            }
        }
    }
    if in_scope > 0 && left == 0 {
        audit.findings.skip(Invariant::Events, "the events of every job are retired");
    }
    Ok(covered)
}

struct Pass<'p, 'a> {
    audit: &'p mut Audit<'a>,
    jobs: &'p Arc<Jobs>,
    partitions: &'p mut Partitions,
    announced: Announced,
    counts: Counts,
    last_shard: Option<ShardId>,
}

/// What the pass counts.
#[derive(Default)]
struct Counts {
    batches: u64,
    rows: u64,
    /// Batches of jobs that the store does not have.
    foreign: u64,
    /// Messages that are no events.
    strange: u64,
    /// Events that the log has removed.
    removed: u64,
}

impl Pass<'_, '_> {
    /// Reads the whole log; `false` where it cannot be read back.
    async fn run(&mut self, log: &dyn EventLog) -> Result<bool, AuditError> {
        let shard_bytes = self.jobs.list.iter().map(|job| job.record.shard_bytes).max().unwrap_or(1);
        let limit = self.audit.options.page(shard_bytes.saturating_mul(2), 64);
        let mut judging = InOrder::new(self.audit.options.threads);
        let mut at = LogCursor::default();
        loop {
            let page = match log.scan(at, limit).await {
                Ok(Some(page)) => page,
                Ok(None) => return Ok(false),
                Err(e @ EventsError::Corrupt { .. }) => {
                    let last = self.last_shard.map(|shard| format!(", behind shard {shard}")).unwrap_or_default();
                    self.audit.findings.broken(Invariant::Events, || format!("{e}{last}; nothing behind it was read"));
                    break;
                }
                Err(e) => return Err(e.into()),
            };
            let is_last = page.records.len() < limit;
            at = page.next;
            for batch in page.records {
                self.last_shard = Some(batch.shard);
                let index = self.jobs.index(batch.shard.job).filter(|i| self.jobs.list[*i].record.id == batch.job);
                if let Some(work) = self.work(index, batch, true)
                    && let Some(judged) = judging.submit(move || work.run()).await?
                {
                    self.take(judged, true).await?;
                }
            }
            if is_last {
                break;
            }
        }
        while let Some(judged) = judging.next().await? {
            self.take(judged, true).await?;
        }
        Ok(true)
    }

    /// Reads the whole log event by event; `false` where it cannot be read back.
    async fn run_parts(&mut self, log: &dyn EventLog) -> Result<bool, AuditError> {
        let mut judging = InOrder::new(self.audit.options.threads);
        let mut at = Some(LogCursor::default());
        while let Some(from) = at {
            let Some(page) = log.scan_parts(from, self.audit.options.memory_part(16)).await? else { return Ok(false) };
            at = page.next;
            self.counts.strange += page.foreign;
            self.counts.removed += page.removed;
            let works: Vec<Batch> = page.parts.into_iter().filter_map(|part| self.work_of_part(part)).collect();
            let work = move || works.into_iter().map(Batch::run).collect::<Vec<_>>();
            for judged in judging.submit(work).await?.into_iter().flatten() {
                self.take(judged, false).await?;
            }
        }
        while let Some(judged) = judging.next().await? {
            for judged in judged {
                self.take(judged, false).await?;
            }
        }
        Ok(true)
    }

    fn work_of_part(&mut self, part: ShardPart) -> Option<Batch> {
        let ShardPart { job, number, accepted, rejected, committed: _ } = part;
        let Some(index) = self.jobs.index_of(job) else {
            self.counts.foreign += 1;
            return None;
        };
        let batch = ShardEvents {
            job,
            shard: ShardId { job: self.jobs.list[index].record.number, number },
            contract: String::new(),
            columns: Vec::new(),
            source: String::new(),
            time_us: 0,
            accepted,
            rejected,
        };
        self.work(Some(index), batch, false)
    }

    /// What is to be done about a batch; nothing where its job is not to be looked for.
    fn work(&mut self, index: Option<usize>, batch: ShardEvents, is_whole: bool) -> Option<Batch> {
        let Some(index) = index else {
            self.counts.foreign += 1;
            return None;
        };
        if !self.announced.covers(index) {
            return None;
        }
        let job = &self.jobs.list[index];
        let context = job.context.as_ref().ok()?;
        let shard = job.shard(batch.shard.number);
        match shard.bronze {
            Bronze::Judged => {}
            Bronze::Nothing if !shard.settled => self.never(&batch, "was never decided"),
            Bronze::Aside => self.never(&batch, "was set aside"),
            Bronze::Nothing | Bronze::NotJudged => {}
        }
        Some(Batch { context: Arc::clone(context), job: index, collection: job.collection, is_whole, batch })
    }

    fn never(&mut self, batch: &ShardEvents, why: &str) {
        self.audit.findings.broken(Invariant::Events, || format!("shard {} {why}, and has events", batch.shard));
    }

    async fn take(&mut self, judged: Judged, is_whole: bool) -> Result<(), AuditError> {
        let Judged { findings, job, shard, tuples, rows, rejected } = judged;
        self.audit.findings.merge(findings);
        self.counts.batches += 1;
        self.counts.rows += rows;
        let accepted = tuples.len() as u64;
        if let Some(batches) = self.announced.shards[job].get_mut(shard as usize) {
            let wanted = self.jobs.list[job].shard(shard).rejected_sum;
            if is_whole { batches.whole(accepted, rejected == wanted) } else { batches.part(accepted, rejected) }
        }
        if self.partitions.push(Side::Events, &tuples) {
            self.audit.spill(self.partitions).await?;
        }
        let claims = self.jobs.in_scope().map(|(_, job)| job.totals.claims).sum();
        self.audit.meter.add(accepted, claims);
        Ok(())
    }
}
