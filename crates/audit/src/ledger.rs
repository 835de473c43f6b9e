//! The ledger: every row counted once (I1), one entry a shard (I7), and what the deltas add up to.

use std::collections::BTreeMap;

use ensemble_gold::Cells;
use ensemble_store::{Decision, LedgerEntry, Store, StoreError};
use ensemble_supervisor::{Covered, GoldState, Totals};

use crate::{
    AuditError,
    audit::Audit,
    jobs::{Job, Jobs},
    pages,
    report::{Findings, Invariant},
};

/// Goes over the ledgers of all jobs. Returns the gold that the deltas of each collection add up to; `None` where the
/// views are not known.
pub(crate) async fn check(audit: &mut Audit<'_>, jobs: &mut Jobs) -> Result<Vec<Option<GoldState>>, AuditError> {
    let empty = |views: &_| GoldState::new(Clone::clone(views), Cells::new(), Covered::default());
    let mut gold: Vec<_> = jobs.collections.iter().map(|c| c.views.as_ref().ok().map(empty)).collect();
    let (mut entries, mut rows) = (0, 0);
    for job in &mut jobs.list {
        let mut last = None;
        let mut pages = pages::ledger(&audit.store, job.record.number);
        while let Some(page) = pages.next().await? {
            for entry in page {
                check_order(&mut audit.findings, job, &entry, last);
                last = Some(entry.plan.shard.number);
                check_counts(&mut audit.findings, &entry);
                take(job, &entry);
                if let Some(Err(e)) = gold[job.collection].as_mut().map(|state| state.fold(&entry)) {
                    audit.findings.broken(Invariant::Gold, || {
                        format!("shard {}: its ledger entry's delta cannot be folded: {e}", entry.plan.shard)
                    });
                }
            }
        }
        entries += job.totals.shards;
        rows += job.totals.rows;
        check_job(&mut audit.findings, job);
        find_open(&*audit.store, &mut audit.findings, job).await?;
    }
    audit.findings.note(Invariant::Counts, format!("{rows} rows in {entries} ledger entries"));
    audit.findings.note(Invariant::Ledger, format!("{entries} ledger entries of {} jobs", jobs.list.len()));
    Ok(gold)
}

fn take(job: &mut Job, entry: &LedgerEntry) {
    job.totals.add(entry);
    if let Some(shard) = job.shard_mut(entry.plan.shard.number) {
        shard.settled = true;
        shard.aside = entry.aside.is_some();
        shard.claims = entry.claims;
    }
}

fn check_order(findings: &mut Findings, job: &Job, entry: &LedgerEntry, last: Option<u32>) {
    let (shard, below) = (entry.plan.shard, job.record.leased_below);
    if shard.job != job.record.number || last.is_some_and(|last| last >= shard.number) {
        findings.broken(Invariant::Ledger, || {
            format!("job {}: the ledger entry of shard {shard} stands behind that of {last:?}", job.record.number.0)
        });
    }
    if shard.number >= below {
        findings.broken(Invariant::Ledger, || {
            format!("shard {shard} is settled, and its job says that no shard from {below} on was ever leased")
        });
    }
}

fn check_counts(findings: &mut Findings, entry: &LedgerEntry) {
    let (shard, rejected) = (entry.plan.shard, entry.rejected());
    let LedgerEntry { rows, claims, duplicates, displaced_same, updated, .. } = *entry;
    if rows != claims + duplicates + rejected {
        findings.broken(Invariant::Counts, || {
            format!(
                "shard {shard}: {rows} rows, but {claims} claims + {duplicates} duplicates + {rejected} rejected are {}",
                claims + duplicates + rejected
            )
        });
    }
    if displaced_same + updated > claims {
        findings.broken(Invariant::Counts, || {
            format!("shard {shard}: {claims} claims displaced {displaced_same} + {updated} others, which is more")
        });
    }
    if entry.aside.is_some() && rows != 0 {
        findings.broken(Invariant::Counts, || format!("shard {shard} was set aside and counts {rows} rows"));
    }
}

fn check_job(findings: &mut Findings, job: &Job) {
    let (number, totals) = (job.record.number.0, &job.totals);
    let sum = totals.accepted() + totals.updated + totals.all_duplicates() + totals.rejected();
    if totals.rows != sum {
        findings.broken(Invariant::Counts, || {
            format!("job {number}: {} rows, but accepted + updated + duplicates + rejected are {sum}", totals.rows)
        });
    }
    if let Some(stored) = job.record.totals.as_ref().filter(|stored| *stored != totals) {
        findings.broken(Invariant::Counts, || {
            format!("job {number}: its record says {stored:?}, and its ledger adds up to {totals:?}")
        });
    }
    if job.record.state.is_terminal() {
        let end = job.shards.iter().rposition(|s| s.settled).map_or(0, |last| last + 1);
        for number in (0u32..).zip(&job.shards[..end]).filter(|(_, s)| !s.settled).map(|(n, _)| n) {
            findings.broken(Invariant::Ledger, || {
                format!("shard {} has no ledger entry, and its job has ended with later ones", job.shard_id(number))
            });
        }
    }
}

/// Counts the shards that are decided and not settled. Only those below `leased_below` can be, which is at most a window
/// ahead of the ledger.
async fn find_open(store: &dyn Store, findings: &mut Findings, job: &mut Job) -> Result<(), AuditError> {
    for number in 0..job.record.leased_below {
        if job.shard(number).settled {
            continue;
        }
        let shard = job.shard_id(number);
        let decided = match store.decision(shard).await {
            Ok(record) => record.map(|r| matches!(r.decision, Decision::Process { .. })),
            Err(StoreError::Corrupt { .. }) => Some(true),
            Err(e) => return Err(e.into()),
        };
        let Some(process) = decided else { continue };
        job.open += 1;
        if job.record.state.is_terminal() {
            findings.broken(Invariant::Ledger, || {
                let what = if process { "process" } else { "set aside" };
                format!("shard {shard} is decided ({what}) and has no ledger entry, and its job has ended")
            });
        }
    }
    Ok(())
}

/// Compares the ledgers' sums with the number of documents that silver was found to have.
pub(crate) fn check_documents(findings: &mut Findings, jobs: &Jobs, collection: usize, documents: u64) {
    let name = &jobs.collections[collection].name;
    let open: u64 = jobs.of_collection(collection).map(|job| job.open).sum();
    if open > 0 {
        findings
            .note(Invariant::Counts, format!("{open} shards are open: {name} is not compared with the ledger's sum"));
        return;
    }
    // By job, to say who contributed what where the sum is wrong.
    let by_job: BTreeMap<u64, i128> = jobs.of_collection(collection).map(|j| (j.record.number.0, stands(j))).collect();
    let sum: i128 = by_job.values().sum();
    if sum != i128::from(documents) {
        findings.broken(Invariant::Counts, || {
            format!("{name} has {documents} documents, and the ledger adds up to {sum} (by job: {by_job:?})")
        });
    }
}

/// The keys that a job added.
fn stands(job: &Job) -> i128 {
    let Totals { claims, displaced_same, updated, .. } = &job.totals;
    i128::from(*claims) - i128::from(*displaced_same) - i128::from(*updated)
}
