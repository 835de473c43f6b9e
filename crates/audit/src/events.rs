//! The pass over the event log (I6): what each batch says by itself, and one tuple an accepted row.

use std::sync::Arc;

use ensemble_events::{EventLog, EventsError, LogCursor, ShardEvents};
use ensemble_validation::JobContext;

use crate::{
    AuditError,
    audit::Audit,
    jobs::{Bronze, Jobs},
    pipeline::InOrder,
    replay::rejected_hash,
    report::{Findings, Invariant},
    tuples::{Partitions, Side, Tuple, fields_hash, key_hash},
};

/// What the log was found to hold.
#[derive(Debug, Default)]
pub(crate) struct Announced {
    /// By job and shard; empty where the log could not be read, or the job is not to be looked for in it.
    shards: Vec<Vec<Batches>>,
}

/// The batches of one shard.
#[derive(Debug, Clone, Copy, Default)]
struct Batches {
    any: bool,
    /// The most accepted rows that one of them has.
    accepted: u64,
    /// One of them has the rejected rows that it has to have.
    rejected: bool,
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
    let mut pass = Pass { audit, jobs, partitions, announced, batches: 0, rows: 0, foreign: 0, last_shard: None };
    if !pass.run(log).await? {
        pass.audit.findings.skip(Invariant::Events, format!("the event log {} cannot be read back", log.describe()));
        return Ok(Announced::default());
    }
    let Pass { announced, batches, rows, foreign, .. } = pass;
    audit.findings.note(Invariant::Events, format!("{rows} events of rows in {batches} batches"));
    if foreign > 0 {
        audit.findings.note(Invariant::Events, format!("{foreign} batches of jobs that this store does not have"));
    }
    check_shards(&mut audit.findings, jobs, &announced);
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
    batches: u64,
    rows: u64,
    foreign: u64,
    last_shard: Option<ensemble_store::ShardId>,
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
                if let Some(work) = self.work(batch)
                    && let Some(judged) = judging.submit(move || work.run()).await?
                {
                    self.take(judged).await?;
                }
            }
            if is_last {
                break;
            }
        }
        while let Some(judged) = judging.next().await? {
            self.take(judged).await?;
        }
        Ok(true)
    }

    /// What is to be done about a batch; nothing where its job is not to be looked for.
    fn work(&mut self, batch: ShardEvents) -> Option<Batch> {
        let index = self.jobs.index(batch.shard.job).filter(|i| self.jobs.list[*i].record.id == batch.job);
        let Some(index) = index else {
            self.foreign += 1;
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
        Some(Batch {
            context: Arc::clone(context),
            job: index,
            collection: job.collection,
            rejected_hash: shard.rejected_hash,
            batch,
        })
    }

    fn never(&mut self, batch: &ShardEvents, why: &str) {
        self.audit.findings.broken(Invariant::Events, || format!("shard {} {why}, and has events", batch.shard));
    }

    async fn take(&mut self, judged: Judged) -> Result<(), AuditError> {
        let Judged { findings, job, shard, tuples, rows, rejected } = judged;
        self.audit.findings.merge(findings);
        self.batches += 1;
        self.rows += rows;
        let accepted = tuples.len() as u64;
        if let Some(batches) = self.announced.shards[job].get_mut(shard as usize) {
            batches.any = true;
            batches.accepted = batches.accepted.max(accepted);
            batches.rejected |= rejected;
        }
        if self.partitions.push(Side::Events, &tuples) {
            self.audit.spill(self.partitions).await?;
        }
        let claims = self.jobs.in_scope().map(|(_, job)| job.totals.claims).sum();
        self.audit.meter.add(accepted, claims);
        Ok(())
    }
}

/// A batch to be judged.
struct Batch {
    context: Arc<JobContext>,
    job: usize,
    collection: usize,
    rejected_hash: u64,
    batch: ShardEvents,
}

/// A batch that was judged.
struct Judged {
    findings: Findings,
    job: usize,
    shard: u32,
    tuples: Vec<Tuple>,
    rows: u64,
    rejected: bool,
}

impl Batch {
    fn run(self) -> Judged {
        let Self { context, job, collection, rejected_hash: wanted, batch } = self;
        let mut findings = Findings::default();
        check_ids(&mut findings, &batch);
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
            rejected: rejected_hash(rejected) == wanted,
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

/// Every settled shard has its batch.
fn check_shards(findings: &mut Findings, jobs: &Jobs, announced: &Announced) {
    for (index, job) in jobs.in_scope().filter(|(index, _)| announced.covers(*index)) {
        for (number, batches) in (0u32..).zip(&announced.shards[index]) {
            let (shard, id) = (job.shard(number), job.shard_id(number));
            if !shard.settled || shard.bronze != Bronze::Judged {
                continue;
            }
            if !batches.any {
                findings.broken(Invariant::Events, || format!("shard {id} is settled, and has no events"));
            } else if batches.accepted < shard.claims {
                findings.broken(Invariant::Events, || {
                    format!("shard {id}: {} rows stand, and {} have an event", shard.claims, batches.accepted)
                });
            } else if !batches.rejected {
                findings.broken(Invariant::Events, || {
                    let n = shard.rejected;
                    format!("shard {id}: the events of its rejected rows are not those of the {n} rows that are")
                });
            }
        }
    }
}
