//! The pass over silver: one tuple a document, what cannot be right by itself (I2), and the fold for gold (I3).

use std::sync::Arc;

use bytes::Bytes;
use ensemble_gold::{Cells, Folder, GoldError};
use ensemble_store::{ShardId, SilverDoc};

use crate::{
    AuditError,
    audit::Audit,
    jobs::{Bronze, Jobs},
    ledger, pages,
    pipeline::InOrder,
    report::{Findings, Invariant},
    tuples::{Partitions, Side, Tuple, fields_hash, key_hash},
};

/// A document takes about this much in memory.
const DOC_BYTES: u64 = 512;

/// The index of a job that is not there.
const NO_JOB: u32 = u32::MAX;

/// Goes over every collection. Returns the gold that each adds up to; `None` where the views are not known.
pub(crate) async fn scan(
    audit: &mut Audit<'_>,
    jobs: &Arc<Jobs>,
    partitions: &mut Partitions,
) -> Result<Vec<Option<Cells>>, AuditError> {
    let mut recomputed = Vec::new();
    let expected: u64 = jobs.list.iter().map(|job| job.totals.accepted()).sum();
    for (collection, Collected { name, has_views }) in collected(jobs).into_iter().enumerate() {
        let mut sum = Sum { documents: 0, cells: has_views.then(Cells::new) };
        let mut pages = pages::silver(&audit.store, &name, audit.options.page(DOC_BYTES, 16_384));
        let mut judging = InOrder::new(audit.options.threads);
        while let Some(page) = pages.next().await? {
            let jobs = Arc::clone(jobs);
            if let Some(judged) = judging.submit(move || judge(&jobs, collection, &page)).await? {
                sum.take(audit, partitions, judged, expected).await?;
            }
        }
        while let Some(judged) = judging.next().await? {
            sum.take(audit, partitions, judged, expected).await?;
        }
        audit.findings.note(Invariant::Silver, format!("{} documents of {name}", sum.documents));
        ledger::check_documents(&mut audit.findings, jobs, collection, sum.documents);
        recomputed.push(sum.cells);
    }
    Ok(recomputed)
}

struct Collected {
    name: String,
    has_views: bool,
}

fn collected(jobs: &Jobs) -> Vec<Collected> {
    jobs.collections.iter().map(|c| Collected { name: c.name.clone(), has_views: c.views.is_ok() }).collect()
}

/// What the pages of one collection add up to.
struct Sum {
    documents: u64,
    cells: Option<Cells>,
}

impl Sum {
    async fn take(
        &mut self,
        audit: &mut Audit<'_>,
        partitions: &mut Partitions,
        judged: Judged,
        expected: u64,
    ) -> Result<(), AuditError> {
        audit.findings.merge(judged.findings);
        self.documents += judged.tuples.len() as u64;
        if let Some(Err(e)) = self.cells.as_mut().map(|cells| cells.merge(&judged.cells)) {
            audit.findings.broken(Invariant::Gold, || format!("silver cannot be summed: {e}"));
        }
        if partitions.push(Side::Silver, &judged.tuples) {
            audit.spill(partitions).await?;
        }
        audit.meter.add(judged.tuples.len() as u64, expected);
        Ok(())
    }
}

/// A page that was judged.
struct Judged {
    findings: Findings,
    tuples: Vec<Tuple>,
    cells: Cells,
}

fn judge(jobs: &Jobs, collection: usize, page: &[(Bytes, SilverDoc)]) -> Judged {
    let mut findings = Findings::default();
    let mut folder = jobs.collections[collection].views.as_ref().ok().map(Folder::new);
    let mut tuples = Vec::with_capacity(page.len());
    for (key, doc) in page {
        check_chain(&mut findings, key, doc);
        let job = check_shard(&mut findings, jobs, collection, (key, doc.live.shard));
        tuples.push(Tuple {
            key: key_hash(collection, key),
            rank: doc.live.rank,
            job,
            shard: doc.live.shard.number,
            fields: fields_hash(&doc.live.fields),
        });
        if let Some(Err(e)) = folder.as_mut().map(|folder| folder.add(&doc.live.fields)) {
            cannot_fold(&mut findings, key, &e);
        }
    }
    let cells = folder.map(|mut folder| folder.finish()).unwrap_or_default();
    Judged { findings, tuples, cells }
}

fn cannot_fold(findings: &mut Findings, key: &Bytes, error: &GoldError) {
    findings.broken(Invariant::Gold, || format!("key {}: {error}", key.escape_ascii()));
}

/// Displaced claims stand in the order in which they were displaced: each has a higher rank than the next.
fn check_chain(findings: &mut Findings, key: &Bytes, doc: &SilverDoc) {
    let ranks = || doc.displaced.iter().chain([&doc.live]).map(|c| c.rank);
    if !ranks().zip(ranks().skip(1)).all(|(before, after)| before > after) {
        findings.broken(Invariant::Silver, || {
            let ranks: Vec<_> = ranks().map(|r| r.0).collect();
            format!("key {}: a claim was displaced by one with a higher rank: {ranks:?}", key.escape_ascii())
        });
    }
}

/// The live claim is of a shard that was decided as `process`. Returns the job's index.
fn check_shard(findings: &mut Findings, jobs: &Jobs, collection: usize, (key, shard): (&Bytes, ShardId)) -> u32 {
    let index = jobs.index(shard.job).filter(|i| jobs.list[*i].collection == collection);
    let wrong = match index.map(|i| &jobs.list[i]) {
        None => Some("of a job that does not fill this collection"),
        Some(job) if !job.in_scope => None,
        Some(job) => match job.shard(shard.number) {
            s if s.bronze == Bronze::Aside => Some("which was set aside"),
            // Settled without bronze is said elsewhere.
            s if s.bronze == Bronze::Nothing && !s.settled => Some("which was never decided"),
            _ => None,
        },
    };
    if let Some(wrong) = wrong {
        findings.broken(Invariant::Silver, || format!("key {} is held by shard {shard}, {wrong}", key.escape_ascii()));
    }
    index.and_then(|i| u32::try_from(i).ok()).unwrap_or(NO_JOB)
}
