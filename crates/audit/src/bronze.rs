//! The pass over bronze: every shard hashed and judged again (I4), merged with the dead letters (I5), one tuple a claim.

use ensemble_store::DecisionRecord;

use crate::{
    AuditError,
    audit::Audit,
    jobs::{Bronze, Jobs},
    letters::Letters,
    pages::{self, Found},
    pipeline::InOrder,
    plans::Plans,
    replay::{RejectedSum, Replay, Replayed},
    report::Invariant,
    tuples::{Partitions, Side},
};

/// A dead letter takes at most about this much.
const LETTER_BYTES: u64 = 64 << 10;
/// How many shards that are lost are named.
const MAX_LOSSES: u64 = 10;

/// What the pass counts.
#[derive(Default)]
struct Counts {
    chunks: u64,
    bytes: u64,
    rows: u64,
    letters: u64,
    lost: u64,
}

/// Goes over the bronze of every job in scope.
pub(crate) async fn replay(
    audit: &mut Audit<'_>,
    jobs: &mut Jobs,
    partitions: &mut Partitions,
) -> Result<(), AuditError> {
    let mut counts = Counts::default();
    let in_scope: Vec<usize> = jobs.in_scope().map(|(index, _)| index).collect();
    let all_bytes = in_scope.iter().map(|&index| jobs.list[index].totals.bytes).sum();
    for index in in_scope {
        let mut pass = Pass { audit, jobs, index, partitions, counts: &mut counts, all_bytes };
        pass.run().await?;
    }
    let Counts { chunks, bytes, rows, letters, lost } = counts;
    audit.findings.note(Invariant::Bronze, format!("{chunks} chunks with {bytes} bytes"));
    if lost > MAX_LOSSES {
        audit.findings.note(Invariant::Bronze, format!("{lost} shards are lost in all"));
    }
    audit.findings.note(Invariant::Silver, format!("{rows} rows judged again"));
    audit.findings.note(Invariant::DeadLetters, format!("{letters} rejected rows"));
    Ok(())
}

/// The pass over one job.
struct Pass<'p, 'a> {
    audit: &'p mut Audit<'a>,
    jobs: &'p mut Jobs,
    index: usize,
    partitions: &'p mut Partitions,
    counts: &'p mut Counts,
    all_bytes: u64,
}

impl Pass<'_, '_> {
    async fn run(&mut self) -> Result<(), AuditError> {
        let options = &self.audit.options;
        let record = &self.jobs.list[self.index].record;
        let mut letters = Letters::of(&self.audit.store, record.number, options.page(LETTER_BYTES, 256));
        let mut pages = pages::decisions(&self.audit.store, record.number, options.page(record.shard_bytes, 64));
        let mut judging = InOrder::new(options.threads);
        let mut plans = Plans::default();
        while let Some(page) = pages.next().await? {
            for found in page {
                let record = match found {
                    Found::Record(record) => record,
                    Found::Damaged(reason) => {
                        self.audit.findings.broken(Invariant::Bronze, || reason);
                        continue;
                    }
                };
                plans.take(&mut self.audit.findings, &record.plan);
                let work = self.work(record).await?;
                if let Some(replayed) = judging.submit(move || work.run()).await? {
                    self.take(replayed, &mut letters).await?;
                }
            }
        }
        while let Some(replayed) = judging.next().await? {
            self.take(replayed, &mut letters).await?;
        }
        let job = &self.jobs.list[self.index];
        letters.orphans(&mut self.audit.findings, job, None).await?;
        plans.end(&mut self.audit.findings, job);
        self.find_missing();
        Ok(())
    }

    async fn work(&self, record: DecisionRecord) -> Result<Replay, AuditError> {
        let job = &self.jobs.list[self.index];
        let shard = record.plan.shard;
        let settled = job.shard(shard.number).settled;
        Ok(Replay {
            context: job.context.clone(),
            job: self.index as u32,
            collection: job.collection,
            entry: if settled { self.audit.store.ledger(shard).await? } else { None },
            record,
        })
    }

    async fn take(&mut self, replayed: Replayed, letters: &mut Letters) -> Result<(), AuditError> {
        let Replayed { plan, findings, bronze, lost, rows, letters: expected, tuples } = replayed;
        let shard = plan.shard;
        self.audit.findings.merge(findings);
        self.counts.chunks += u64::from(lost.is_none());
        self.counts.bytes += if lost.is_none() { plan.length } else { 0 };
        self.counts.rows += rows;
        self.counts.letters += expected.len() as u64;
        if let Some(reason) = lost {
            self.counts.lost += 1;
            if self.counts.lost <= MAX_LOSSES {
                let (file, end) = (self.jobs.list[self.index].file_name(plan.file), plan.offset + plan.length);
                let note = format!("lost: shard {shard}, bytes {}..{end} of {file} ({reason})", plan.offset);
                self.audit.findings.note(Invariant::Bronze, note);
            }
        }
        let job = &mut self.jobs.list[self.index];
        let mut settled = false;
        if let Some(note) = job.shard_mut(shard.number) {
            settled = note.settled;
            note.bronze = bronze;
            note.rejected = expected.len() as u64;
            let rows = expected.iter().map(|l| (l.position, l.line, l.rule.as_str(), l.rules.as_slice()));
            note.rejected_sum = RejectedSum::of(rows);
        } else {
            let below = job.record.leased_below;
            self.audit.findings.broken(Invariant::Ledger, || {
                format!("shard {shard} is decided, and its job says that no shard from {below} on was ever leased")
            });
        }
        let findings = &mut self.audit.findings;
        letters.orphans(findings, job, Some(shard.number)).await?;
        match bronze {
            Bronze::NotJudged | Bronze::Nothing => letters.pass_over(shard).await?,
            Bronze::Judged | Bronze::Aside => letters.compare(findings, shard, expected, settled).await?,
        }
        if self.partitions.push(Side::Bronze, &tuples) {
            self.audit.spill(self.partitions).await?;
        }
        self.audit.meter.add(plan.length, self.all_bytes);
        Ok(())
    }

    /// Settled shards have bronze.
    fn find_missing(&mut self) {
        let job = &self.jobs.list[self.index];
        let missing = |shard: &crate::jobs::Shard| shard.settled && shard.bronze == Bronze::Nothing;
        for number in (0u32..).zip(&job.shards).filter(|(_, s)| missing(s)).map(|(n, _)| n) {
            let shard = job.shard_id(number);
            self.audit.findings.broken(Invariant::Bronze, || format!("shard {shard} is settled, and has no bronze"));
        }
    }
}
