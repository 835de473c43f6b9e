//! Gold, four times (I3): recomputed from silver, folded from the ledger, from the checkpoint and the ledger, as stored.

use ensemble_gold::{Cell, CellKey, Cells, Views};
use ensemble_supervisor::{GoldState, JobRecord, SupervisorError, load_gold};

use crate::{
    AuditError,
    audit::Audit,
    jobs::Jobs,
    pages,
    report::{Findings, Invariant},
};

/// Compares the gold of every collection.
pub(crate) async fn compare(
    audit: &mut Audit<'_>,
    jobs: &Jobs,
    recomputed: Vec<Option<Cells>>,
    ledger: Vec<Option<GoldState>>,
) -> Result<(), AuditError> {
    for (collection, (recomputed, ledger)) in recomputed.into_iter().zip(ledger).enumerate() {
        let views = &jobs.collections[collection].views;
        match (views, recomputed, ledger) {
            (Ok(views), Some(recomputed), Some(ledger)) => {
                Comparison { jobs, collection, views }.run(audit, &recomputed, ledger.cells()).await?;
            }
            (Err(reason), ..) => audit.findings.skip(Invariant::Gold, reason.clone()),
            _ => {}
        }
    }
    Ok(())
}

struct Comparison<'a> {
    jobs: &'a Jobs,
    collection: usize,
    views: &'a Views,
}

impl Comparison<'_> {
    async fn run(&self, audit: &mut Audit<'_>, recomputed: &Cells, ledger: &Cells) -> Result<(), AuditError> {
        let name = &self.jobs.collections[self.collection].name;
        let Some(loaded) = self.load(audit).await? else { return Ok(()) };
        let findings = &mut audit.findings;
        self.differences(findings, ("the ledger's deltas", ledger), ("the checkpoint and the ledger", loaded.cells()));
        let open: u64 = self.jobs.of_collection(self.collection).map(|job| job.open).sum();
        if open > 0 {
            findings
                .skip(Invariant::Gold, format!("{open} shards of {name} are open; only the checkpoint was compared"));
            return Ok(());
        }
        self.differences(findings, ("a recompute from silver", recomputed), ("the ledger", loaded.cells()));
        let (cells, views) = (recomputed.len(), self.views.len());
        findings.note(Invariant::Gold, format!("{cells} cells in {views} views recomputed from {name}"));
        let mut stored = Findings::default();
        self.compare_stored(audit, &mut stored, loaded.cells()).await?;
        let going = self.jobs.of_collection(self.collection).find(|job| !job.record.state.is_terminal());
        match going.filter(|_| stored.is_broken(Invariant::Gold)) {
            // Gold is written out every now and then, and wholly before a job ends.
            Some(job) => audit.findings.skip(
                Invariant::Gold,
                format!("job {} has not ended: the stored views of {name} may be behind", job.record.id),
            ),
            None => audit.findings.merge(stored),
        }
        Ok(())
    }

    /// The checkpoint with the ledger, as a supervisor reads it; `None` where it cannot be read.
    async fn load(&self, audit: &mut Audit<'_>) -> Result<Option<GoldState>, AuditError> {
        let name = &self.jobs.collections[self.collection].name;
        let records: Vec<JobRecord> = self.jobs.of_collection(self.collection).map(|job| job.record.clone()).collect();
        match load_gold(&*audit.store, name, self.views.clone(), &records).await {
            Ok(state) => Ok(Some(state)),
            Err(e @ (SupervisorError::Document { .. } | SupervisorError::Gold(_))) => {
                audit.findings.broken(Invariant::Gold, || format!("the checkpoint of {name} cannot be read: {e}"));
                Ok(None)
            }
            Err(e) => Err(e.into()),
        }
    }

    fn differences(&self, findings: &mut Findings, expected: (&str, &Cells), found: (&str, &Cells)) {
        if expected.1 == found.1 {
            return;
        }
        let ids = expected.1.iter().chain(found.1.iter()).map(|(id, _)| id);
        let mut ids: Vec<_> = ids.filter(|id| expected.1.get(id) != found.1.get(id)).collect();
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            findings.broken(Invariant::Gold, || {
                let view = self.views.name(id.0).unwrap_or("an unknown view");
                let [a, b] = describe(expected.1.get(id), found.1.get(id));
                format!("{view}, {}: {} has {a}, and {} has {b}", key(&id.1), expected.0, found.0)
            });
        }
    }

    /// Merges the stored cells, sorted by key, with those that have to be there.
    async fn compare_stored(
        &self,
        audit: &Audit<'_>,
        findings: &mut Findings,
        expected: &Cells,
    ) -> Result<(), AuditError> {
        for (number, view) in (0u16..).zip(self.views.names()) {
            let mut wanted = expected.of_view(number).peekable();
            let mut pages = pages::cells(&audit.store, view);
            while let Some(page) = pages.next().await? {
                for stored in page.iter().filter(|cell| !cell.cell.is_empty()) {
                    while let Some((key, _)) = wanted.next_if(|(key, _)| key.as_bytes() < &stored.key[..]) {
                        missing(findings, view, key);
                    }
                    let cell = wanted.next_if(|(key, _)| key.as_bytes() == &stored.key[..]).map(|(_, cell)| cell);
                    if cell.is_none_or(|cell| cell.encode() != stored.cell) {
                        differs(findings, view, &stored.key, (cell, &stored.cell));
                    }
                }
            }
            wanted.for_each(|(key, _)| missing(findings, view, key));
        }
        Ok(())
    }
}

fn missing(findings: &mut Findings, view: &str, cell: &CellKey) {
    findings.broken(Invariant::Gold, || format!("{view}, {}: the stored view has no such cell", key(cell)));
}

fn differs(findings: &mut Findings, view: &str, bytes: &[u8], (expected, stored): (Option<&Cell>, &[u8])) {
    findings.broken(Invariant::Gold, || {
        let name = CellKey::from_bytes(bytes).map_or_else(|_| bytes.escape_ascii().to_string(), |cell| key(&cell));
        match Cell::decode(stored) {
            Ok(stored) => {
                let [a, b] = describe(expected, Some(&stored));
                format!("{view}, {name}: the ledger has {a}, and the stored view has {b}")
            }
            Err(e) => format!("{view}, {name}: {e}"),
        }
    });
}

/// A view over everything has one cell, whose key is empty.
fn key(key: &CellKey) -> String {
    if key.as_bytes().is_empty() { "all rows".to_owned() } else { key.to_string() }
}

/// What tells two cells apart.
fn describe(a: Option<&Cell>, b: Option<&Cell>) -> [String; 2] {
    let (Some(left), Some(right)) = (a, b) else {
        return [a, b].map(|cell| cell.map_or_else(|| "no such cell".to_owned(), |c| format!("count {}", c.count)));
    };
    if left.count != right.count {
        return [left, right].map(|cell| format!("count {}", cell.count));
    }
    let measure = left.measures.iter().zip(&right.measures).position(|(l, r)| l != r);
    let pair = left.pairs.iter().zip(&right.pairs).position(|(l, r)| l != r);
    [left, right].map(|cell| match (measure, pair) {
        (Some(i), _) => format!("measure {i} {:?}", cell.measures[i]),
        (None, Some(i)) => format!("pair {i} {:?}", cell.pairs[i]),
        (None, None) => format!("{} measures and {} pairs", cell.measures.len(), cell.pairs.len()),
    })
}
